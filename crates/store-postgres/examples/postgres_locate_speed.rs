//! How fast hosts are imported and located through the queue in `PostgreSQL`, as one JSON document on stdout.
//!
//! `cargo xtask postgres -- cargo run --release -p hostatlas-store-postgres --example postgres_locate_speed -- [HOSTS] [LANES]
//! [BATCH]`, by default 500,000 hosts, 2 lanes and 5,000 jobs at a time. Hosts are spread over 70,000 places at random,
//! which is the worst that can be. Housekeeping goes on meanwhile, as in a worker. Every figure comes with the counts
//! that it must end with: a run that lost a job or a host fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::{
    Address, Asn, Coordinate, DEFAULT_MAX_AGE, DuePolicy, HostId, JobKind, Located, Network, Place,
    Precision, ProviderName, ScanFormat, Scope, Timestamp,
};
use hostatlas_store::{
    AdminStore, Attempt, ClaimJobs, ClaimMode, ClaimedJob, Fence, FinishJobs, Finished, ImportStore,
    JobStore, LocationStore, Observation, RecordSightings, Settled, StartImport, WorkerId,
};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::TestDatabase;
use serde_json::{Value, json};

/// Distinct places, as many as a large scan's hosts stand on.
const PLACES: u32 = 70_000;
/// Distinct networks.
const NETWORKS: u32 = 30_000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the document is what this program is for")]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u32>().expect("a number"));
    let hosts = numbers.next().unwrap_or(500_000);
    let lanes = numbers.next().unwrap_or(2);
    let batch = numbers.next().unwrap_or(5_000);
    let database = TestDatabase::empty().expect("a database");
    let options = OpenOptions::new(database.url(), OpenMode::Create);
    let store = Arc::new(PostgresStore::open(options).await.expect("a store"));
    let answers: Arc<[_]> = (0..PLACES).map(answer).collect();

    let import = measure(hosts, import(&store, hosts)).await;
    let keeping = tokio::spawn(keep_house(Arc::clone(&store)));
    let locate = measure(hosts, locate(&store, &answers, lanes, batch)).await;
    keeping.abort();
    let coverage = store.coverage(DEFAULT_MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.pending), (u64::from(hosts), 0), "every host is located");
    let counts = store.jobs_stats().await.expect("stats").geolocation;
    assert_eq!(counts.completed, u64::from(hosts), "every job is done");
    let fold = measure(hosts, fold(&store)).await;
    assert_eq!(store.check().await.expect("a check").findings, [], "the database agrees with itself");
    store.close().await;
    println!(
        "{:#}",
        json!({
            "hosts": hosts,
            "lanes": lanes,
            "batch": batch,
            "import, with a job for each host": import,
            "claim, locate and finish": locate,
            "housekeeping afterwards": fold,
        })
    );
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

/// One lane claims, finishes, and claims again while the others do the same.
async fn locate(store: &Arc<PostgresStore>, answers: &Arc<[Arc<Located>]>, lanes: u32, batch: u32) {
    let lane = |number: u32| {
        let (store, answers) = (Arc::clone(store), Arc::clone(answers));
        tokio::spawn(async move { work(&store, &answers, batch, WorkerId(i64::from(number) + 1)).await })
    };
    let working: Vec<_> = (0..lanes).map(lane).collect();
    for lane in working {
        lane.await.expect("a lane");
    }
}

async fn work(store: &PostgresStore, answers: &[Arc<Located>], limit: u32, worker: WorkerId) {
    loop {
        let params = ClaimJobs {
            kinds: vec![JobKind::Geolocation],
            limit,
            lease: Duration::from_secs(30),
            worker,
            mode: ClaimMode::Lease,
            oldest_first: false,
            crashed_limit: 50,
            alone: true,
            except: Vec::new(),
        };
        let jobs = store.jobs_claim(params).await.expect("a claim");
        if jobs.is_empty() {
            return;
        }
        let end = |job: ClaimedJob| Finished {
            id: job.id,
            token: job.token,
            host: job.host,
            settled: Settled::Completed("located".to_owned()),
            effect: Some(answer_of(answers, job.host)),
        };
        let finished = jobs.into_iter().map(end).collect();
        let params = FinishJobs { fence: Fence::Running, finished, age: Duration::ZERO };
        assert_eq!(store.jobs_finish(params).await.expect("a finish"), [], "each job is one lane's");
    }
}

async fn keep_house(store: Arc<PostgresStore>) {
    let mut turns = tokio::time::interval(Duration::from_secs(2));
    loop {
        turns.tick().await;
        store.tidy().await.expect("housekeeping");
    }
}

async fn fold(store: &PostgresStore) {
    while store.tidy().await.expect("housekeeping") {}
}
