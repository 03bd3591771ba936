//! The session by which other workers see that one lives: that a death is seen at once, and that nobody is taken for dead
//! who is not.

mod support;

use std::time::{Duration, Instant};

use hostatlas_domain::{Address, DuePolicy, JobKind, ScanFormat, Scope, Timestamp};
use hostatlas_store::{
    AdminStore, ClaimJobs, ClaimMode, ClaimedJob, Fence, FinishJobs, Finished, ImportStore, JobStore,
    Observation, RecordSightings, RenewJobs, ReportWorker, Rescue, SessionNews, Settled, StartImport,
    WorkerId, WorkerSession, WorkerStore,
};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::{Cluster, TestDatabase, psql};
use support::until;

/// Three looks and more: whoever is taken for dead within the moment that a living worker has would be by then.
const LONGER_THAN_THE_MOMENT: Duration = Duration::from_millis(1_500);
/// What a death may take to be seen, on a machine that is busy with something else.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(OpenOptions::new(url, OpenMode::Migrate)).await.expect("a store")
}

/// Reports a worker, and holds its session.
async fn join(store: &PostgresStore, worker: WorkerId) -> Box<dyn WorkerSession> {
    let report = ReportWorker {
        id: worker,
        command: "worker".to_owned(),
        host_name: "here".to_owned(),
        process_id: 1,
        version: "1.0.0".to_owned(),
        kinds: vec![JobKind::Geolocation],
        concurrency: 2,
        running: Vec::new(),
        completed: 0,
        failed: 0,
        stopping: false,
    };
    store.worker_report(report).await.expect("reported");
    store.worker_session(worker).expect("a session")
}

/// How many sessions hold the lock of a worker.
fn holders(url: &str, worker: WorkerId) -> i32 {
    let held = format!(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND (classid::bigint << 32) | objid::bigint = {}",
        worker.0
    );
    psql(url, &held).expect("a count").trim().parse().expect("a number")
}

/// Ends the sessions of a worker as the end of its process does, and as a network or an administrator may.
fn end_session(url: &str, worker: WorkerId) {
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND (classid::bigint << 32) | objid::bigint = {}",
        worker.0
    );
    assert_eq!(psql(url, &end).expect("a count").trim(), "1");
}

/// Waits until both workers have looked at each other once more.
async fn both_have_looked(url: &str) {
    let now = psql(url, "SELECT clock_timestamp()").expect("a time");
    let looks = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT worker.id%' AND query_start > '{}'",
        now.trim()
    );
    until("both look", async || psql(url, &looks).expect("a count").trim() == "2").await;
}

async fn next(session: &dyn WorkerSession) -> SessionNews {
    tokio::time::timeout(SEEN_WITHIN, session.news()).await.expect("news")
}

/// Whether nothing is said for longer than a living worker has to come back.
async fn is_quiet(session: &dyn WorkerSession) -> bool {
    tokio::time::timeout(LONGER_THAN_THE_MOMENT, session.news()).await.is_err()
}

const ONE: WorkerId = WorkerId(0x1234_5678_9abc_def0);
const TWO: WorkerId = WorkerId(7);

fn address(last: u8) -> Address {
    Address::from(std::net::IpAddr::from([8, 8, 8, last]))
}

async fn import(store: &PostgresStore) {
    let start = StartImport { source: "test".to_owned(), format: ScanFormat::MasscanJson };
    let import = store.import_start(start).await.expect("an import");
    let seen = Timestamp::from_secs(1_795_400_000);
    let observation =
        |last| Observation { address: address(last), port: None, first_seen: seen, last_seen: seen };
    let (observations, scope, due) =
        ((1..=9).map(observation).collect(), Scope::default(), DuePolicy::default());
    store.sightings_record(RecordSightings { import, observations, scope, due }).await.expect("recorded");
}

async fn claim(store: &PostgresStore, worker: WorkerId, limit: u32) -> Vec<ClaimedJob> {
    let claim = ClaimJobs {
        kinds: vec![JobKind::Geolocation],
        limit,
        lease: Duration::from_mins(5),
        worker,
        mode: ClaimMode::Lease,
        oldest_first: false,
        crashed_limit: 100,
        alone: true,
        except: Vec::new(),
    };
    store.jobs_claim(claim).await.expect("a claim")
}

fn done(jobs: &[ClaimedJob]) -> FinishJobs {
    let ends = jobs.iter().map(|job| Finished {
        id: job.id,
        token: job.token,
        host: job.host,
        settled: Settled::Completed("done".to_owned()),
        effect: None,
    });
    FinishJobs { fence: Fence::Running, finished: ends.collect(), age: Duration::ZERO }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_session_is_told_to_the_others_at_once() {
    let database = support::migrated();
    let url = database.url();
    let (dying, watching) = (open(&url).await, open(&url).await);
    let (one, two) = (join(&dying, ONE).await, join(&watching, TWO).await);
    until("both hold their locks", async || holders(&url, ONE) + holders(&url, TWO) == 2).await;
    both_have_looked(&url).await;
    assert!(is_quiet(two.as_ref()).await, "both live");

    let began = Instant::now();
    drop(one);
    let news = next(two.as_ref()).await;
    let SessionNews::Ended { worker, ago } = news else { panic!("{news:?}") };
    assert!(worker == ONE && ago >= Duration::from_millis(750) && ago <= began.elapsed(), "{news:?}");
    dying.close().await;
    watching.close().await;
}

/// A connection may be cut while both ends live. Who comes back in the moment that it has keeps its jobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_at_once_is_not_taken_for_dead_and_looks_after_its_leases() {
    let database = support::migrated();
    let url = database.url();
    let (losing, watching) = (open(&url).await, open(&url).await);
    let (one, two) = (join(&losing, ONE).await, join(&watching, TWO).await);
    until("both hold their locks", async || holders(&url, ONE) + holders(&url, TWO) == 2).await;
    both_have_looked(&url).await;

    end_session(&url, ONE);

    assert_eq!(next(one.as_ref()).await, SessionNews::Regained);
    assert_eq!(holders(&url, ONE), 1);
    assert!(is_quiet(two.as_ref()).await, "it was taken for dead");
    losing.close().await;
    watching.close().await;
}

/// A worker that lives and cannot come back loses what it had, to one that does it again: nothing is written twice, and what
/// it claims later is its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lives_and_cannot_come_back_is_fenced() {
    let cluster = Cluster::start().expect("a server");
    open(&cluster.url()).await.close().await;
    psql(&cluster.url(), "CREATE ROLE me SUPERUSER LOGIN").expect("a role");
    let (watching, url) = (open(&cluster.url()).await, cluster.url());
    let losing = open(&url.replace("postgres@", "me@")).await;
    let (one, two) = (join(&losing, ONE).await, join(&watching, TWO).await);
    import(&watching).await;
    until("both hold their locks", async || holders(&url, ONE) + holders(&url, TWO) == 2).await;
    both_have_looked(&url).await;
    let jobs = claim(&losing, ONE, 4).await;
    assert_eq!(jobs.len(), 4);

    // Its pool keeps what it has; another session is refused.
    psql(&url, "ALTER ROLE me NOSUPERUSER CONNECTION LIMIT 0").expect("a limit");
    end_session(&url, ONE);
    let SessionNews::Ended { worker, ago } = next(two.as_ref()).await else { panic!("it lives") };
    assert_eq!(worker, ONE);
    let later = claim(&watching, ONE, 1).await;
    let rescued = watching.jobs_rescue(Rescue::Ended { worker, ago }).await.expect("rescued");
    assert_eq!((rescued.rescued, rescued.discarded), (4, 0));

    psql(&url, "ALTER ROLE me SUPERUSER CONNECTION LIMIT -1").expect("no limit");
    let again = claim(&watching, TWO, 9).await;
    assert!(jobs.iter().all(|job| again.iter().any(|again| again.id == job.id)), "{again:?}");
    let lost = losing.jobs_finish(done(&jobs)).await.expect("an answer");
    assert_eq!(lost.len(), jobs.len(), "all of them are fenced");
    let held = jobs.iter().map(|job| (job.id, job.token)).collect();
    let lost = losing.jobs_renew(RenewJobs { jobs: held, lease: Duration::from_secs(25) }).await;
    assert_eq!(lost.expect("an answer").len(), jobs.len());
    assert_eq!(watching.jobs_finish(done(&again)).await.expect("an answer"), []);
    assert_eq!(losing.jobs_finish(done(&later)).await.expect("an answer"), [], "claimed after the end");
    let completed = "SELECT count(*) || ' ' || sum(attempt) FROM job WHERE state = 4";
    assert_eq!(psql(&url, completed).expect("counts").trim(), "5 9");
    assert_eq!(next(one.as_ref()).await, SessionNews::Regained);
    losing.close().await;
    watching.close().await;
}

/// A crash of the server ends every session at once, and says nothing about the workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_server_takes_nobody_for_dead() {
    let cluster = Cluster::start().expect("a server");
    let (first, second) = (open(&cluster.url()).await, open(&cluster.url()).await);
    let (one, two) = (join(&first, ONE).await, join(&second, TWO).await);
    let url = cluster.url();
    until("both hold their locks", async || holders(&url, ONE) + holders(&url, TWO) == 2).await;
    both_have_looked(&url).await;

    cluster.restart_immediate().expect("a crash");

    assert_eq!(next(one.as_ref()).await, SessionNews::Regained);
    assert_eq!(next(two.as_ref()).await, SessionNews::Regained);
    assert!(is_quiet(one.as_ref()).await && is_quiet(two.as_ref()).await, "somebody was taken for dead");
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn behind_a_pooler_there_is_no_session_unless_the_server_is_named_too() {
    let database = TestDatabase::empty().expect("a database");
    let pooled = format!("{}?pooler=transaction", database.url());
    let migrating = OpenOptions::new(&pooled, OpenMode::Migrate);
    let store = PostgresStore::open(migrating).await.expect("a store");
    assert!(store.worker_session(ONE).is_none());
    store.close().await;
    let named =
        OpenOptions { direct_url: Some(database.url()), ..OpenOptions::new(&pooled, OpenMode::Existing) };
    let store = PostgresStore::open(named).await.expect("a store");
    let _session = store.worker_session(ONE).expect("a session");
    until("it holds its lock", async || holders(&database.url(), ONE) == 1).await;
    store.close().await;
}
