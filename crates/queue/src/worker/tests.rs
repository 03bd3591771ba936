use hostatlas_domain::{JobId, JobKind};
use hostatlas_store::{Attempt, ClaimMode, ClaimedJob, Settled};
use tokio::time::Instant;

use super::{
    memory_store::{MemoryStore, Renewals},
    *,
};
use crate::Outcome;

/// What the handler of a test does.
#[derive(Clone, Copy)]
enum Work {
    Succeed,
    Panic,
    Take(Duration),
    TakeAndIgnoreCancel(Duration),
}

struct TestHandler {
    work: Work,
    mode: ClaimMode,
    batch: u32,
}

#[async_trait]
impl Handler for TestHandler {
    fn kind(&self) -> JobKind {
        JobKind::ALL[0]
    }

    fn batch_size(&self) -> u32 {
        self.batch
    }

    fn deadline(&self) -> Duration {
        Duration::from_mins(2)
    }

    fn mode(&self) -> ClaimMode {
        self.mode
    }

    async fn run(&self, jobs: &[ClaimedJob], cancel: CancellationToken) -> Vec<(Outcome, Option<Attempt>)> {
        match self.work {
            Work::Succeed => {}
            Work::Panic => panic!("a test handler that breaks down"),
            Work::Take(time) => {
                cancel.run_until_cancelled(tokio::time::sleep(time)).await;
            }
            Work::TakeAndIgnoreCancel(time) => tokio::time::sleep(time).await,
        }
        jobs.iter().map(|_| (Outcome::Done("done".to_owned()), None)).collect()
    }
}

struct NoTidy;

#[async_trait]
impl Tidy for NoTidy {
    async fn tidy(&self) -> Result<bool, StoreError> {
        Ok(false)
    }
}

fn worker(store: &Arc<MemoryStore>, work: Work, mode: ClaimMode, batch: u32, drain: bool) -> QueueWorker {
    QueueWorker {
        store: store.clone(),
        tidy: Arc::new(NoTidy),
        handlers: vec![Arc::new(TestHandler { work, mode, batch })],
        options: QueueWorkerOptions { concurrency: 2, drain },
        wake: Arc::new(Notify::new()),
        on_finish: Arc::new(|| {}),
    }
}

async fn drain(store: &Arc<MemoryStore>, work: Work, mode: ClaimMode, batch: u32) -> WorkSummary {
    worker(store, work, mode, batch, true).run(CancellationToken::new()).await.expect("memory does not fail")
}

/// A token that fires after `time`.
fn after(time: Duration) -> CancellationToken {
    let token = CancellationToken::new();
    let fire = token.clone();
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        fire.cancel();
    });
    token
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_when_nothing_is_due_and_leaves_what_comes_later() {
    let store = Arc::new(MemoryStore::with_jobs(25));
    store.add(99, Duration::from_hours(1));
    let summary = drain(&store, Work::Succeed, ClaimMode::Lease, 10).await;
    assert_eq!((summary.completed, store.waiting()), (25, vec![99]));
}

#[tokio::test(start_paused = true)]
async fn peeked_jobs_in_flight_are_not_claimed_again_while_their_end_is_written() {
    let store =
        Arc::new(MemoryStore { finish_takes: Duration::from_millis(100), ..MemoryStore::with_jobs(50) });
    let began = Instant::now();
    let summary = drain(&store, Work::Take(Duration::from_millis(100)), ClaimMode::Peek, 10).await;
    let ended: std::collections::HashSet<_> = store.ended().into_iter().map(|(id, _)| id).collect();
    assert_eq!((summary.completed, ended.len(), store.ended().len()), (50, 50, 50));
    // Five batches of 200 ms, two at a time.
    assert!(began.elapsed() < Duration::from_millis(800), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn work_that_cannot_be_renewed_is_dropped_before_a_rescue_gives_it_away() {
    let store = Arc::new(MemoryStore { renewals: Renewals::Fail, ..MemoryStore::with_jobs(1) });
    let work = Work::TakeAndIgnoreCancel(Duration::from_secs(28));
    let worker = worker(&store, work, ClaimMode::Lease, 1, false);
    worker.run(after(Duration::from_secs(29))).await.expect("memory does not fail");
    assert_eq!((store.ended(), store.released.lock().expect("unpoisoned").clone()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_its_work_at_the_next_heartbeat() {
    let store = Arc::new(MemoryStore { renewals: Renewals::SayLost, ..MemoryStore::with_jobs(1) });
    let worker = worker(&store, Work::Take(Duration::from_secs(100)), ClaimMode::Lease, 1, false);
    worker.run(after(Duration::from_secs(11))).await.expect("memory does not fail");
    assert_eq!(store.ended(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_keeps_long_work_alive() {
    let store = Arc::new(MemoryStore::with_jobs(1));
    let summary = drain(&store, Work::Take(Duration::from_secs(100)), ClaimMode::Lease, 1).await;
    assert_eq!(summary.completed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_gives_back_what_five_seconds_could_not_finish() {
    let store = Arc::new(MemoryStore::with_jobs(1));
    let worker =
        worker(&store, Work::TakeAndIgnoreCancel(Duration::from_mins(1)), ClaimMode::Lease, 1, false);
    let began = Instant::now();
    worker.run(after(Duration::from_secs(1))).await.expect("memory does not fail");
    let released = store.released.lock().expect("unpoisoned").clone();
    assert_eq!((store.ended(), released), (vec![], vec![JobId(1)]));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_lets_what_is_quick_finish() {
    let store = Arc::new(MemoryStore::with_jobs(1));
    let worker =
        worker(&store, Work::TakeAndIgnoreCancel(Duration::from_secs(4)), ClaimMode::Lease, 1, false);
    let summary = worker.run(after(Duration::from_secs(1))).await.expect("memory does not fail");
    assert_eq!(summary.completed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_costs_an_attempt_and_not_the_worker() {
    let store = Arc::new(MemoryStore::with_jobs(2));
    let summary = drain(&store, Work::Panic, ClaimMode::Lease, 1).await;
    assert_eq!((summary.retried, store.ended().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn work_over_its_deadline_is_retried() {
    let store = Arc::new(MemoryStore::with_jobs(1));
    drain(&store, Work::TakeAndIgnoreCancel(Duration::from_secs(500)), ClaimMode::Lease, 1).await;
    let ended = store.ended();
    assert!(
        matches!(&ended[..], [(_, Settled::Retryable(_, why))] if why == "it took longer than 120 s"),
        "{ended:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn after_an_unclean_start_jobs_are_leased_and_not_only_peeked() {
    let store = Arc::new(MemoryStore { rescued_at_start: 1, ..MemoryStore::with_jobs(3) });
    drain(&store, Work::Succeed, ClaimMode::Peek, 1).await;
    let modes: Vec<_> = store.claims.lock().expect("unpoisoned").iter().map(|(mode, _)| *mode).collect();
    assert!(modes.iter().all(|mode| *mode == ClaimMode::Lease), "{modes:?}");
}

#[tokio::test(start_paused = true)]
async fn one_claim_in_ten_takes_what_waits_longest() {
    let store = Arc::new(MemoryStore::with_jobs(30));
    drain(&store, Work::Succeed, ClaimMode::Lease, 1).await;
    let claims = store.claims.lock().expect("unpoisoned").clone();
    let oldest = claims.iter().take(30).filter(|(_, oldest_first)| *oldest_first).count();
    assert_eq!(oldest, 3);
}

#[tokio::test(start_paused = true)]
async fn a_job_queued_by_this_process_does_not_wait_for_the_poll() {
    let store = Arc::new(MemoryStore::default());
    let worker = worker(&store, Work::Succeed, ClaimMode::Lease, 1, false);
    let wake = worker.wake.clone();
    let queue = store.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        queue.add(1, Duration::ZERO);
        wake.notify_waiters();
    });
    worker.run(after(Duration::from_millis(20))).await.expect("memory does not fail");
    assert_eq!(store.ended().len(), 1);
}
