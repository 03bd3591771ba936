//! How fast the queue and the writing of locations are, as one JSON document on stdout.
//!
//! `cargo run --release -p hostatlas-store-sqlite --example queue_speed -- [HOSTS] [DIRECTORY]`, by default a million
//! hosts in the directory for temporary files. Every figure comes with the counts that it must end with: a run that
//! lost a job or a host fails.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::{
    Address, Asn, Coordinate, DEFAULT_MAX_AGE, DuePolicy, HostId, JobId, JobKind, Located, Network, Place, Precision,
    Priority, ProviderName, ScanFormat, Scope, Timestamp,
};
use hostatlas_store::{
    AdminStore, ApplyLocations, Attempt, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJobs, Fence, FinishJobs, Finished,
    HostSelection, HostStore, ImportStore, JobStore, LocationStore, LocationWrite, Observation, PrunePolicy,
    RecordSightings, SelectHosts, Settled, StartImport, WorkerId,
};
use hostatlas_store_sqlite::{Mode, OpenOptions, SqliteStore};
use serde_json::{Value, json};

/// Distinct places, as many as a large scan's hosts stand on.
const PLACES: u32 = 70_000;
/// Distinct networks.
const NETWORKS: u32 = 30_000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the document is what this program is for")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let hosts: u32 = arguments.next().map_or(1_000_000, |text| text.parse().expect("a number of hosts"));
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(parent).expect("a directory for the databases");
    let answers: Vec<_> = (0..PLACES).map(answer).collect();

    let queue = open(folder.path(), "queue.db").await;
    let import = measure(hosts, import(&queue, hosts)).await;
    let seconds_of_claims = claim_latency(&queue).await;
    let one_step = measure(hosts, one_step(&queue, &answers, 10_000)).await;
    let coverage = queue.coverage(DEFAULT_MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.pending), (u64::from(hosts), 0), "every host is located");
    let enqueue = measure(hosts, enqueue(&queue)).await;
    let no_op = measure(hosts, lease_and_finish(&queue, 1_000)).await;
    let counts = queue.jobs_stats().await.expect("stats").geolocation;
    assert_eq!((counts.completed, counts.total), (2 * u64::from(hosts), 2 * u64::from(hosts)), "every job is done");
    let prune = measure(2 * hosts, prune(&queue)).await;
    let findings = queue.check().await.expect("a check").findings;
    assert_eq!(findings, [], "the database agrees with itself");
    queue.close().await;

    let direct = open(folder.path(), "direct.db").await;
    measure(hosts, self::import(&direct, hosts)).await;
    let apply = measure(hosts, apply(&direct, &answers, 20_000)).await;
    let refresh = measure(hosts, self::apply(&direct, &answers, 20_000)).await;
    let coverage = direct.coverage(DEFAULT_MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.pending), (u64::from(hosts), 0), "every host is located");
    direct.close().await;

    let report = json!({
        "hosts": hosts,
        "import, with a job for each host": import,
        "claim of one job behind all": seconds_of_claims,
        "peek, locate and finish, 10,000 at a time": one_step,
        "enqueue all": enqueue,
        "claim and finish, 1,000 at a time": no_op,
        "prune": prune,
        "locate directly, 20,000 at a time": apply,
        "refresh directly, 20,000 at a time": refresh,
    });
    println!("{report:#}");
}

/// Runs and tells how many a second that was, and what one cost.
async fn measure(count: u32, work: impl Future<Output = ()>) -> Value {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    work.await;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let count = f64::from(count);
    json!({
        "seconds": seconds,
        "per_second": (count / seconds).round(),
        "cpu_microseconds_each": (cpu * 1e7 / count).round() / 10.0,
    })
}

/// What this process has used of all cores.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

async fn open(folder: &Path, name: &str) -> SqliteStore {
    let location = folder.join(name).display().to_string();
    SqliteStore::open(OpenOptions::new(location, Mode::Create)).await.expect("a database")
}

fn answer(number: u32) -> Arc<Located> {
    let degrees = |step: u32, width: u32| f64::from(number.wrapping_mul(step) % width) / 100.0;
    let (latitude, longitude) = (degrees(7919, 16_000) - 80.0, degrees(104_729, 35_000) - 175.0);
    let asn = number % NETWORKS + 1;
    Arc::new(Located {
        place: Place {
            coordinate: Coordinate::new(latitude, longitude + 0.001).expect("on earth"),
            precision: Precision::City,
            city: Some(format!("City {number}")),
            region: Some(format!("Region {}", number % 4_000)),
            country: "DE".parse().ok(),
        },
        network: Network { asn: Some(Asn(asn)), organization: Some(format!("Organization {asn}")), isp: None },
        timezone: Some("Europe/Berlin".to_owned()),
        provider: ProviderName::Mmdb,
        accuracy_km: Some(u16::try_from(number % 100).unwrap_or(0)),
        database_build: Some(Timestamp::from_secs(1_795_000_000)),
    })
}

/// Hosts are spread over the places at random: the worst that can be.
fn answer_of(answers: &[Arc<Located>], host: HostId) -> Attempt {
    let at = (host.0.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    Attempt::Located(Arc::clone(&answers[usize::try_from(at).expect("31 bits") % answers.len()]))
}

async fn import(store: &SqliteStore, hosts: u32) {
    let start = StartImport { source: "example".to_owned(), format: ScanFormat::MasscanJson };
    let import = store.import_start(start).await.expect("an import");
    let seen = Timestamp::from_secs(1_795_400_000);
    let mut next = 0;
    while next < hosts {
        let end = hosts.min(next + 10_000);
        let observation = |number: u32| {
            let address = Address::from(std::net::IpAddr::from((0x1400_0000 + number * 13).to_be_bytes()));
            Observation { address, port: None, first_seen: seen, last_seen: seen }
        };
        let observations = (next..end).map(observation).collect();
        let params =
            RecordSightings { import, observations, scope: Scope::default(), due: DuePolicy::default() };
        store.sightings_record(params).await.expect("recorded");
        next = end;
    }
}

fn claim(limit: u32, mode: ClaimMode, except: Vec<JobId>) -> ClaimJobs {
    ClaimJobs {
        kinds: vec![JobKind::Geolocation],
        limit,
        lease: Duration::from_secs(30),
        worker: WorkerId(1),
        mode,
        oldest_first: false,
        crashed_limit: 50,
        except,
    }
}

/// One job of a million, claimed and given back.
async fn claim_latency(store: &SqliteStore) -> Value {
    let mut times = Vec::new();
    for round in 0..1_000 {
        let began = Instant::now();
        let params = ClaimJobs { oldest_first: round % 10 == 0, kinds: JobKind::ALL.to_vec(), ..claim(1, ClaimMode::Lease, vec![]) };
        let jobs = store.jobs_claim(params).await.expect("a claim");
        times.push(began.elapsed().as_secs_f64() * 1e3);
        store.jobs_release(jobs.iter().map(|job| (job.id, job.token)).collect()).await.expect("released");
    }
    times.sort_by(f64::total_cmp);
    json!({ "p50_ms": times[times.len() / 2], "p99_ms": times[times.len() * 99 / 100] })
}

fn ends(jobs: Vec<ClaimedJob>, effect: impl Fn(HostId) -> Option<Attempt>) -> Vec<Finished> {
    let end = |job: ClaimedJob| Finished {
        id: job.id,
        token: job.token,
        host: job.host,
        settled: Settled::Completed("located".to_owned()),
        effect: effect(job.host),
    };
    jobs.into_iter().map(end).collect()
}

/// Reads the next batch while the last is written.
async fn one_step(store: &SqliteStore, answers: &[Arc<Located>], batch: u32) {
    let mut jobs = store.jobs_claim(claim(batch, ClaimMode::Peek, Vec::new())).await.expect("a peek");
    while !jobs.is_empty() {
        let except = jobs.iter().map(|job| job.id).collect();
        let finished = ends(jobs, |host| Some(answer_of(answers, host)));
        let params = FinishJobs { fence: Fence::Waiting, finished, age: Duration::ZERO };
        let next = store.jobs_claim(claim(batch, ClaimMode::Peek, except));
        let (lost, next) = tokio::join!(store.jobs_finish(params), next);
        assert_eq!(lost.expect("a finish"), [], "nobody else works here");
        jobs = next.expect("a peek");
    }
}

async fn enqueue(store: &SqliteStore) {
    let mut after = None;
    loop {
        let priority = Priority::FIRST;
        let params = EnqueueJobs { selection: HostSelection::All, after, limit: 10_000, priority, force: true };
        after = store.jobs_enqueue(params).await.expect("queued").next;
        if after.is_none() {
            return;
        }
    }
}

async fn lease_and_finish(store: &SqliteStore, batch: u32) {
    loop {
        let jobs = store.jobs_claim(claim(batch, ClaimMode::Lease, Vec::new())).await.expect("a claim");
        if jobs.is_empty() {
            return;
        }
        let params = FinishJobs { fence: Fence::Running, finished: ends(jobs, |_| None), age: Duration::ZERO };
        assert_eq!(store.jobs_finish(params).await.expect("a finish"), [], "nobody else works here");
    }
}

async fn prune(store: &SqliteStore) {
    let policy = PrunePolicy { completed_after: Duration::ZERO, discarded_after: Duration::ZERO, limit: 5_000 };
    while store.jobs_prune(policy).await.expect("pruned") > 0 {}
}

async fn apply(store: &SqliteStore, answers: &[Arc<Located>], batch: u32) {
    let mut after = None;
    loop {
        let params = SelectHosts { selection: HostSelection::All, after, limit: batch };
        let hosts = store.hosts_select(params).await.expect("hosts");
        let Some(last) = hosts.last() else { return };
        after = Some(last.address);
        let mut writes: Vec<_> = hosts
            .iter()
            .map(|host| LocationWrite { host: host.id, attempt: answer_of(answers, host.id) })
            .collect();
        writes.sort_by_key(|write| write.host);
        store.locations_apply(ApplyLocations { writes, age: Duration::ZERO }).await.expect("applied");
    }
}
