mod crashes;

use std::collections::HashSet;

use hostatlas_domain::{JobId, JobKind};
use hostatlas_store::{Attempt, ClaimJobs, ClaimMode, ClaimedJob, SessionNews, Settled};
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
    kind: JobKind,
    work: Work,
    mode: ClaimMode,
    batch: u32,
}

#[async_trait]
impl Handler for TestHandler {
    fn kind(&self) -> JobKind {
        self.kind
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

/// A worker role.
struct Role {
    exclusive: bool,
}

impl WorkerRole for Role {
    fn is_exclusive(&self) -> bool {
        self.exclusive
    }
}

const ALONE: Role = Role { exclusive: true };
const AMONG_OTHERS: Role = Role { exclusive: false };

struct NoTidy;

#[async_trait]
impl Tidy for NoTidy {
    async fn tidy(&self) -> Result<bool, StoreError> {
        Ok(false)
    }
}

fn worker(store: &Arc<MemoryStore>, work: Work, mode: ClaimMode, batch: u32, drain: bool) -> QueueWorker {
    let identity = WorkerIdentity::new("worker", "test", "1.0.0");
    QueueWorker {
        store: store.clone(),
        workers: store.clone(),
        tidy: Arc::new(NoTidy),
        handlers: vec![Arc::new(TestHandler { kind: JobKind::ALL[0], work, mode, batch })],
        options: QueueWorkerOptions { identity, concurrency: 2, drain },
        wake: Arc::new(Notify::new()),
        on_finish: Arc::new(|| {}),
    }
}

async fn drain(store: &Arc<MemoryStore>, work: Work, mode: ClaimMode, batch: u32) -> WorkSummary {
    worker(store, work, mode, batch, true)
        .run(&ALONE, CancellationToken::new())
        .await
        .expect("memory does not fail")
}

/// How jobs were claimed.
fn modes(store: &MemoryStore) -> HashSet<ClaimMode> {
    store.claims.lock().expect("unpoisoned").iter().map(|(mode, _)| *mode).collect()
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
    let ended: HashSet<_> = store.ended().into_iter().map(|(id, _)| id).collect();
    assert_eq!((summary.completed, ended.len(), store.ended().len()), (50, 50, 50));
    // Five batches of 200 ms, two at a time.
    assert!(began.elapsed() < Duration::from_millis(800), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn as_many_batches_are_worked_on_at_once_as_the_worker_was_told() {
    let mut took = Vec::new();
    for mode in [ClaimMode::Peek, ClaimMode::Lease] {
        for concurrency in [1, 2, 5] {
            let store = Arc::new(MemoryStore::with_jobs(50));
            let mut worker = worker(&store, Work::Take(Duration::from_millis(100)), mode, 10, true);
            worker.options.concurrency = concurrency;
            let began = Instant::now();
            worker.run(&ALONE, CancellationToken::new()).await.expect("memory does not fail");
            took.push((mode, concurrency, (began.elapsed().as_millis() + 50) / 100));
        }
    }
    // Rounds of five batches. Where jobs are only read, no more than two batches at once are of use.
    let expected = [
        (ClaimMode::Peek, 1, 5),
        (ClaimMode::Peek, 2, 3),
        (ClaimMode::Peek, 5, 3),
        (ClaimMode::Lease, 1, 5),
        (ClaimMode::Lease, 2, 3),
        (ClaimMode::Lease, 5, 1),
    ];
    assert_eq!(took, expected);
}

#[tokio::test(start_paused = true)]
async fn work_that_cannot_be_renewed_is_dropped_before_a_rescue_gives_it_away() {
    let store = Arc::new(MemoryStore { renewals: Renewals::Fail, ..MemoryStore::with_jobs(1) });
    let work = Work::TakeAndIgnoreCancel(Duration::from_secs(28));
    let worker = worker(&store, work, ClaimMode::Lease, 1, false);
    worker.run(&ALONE, after(Duration::from_secs(29))).await.expect("memory does not fail");
    assert_eq!((store.ended(), store.released.lock().expect("unpoisoned").clone()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn work_is_dropped_in_time_though_the_heartbeat_hangs() {
    let store = Arc::new(MemoryStore { renewals: Renewals::Hang, ..MemoryStore::with_jobs(1) });
    let mut worker = worker(&store, Work::Take(Duration::from_mins(1)), ClaimMode::Lease, 1, false);
    // The second is begun as soon as the first was dropped.
    worker.options.concurrency = 1;
    store.add(2, Duration::ZERO);
    worker.run(&ALONE, after(Duration::from_secs(23))).await.expect("memory does not fail");
    assert_eq!(store.leased(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_its_work_at_the_next_heartbeat() {
    let store = Arc::new(MemoryStore { renewals: Renewals::SayLost, ..MemoryStore::with_jobs(1) });
    let worker = worker(&store, Work::Take(Duration::from_secs(100)), ClaimMode::Lease, 1, false);
    worker.run(&ALONE, after(Duration::from_secs(11))).await.expect("memory does not fail");
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
    worker.run(&ALONE, after(Duration::from_secs(1))).await.expect("memory does not fail");
    let released = store.released.lock().expect("unpoisoned").clone();
    assert_eq!((store.ended(), released), (vec![], vec![JobId(1)]));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_lets_what_is_quick_finish() {
    let store = Arc::new(MemoryStore::with_jobs(1));
    let worker =
        worker(&store, Work::TakeAndIgnoreCancel(Duration::from_secs(4)), ClaimMode::Lease, 1, false);
    let summary = worker.run(&ALONE, after(Duration::from_secs(1))).await.expect("memory does not fail");
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
async fn a_free_slot_hears_of_work_while_another_batch_runs() {
    let store = Arc::new(MemoryStore::with_jobs(1));
    let worker = worker(&store, Work::Take(Duration::from_mins(1)), ClaimMode::Lease, 1, false);
    let queue = store.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        queue.add(2, Duration::ZERO);
    });
    worker.run(&ALONE, after(Duration::from_secs(7))).await.expect("memory does not fail");
    assert_eq!(store.leased(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_another_process_runs() {
    let store = Arc::new(MemoryStore::with_jobs(1));
    let other = ClaimJobs {
        kinds: vec![JobKind::ALL[0]],
        limit: 1,
        lease: Duration::from_secs(30),
        worker: WorkerId(-1),
        mode: ClaimMode::Lease,
        oldest_first: false,
        crashed_limit: 1,
        alone: true,
        except: Vec::new(),
    };
    let theirs = store.jobs_claim(other).await.expect("memory does not fail").remove(0);
    let queue = store.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        queue.jobs_release(vec![(theirs.id, theirs.token)]).await.expect("memory does not fail");
    });
    let worker = worker(&store, Work::Succeed, ClaimMode::Lease, 1, true);
    let summary = worker.run(&AMONG_OTHERS, CancellationToken::new()).await.expect("memory does not fail");
    assert_eq!(summary.completed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_can_write_nothing_is_given_up() {
    for mode in [ClaimMode::Peek, ClaimMode::Lease] {
        let store = Arc::new(MemoryStore { disk_full: true, ..MemoryStore::with_jobs(20) });
        let worker = worker(&store, Work::Succeed, mode, 1, true);
        let run = worker.run(&ALONE, CancellationToken::new());
        let ended = tokio::time::timeout(Duration::from_mins(5), run).await.expect("it ends");
        assert!(matches!(ended, Err(StoreError::Busy)), "{ended:?}");
    }
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
    worker.run(&ALONE, after(Duration::from_millis(20))).await.expect("memory does not fail");
    assert_eq!(store.ended().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn among_others_jobs_are_leased_and_only_what_ran_out_is_taken_back() {
    let store = Arc::new(MemoryStore { rescued_at_start: 1, ..MemoryStore::with_jobs(3) });
    let worker = worker(&store, Work::Succeed, ClaimMode::Peek, 1, false);
    worker.run(&AMONG_OTHERS, after(Duration::from_secs(20))).await.expect("memory does not fail");
    assert_eq!(modes(&store), [ClaimMode::Lease].into());
    let rescues = store.rescues.lock().expect("unpoisoned").clone();
    assert!(rescues.len() > 5 && rescues.iter().all(|rescue| *rescue == Rescue::Expired), "{rescues:?}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_have_the_duty_takes_back_only_what_is_overdue_until_its_holder_is_gone() {
    let store = Arc::new(MemoryStore::default());
    let dead = (WorkerId(-1), Instant::now() + Duration::from_secs(30));
    *store.duty.lock().expect("unpoisoned") = Some(dead);
    let early = worker(&store, Work::Succeed, ClaimMode::Lease, 1, false);
    early.run(&AMONG_OTHERS, after(Duration::from_secs(25))).await.expect("memory does not fail");
    let rescues = std::mem::take(&mut *store.rescues.lock().expect("unpoisoned"));
    let overdue = Rescue::Overdue(Duration::from_secs(1));
    assert!(rescues.len() > 5 && rescues.iter().all(|rescue| *rescue == overdue), "{rescues:?}");

    let later = worker(&store, Work::Succeed, ClaimMode::Lease, 1, false);
    later.run(&AMONG_OTHERS, after(Duration::from_secs(10))).await.expect("memory does not fail");

    assert!(store.rescues.lock().expect("unpoisoned").contains(&Rescue::Expired));
    assert_eq!(*store.duty.lock().expect("unpoisoned"), None, "the next need not wait");
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_worker_whose_session_ended_are_taken_back_at_once() {
    let store = Arc::new(MemoryStore::default());
    let news = SessionNews::Ended { worker: WorkerId(7), ago: Duration::from_millis(750) };
    store.session.tell(news);
    let worker = worker(&store, Work::Succeed, ClaimMode::Lease, 1, false);
    worker.run(&AMONG_OTHERS, after(Duration::from_millis(10))).await.expect("memory does not fail");
    let ended = Rescue::Ended { worker: WorkerId(7), ago: Duration::from_millis(750) };
    assert!(store.rescues.lock().expect("unpoisoned").contains(&ended));
}

/// Others may be at its jobs already; it does not wait for the next heartbeat to find out.
#[tokio::test(start_paused = true)]
async fn who_regains_its_session_drops_at_once_what_was_taken_from_it() {
    let store = Arc::new(MemoryStore { renewals: Renewals::SayLost, ..MemoryStore::with_jobs(1) });
    let worker = worker(&store, Work::Take(Duration::from_secs(9)), ClaimMode::Lease, 1, false);
    let told = store.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        told.session.tell(SessionNews::Regained);
    });
    worker.run(&AMONG_OTHERS, after(Duration::from_secs(2))).await.expect("memory does not fail");
    // Nine seconds of work end before the first heartbeat, and would have been written.
    assert_eq!(store.ended().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_reports_what_it_does_and_leaves_when_it_ends() {
    let store = Arc::new(MemoryStore::with_jobs(5));
    let worker = worker(&store, Work::Take(Duration::from_secs(15)), ClaimMode::Lease, 3, false);
    let id = worker.options.identity.id;
    worker.run(&ALONE, after(Duration::from_secs(25))).await.expect("memory does not fail");
    let reports = store.reports.lock().expect("unpoisoned");
    let facts: Vec<_> = reports
        .iter()
        .map(|report| {
            let running: u64 = report.running.iter().map(|running| running.jobs).sum();
            (running, report.completed, report.stopping)
        })
        .collect();
    assert_eq!(facts, [(0, 0, false), (5, 0, false), (0, 5, false), (0, 5, true)]);
    assert!(reports.iter().all(|report| report.id == id && report.kinds == [JobKind::ALL[0]]));
    assert_eq!(*store.left.lock().expect("unpoisoned"), [id]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_schema_became_newer_ends_its_work_and_stops_with_that_error() {
    let store = Arc::new(MemoryStore { schema_newer_from: Some(2), ..MemoryStore::with_jobs(3) });
    let worker =
        worker(&store, Work::TakeAndIgnoreCancel(Duration::from_secs(12)), ClaimMode::Lease, 1, false);
    let ended = worker.run(&AMONG_OTHERS, CancellationToken::new()).await;
    assert!(matches!(ended, Err(StoreError::SchemaNewer { .. })), "{ended:?}");
    // Two were in flight and had time to end; the third was never claimed.
    assert_eq!((store.ended().len(), store.waiting()), (2, vec![3]));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_meets_a_newer_schema_at_its_start_touches_nothing() {
    let store = Arc::new(MemoryStore { schema_newer_from: Some(1), ..MemoryStore::with_jobs(3) });
    let worker = worker(&store, Work::Succeed, ClaimMode::Lease, 1, true);
    let ended = worker.run(&ALONE, CancellationToken::new()).await;
    assert!(matches!(ended, Err(StoreError::SchemaNewer { .. })), "{ended:?}");
    assert_eq!((store.waiting().len(), store.rescues.lock().expect("unpoisoned").len()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_worker_asks_for_no_kind_but_those_of_its_handlers() {
    let store = Arc::new(MemoryStore::with_jobs(3));
    drain(&store, Work::Succeed, ClaimMode::Lease, 1).await;
    assert_eq!(*store.kinds_asked.lock().expect("unpoisoned"), [JobKind::ALL[0]].into());
}

#[tokio::test(start_paused = true)]
async fn a_job_queued_by_another_process_does_not_wait_for_the_poll() {
    let store = Arc::new(MemoryStore::default());
    let worker = worker(&store, Work::Succeed, ClaimMode::Lease, 1, false);
    let queue = store.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        queue.add(1, Duration::ZERO);
        queue.heard.notify_waiters();
    });
    worker.run(&AMONG_OTHERS, after(Duration::from_millis(20))).await.expect("memory does not fail");
    assert_eq!(store.ended().len(), 1);
}
