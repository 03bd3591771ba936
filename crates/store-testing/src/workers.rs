//! The processes that run jobs, and their duties.

use hostatlas_domain::{JobKind, RunningJobs, WorkerState};
use hostatlas_store::{Duty, ReportWorker, WorkerId};

use crate::{TestStore, factory::*};

fn worker(id: i64, host_name: &str) -> ReportWorker {
    ReportWorker {
        id: WorkerId(id),
        command: "worker".to_owned(),
        host_name: host_name.to_owned(),
        process_id: 4_000_000,
        version: "0.1.0".to_owned(),
        kinds: JobKind::ALL.to_vec(),
        concurrency: 8,
        running: vec![RunningJobs { kind: JobKind::Geolocation, jobs: 512 }],
        completed: 7,
        failed: 1,
        stopping: false,
    }
}

async fn report(test: &TestStore, report: ReportWorker) {
    test.worker_report(report).await.expect("reported");
}

async fn states(test: &TestStore) -> Vec<(i64, WorkerState)> {
    let workers = test.workers_list().await.expect("a list");
    workers.iter().map(|worker| (worker.id, worker.state)).collect()
}

async fn take(test: &TestStore, worker: i64) -> bool {
    test.duty_take(Duty::Maintenance, WorkerId(worker), LEASE).await.expect("an answer")
}

/// What a process says of itself is shown; it started when it first said so.
pub async fn a_worker_reports_and_leaves(test: &TestStore) {
    report(test, worker(2, "beta")).await;
    report(test, worker(i64::MAX, "alpha")).await;
    (test.advance)(SECOND * 5);
    let more = ReportWorker { running: Vec::new(), completed: 519, ..worker(2, "beta") };
    report(test, more).await;
    let workers = test.workers_list().await.expect("a list");
    assert_eq!(workers.iter().map(|worker| worker.id).collect::<Vec<_>>(), [i64::MAX, 2]);
    let (idle, fresh) = (&workers[1], &workers[0]);
    assert_eq!((idle.completed, idle.running.len(), idle.failed), (519, 0, 1));
    assert!(idle.heard_at.since(idle.started_at) >= SECOND * 5, "{idle:?}");
    assert_eq!(fresh.heard_at, fresh.started_at);
    assert_eq!((fresh.host_name.as_str(), fresh.command.as_str()), ("alpha", "worker"));
    assert_eq!((fresh.process_id, fresh.version.as_str(), fresh.concurrency), (4_000_000, "0.1.0", 8));
    assert_eq!(fresh.kinds, JobKind::ALL);
    assert_eq!(fresh.running, [RunningJobs { kind: JobKind::Geolocation, jobs: 512 }]);

    test.worker_leave(WorkerId(i64::MAX)).await.expect("left");
    assert_eq!(states(test).await, [(2, WorkerState::Alive)]);
}

/// Whoever does not report for as long as a lease lasts is taken for dead, and is forgotten after an hour.
pub async fn a_silent_worker_is_shown_and_then_forgotten(test: &TestStore) {
    report(test, worker(1, "alpha")).await;
    report(test, worker(2, "beta")).await;
    (test.advance)(SECOND * 20);
    assert_eq!(states(test).await, [(1, WorkerState::Alive), (2, WorkerState::Alive)]);
    (test.advance)(SECOND * 11);
    report(test, ReportWorker { stopping: true, ..worker(2, "beta") }).await;
    assert_eq!(states(test).await, [(1, WorkerState::Silent), (2, WorkerState::Stopping)]);
    report(test, worker(1, "alpha")).await;
    assert_eq!(states(test).await, [(1, WorkerState::Alive), (2, WorkerState::Stopping)]);
    (test.advance)(HOUR + SECOND);
    report(test, worker(2, "beta")).await;
    assert_eq!(states(test).await, [(2, WorkerState::Alive)]);
}

/// The clock of whoever asks is not the one by which it was written when a worker was heard of.
pub async fn how_long_a_worker_has_been_silent_is_counted_by_the_clock_of_the_store(test: &TestStore) {
    report(test, worker(1, "alpha")).await;
    (test.advance)(SECOND * 20);
    let heard_at = test.workers_list().await.expect("a list")[0].heard_at;
    let silent = test.now().await.expect("a time").since(heard_at);
    assert!((SECOND * 20..SECOND * 50).contains(&silent), "{silent:?}");
}

/// Of many that ask at once one gets it, and keeps it by asking again.
pub async fn a_duty_has_one_holder(test: &TestStore) {
    let mut asking = tokio::task::JoinSet::new();
    for id in 1..=8 {
        let store = std::sync::Arc::clone(&test.store);
        asking.spawn(async move {
            let has_it = store.duty_take(Duty::Maintenance, WorkerId(id), LEASE).await.expect("an answer");
            has_it.then_some(id)
        });
    }
    let holders: Vec<i64> = asking.join_all().await.into_iter().flatten().collect();
    assert_eq!(holders.len(), 1, "{holders:?}");
    (test.advance)(HEARTBEAT);
    assert!(take(test, holders[0]).await);
    (test.advance)(HEARTBEAT);
    assert!(!take(test, 9).await, "it was kept 20 seconds ago, for 30");
}

/// A duty whose holder died waits for its lease; one that was let go does not.
pub async fn a_duty_passes_on(test: &TestStore) {
    assert!(take(test, 1).await);
    (test.advance)(LEASE + SECOND);
    assert!(take(test, 2).await);
    assert!(!take(test, 1).await, "it has passed on");
    test.duty_leave(Duty::Maintenance, WorkerId(1)).await.expect("nothing happens");
    assert!(!take(test, 3).await, "only its holder can let it go");
    test.duty_leave(Duty::Maintenance, WorkerId(2)).await.expect("let go");
    assert!(take(test, 3).await);
}
