//! Small hosts, answers and jobs for the cases.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{
    Address, Asn, Coordinate, DuePolicy, EnqueuedJob, HostId, ImportId, JobId, JobKind, JobState, Located,
    Network, Place, PortNumber, Precision, Priority, Protocol, ProviderName, ScanFormat, Scope, Timestamp,
};
use hostatlas_store::{
    ApplyLocations, Attempt, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJob, Fence, FinishJobs, Finished,
    LocationWrite, Observation, ObservedBanner, ObservedPort, RecordSightings, Recorded, Settled,
    StartImport, Store, WorkerId,
};

use crate::TestStore;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);
pub(crate) const MAX_AGE: Duration = hostatlas_domain::DEFAULT_MAX_AGE;
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// A heartbeat comes while the lease still holds.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(20);
/// When the scans of these tests saw their hosts.
pub(crate) const SEEN: Timestamp = Timestamp::from_secs(1_795_434_087);

pub(crate) fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

pub(crate) fn port(number: u16) -> PortNumber {
    PortNumber::try_from(number).expect("a port")
}

pub(crate) fn up(host: &str) -> Observation {
    Observation { address: address(host), port: None, first_seen: SEEN, last_seen: SEEN }
}

pub(crate) fn open(host: &str, number: u16) -> Observation {
    let port = ObservedPort { port: port(number), protocol: Protocol::Tcp, open: true, banner: None };
    Observation { port: Some(port), ..up(host) }
}

pub(crate) fn closed(host: &str, number: u16) -> Observation {
    let mut observation = open(host, number);
    if let Some(port) = &mut observation.port {
        port.open = false;
    }
    observation
}

pub(crate) fn banner(host: &str, number: u16, service: &str, text: &str) -> Observation {
    let mut observation = open(host, number);
    if let Some(port) = &mut observation.port {
        port.banner = Some(ObservedBanner { service: service.to_owned(), bytes: text.as_bytes().to_vec() });
    }
    observation
}

pub(crate) fn at(mut observation: Observation, seen: Timestamp) -> Observation {
    (observation.first_seen, observation.last_seen) = (seen, seen);
    observation
}

pub(crate) async fn start(store: &dyn Store) -> ImportId {
    store
        .import_start(StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson })
        .await
        .expect("an import")
}

pub(crate) async fn record_in(store: &dyn Store, import: ImportId, observations: &[Observation]) -> Recorded {
    let mut observations = observations.to_vec();
    observations
        .sort_by_key(|seen| (seen.address, seen.port.as_ref().map(|port| (port.port, port.protocol))));
    store
        .sightings_record(RecordSightings {
            import,
            observations,
            scope: Scope::default(),
            due: DuePolicy::default(),
        })
        .await
        .expect("recorded")
}

/// Records as an import of its own.
pub(crate) async fn record(store: &dyn Store, observations: &[Observation]) -> Recorded {
    let import = start(store).await;
    record_in(store, import, observations).await
}

pub(crate) fn place(city: &str, country: &str, latitude: f64, longitude: f64) -> Place {
    Place {
        coordinate: Coordinate::new(latitude, longitude).expect("on earth"),
        precision: Precision::City,
        city: Some(city.to_owned()),
        region: None,
        country: Some(country.parse().expect("a country")),
    }
}

pub(crate) fn located(place: Place, asn: u32, organization: &str) -> Arc<Located> {
    Arc::new(Located {
        place,
        network: Network { asn: Some(Asn(asn)), organization: Some(organization.to_owned()), isp: None },
        timezone: Some("Europe/Berlin".to_owned()),
        provider: ProviderName::Mmdb,
        accuracy_km: Some(50),
        database_build: Some(SEEN),
    })
}

pub(crate) fn frankfurt() -> Arc<Located> {
    located(place("Frankfurt am Main", "DE", 50.1155, 8.6842), 64502, "Nordlicht Hosting")
}

pub(crate) fn nuremberg() -> Arc<Located> {
    located(place("Nuremberg", "DE", 49.4521, 11.0767), 64503, "Kestrel Mail")
}

pub(crate) fn tokyo() -> Arc<Located> {
    located(place("Tokyo (Chiyoda)", "JP", 35.6895, 139.6917), 64504, "Hoshi Carrier 100%")
}

pub(crate) async fn host_id(store: &dyn Store, host: &str) -> HostId {
    let selection = hostatlas_store::HostSelection::Addresses(vec![address(host)]);
    let params = hostatlas_store::SelectHosts { selection, after: None, limit: 1 };
    store.hosts_select(params).await.expect("a selection")[0].id
}

/// The row of a host with a special address that is on no place, or placed by a site.
pub(crate) async fn special_id(store: &dyn Store, host: &str, sited: bool) -> Option<HostId> {
    let (first, last) = (address(host), address(host));
    let selection = hostatlas_store::HostSelection::Special { first, last, sited };
    let params = hostatlas_store::SelectHosts { selection, after: None, limit: 10 };
    store.hosts_select(params).await.expect("a selection").first().map(|host| host.id)
}

/// What a site of this name says.
pub(crate) fn site(city: &str, latitude: f64, longitude: f64) -> Arc<Located> {
    let (network, provider) = (Network::default(), ProviderName::Site);
    let place = place(city, "DE", latitude, longitude);
    Arc::new(Located { place, network, timezone: None, provider, accuracy_km: None, database_build: None })
}

pub(crate) async fn apply(
    store: &dyn Store,
    host: &str,
    attempt: Attempt,
) -> hostatlas_store::AppliedLocations {
    let writes = vec![LocationWrite { host: host_id(store, host).await, attempt }];
    store.locations_apply(ApplyLocations { writes, age: Duration::ZERO }).await.expect("applied")
}

pub(crate) fn request(host: &str) -> EnqueueJob {
    EnqueueJob {
        kind: JobKind::Geolocation,
        address: address(host),
        port: None,
        priority: Priority::FIRST,
        delay: Duration::ZERO,
        force: false,
    }
}

pub(crate) fn claim(limit: u32, mode: ClaimMode) -> ClaimJobs {
    ClaimJobs {
        kinds: JobKind::ALL.to_vec(),
        limit,
        lease: LEASE,
        worker: WorkerId(1),
        mode,
        oldest_first: false,
        crashed_limit: 50,
        alone: true,
        except: Vec::new(),
    }
}

pub(crate) async fn lease(store: &dyn Store, limit: u32) -> Vec<ClaimedJob> {
    store.jobs_claim(claim(limit, ClaimMode::Lease)).await.expect("a claim")
}

pub(crate) fn finished(job: &ClaimedJob, settled: Settled) -> Finished {
    Finished { id: job.id, token: job.token, host: job.host, settled, effect: None }
}

pub(crate) async fn finish(store: &dyn Store, ends: Vec<Finished>) -> Vec<JobId> {
    let params = FinishJobs { fence: Fence::Running, finished: ends, age: Duration::ZERO };
    store.jobs_finish(params).await.expect("a finish")
}

pub(crate) fn done() -> Settled {
    Settled::Completed("done".to_owned())
}

/// One host with one waiting job.
pub(crate) async fn one_job(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
}

pub(crate) async fn enqueue(test: &TestStore, request: EnqueueJob) -> EnqueuedJob {
    test.job_enqueue(request).await.expect("queued")
}

pub(crate) async fn state(test: &TestStore, id: JobId) -> JobState {
    test.job_get(id).await.expect("a job").state
}

/// Whether a worker of this store may read jobs without marking them running.
pub(crate) async fn peeks(store: &dyn Store) -> bool {
    store.worker_role().await.expect("the worker role").is_exclusive()
}

/// The same numbers for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("small")
    }
}
