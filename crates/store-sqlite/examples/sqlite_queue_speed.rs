//! How fast the queue and the writing of locations are, as one JSON document on stdout.
//!
//! `cargo run --release -p hostatlas-store-sqlite --example sqlite_queue_speed -- [HOSTS] [DIRECTORY] [queue|direct|claims]`, by
//! default a million hosts in the directory for temporary files, and the first two parts; `claims` is what a claim takes
//! behind HOSTS jobs that wait and as many that are finished. Every figure comes with the counts that it must end with:
//! a run that lost a job or a host fails.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::{
    Address, Asn, Coordinate, DEFAULT_MAX_AGE, DuePolicy, HostId, JobId, JobKind, Located, Network, Place,
    Precision, Priority, ProviderName, ScanFormat, Scope, Timestamp,
};
use hostatlas_store::{
    AdminStore, ApplyLocations, Attempt, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJobs, Fence, FinishJobs,
    Finished, HostSelection, HostStore, ImportStore, JobStore, LocationStore, LocationWrite, Observation,
    PrunePolicy, RecordSightings, SelectHosts, SelectedHost, Settled, StartImport, WorkerId,
};
use hostatlas_store_sqlite::{OpenMode, OpenOptions, SqliteStore};
use serde_json::{Value, json};

/// Distinct places, as many as a large scan's hosts stand on.
const PLACES: u32 = 70_000;
/// Distinct networks.
const NETWORKS: u32 = 30_000;
/// Claims of each size behind many jobs.
const CLAIMS: u32 = 1_000;

/// What asking for a job for each host meets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    /// None has a live one.
    New,
    /// None has a live one, and each chunk is of another priority.
    OfEveryPriority,
    /// Each has a live one, which takes the request in.
    Merged,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the document is what this program is for")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let hosts: u32 = arguments.next().map_or(1_000_000, |text| text.parse().expect("a number of hosts"));
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(parent).expect("a directory for the databases");
    let part = arguments.next();
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let answers: Vec<_> = (0..PLACES).map(answer).collect();
    let mut report = json!({ "hosts": hosts });
    if wanted("queue") {
        report["queue"] = queue(&open(folder.path(), "queue.db").await, hosts, &answers).await;
    }
    if wanted("direct") {
        report["direct"] = direct(&open(folder.path(), "direct.db").await, hosts, &answers).await;
    }
    if part.as_deref() == Some("claims") {
        report["claims"] = claims(&open(folder.path(), "claims.db").await, hosts).await;
    }
    println!("{report:#}");
}

async fn queue(store: &SqliteStore, hosts: u32, answers: &[Arc<Located>]) -> Value {
    let import = measure(hosts, import(store, hosts)).await;
    let latency = claim_latency(store).await;
    let one_step = measure(hosts, one_step(store, answers, 10_000)).await;
    assert_all_located(store, hosts).await;
    let (mut enqueue_runs, mut merge_runs, mut no_op) = (Vec::new(), Vec::new(), Vec::new());
    for run in 2..=3 {
        enqueue_runs.push(measure(hosts, enqueue(store, hosts, Request::New)).await);
        merge_runs.push(measure(hosts, enqueue(store, hosts, Request::Merged)).await);
        no_op.push(measure(hosts, lease_and_finish(store, 1_000)).await);
        assert_all_done(store, run * u64::from(hosts)).await;
    }
    let prune = measure(3 * hosts, prune(store)).await;
    store.close().await;
    json!({
        "import, with a job for each host": import,
        "claim of one job behind all": latency,
        "peek, locate and finish, 10,000 at a time": one_step,
        "enqueue all": enqueue_runs,
        "enqueue all once more, all merged": merge_runs,
        "claim and finish, 1,000 at a time": no_op,
        "prune": prune,
    })
}

async fn direct(store: &SqliteStore, hosts: u32, answers: &[Arc<Located>]) -> Value {
    import(store, hosts).await;
    let locate = measure(hosts, apply(store, answers, 20_000)).await;
    let refresh = measure(hosts, apply(store, answers, 20_000)).await;
    assert_all_located(store, hosts).await;
    store.close().await;
    json!({ "locate, 20,000 at a time": locate, "refresh, 20,000 at a time": refresh })
}

/// Claims of 1 and of 10 behind `hosts` jobs that wait, of every priority, and as many that are finished.
async fn claims(store: &SqliteStore, hosts: u32) -> Value {
    let all = hosts + CLAIMS * (1 + 10);
    import(store, all).await;
    lease_and_finish(store, 1_000).await;
    assert_all_done(store, u64::from(all)).await;
    enqueue(store, all, Request::OfEveryPriority).await;
    let one = claims_of(store, 1).await;
    let ten = claims_of(store, 10).await;
    let counts = store.jobs_stats().await.expect("stats").geolocation;
    assert_eq!(counts.available, u64::from(hosts), "so many wait at the end");
    let findings = store.check().await.expect("a check").findings;
    assert_eq!(findings, [], "the database agrees with itself");
    store.close().await;
    json!({ "waiting": counts.available, "finished": counts.completed, "of 1": one, "of 10": ten })
}

/// Each is claimed and finished; and, to compare, what the smallest write takes.
async fn claims_of(store: &SqliteStore, limit: u32) -> Value {
    let (mut claims, mut commits) = (Vec::new(), Vec::new());
    for round in 0..CLAIMS {
        let began = Instant::now();
        let oldest_first = round % 10 == 0;
        let params = ClaimJobs {
            oldest_first,
            kinds: JobKind::ALL.to_vec(),
            ..claim(limit, ClaimMode::Lease, vec![])
        };
        let jobs = store.jobs_claim(params).await.expect("a claim");
        claims.push(began.elapsed());
        assert_eq!(jobs.len(), limit as usize, "there is work");
        let finished = ends(jobs, |_| None);
        let params = FinishJobs { fence: Fence::Running, finished, age: Duration::ZERO };
        assert_eq!(store.jobs_finish(params).await.expect("a finish"), [], "nobody else works here");
        let began = Instant::now();
        store.kind_pause(JobKind::SslCert, round % 2 == 0).await.expect("paused or resumed");
        commits.push(began.elapsed());
    }
    json!({ "claim": percentiles(claims), "smallest write": percentiles(commits) })
}

async fn assert_all_done(store: &SqliteStore, jobs: u64) {
    let counts = store.jobs_stats().await.expect("stats").geolocation;
    assert_eq!((counts.completed, counts.total), (jobs, jobs), "every job is done");
}

async fn assert_all_located(store: &SqliteStore, hosts: u32) {
    let coverage = store.coverage(DEFAULT_MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.pending), (u64::from(hosts), 0), "every host is located");
    let findings = store.check().await.expect("a check").findings;
    assert_eq!(findings, [], "the database agrees with itself");
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
    SqliteStore::open(OpenOptions::new(location, OpenMode::Create)).await.expect("a database")
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
        network: Network {
            asn: Some(Asn(asn)),
            organization: Some(format!("Organization {asn}")),
            isp: None,
        },
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
        alone: true,
        except,
    }
}

/// One job of a million, claimed and given back; and, to compare, what the smallest write takes.
async fn claim_latency(store: &SqliteStore) -> Value {
    let (mut claims, mut commits) = (Vec::new(), Vec::new());
    for round in 0..1_000 {
        let began = Instant::now();
        let oldest_first = round % 10 == 0;
        let params =
            ClaimJobs { oldest_first, kinds: JobKind::ALL.to_vec(), ..claim(1, ClaimMode::Lease, vec![]) };
        let jobs = store.jobs_claim(params).await.expect("a claim");
        claims.push(began.elapsed());
        store.jobs_release(jobs.iter().map(|job| (job.id, job.token)).collect()).await.expect("released");
        let began = Instant::now();
        store.kind_pause(JobKind::SslCert, round % 2 == 0).await.expect("paused or resumed");
        commits.push(began.elapsed());
    }
    json!({ "claim": percentiles(claims), "smallest write": percentiles(commits) })
}

fn percentiles(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
    json!({ "p50_ms": at(50), "p99_ms": at(99) })
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

/// A job for each host, or the request merged into each. The next chunk is selected while the one before is queued.
async fn enqueue(store: &SqliteStore, hosts: u32, request: Request) {
    let select =
        |after| store.hosts_select(SelectHosts { selection: HostSelection::All, after, limit: 5_000 });
    let (mut changed, mut level) = (0, 0);
    let mut chunk = select(None).await.expect("hosts");
    while let Some(last) = chunk.last() {
        let next = select(Some(last.address));
        let params = EnqueueJobs {
            selection: HostSelection::Hosts(chunk),
            after: None,
            limit: 5_000,
            priority: Priority::new(level),
            force: true,
        };
        let (step, next) = tokio::join!(store.jobs_enqueue(params), next);
        let step = step.expect("queued");
        changed += if request == Request::Merged { step.duplicate } else { step.queued };
        if request == Request::OfEveryPriority {
            level = (level + 1) % 10;
        }
        chunk = next.expect("hosts");
    }
    assert_eq!(changed, u64::from(hosts), "each host once");
}

/// Claims the next batch while the last is finished: both are one commit.
async fn lease_and_finish(store: &SqliteStore, batch: u32) {
    let claim = || store.jobs_claim(claim(batch, ClaimMode::Lease, Vec::new()));
    let mut jobs = claim().await.expect("a claim");
    while !jobs.is_empty() {
        let params =
            FinishJobs { fence: Fence::Running, finished: ends(jobs, |_| None), age: Duration::ZERO };
        let (lost, next) = tokio::join!(store.jobs_finish(params), claim());
        assert_eq!(lost.expect("a finish"), [], "nobody else works here");
        jobs = next.expect("a claim");
    }
}

async fn prune(store: &SqliteStore) {
    let policy =
        PrunePolicy { completed_after: Duration::ZERO, discarded_after: Duration::ZERO, limit: 5_000 };
    while store.jobs_prune(policy).await.expect("pruned") > 0 {}
}

/// Selects the next hosts while the last are written.
async fn apply(store: &SqliteStore, answers: &[Arc<Located>], batch: u32) {
    let select =
        |after| store.hosts_select(SelectHosts { selection: HostSelection::All, after, limit: batch });
    let mut hosts = select(None).await.expect("hosts");
    while let Some(last) = hosts.last() {
        let next = select(Some(last.address));
        let write =
            |host: &SelectedHost| LocationWrite { host: host.id, attempt: answer_of(answers, host.id) };
        let mut writes: Vec<_> = hosts.iter().map(write).collect();
        writes.sort_by_key(|write| write.host);
        let (applied, next) =
            tokio::join!(store.locations_apply(ApplyLocations { writes, age: Duration::ZERO }), next);
        applied.expect("applied");
        hosts = next.expect("hosts");
    }
}
