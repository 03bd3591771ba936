//! A run of the store worth recording: imports, jobs, answers, checkpoints, a restart.

use std::{path::Path, sync::Arc, time::Duration};

use hostatlas_domain::{
    Address, Coordinate, DuePolicy, JobFilter, JobId, JobKind, JobState, Located, Network, Place, PortNumber,
    Precision, Priority, Protocol, ProviderName, ScanFormat, Scope, Timestamp, UnlocatedReason,
};
use hostatlas_proof_shim::{Event, Recording};
use hostatlas_store::{
    AdminStore, Attempt, ClaimJobs, ClaimMode, EnqueueJob, Fence, FinishJobs, Finished, ImportStore,
    JobSelection, JobStore, LocationStore, Observation, ObservedBanner, ObservedPort, PrunePolicy,
    RecordSightings, RenewJobs, Rescue, Settled, StartImport, WorkerId,
};
use hostatlas_store_sqlite::{OpenMode, OpenOptions, SqliteStore};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    NAME,
    disk::{self, Image},
    examine::{self, Digest},
};

/// A recorded run.
pub(super) struct Journey {
    /// What the folder held before.
    pub(super) before: Image,
    /// What was done to it. `Mark(n)` says that the first n steps were acknowledged; marks from [`WITHIN`] on say
    /// that of one job in the middle of a step.
    pub(super) events: Vec<Event>,
    /// What the database held after each step; the first is before all.
    pub(super) digests: Vec<Digest>,
    /// What the folder held at the end.
    pub(super) after: Image,
}

/// Added to the id of a job that was acknowledged while others of the same step were not.
pub(super) const WITHIN: u64 = 1 << 32;
/// Requests that are under way at once in such a step: they share commits.
const AT_ONCE: u32 = 6;

/// Records a run of so many steps in an empty folder.
pub(super) async fn record(folder: &Path, steps: usize, seed: u64) -> anyhow::Result<Journey> {
    open(folder, OpenMode::Create).await?.close().await;
    let before = disk::read(folder)?;
    let mut digests = vec![examine::digest(&folder.join(NAME)).await?];
    let recording = Recording::start(folder).ok_or_else(|| anyhow::anyhow!("another recording is on"))?;
    let mut traveller = Traveller {
        folder,
        store: Arc::new(open(folder, OpenMode::Existing).await?),
        random: StdRng::seed_from_u64(seed),
        hosts: Vec::new(),
        running: Vec::new(),
        recording: &recording,
    };
    for step in 1..=steps {
        traveller.step(step).await?;
        recording.mark(step as u64);
        digests.push(examine::digest(&folder.join(NAME)).await?);
    }
    traveller.store.close().await;
    let mut events = recording.stop();
    events.retain(|event| match event {
        Event::Write { file, .. } | Event::Truncate { file, .. } | Event::Unlink { file } => {
            disk::is_kept(file)
        }
        Event::Sync { file } => file.is_empty() || disk::is_kept(file),
        Event::Rename { to, .. } => disk::is_kept(to),
        Event::Mark(_) => true,
    });
    Ok(Journey { before, events, digests, after: disk::read(folder)? })
}

async fn open(folder: &Path, mode: OpenMode) -> anyhow::Result<SqliteStore> {
    Ok(SqliteStore::open(OpenOptions::new(folder.join(NAME).display().to_string(), mode)).await?)
}

struct Traveller<'t> {
    folder: &'t Path,
    store: Arc<SqliteStore>,
    random: StdRng,
    hosts: Vec<Address>,
    running: Vec<hostatlas_store::ClaimedJob>,
    recording: &'t Recording,
}

impl Traveller<'_> {
    /// One step: one transaction, or several that are under way at once.
    async fn step(&mut self, step: usize) -> anyhow::Result<()> {
        if self.hosts.is_empty() {
            return self.import().await;
        }
        if step.is_multiple_of(60) {
            return self.restart().await;
        }
        match self.random.random_range(0..100) {
            0..18 => self.import().await,
            18..38 => self.claim().await,
            38..64 => self.finish().await,
            64..72 => self.request_at_once().await,
            72..80 => self.manage().await,
            80..84 => self.pin().await,
            84..86 => {
                self.store.tidy().await?;
                Ok(())
            }
            86..96 => self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").await,
            _ => self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)").await,
        }
    }

    async fn import(&mut self) -> anyhow::Result<()> {
        // An import begins in a transaction of its own; the step is only acknowledged with the second.
        let import = if self.hosts.is_empty() || self.random.random_bool(0.2) {
            let start = StartImport { source: "power-loss".to_owned(), format: ScanFormat::Plain };
            return self.begin(start).await;
        } else {
            hostatlas_domain::ImportId(1)
        };
        let seen = Timestamp::from_secs(1_700_000_000 + self.random.random_range(0..1_000_000));
        let mut observations = Vec::new();
        for _ in 0..self.random.random_range(1..8) {
            let address = self.new_host();
            let text = "banner ".repeat(self.random.random_range(0..200));
            let banner = ObservedBanner { service: "http".to_owned(), bytes: text.into_bytes() };
            let port = PortNumber::try_from(self.random.random_range(1..u16::MAX))?;
            let port = ObservedPort { port, protocol: Protocol::Tcp, open: true, banner: Some(banner) };
            observations.push(Observation { address, port: Some(port), first_seen: seen, last_seen: seen });
        }
        let (scope, due) = (Scope::default(), DuePolicy::default());
        self.store.sightings_record(RecordSightings { import, observations, scope, due }).await?;
        Ok(())
    }

    async fn begin(&mut self, start: StartImport) -> anyhow::Result<()> {
        self.store.import_start(start).await?;
        if self.hosts.is_empty() {
            // From now on imports have something to record; its host comes with the first of them.
            self.new_host();
        }
        Ok(())
    }

    fn new_host(&mut self) -> Address {
        let number = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let bits = std::net::Ipv4Addr::new(5, 0, 0, 0).to_bits() + number;
        let address = Address::from(std::net::IpAddr::V4(bits.into()));
        self.hosts.push(address);
        address
    }

    async fn claim(&mut self) -> anyhow::Result<()> {
        let params = ClaimJobs {
            kinds: JobKind::ALL.to_vec(),
            limit: self.random.random_range(1..12),
            lease: Duration::from_mins(10),
            worker: WorkerId(1),
            mode: ClaimMode::Lease,
            oldest_first: false,
            crashed_limit: 50,
            alone: true,
            except: Vec::new(),
        };
        self.running.extend(self.store.jobs_claim(params).await?);
        Ok(())
    }

    async fn finish(&mut self) -> anyhow::Result<()> {
        let many = self.random.random_range(0..=self.running.len());
        let jobs = self.running.split_off(self.running.len() - many);
        let finished = jobs
            .into_iter()
            .map(|job| {
                let settled = match self.random.random_range(0..10) {
                    0 => Settled::Snoozed(Duration::from_millis(1), "not now".to_owned()),
                    1 => Settled::Retryable(Duration::from_millis(1), "failed".to_owned()),
                    2 => Settled::Discarded("failed for good".to_owned(), UnlocatedReason::NoRecord),
                    _ => Settled::Completed("done".to_owned()),
                };
                let located = matches!(settled, Settled::Completed(_)) && job.kind == JobKind::Geolocation;
                let effect = located.then(|| Attempt::Located(self.answer()));
                Finished { id: job.id, token: job.token, host: job.host, settled, effect }
            })
            .collect();
        let params = FinishJobs { fence: Fence::Running, finished, age: Duration::ZERO };
        self.store.jobs_finish(params).await?;
        Ok(())
    }

    fn answer(&mut self) -> Arc<Located> {
        let number: u8 = self.random.random_range(1..40);
        let coordinate = Coordinate::new(f64::from(number), f64::from(number)).expect("on earth");
        let place = Place {
            coordinate,
            precision: Precision::City,
            city: Some(format!("City {number}")),
            region: None,
            country: "DE".parse().ok(),
        };
        let network = Network { organization: Some(format!("Network {}", number % 7)), ..Network::default() };
        let provider = ProviderName::Mmdb;
        Arc::new(Located {
            place,
            network,
            timezone: None,
            provider,
            accuracy_km: None,
            database_build: None,
        })
    }

    /// Several requests whose commits the writer may make one, each acknowledged by itself.
    async fn request_at_once(&mut self) -> anyhow::Result<()> {
        let mut requests = tokio::task::JoinSet::new();
        let known: Vec<Address> = self.known().await?;
        for _ in 0..AT_ONCE.min(u32::try_from(known.len())?) {
            let address = known[self.random.random_range(0..known.len())];
            let kind = JobKind::ALL[self.random.random_range(0..JobKind::ALL.len())];
            let port = PortNumber::try_from(self.random.random_range(1..u16::MAX)).ok();
            let port = port.filter(|_| kind == JobKind::BannerGrab).map(|port| (port, Protocol::Tcp));
            let (priority, delay, force) = (Priority::FIRST, Duration::ZERO, self.random.random_bool(0.5));
            let request = EnqueueJob { kind, address, port, priority, delay, force };
            let store = Arc::clone(&self.store);
            requests.spawn(async move { store.job_enqueue(request).await });
        }
        while let Some(answer) = requests.join_next().await {
            self.recording.mark(WITHIN + answer??.job.0.unsigned_abs());
        }
        Ok(())
    }

    async fn known(&self) -> anyhow::Result<Vec<Address>> {
        let page = self.store.jobs_list(JobFilter::default(), None, 200).await?;
        Ok(page.items.into_iter().map(|job| job.ip).collect())
    }

    async fn manage(&mut self) -> anyhow::Result<()> {
        let held = self.running.iter().map(|job| (job.id, job.token));
        let some: Vec<JobId> = {
            let page = self.store.jobs_list(JobFilter::default(), None, 100).await?;
            page.items
                .into_iter()
                .filter(|job| job.state != JobState::Running)
                .map(|job| job.id)
                .take(5)
                .collect()
        };
        match self.random.random_range(0..6) {
            0 => drop(
                self.store
                    .jobs_renew(RenewJobs { jobs: held.collect(), lease: Duration::from_mins(20) })
                    .await?,
            ),
            1 => {
                let jobs = held.take(3).collect();
                self.store.jobs_release(jobs).await?;
            }
            2 => drop(self.store.jobs_cancel(JobSelection::Ids(some)).await?),
            3 => drop(self.store.jobs_retry(JobSelection::Ids(some)).await?),
            4 => drop(self.store.jobs_rescue(Rescue::All).await?),
            _ => {
                let (completed_after, discarded_after) = (Duration::ZERO, Duration::ZERO);
                self.store.jobs_prune(PrunePolicy { completed_after, discarded_after, limit: 20 }).await?;
            }
        }
        Ok(())
    }

    async fn pin(&mut self) -> anyhow::Result<()> {
        let place = self.answer().place.clone();
        if let Some(address) = self.known().await?.first() {
            self.store.location_pin(*address, place).await?;
        }
        Ok(())
    }

    /// As the store does by itself when the log is long, or another process that shares the file.
    async fn checkpoint(&mut self, statement: &'static str) -> anyhow::Result<()> {
        examine::execute(&self.folder.join(NAME), statement).await
    }

    async fn restart(&mut self) -> anyhow::Result<()> {
        self.store.close().await;
        self.store = Arc::new(open(self.folder, OpenMode::Existing).await?);
        Ok(())
    }
}
