//! How fast the queue is, as one JSON document on stdout.
//!
//! `HOSTATLAS_DATABASE_URL=postgres://.../postgres cargo run --release -p hostatlas-store-postgres --example postgres_queue_speed
//! -- [HOSTS] [BATCH] [queue|claims]`, by default a million hosts, batches of 5,000 and the first part; `claims` is what a
//! claim takes behind HOSTS jobs that wait and as many that are finished. The URL is a superuser's: a database is made
//! beside the one it names, and dropped at the end. Every figure comes with the counts that it must end with: a run that
//! lost a job fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::{
    Address, Asn, Coordinate, DEFAULT_MAX_AGE, DuePolicy, HostId, JobKind, Located, Network, Place,
    Precision, Priority, ProviderName, ScanFormat, Scope, Timestamp,
};
use hostatlas_store::{
    AdminStore, Attempt, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJobs, EnqueuedJobs, Fence, FinishJobs,
    Finished, HostSelection, HostStore, ImportStore, JobStore, LocationStore, Observation, RecordSightings,
    SelectHosts, Settled, StartImport, WorkerId,
};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinSet;

/// Distinct places, as many as a large scan's hosts stand on.
const PLACES: u32 = 70_000;
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
    let batch: u32 = arguments.next().map_or(5_000, |text| text.parse().expect("a number of jobs"));
    let url = ["HOSTATLAS_DATABASE_URL", "HOSTATLAS_TEST_POSTGRES_URL"];
    let url = url.iter().find_map(|name| std::env::var(name).ok()).expect("HOSTATLAS_DATABASE_URL");
    let name = format!("hostatlas_queue_speed_{}", std::process::id());
    let mut server = PgConnection::connect(&url).await.expect("the server");
    command(&mut server, &format!("CREATE DATABASE {name}")).await;
    let (server_url, _) = url.rsplit_once('/').expect("a URL that names a database");
    let url = format!("{server_url}/{name}");
    let report = match arguments.next().as_deref() {
        Some("claims") => claims(&url, hosts, batch).await,
        None | Some("queue") => run(&url, hosts, batch).await,
        Some(other) => panic!("there is no part `{other}`"),
    };
    command(&mut server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    println!("{report:#}");
}

async fn command(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await.expect("done");
}

async fn run(url: &str, hosts: u32, batch: u32) -> Value {
    let store = Arc::new(open(url, OpenMode::Create).await);
    let import = measure(hosts, import(&store, hosts)).await;
    let waiting_latency = claim_latency(&store).await;
    let answers: Arc<[Arc<Located>]> = (0..PLACES).map(answer).collect();
    let locate = measure(hosts, drain(url, 2, 5_000, Some(answers))).await;
    let coverage = store.coverage(DEFAULT_MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.pending), (u64::from(hosts), 0), "every host is located");
    let (mut no_op, mut finished) = (Vec::new(), u64::from(hosts));
    let (mut enqueue_runs, mut merge) = (Vec::new(), Value::Null);
    let mut latency = Value::Null;
    for (connections, at_once) in [(1, 1), (2, 2), (4, 4), (1, 1), (2, 2), (4, 4)] {
        settle(&store).await;
        let rate = measure(hosts, enqueue(&store, hosts, Request::New, at_once)).await;
        enqueue_runs.push(json!({ "at_once": at_once, "rate": rate }));
        if latency.is_null() {
            merge = measure(hosts, enqueue(&store, hosts, Request::Merged, 2)).await;
            latency = claim_latency(&store).await;
        }
        let rate = measure(hosts, drain(url, connections, batch, None)).await;
        no_op.push(json!({ "connections": connections, "rate": rate }));
        finished += u64::from(hosts);
        let counts = store.jobs_stats().await.expect("stats").geolocation;
        assert_eq!((counts.completed, counts.total), (finished, finished), "every job is done, once");
    }
    let findings = store.check().await.expect("a check").findings;
    assert_eq!(findings, [], "the database agrees with itself");
    store.close().await;
    json!({
        "hosts": hosts,
        "batch": batch,
        "import, with a job for each host": import,
        "claim of one job, all waiting, none finished": waiting_latency,
        "claim, locate and finish, 5,000 at a time, 2 connections": locate,
        "enqueue all": enqueue_runs,
        "enqueue all once more, all merged": merge,
        "claim of one job, all waiting, as many finished": latency,
        "claim and finish": no_op,
    })
}

/// Claims of 1 and of 10 behind `hosts` jobs that wait, of every priority, and as many that are finished.
async fn claims(url: &str, hosts: u32, batch: u32) -> Value {
    let store = Arc::new(open(url, OpenMode::Create).await);
    let all = hosts + CLAIMS * (1 + 10);
    import(&store, all).await;
    drain(url, 2, batch, None).await;
    let counts = store.jobs_stats().await.expect("stats").geolocation;
    assert_eq!((counts.completed, counts.total), (u64::from(all), u64::from(all)), "every job is done");
    enqueue(&store, all, Request::OfEveryPriority, 1).await;
    settle(&store).await;
    let one = claims_of(&store, 1).await;
    let ten = claims_of(&store, 10).await;
    let counts = store.jobs_stats().await.expect("stats").geolocation;
    assert_eq!(counts.available, u64::from(hosts), "so many wait at the end");
    let findings = store.check().await.expect("a check").findings;
    assert_eq!(findings, [], "the database agrees with itself");
    store.close().await;
    json!({ "waiting": counts.available, "finished": counts.completed, "of 1": one, "of 10": ten })
}

/// Each is claimed and finished; and, to compare, what the smallest write takes.
async fn claims_of(store: &PostgresStore, limit: u32) -> Value {
    let (mut claims, mut commits) = (Vec::new(), Vec::new());
    for round in 0..CLAIMS {
        let began = Instant::now();
        let params =
            ClaimJobs { oldest_first: round % 10 == 0, kinds: JobKind::ALL.to_vec(), ..claim(limit) };
        let jobs = store.jobs_claim(params).await.expect("a claim");
        claims.push(began.elapsed());
        assert_eq!(jobs.len(), limit as usize, "there is work");
        let params = FinishJobs { fence: Fence::Running, finished: ends(jobs, None), age: Duration::ZERO };
        assert_eq!(store.jobs_finish(params).await.expect("a finish"), [], "no fence is lost");
        let began = Instant::now();
        store.kind_pause(JobKind::SslCert, round % 2 == 0).await.expect("paused or resumed");
        commits.push(began.elapsed());
    }
    json!({ "claim": percentiles(claims), "smallest write": percentiles(commits) })
}

async fn open(url: &str, mode: OpenMode) -> PostgresStore {
    PostgresStore::open(OpenOptions::new(url, mode)).await.expect("a database")
}

/// Lets housekeeping do what it does between bursts.
async fn settle(store: &PostgresStore) {
    while store.tidy().await.expect("tidy") {}
}

/// Runs and tells how many a second that was, and what one cost this process.
async fn measure(count: u32, work: impl Future<Output = ()>) -> Value {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    work.await;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let count = f64::from(count);
    json!({
        "seconds": seconds,
        "per_second": (count / seconds).round(),
        "client_cpu_microseconds_each": (cpu * 1e7 / count).round() / 10.0,
    })
}

/// What this process has used of all cores.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn answer(number: u32) -> Arc<Located> {
    let degrees = |step: u32, width: u32| f64::from(number.wrapping_mul(step) % width) / 100.0;
    let (latitude, longitude) = (degrees(7919, 16_000) - 80.0, degrees(104_729, 35_000) - 175.0);
    let asn = number % 30_000 + 1;
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

async fn import(store: &PostgresStore, hosts: u32) {
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

fn claim(limit: u32) -> ClaimJobs {
    ClaimJobs {
        kinds: vec![JobKind::Geolocation],
        limit,
        lease: Duration::from_secs(30),
        worker: WorkerId(1),
        mode: ClaimMode::Lease,
        oldest_first: false,
        crashed_limit: 50,
        alone: true,
        except: Vec::new(),
    }
}

/// One job of many, claimed and given back; and, to compare, what the smallest write takes.
async fn claim_latency(store: &PostgresStore) -> Value {
    let (mut claims, mut commits) = (Vec::new(), Vec::new());
    for round in 0..1_000 {
        let began = Instant::now();
        let params = ClaimJobs { oldest_first: round % 10 == 0, kinds: JobKind::ALL.to_vec(), ..claim(1) };
        let jobs = store.jobs_claim(params).await.expect("a claim");
        claims.push(began.elapsed());
        assert_eq!(jobs.len(), 1, "there is work");
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

fn ends(jobs: Vec<ClaimedJob>, answers: Option<&[Arc<Located>]>) -> Vec<Finished> {
    let end = |job: ClaimedJob| Finished {
        id: job.id,
        token: job.token,
        host: job.host,
        settled: Settled::Completed("located".to_owned()),
        effect: answers.map(|answers| answer_of(answers, job.host)),
    };
    jobs.into_iter().map(end).collect()
}

/// As many stores as connections, as if each were a process; each claims and finishes until nothing waits.
async fn drain(url: &str, connections: usize, batch: u32, answers: Option<Arc<[Arc<Located>]>>) {
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let (store, answers) = (open(url, OpenMode::Existing).await, answers.clone());
        workers.spawn(async move {
            loop {
                let jobs = store.jobs_claim(claim(batch)).await.expect("a claim");
                if jobs.is_empty() {
                    break;
                }
                let finished = ends(jobs, answers.as_deref());
                let params = FinishJobs { fence: Fence::Running, finished, age: Duration::ZERO };
                assert_eq!(store.jobs_finish(params).await.expect("a finish"), [], "no fence is lost");
            }
            store.close().await;
        });
    }
    workers.join_all().await;
}

/// A job for each host, or the request merged into each: the next chunk is selected while `at_once` chunks before it are
/// queued, as the product does with two.
async fn enqueue(store: &Arc<PostgresStore>, hosts: u32, request: Request, at_once: usize) {
    let (mut after, mut changed, mut level) = (None, 0, 0);
    let mut queueing = JoinSet::new();
    let changed_by =
        |step: EnqueuedJobs| if request == Request::Merged { step.duplicate } else { step.queued };
    loop {
        let params = SelectHosts { selection: HostSelection::All, after, limit: 5_000 };
        let chunk = store.hosts_select(params).await.expect("hosts");
        after = chunk.last().map(|host| host.address);
        if queueing.len() >= at_once {
            changed += queueing.join_next().await.map_or(0, |ended| changed_by(ended.expect("queued")));
        }
        if chunk.is_empty() {
            break;
        }
        let params = EnqueueJobs {
            selection: HostSelection::Hosts(chunk),
            after: None,
            limit: 5_000,
            priority: Priority::new(level),
            force: true,
        };
        if request == Request::OfEveryPriority {
            level = (level + 1) % 10;
        }
        let store = Arc::clone(store);
        queueing.spawn(async move { store.jobs_enqueue(params).await.expect("queued") });
    }
    for step in queueing.join_all().await {
        changed += changed_by(step);
    }
    assert_eq!(changed, u64::from(hosts), "each host once");
}
