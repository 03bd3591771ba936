//! What only this backend can promise about its queue: a fence that holds while somebody waits for a row, bounds on what
//! a claim locks, being heard by other processes.

mod support;

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{
    Address, Asn, Coordinate, DuePolicy, JobKind, JobState, Located, Network, Place, Precision, Priority,
    ProviderName, ScanFormat, Scope, Timestamp,
};
use hostatlas_store::{
    Attempt, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJob, Fence, FinishJobs, Finished, ImportStore,
    JobStore, LocationStore, Observation, RecordSightings, Settled, StartImport, WorkerId,
};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::TestDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use support::until;

const HOSTS: u8 = 40;

struct Test {
    store: PostgresStore,
    database: TestDatabase,
}

impl Test {
    async fn new() -> Self {
        let database = support::migrated();
        let options = OpenOptions::new(database.url(), OpenMode::Existing);
        let store = PostgresStore::open(options).await.expect("a store");
        let start = StartImport { source: "test".to_owned(), format: ScanFormat::MasscanJson };
        let import = store.import_start(start).await.expect("an import");
        let seen = Timestamp::from_secs(1_795_400_000);
        let observation =
            |last| Observation { address: address(last), port: None, first_seen: seen, last_seen: seen };
        let observations = (1..=HOSTS).map(observation).collect();
        let params =
            RecordSightings { import, observations, scope: Scope::default(), due: DuePolicy::default() };
        store.sightings_record(params).await.expect("recorded");
        Self { store, database }
    }
}

fn address(last: u8) -> Address {
    Address::from(std::net::IpAddr::from([8, 8, 8, last]))
}

fn located() -> Arc<Located> {
    Arc::new(Located {
        place: Place {
            coordinate: Coordinate::from_units(5_000_000, 800_000).expect("on earth"),
            precision: Precision::City,
            city: None,
            region: None,
            country: "DE".parse().ok(),
        },
        network: Network { asn: Some(Asn(64_500)), organization: None, isp: None },
        timezone: None,
        provider: ProviderName::Mmdb,
        accuracy_km: None,
        database_build: None,
    })
}

fn claim(limit: u32) -> ClaimJobs {
    ClaimJobs {
        kinds: JobKind::ALL.to_vec(),
        limit,
        lease: Duration::from_secs(30),
        worker: WorkerId(1),
        mode: ClaimMode::Lease,
        oldest_first: false,
        crashed_limit: 3,
        alone: true,
        except: Vec::new(),
    }
}

/// A connection beside the store.
async fn beside(test: &Test) -> PgConnection {
    PgConnection::connect(&test.database.url()).await.expect("a connection")
}

/// Looks until somebody waits for a lock.
async fn somebody_waits(connection: &mut PgConnection) {
    let waits = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock')";
    let somebody =
        async || sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut *connection).await.expect("an answer");
    until("somebody waits for a lock", somebody).await;
}

/// Whoever waits for a row that a rescue and another claim change meanwhile has the token asked for again.
#[tokio::test]
async fn a_finish_that_waited_for_the_row_asks_for_the_token_again() {
    let plain: fn(usize) -> Settled = |_| Settled::Completed("done".to_owned());
    let mixed: fn(usize) -> Settled = |at| match at {
        0 => Settled::Retryable(Duration::ZERO, "timed out".to_owned()),
        _ => Settled::Completed(format!("done {at}")),
    };
    for settled in [plain, mixed] {
        let test = Test::new().await;
        let jobs = test.store.jobs_claim(claim(3)).await.expect("a claim");
        let taken = jobs[1].id;
        let mut other = beside(&test).await;
        let mut transaction = other.begin().await.expect("a transaction");
        sqlx::query("UPDATE job SET lease_token = lease_token + 1, claimed_by = 2 WHERE id = $1")
            .bind(taken.0)
            .execute(&mut *transaction)
            .await
            .expect("claimed by another");
        let effect = || Some(Attempt::Located(located()));
        let end = |(at, job): (usize, &ClaimedJob)| Finished {
            id: job.id,
            token: job.token,
            host: job.host,
            settled: settled(at),
            effect: effect(),
        };
        let finished = jobs.iter().enumerate().map(end).collect();
        let late =
            test.store.jobs_finish(FinishJobs { fence: Fence::Running, finished, age: Duration::ZERO });
        let commit = async {
            let mut watcher = beside(&test).await;
            somebody_waits(&mut watcher).await;
            transaction.commit().await.expect("committed");
        };
        let (lost, ()) = tokio::join!(late, commit);
        assert_eq!(lost.expect("finished"), [taken]);
        let job = test.store.job_get(taken).await.expect("a job");
        assert_eq!((job.state, job.result), (JobState::Running, None));
        let located = test.store.coverage(Duration::from_secs(1)).await.expect("coverage").located;
        assert_eq!(located, 2, "the effect of the late end is not applied");
    }
}

/// Of each priority a claim locks at most as many jobs as it may take, and others go around them: one, where the first
/// has to run alone.
#[tokio::test]
async fn a_claim_locks_no_more_of_each_priority_than_it_may_take() {
    let test = Test::new().await;
    let mut watcher = beside(&test).await;
    let spread = "UPDATE job SET priority = id % 10";
    sqlx::query(spread).execute(&mut watcher).await.expect("spread");
    for (crashes, oldest_first, few, most) in
        [(0, false, 6, 4 + 4 + 2), (0, true, 6, 4 * 10), (2, false, 1, 1)]
    {
        let crashed = format!("UPDATE job SET crash_count = {crashes}");
        sqlx::raw_sql(AssertSqlSafe(crashed)).execute(&mut watcher).await.expect("crashed");
        // The claim waits at a counter's table, with its jobs locked.
        let mut transaction = watcher.begin().await.expect("a transaction");
        sqlx::query("LOCK TABLE job_count_delta IN EXCLUSIVE MODE")
            .execute(&mut *transaction)
            .await
            .expect("locked");
        let params = ClaimJobs { oldest_first, ..claim(6) };
        let claiming = test.store.jobs_claim(params);
        let counting = async {
            let mut other = beside(&test).await;
            somebody_waits(&mut other).await;
            let free = "SELECT (SELECT count(*) FROM job), (SELECT count(*) FROM \
                        (SELECT 1 FROM job WHERE state < 3 FOR UPDATE SKIP LOCKED) AS free)";
            let (all, free): (i64, i64) = sqlx::query_as(free).fetch_one(&mut other).await.expect("counted");
            all - free
        };
        tokio::select! {
            _ = claiming => panic!("the claim did not wait"),
            locked = counting => assert!((few..=most).contains(&locked), "{locked} are locked"),
        }
        nobody_waits(&test).await;
        transaction.rollback().await.expect("rolled back");
    }
}

/// Looks until the server has noticed that a client is gone.
async fn nobody_waits(test: &Test) {
    let mut connection = beside(test).await;
    let end = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock') AS ended";
    let nobody =
        async || sqlx::query_scalar::<_, i64>(end).fetch_one(&mut connection).await.expect("an answer") == 0;
    until("nobody waits for a lock", nobody).await;
}

/// How long a hint may take on a busy machine; it takes milliseconds.
const HEARD_WITHIN: Duration = Duration::from_secs(10);
/// After so long without a hint none is under way.
const QUIET: Duration = Duration::from_millis(300);

async fn until_quiet(store: &PostgresStore) {
    let quiet = async || tokio::time::timeout(QUIET, store.jobs_heard()).await.is_err();
    until("no hint is under way", quiet).await;
}

fn request(last: u8) -> EnqueueJob {
    let (kind, delay) = (JobKind::DomainEnum, Duration::ZERO);
    EnqueueJob { kind, address: address(last), port: None, priority: Priority::FIRST, delay, force: false }
}

#[tokio::test]
async fn another_process_hears_of_queued_jobs() {
    let test = Test::new().await;
    let options = OpenOptions::new(test.database.url(), OpenMode::Existing);
    let other = PostgresStore::open(options).await.expect("a store");
    // The first hint says that listening has begun.
    tokio::time::timeout(HEARD_WITHIN, other.jobs_heard()).await.expect("it listens");
    until_quiet(&other).await;
    test.store.job_enqueue(request(1)).await.expect("queued");
    tokio::time::timeout(HEARD_WITHIN, other.jobs_heard()).await.expect("heard");

    until_quiet(&other).await;
    let mut connection = beside(&test).await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let cut: i64 = sqlx::query_scalar(cut).fetch_one(&mut connection).await.expect("cut");
    assert_eq!(cut, 2, "both stores listened");
    tokio::time::timeout(HEARD_WITHIN, other.jobs_heard()).await.expect("it listens again");
    until_quiet(&other).await;
    test.store.job_enqueue(request(2)).await.expect("queued");
    tokio::time::timeout(HEARD_WITHIN, other.jobs_heard()).await.expect("heard again");
}

#[tokio::test]
async fn without_hints_work_is_found_by_looking() {
    let test = Test::new().await;
    let url = format!("{}?pooler=transaction", test.database.url());
    let deaf = PostgresStore::open(OpenOptions::new(url, OpenMode::Existing)).await.expect("a store");
    test.store.job_enqueue(request(1)).await.expect("queued");
    assert!(tokio::time::timeout(QUIET, deaf.jobs_heard()).await.is_err(), "nothing tells it");
    let params = ClaimJobs { kinds: vec![JobKind::DomainEnum], ..claim(5) };
    assert_eq!(deaf.jobs_claim(params).await.expect("a claim").len(), 1);
}
