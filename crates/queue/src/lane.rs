use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{
    FutureExt,
    future::{self, BoxFuture},
};
use hostatlas_domain::JobId;
use hostatlas_store::{ClaimJobs, ClaimMode, ClaimedJob, StoreError, WorkerId};
use tokio::{
    sync::Notify,
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    backoff::spread,
    batch::{self, BatchContext},
    company::{Company, Place},
    leases::LEASE,
    worker::Tidy,
};

/// How often an idle worker looks, when nobody wakes it.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Jobs are due and none was claimed for so long: somebody should know.
const WATCHDOG: Duration = Duration::from_secs(30);
/// How many jobs that were running when their worker died are claimed together: as many as the common batch endpoints
/// take, since half a request counts as a whole one (ADR 14).
const CRASHED_LIMIT: u32 = 100;
/// One claim in so many takes the oldest due jobs, so that a flood of urgent ones cannot starve the rest.
const OLDEST_FIRST_SHARE: u64 = 10;
/// With [`ClaimMode::Peek`], where so many may run: one batch is written while the next is worked on; a third would only
/// wait for the writer.
const PEEK_DEPTH: usize = 2;
/// After an unclean start, jobs are leased until so many of them went well...
const PROVEN_JOBS: u64 = 10_000;
/// ...or for so long. Only a lease leaves a trace of which jobs kill their worker.
const PROVEN_AFTER: Duration = Duration::from_mins(1);
/// In poll intervals: work goes on within five seconds after a full disk has room again.
const LONGEST_ERROR_PAUSE: u32 = 3;
/// A drain that meets so many errors one after the other is given up.
const DRAIN_ERRORS: u32 = 5;

/// Claims and runs the jobs of one handler.
pub(crate) struct Lane {
    pub(crate) context: BatchContext,
    pub(crate) worker: WorkerId,
    pub(crate) concurrency: usize,
    pub(crate) drain: bool,
    /// Whether no other process runs jobs. Only then may jobs be read without being marked as running.
    pub(crate) exclusive: bool,
    pub(crate) after_crash: bool,
    /// What all lanes of this process work on.
    pub(crate) company: Company,
    pub(crate) wake: Arc<Notify>,
    /// Fires when claiming has to stop.
    pub(crate) shutdown: CancellationToken,
    pub(crate) tidy: Arc<dyn Tidy>,
}

/// What changes while a lane runs.
struct Progress {
    running: JoinSet<Result<(), StoreError>>,
    /// With [`ClaimMode::Peek`]: what is in flight, and must not be claimed again.
    in_flight: HashMap<Id, Vec<JobId>>,
    claims: u64,
    errors: u32,
    started: Instant,
    claimed_last: Instant,
    claimed_jobs: u64,
    /// Whether the next job is one that has to run alone, as far as is known.
    next_alone: bool,
    warned: bool,
}

impl Lane {
    /// Runs until `shutdown`, or, when draining, until nothing is due; then waits for what is in flight.
    pub(crate) async fn run(self) -> Result<(), StoreError> {
        let mut progress = Progress {
            running: JoinSet::new(),
            in_flight: HashMap::new(),
            claims: 0,
            errors: 0,
            started: Instant::now(),
            claimed_last: Instant::now(),
            claimed_jobs: 0,
            next_alone: false,
            warned: false,
        };
        let ended = self.claim_and_run(&mut progress).await;
        while let Some(done) = progress.running.join_next_with_id().await {
            progress.note_end(done);
        }
        ended
    }

    async fn claim_and_run(&self, progress: &mut Progress) -> Result<(), StoreError> {
        while !self.shutdown.is_cancelled() {
            let mode = self.mode(progress);
            if progress.running.len() >= self.depth(mode)
                || progress.next_alone && !progress.running.is_empty()
            {
                self.wait_for_slot(progress).await;
                continue;
            }
            let Some(place) = self.place(progress).await else { break };
            // Listen before looking: a job queued between an empty claim and the wait would sleep until the next poll.
            let woken = self.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let heard = self.listen().await;
            match self.claim(progress, mode, &place).await {
                Ok(jobs) if jobs.is_empty() => {
                    drop(place);
                    if !progress.running.is_empty() {
                        self.wait_for_slot(progress).await;
                        continue;
                    }
                    if self.idle(progress, mode, woken, heard).await? {
                        return Ok(());
                    }
                }
                Ok(jobs) => self.start(progress, jobs, mode, place),
                Err(error) => {
                    drop(place);
                    self.claim_failed(progress, error).await?;
                }
            }
        }
        Ok(())
    }

    /// How many batches may be under way.
    fn depth(&self, mode: ClaimMode) -> usize {
        match mode {
            ClaimMode::Peek => PEEK_DEPTH.min(self.concurrency),
            ClaimMode::Lease => self.concurrency,
        }
    }

    fn mode(&self, progress: &Progress) -> ClaimMode {
        let proven = progress.claimed_jobs >= PROVEN_JOBS || progress.started.elapsed() >= PROVEN_AFTER;
        let leases = !self.exclusive || self.after_crash && !proven;
        if leases { ClaimMode::Lease } else { self.context.handler.mode() }
    }

    /// Where the next batch is claimed and run; none if claiming has to stop before there is one.
    async fn place(&self, progress: &Progress) -> Option<Place> {
        let place = async {
            if progress.next_alone { self.company.alone().await } else { self.company.join().await }
        };
        self.shutdown.run_until_cancelled(place).await
    }

    /// Begins to listen for jobs that other processes queue. A hint that came before is spent: the claim that follows
    /// finds what it was about.
    async fn listen(&self) -> BoxFuture<'_, ()> {
        let mut heard = self.context.store.jobs_heard();
        if futures::poll!(&mut heard).is_ready() {
            heard = self.context.store.jobs_heard();
            if futures::poll!(&mut heard).is_ready() {
                return future::ready(()).boxed();
            }
        }
        heard
    }

    async fn claim(
        &self,
        progress: &mut Progress,
        mode: ClaimMode,
        place: &Place,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        progress.claims += 1;
        let params = self.params(progress, mode, place.is_alone());
        let jobs = self.context.store.jobs_claim(params).await?;
        progress.errors = 0;
        Ok(jobs)
    }

    fn params(&self, progress: &Progress, mode: ClaimMode, alone: bool) -> ClaimJobs {
        ClaimJobs {
            kinds: vec![self.context.handler.kind()],
            limit: self.context.handler.batch_size(),
            lease: LEASE,
            worker: self.worker,
            mode,
            oldest_first: progress.claims.is_multiple_of(OLDEST_FIRST_SHARE),
            crashed_limit: CRASHED_LIMIT,
            alone,
            except: progress.in_flight.values().flatten().copied().collect(),
        }
    }

    fn start(&self, progress: &mut Progress, jobs: Vec<ClaimedJob>, mode: ClaimMode, place: Place) {
        let claimed = Instant::now();
        progress.claimed_last = claimed;
        progress.warned = false;
        progress.claimed_jobs += jobs.len() as u64;
        let ids = jobs.iter().map(|job| job.id).collect();
        // After one that has to run alone comes the next.
        progress.next_alone = jobs.iter().any(|job| job.crash_count > 1);
        let place = if progress.next_alone { place } else { place.shared() };
        let batch = batch::run(self.context.clone(), jobs, mode, claimed);
        let task = progress.running.spawn(async move {
            let _place = place;
            batch.await
        });
        if mode == ClaimMode::Peek {
            progress.in_flight.insert(task.id(), ids);
        }
    }

    async fn wait_for_slot(&self, progress: &mut Progress) {
        tokio::select! {
            done = progress.running.join_next_with_id() => {
                if let Some(done) = done {
                    progress.note_end(done);
                }
            }
            () = self.shutdown.cancelled() => {}
        }
    }

    async fn claim_failed(&self, progress: &mut Progress, error: StoreError) -> Result<(), StoreError> {
        progress.errors += 1;
        if self.drain && progress.errors >= DRAIN_ERRORS {
            return Err(error);
        }
        if progress.errors == 1 {
            error!(
                error = &error as &dyn std::error::Error,
                "Jobs cannot be claimed; trying again every few seconds"
            );
        }
        let pause = POLL_INTERVAL.saturating_mul(progress.errors.min(LONGEST_ERROR_PAUSE));
        self.shutdown.run_until_cancelled(tokio::time::sleep(spread(pause, rand::random()))).await;
        Ok(())
    }

    /// Waits for work. Answers whether a drain is over.
    async fn idle(
        &self,
        progress: &mut Progress,
        mode: ClaimMode,
        woken: impl Future<Output = ()>,
        heard: impl Future<Output = ()>,
    ) -> Result<bool, StoreError> {
        let was_alone = std::mem::take(&mut progress.next_alone);
        let kinds = [self.context.handler.kind()];
        let next = match self.context.store.jobs_next_due(&kinds).await {
            Ok(next) => next,
            Err(error) => {
                self.claim_failed(progress, error).await?;
                return Ok(false);
            }
        };
        let due_now = next == Some(Duration::ZERO);
        if self.drain && !due_now {
            return Ok(true);
        }
        // Who was alone and found nothing need not ask.
        if due_now && !was_alone && self.first_alone(progress, mode).await? {
            return Ok(false);
        }
        if due_now {
            self.watch(progress);
        } else {
            progress.claimed_last = Instant::now();
            if self.exclusive && self.tidy().await {
                return Ok(false);
            }
        }
        let poll = spread(POLL_INTERVAL, rand::random());
        let pause = next.filter(|next| !next.is_zero()).map_or(poll, |next| next.min(poll));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = woken => {}
            () = heard => {}
            () = self.shutdown.cancelled() => {}
        }
        Ok(false)
    }

    /// Whether nothing was claimed since the first job has to run alone; the next claim is made for it.
    async fn first_alone(&self, progress: &mut Progress, mode: ClaimMode) -> Result<bool, StoreError> {
        match self.context.store.jobs_first_alone(self.params(progress, mode, true)).await {
            Ok(alone) => progress.next_alone = alone,
            Err(error) => self.claim_failed(progress, error).await?,
        }
        Ok(progress.next_alone)
    }

    async fn tidy(&self) -> bool {
        match self.tidy.tidy().await {
            Ok(did) => did,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "Housekeeping of the database failed");
                false
            }
        }
    }

    fn watch(&self, progress: &mut Progress) {
        if !progress.warned && progress.claimed_last.elapsed() >= WATCHDOG {
            progress.warned = true;
            // In the hands of other processes they are where they should be.
            warn!(
                kind = %self.context.handler.kind(),
                "Jobs are due and none could be claimed for {} s: its cap is reached by other processes, or the queue is stuck",
                WATCHDOG.as_secs()
            );
        }
    }
}

impl Progress {
    /// Takes a batch that ended off the list of those that run.
    fn note_end(&mut self, done: Result<(Id, Result<(), StoreError>), JoinError>) {
        let id = match &done {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        self.in_flight.remove(&id);
        match done {
            Ok((_, Ok(()))) => {}
            Ok((_, Err(error))) => {
                self.errors += 1;
                error!(
                    error = &error as &dyn std::error::Error,
                    "A batch of finished jobs could not be written; it will run again"
                );
            }
            Err(error) => error!(error = &error as &dyn std::error::Error, "A batch broke down"),
        }
    }
}

/// The order in which lanes end does not matter; their first error does.
pub(crate) fn first_error(results: VecDeque<Result<(), StoreError>>) -> Result<(), StoreError> {
    results.into_iter().collect()
}
