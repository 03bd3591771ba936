mod candidates;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use hostatlas_domain::{
    Address, DuePolicy, HostMove, MmdbComparison, MoveEnd, Place, PlaceId, Precision, ProviderName, Timestamp,
};
use hostatlas_geolocation::{
    AddressFamilies, DatabaseStatus, MmdbConfig, MmdbSet, Problem, Role,
    mmdb::{Bulk, PlaceAnswer, PlaceView},
};
use hostatlas_store::{HostSelection, LocatedHost, SelectHosts};
use tempfile::TempDir;
use tokio::{task::spawn_blocking, time::Instant};

pub(crate) use self::candidates::LatestComparison;
use crate::{Error, Services};

/// Hosts that are read and compared at once.
const PAGE: u32 = 10_000;
/// How many of the farthest moves are told.
const FARTHEST: usize = 20;

/// The database files of places: which there are, and what a new one would change.
#[derive(Clone)]
pub struct Mmdb {
    services: Services,
}

impl Mmdb {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// Every file that is configured or was found, in use or not.
    pub fn status(&self) -> Vec<DatabaseStatus> {
        self.services.locator().databases()
    }

    /// Compares where the stored hosts are with where the database file at `path` says they are, and changes nothing.
    /// The file need not be installed.
    ///
    /// The file is asked alone: what other files would say in its stead of hosts that it does not know is not part of
    /// the answer. `on_progress` is told now and then how many hosts were compared.
    pub async fn compare(
        &self,
        path: &Path,
        mut on_progress: impl FnMut(u64) + Send,
    ) -> Result<MmdbComparison, Error> {
        let began = Instant::now();
        let file = self.open(path.to_owned()).await?;
        let mut comparison = file.begin(self.services.locator().database_build());
        let mut bulk = file.set.bulk();
        let mut places = Places::default();
        let store = self.services.store();
        let mut after = None;
        loop {
            let hosts = store.hosts_located(after, PAGE).await?;
            let Some(last) = hosts.last() else { break };
            after = Some(last.address);
            places.load(&self.services, &hosts).await?;
            compare_located(&file, &mut bulk, &places, &hosts, &mut comparison);
            on_progress(comparison.hosts);
        }
        after = None;
        loop {
            let selection = HostSelection::Due(on_no_place());
            let hosts = store.hosts_select(SelectHosts { selection, after, limit: PAGE }).await?;
            let Some(last) = hosts.last() else { break };
            after = Some(last.address);
            let addresses: Vec<Address> = hosts.iter().map(|host| host.address).collect();
            compare_unlocated(&file, &mut bulk, &addresses, &mut comparison);
            on_progress(comparison.hosts);
        }
        comparison.seconds = began.elapsed().as_secs_f64();
        Ok(comparison)
    }

    async fn open(&self, path: PathBuf) -> Result<NewFile, Error> {
        let beside = self.services.config().spill_directory.clone();
        let opened = spawn_blocking(move || NewFile::open(path, &beside)).await;
        opened.map_err(|error| Error::Internal(error.into()))?
    }
}

/// A database file that is not installed, and its private copy, which goes when this does.
struct NewFile {
    set: MmdbSet,
    status: DatabaseStatus,
    _copies: TempDir,
}

impl NewFile {
    /// Blocks: the file is copied and checked.
    fn open(path: PathBuf, beside: &Path) -> Result<Self, Error> {
        // On the disk of the database: a temporary folder is often in memory, and a file has 100 MB.
        let copies =
            tempfile::Builder::new().prefix("hostatlas-compare-").tempdir_in(beside).map_err(|error| {
                let beside = beside.display();
                Error::Unavailable {
                    detail: format!("cannot make a temporary folder in `{beside}`: {error}"),
                    hint: Some(
                        "make room in the folder of the database, and let this user write there".to_owned(),
                    ),
                }
            })?;
        let config = |city, asn| MmdbConfig {
            city,
            asn,
            private_copy_dir: copies.path().to_owned(),
            ..MmdbConfig::default()
        };
        let (set, problems) = MmdbSet::open(&config(vec![path.clone()], Vec::new()));
        if let Some(problem) = problems.into_iter().next() {
            // A file of networks alone is refused as a city database: in words that are about the configuration.
            let (_, as_networks) = MmdbSet::open(&config(Vec::new(), vec![path]));
            return Err(refused(&problem, as_networks.is_empty()));
        }
        match set.status().into_iter().next() {
            Some(status) => Ok(Self { set, status, _copies: copies }),
            None => Err(Error::Internal("a database that was opened has no status".into())),
        }
    }

    fn begin(&self, current_build: Option<Timestamp>) -> MmdbComparison {
        MmdbComparison {
            path: self.status.path.display().to_string(),
            role: self.status.role.map_or("", Role::slug).to_owned(),
            families: self.status.families.map_or("", AddressFamilies::label).to_owned(),
            database_build: self.status.database_build,
            current_build,
            ..MmdbComparison::default()
        }
    }

    fn covers(&self, address: Address) -> bool {
        match self.status.families {
            Some(AddressFamilies::Ipv4) => address.is_ipv4(),
            Some(AddressFamilies::Ipv6) => !address.is_ipv4(),
            _ => true,
        }
    }

    /// Whether it would decide where a host is that is on `place` now.
    fn decides(&self, provider: ProviderName, place: &Place) -> bool {
        // A country database is asked only for what no city database knows.
        let finer = self.status.role == Some(Role::Country) && place.precision != Precision::Country;
        !matches!(provider, ProviderName::Manual | ProviderName::Site) && !finer
    }
}

fn refused(problem: &Problem, is_of_networks: bool) -> Error {
    let path = problem.path.display();
    if is_of_networks {
        return Error::Unavailable {
            detail: format!("`{path}` holds networks and no places, so no host would move"),
            hint: Some("name a city or country database".to_owned()),
        };
    }
    let hint = if problem.path.exists() { problem.remedy.clone() } else { "check the path".to_owned() };
    Error::Unavailable { detail: problem.to_string(), hint: Some(hint) }
}

/// Every host that is on no place, and none that is on one.
fn on_no_place() -> DuePolicy {
    DuePolicy {
        max_age: Duration::from_hours(100 * 365 * 24),
        failure_retry_after: Duration::ZERO,
        database_build: Some(Timestamp::from_millis(i64::MAX)),
    }
}

/// The places that were met so far.
#[derive(Default)]
struct Places(HashMap<PlaceId, Place>);

impl Places {
    async fn load(&mut self, services: &Services, hosts: &[LocatedHost]) -> Result<(), Error> {
        let mut missing: Vec<PlaceId> =
            hosts.iter().map(|host| host.place).filter(|id| !self.0.contains_key(id)).collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            self.0.extend(services.store().places_named(&missing).await?);
        }
        Ok(())
    }
}

fn compare_located(
    file: &NewFile,
    bulk: &mut Bulk,
    places: &Places,
    hosts: &[LocatedHost],
    comparison: &mut MmdbComparison,
) {
    comparison.hosts += hosts.len() as u64;
    let mut compared = Vec::with_capacity(hosts.len());
    for host in hosts {
        match places.0.get(&host.place) {
            _ if !file.covers(host.address) => comparison.not_covered += 1,
            Some(place) if file.decides(host.provider, place) => compared.push((host.address, place)),
            _ => comparison.kept += 1,
        }
    }
    let addresses: Vec<Address> = compared.iter().map(|(address, _)| *address).collect();
    bulk.for_each(&addresses, |index, answer| {
        let (address, from) = compared[index];
        match answer {
            PlaceAnswer::Located(to) => count_move(comparison, address, from, &to),
            _ => comparison.lost += 1,
        }
    });
}

fn count_move(comparison: &mut MmdbComparison, ip: Address, from: &Place, to: &PlaceView<'_>) {
    let distance_km = from.coordinate.distance_km(to.coordinate);
    comparison.moves.add(distance_km);
    comparison.other_country += u64::from(from.country != to.country);
    let farthest = &mut comparison.farthest;
    let rank = farthest.partition_point(|known| known.distance_km >= distance_km);
    if distance_km > 0.0 && rank < FARTHEST {
        farthest.truncate(FARTHEST - 1);
        farthest.insert(
            rank,
            HostMove { ip, distance_km, from: MoveEnd::from(from), to: MoveEnd::from(&to.to_place()) },
        );
    }
}

fn compare_unlocated(
    file: &NewFile,
    bulk: &mut Bulk,
    addresses: &[Address],
    comparison: &mut MmdbComparison,
) {
    comparison.hosts += addresses.len() as u64;
    let covered: Vec<Address> = addresses.iter().copied().filter(|address| file.covers(*address)).collect();
    comparison.not_covered += (addresses.len() - covered.len()) as u64;
    bulk.for_each(&covered, |_, answer| match answer {
        PlaceAnswer::Located(_) => comparison.gained += 1,
        _ => comparison.still_unlocated += 1,
    });
}
