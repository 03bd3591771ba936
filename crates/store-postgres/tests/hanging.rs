//! A COMMIT that the server never confirms: it waits for a synchronous standby that is gone.

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::{
    Address, DuePolicy, JobKind, Priority, ScanFormat, ScheduleTask, Scope, Timestamp, UnlocatedReason,
};
use hostatlas_store::{
    AdminStore, Attempt, ClaimJobs, ClaimMode, EnqueueJob, Fence, FinishJobs, Finished, ImportStore,
    JobStore, LocationStore, Observation, RecordSightings, ScheduleStore, Settled, StartImport, StoreError,
    WorkerId,
};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::{Cluster, psql};
use support::until;

/// The client's own limit is ten seconds; a busy machine adds to that.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(25);
/// A connection whose answer is still to come is of no use to anybody; a new one answers at once.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// All that the operations below write, but for when they did.
const STATE: &str = "SELECT concat_ws(E'\n',
    (SELECT string_agg(concat_ws(' ', id, host, kind, state, attempt, lease_token, result), ', ' ORDER BY id) FROM job),
    (SELECT string_agg(concat_ws(' ', id, location_state, reason), ', ' ORDER BY id) FROM host),
    (SELECT string_agg(concat_ws(' ', kind, state, n), ', ' ORDER BY kind, state) FROM (
        SELECT kind, state, sum(n) AS n FROM
            (SELECT kind, state, n FROM job_count UNION ALL SELECT kind, state, n FROM job_count_delta) AS counted
        GROUP BY kind, state HAVING sum(n) <> 0) AS job_counts),
    (SELECT string_agg(concat_ws(' ', kind, paused_at IS NOT NULL), ', ' ORDER BY kind) FROM job_kind),
    (SELECT string_agg(concat_ws(' ', task, rule, lease_token, leased_until, outcome, detail), ', ' ORDER BY task)
        FROM schedule))";

fn address(last: u8) -> Address {
    Address::from(std::net::IpAddr::from([8, 8, 8, last]))
}

fn seen(last: u8) -> Observation {
    let seen = Timestamp::from_secs(1_795_400_000);
    Observation { address: address(last), port: None, first_seen: seen, last_seen: seen }
}

fn request(last: u8) -> EnqueueJob {
    EnqueueJob {
        kind: JobKind::SslCert,
        address: address(last),
        port: None,
        priority: Priority::FIRST,
        delay: Duration::ZERO,
        force: false,
    }
}

/// A store with three hosts; the lookups of two are claimed.
async fn store_with_claimed_jobs(
    cluster: &Cluster,
) -> (Arc<PostgresStore>, Vec<hostatlas_store::ClaimedJob>) {
    let options = OpenOptions::new(cluster.url(), OpenMode::Migrate);
    let store = Arc::new(PostgresStore::open(options).await.expect("a store"));
    let start = StartImport { source: "test".to_owned(), format: ScanFormat::MasscanJson };
    let import = store.import_start(start).await.expect("an import");
    let observations = vec![seen(1), seen(2), seen(3)];
    let (scope, due) = (Scope::default(), DuePolicy::default());
    store.sightings_record(RecordSightings { import, observations, scope, due }).await.expect("recorded");
    let claim = ClaimJobs {
        kinds: vec![JobKind::Geolocation],
        limit: 2,
        lease: Duration::from_mins(5),
        worker: WorkerId(1),
        mode: ClaimMode::Lease,
        oldest_first: false,
        crashed_limit: 100,
        alone: true,
        except: Vec::new(),
    };
    let jobs = store.jobs_claim(claim).await.expect("a claim");
    assert_eq!(jobs.len(), 2);
    (store, jobs)
}

/// The operations that are asked for while no commit is confirmed, and again afterwards: each on rows of its own.
struct Operations {
    store: Arc<PostgresStore>,
    finish: FinishJobs,
    schedule: hostatlas_store::ClaimedSchedule,
}

/// How they ended, one after the other.
#[derive(Debug)]
struct Ended {
    finished: Result<usize, StoreError>,
    duplicate: Result<bool, StoreError>,
    paused: Result<(), StoreError>,
    scheduled: Result<(), StoreError>,
}

impl Operations {
    async fn ask(&self) -> Ended {
        let Self { store, finish, schedule } = self;
        let end = hostatlas_store::FinishSchedule {
            task: schedule.task,
            token: schedule.token,
            outcome: Ok("done".to_owned()),
            next_in: Duration::from_hours(1),
            rule: schedule.rule.clone(),
        };
        let (finished, duplicate, paused, scheduled) = tokio::join!(
            store.jobs_finish(finish.clone()),
            store.job_enqueue(request(3)),
            store.kind_pause(JobKind::BannerGrab, true),
            store.schedule_finish(end),
        );
        Ended {
            finished: finished.map(|lost| lost.len()),
            duplicate: duplicate.map(|job| job.duplicate),
            paused,
            scheduled: scheduled.map(drop),
        }
    }
}

fn is_unknown<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::OutcomeUnknown { reason, .. }) if reason.contains("synchronous standby"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_hangs_has_an_unknown_outcome_and_asking_again_changes_nothing() {
    let cluster = Cluster::start().expect("a server");
    let (store, jobs) = store_with_claimed_jobs(&cluster).await;
    let ends = jobs.iter().map(|job| Finished {
        id: job.id,
        token: job.token,
        host: job.host,
        settled: Settled::Completed("nothing".to_owned()),
        effect: Some(Attempt::Unlocated { reason: UnlocatedReason::NoRecord, database_build: None }),
    });
    let finish = FinishJobs { fence: Fence::Running, finished: ends.collect(), age: Duration::ZERO };
    store.schedule_ask(ScheduleTask::Check).await.expect("asked");
    let claimed = store.schedule_claim(WorkerId(1), Duration::from_mins(5)).await.expect("an answer");
    let operations =
        Operations { store: Arc::clone(&store), finish, schedule: claimed.expect("an occurrence") };

    psql(&cluster.url(), "ALTER SYSTEM SET synchronous_standby_names = 'nobody'").expect("set");
    psql(&cluster.url(), "SELECT pg_reload_conf()").expect("read");
    let waits_for_nobody = async || {
        psql(&cluster.url(), "SHOW synchronous_standby_names").is_ok_and(|names| names.trim() == "nobody")
    };
    until("commits wait for a standby", waits_for_nobody).await;
    let began = Instant::now();
    let unknown = operations.ask().await;
    assert!(began.elapsed() < GIVEN_UP_WITHIN, "{:?}", began.elapsed());
    let Ended { finished, duplicate, paused, scheduled } = &unknown;
    assert!(
        is_unknown(finished) && is_unknown(duplicate) && is_unknown(paused) && is_unknown(scheduled),
        "{unknown:?}"
    );
    // A connection that went back to the pool would answer the next question with what it was asked before.
    let began = Instant::now();
    for _ in 0..8 {
        assert_eq!(store.schema_status().await.expect("a status").found, support::NEWEST);
    }
    assert!(began.elapsed() < ANSWERS_WITHIN, "{:?}", began.elapsed());

    psql(&cluster.url(), "ALTER SYSTEM RESET synchronous_standby_names").expect("set");
    psql(&cluster.url(), "SELECT pg_reload_conf()").expect("read");
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    until("commits end", async || psql(&cluster.url(), waiting).expect("a count").trim() == "0").await;
    // Here all of them had been written; whoever asks again cannot know.
    let written = psql(&cluster.url(), STATE).expect("a state");
    let again = operations.ask().await;
    assert!(
        matches!(
            again,
            Ended {
                finished: Ok(2),
                duplicate: Ok(true),
                paused: Ok(()),
                scheduled: Err(StoreError::LeaseLost)
            }
        ),
        "{again:?}"
    );
    assert_eq!(psql(&cluster.url(), STATE).expect("a state"), written);
    assert!(written.contains("nothing") && written.contains("done"), "{written}");
    let coverage = store.coverage(hostatlas_domain::DEFAULT_MAX_AGE).await.expect("a count");
    assert_eq!((coverage.total, coverage.unlocated), (3, 2), "{coverage:?}");
    assert_eq!(store.check().await.expect("a check").findings, []);
    store.close().await;
}
