mod progress;

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{self, BoxFuture},
};
use hostatlas_store::{ClaimJobs, ClaimMode, ClaimedJob, StoreError, WorkerId};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use self::progress::Progress;
use crate::{
    backoff::spread,
    batch::{self, BatchContext},
    exclusion::{Exclusion, Slot},
    leases::LEASE,
    worker::Tidy,
};

/// How often an idle worker looks, when nobody wakes it.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long a free slot waits for more, once it heard of a job, while another batch runs.
const GATHERING: Duration = Duration::from_millis(100);
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
/// And so few come together meanwhile: the first are done sooner, and a job that kills its worker has fewer neighbours.
const CAREFUL_BATCH: u32 = 1_000;
/// In poll intervals: work goes on within five seconds after a full disk has room again.
const LONGEST_ERROR_PAUSE: u32 = 3;
/// A drain that cannot claim, or write what it did, so often one after the other is given up.
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
    /// Shared by all lanes of this process.
    pub(crate) exclusion: Exclusion,
    pub(crate) wake: Arc<Notify>,
    /// Fires when claiming has to stop.
    pub(crate) shutdown: CancellationToken,
    pub(crate) tidy: Arc<dyn Tidy>,
}

impl Lane {
    /// Runs until `shutdown`, or, when draining, until nothing is due; then waits for what is in flight.
    pub(crate) async fn run(self) -> Result<(), StoreError> {
        let mut progress = Progress::new();
        let ended = self.claim_and_run(&mut progress).await;
        while let Some(done) = progress.running.join_next_with_id().await {
            // It has said so.
            let _ = progress.note_end(done);
        }
        ended
    }

    async fn claim_and_run(&self, progress: &mut Progress) -> Result<(), StoreError> {
        while !self.shutdown.is_cancelled() {
            let mode = self.mode(progress);
            let full = progress.running.len() >= self.depth(mode);
            if full || progress.next_alone && !progress.running.is_empty() {
                self.wait(progress, future::pending()).await?;
                continue;
            }
            let Some(slot) = self.slot(progress).await else { break };
            // Listen before looking: a job queued between an empty claim and the wait would sleep until the next poll.
            let woken = self.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let heard = self.listen().await;
            let asked = Instant::now();
            match self.claim(progress, mode, &slot).await {
                Ok((_, jobs)) if jobs.is_empty() => {
                    drop(slot);
                    let news = future::select(woken, heard).map(drop);
                    if !progress.running.is_empty() {
                        self.wait(progress, gather(news)).await?;
                    } else if self.idle(progress, mode, news).await? {
                        return Ok(());
                    }
                }
                Ok((mode, jobs)) => self.start(progress, jobs, mode, asked, slot),
                Err(error) => {
                    drop(slot);
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
        let leases = !self.exclusive || self.is_careful(progress);
        if leases { ClaimMode::Lease } else { self.context.handler.mode() }
    }

    /// Whether a job that killed the worker before may still be among those that come.
    fn is_careful(&self, progress: &Progress) -> bool {
        let proven = progress.survived >= PROVEN_JOBS || progress.started.elapsed() >= PROVEN_AFTER;
        self.after_crash && !proven
    }

    /// Where the next batch is claimed and run; none if claiming has to stop before there is one.
    async fn slot(&self, progress: &Progress) -> Option<Slot> {
        let slot = async {
            if progress.next_alone { self.exclusion.exclusive().await } else { self.exclusion.shared().await }
        };
        self.shutdown.run_until_cancelled(slot).await
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

    /// The next jobs, and whether they are marked as running: those with which a worker died always are.
    async fn claim(
        &self,
        progress: &mut Progress,
        mode: ClaimMode,
        slot: &Slot,
    ) -> Result<(ClaimMode, Vec<ClaimedJob>), StoreError> {
        let params = self.params(progress, mode, slot.is_exclusive());
        let mut claimed = (mode, self.context.store.jobs_claim(params.clone()).await?);
        if mode == ClaimMode::Peek && claimed.1.iter().any(|job| job.crash_count > 0) {
            let params = ClaimJobs { mode: ClaimMode::Lease, ..params };
            claimed = (params.mode, self.context.store.jobs_claim(params).await?);
        }
        progress.failed_claims = 0;
        Ok(claimed)
    }

    fn params(&self, progress: &Progress, mode: ClaimMode, alone: bool) -> ClaimJobs {
        let most = if self.is_careful(progress) { CAREFUL_BATCH } else { u32::MAX };
        ClaimJobs {
            kinds: vec![self.context.handler.kind()],
            limit: self.context.handler.batch_size().min(most),
            lease: LEASE,
            worker: self.worker,
            mode,
            oldest_first: (progress.claims + 1).is_multiple_of(OLDEST_FIRST_SHARE),
            crashed_limit: CRASHED_LIMIT,
            alone,
            except: progress.in_flight.values().flatten().copied().collect(),
        }
    }

    /// Runs jobs that were asked for at `asked`: their leases may be as old as that.
    fn start(
        &self,
        progress: &mut Progress,
        jobs: Vec<ClaimedJob>,
        mode: ClaimMode,
        asked: Instant,
        slot: Slot,
    ) {
        progress.claims += 1;
        progress.claimed_last = asked;
        progress.warned = false;
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        // After one that has to run alone comes the next.
        progress.next_alone = jobs.iter().any(|job| job.crash_count > 1);
        let slot = if progress.next_alone { slot } else { slot.into_shared() };
        let count = jobs.len() as u64;
        let batch = batch::run(self.context.clone(), jobs, mode, asked);
        let task = progress.running.spawn(async move {
            let _slot = slot;
            batch.await.map(|()| count)
        });
        if mode == ClaimMode::Peek {
            progress.in_flight.insert(task.id(), ids);
        }
    }

    /// Waits until a batch ends, for `news`, or for the end of claiming.
    async fn wait(&self, progress: &mut Progress, news: impl Future<Output = ()>) -> Result<(), StoreError> {
        tokio::select! {
            done = progress.running.join_next_with_id(), if !progress.running.is_empty() => {
                if let Some(Err(error)) = done.map(|done| progress.note_end(done))
                    && self.drain && progress.failed_batches >= DRAIN_ERRORS
                {
                    return Err(error);
                }
            }
            () = news => {}
            () = self.shutdown.cancelled() => {}
        }
        Ok(())
    }

    async fn claim_failed(&self, progress: &mut Progress, error: StoreError) -> Result<(), StoreError> {
        progress.failed_claims += 1;
        if self.drain && progress.failed_claims >= DRAIN_ERRORS {
            return Err(error);
        }
        if progress.failed_claims == 1 {
            error!(
                error = &error as &dyn std::error::Error,
                "Jobs cannot be claimed; trying again every few seconds"
            );
        }
        let pause = POLL_INTERVAL.saturating_mul(progress.failed_claims.min(LONGEST_ERROR_PAUSE));
        self.shutdown.run_until_cancelled(tokio::time::sleep(spread(pause, rand::random()))).await;
        Ok(())
    }

    /// Waits for work. Answers whether a drain is over.
    async fn idle(
        &self,
        progress: &mut Progress,
        mode: ClaimMode,
        news: impl Future<Output = ()>,
    ) -> Result<bool, StoreError> {
        let was_alone = std::mem::take(&mut progress.next_alone);
        let (next, running) = match self.ahead().await {
            Ok(ahead) => ahead,
            Err(error) => {
                self.claim_failed(progress, error).await?;
                return Ok(false);
            }
        };
        let due_now = next == Some(Duration::ZERO);
        if self.drain && !due_now && !running {
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
        let poll = poll_pause();
        let pause = next.filter(|next| !next.is_zero()).map_or(poll, |next| next.min(poll));
        self.wait(progress, soon(pause, news)).await?;
        Ok(false)
    }

    /// How long until the next job is due, and, where a drain has to know, whether another process runs one: it may come
    /// back.
    async fn ahead(&self) -> Result<(Option<Duration>, bool), StoreError> {
        let kind = self.context.handler.kind();
        let next = self.context.store.jobs_next_due(&[kind]).await?;
        let running =
            self.drain && !self.exclusive && self.context.store.jobs_stats().await?.of(kind).running > 0;
        Ok((next, running))
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

/// How long until the next look.
fn poll_pause() -> Duration {
    spread(POLL_INTERVAL, rand::random())
}

/// Ends a moment after `news`, or after a poll without any. Jobs that are queued one after the other come together then:
/// a slot that took each by itself would keep the other one, and the database, from their work.
async fn gather(news: impl Future<Output = ()>) {
    soon(poll_pause(), news).await;
    tokio::time::sleep(GATHERING).await;
}

/// Ends with `news`, or after `pause` without any.
async fn soon(pause: Duration, news: impl Future<Output = ()>) {
    let _ = tokio::time::timeout(pause, news).await;
}
