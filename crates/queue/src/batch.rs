use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use hostatlas_domain::UnlocatedReason;
use hostatlas_store::{
    Attempt, ClaimMode, ClaimedJob, Fence, FinishJobs, Finished, JobStore, Settled, StoreError,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    Handler, JobError, Outcome,
    leases::{GIVE_UP_AFTER, Leases},
    settle,
};

/// How long a cancelled handler may take to come back before its future is dropped.
const CANCEL_GRACE: Duration = Duration::from_millis(500);
/// Between two tries to write a finish, or to give jobs back.
const FINISH_RETRY: Duration = Duration::from_millis(500);
/// For how long jobs that a stop interrupted are tried to be given back: whoever stops a worker waits for it.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3);

/// How many jobs ended how.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) completed: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) discarded: AtomicU64,
    pub(crate) snoozed: AtomicU64,
}

/// What a batch needs of its worker.
#[derive(Clone)]
pub(crate) struct BatchContext {
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) tally: Arc<Tally>,
    /// How many jobs of this kind are in the hands of this process.
    pub(crate) running: Arc<AtomicU64>,
    /// Called after every write, so that whoever shows jobs need not wait for a poll.
    pub(crate) on_finish: Arc<dyn Fn() + Send + Sync>,
    /// Fires when the grace of a graceful stop is over.
    pub(crate) abort: CancellationToken,
}

impl Tally {
    fn count(&self, settled: &Settled) {
        let counter = match settled {
            Settled::Completed(_) => &self.completed,
            Settled::Retryable(..) => &self.retried,
            Settled::Discarded(..) => &self.discarded,
            Settled::Snoozed(..) => &self.snoozed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Jobs that are counted as running for as long as this lives.
struct Running {
    counter: Arc<AtomicU64>,
    jobs: u64,
}

impl Running {
    fn count(counter: &Arc<AtomicU64>, jobs: u64) -> Self {
        counter.fetch_add(jobs, Ordering::Relaxed);
        Self { counter: Arc::clone(counter), jobs }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.jobs, Ordering::Relaxed);
    }
}

/// Runs one claimed batch to its end: work, decision, fenced write.
pub(crate) async fn run(
    context: BatchContext,
    jobs: Vec<ClaimedJob>,
    mode: ClaimMode,
    claimed: Instant,
) -> Result<(), StoreError> {
    let stop = context.abort.child_token();
    let _running = Running::count(&context.running, jobs.len() as u64);
    if mode == ClaimMode::Lease {
        context.leases.hold(jobs.iter().map(|job| (job.id, job.token)), claimed, &stop);
    }
    let outcomes = work(&context, &jobs, &stop).await;
    let worked = Instant::now();
    let result = match outcomes {
        Some(outcomes) => finish(&context, &jobs, outcomes, mode, worked).await,
        None => release(&context, &jobs, mode).await,
    };
    context.leases.drop_all(jobs.iter().map(|job| (job.id, job.token)));
    result
}

/// What the handler says; none if it was stopped before it could say anything.
async fn work(
    context: &BatchContext,
    jobs: &[ClaimedJob],
    stop: &CancellationToken,
) -> Option<Vec<(Outcome, Option<Attempt>)>> {
    let handler = &context.handler;
    let running = AssertUnwindSafe(handler.run(jobs, stop.child_token())).catch_unwind();
    let bounded = tokio::time::timeout(handler.deadline(), running);
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(CANCEL_GRACE).await;
    };
    let ended = tokio::select! {
        biased;
        ended = bounded => ended,
        () = stopped => return None,
    };
    let failure = match ended {
        Ok(Ok(outcomes)) if outcomes.len() == jobs.len() => return Some(outcomes),
        Ok(Ok(outcomes)) => {
            error!(kind = %handler.kind(), "The handler answered {} of {} jobs", outcomes.len(), jobs.len());
            "the handler lost count of its jobs".to_owned()
        }
        Ok(Err(_)) => {
            error!(kind = %handler.kind(), "The handler panicked over a batch of {} jobs", jobs.len());
            "the handler broke down".to_owned()
        }
        Err(_) => format!("it took longer than {} s", handler.deadline().as_secs()),
    };
    let failed = || (Outcome::Retry(JobError::new(failure.clone(), UnlocatedReason::Failed)), None);
    Some(jobs.iter().map(|_| failed()).collect())
}

async fn finish(
    context: &BatchContext,
    jobs: &[ClaimedJob],
    outcomes: Vec<(Outcome, Option<Attempt>)>,
    mode: ClaimMode,
    worked: Instant,
) -> Result<(), StoreError> {
    let ended = jobs.iter().zip(outcomes);
    let held = |job: &ClaimedJob| mode == ClaimMode::Peek || context.leases.holds(job.id, job.token);
    let finished: Vec<Finished> = ended
        .filter(|(job, _)| held(job))
        .map(|(job, (outcome, effect))| Finished {
            id: job.id,
            token: job.token,
            host: job.host,
            settled: settle(outcome, job, rand::random()),
            effect,
        })
        .collect();
    if finished.is_empty() {
        return Ok(());
    }
    let fence = match mode {
        ClaimMode::Lease => Fence::Running,
        ClaimMode::Peek => Fence::Waiting,
    };
    let (refused, tries) = write(context, fence, &finished, worked).await?;
    (context.on_finish)();
    let refused: std::collections::HashSet<_> = refused.into_iter().collect();
    if !refused.is_empty() {
        warn!("{}", said_of_refused(refused.len(), tries));
    }
    for job in finished.iter().filter(|job| !refused.contains(&job.id)) {
        context.tally.count(&job.settled);
    }
    Ok(())
}

/// The store tells nobody whether a job is of another worker now or was ended by a try whose answer was lost.
fn said_of_refused(jobs: usize, tries: u32) -> String {
    match tries {
        1 => format!("{jobs} finished jobs were no longer ours; nothing of them was written"),
        _ => format!(
            "{jobs} finished jobs were no longer ours at try {tries}: an earlier one had written them, or they were \
             given to another worker"
        ),
    }
}

/// Writes a finish, again and again for as long as the leases can be trusted: the work is done and would be lost.
/// Answers which jobs were refused, at which try.
async fn write(
    context: &BatchContext,
    fence: Fence,
    finished: &[Finished],
    worked: Instant,
) -> Result<(Vec<hostatlas_domain::JobId>, u32), StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let params = FinishJobs { fence, finished: finished.to_vec(), age: worked.elapsed() };
        match context.store.jobs_finish(params).await {
            Ok(refused) => return Ok((refused, tries)),
            Err(error) if worked.elapsed() < GIVE_UP_AFTER && !context.abort.is_cancelled() => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "{} finished jobs could not be written yet",
                    finished.len()
                );
                tokio::time::sleep(FINISH_RETRY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Gives jobs back, again and again for a while: what is not given back has burned its attempt, and counts as a death.
async fn release(context: &BatchContext, jobs: &[ClaimedJob], mode: ClaimMode) -> Result<(), StoreError> {
    if mode == ClaimMode::Peek {
        return Ok(());
    }
    let began = Instant::now();
    loop {
        let held = jobs.iter().map(|job| (job.id, job.token));
        let held = held.filter(|(id, token)| context.leases.holds(*id, *token)).collect();
        match context.store.jobs_release(held).await {
            Err(error) if began.elapsed() < RELEASE_PATIENCE => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "{} jobs could not be given back yet",
                    jobs.len()
                );
                tokio::time::sleep(FINISH_RETRY).await;
            }
            ended => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_try_whose_answer_was_lost_nothing_is_said_that_may_be_false() {
        assert!(said_of_refused(3, 1).contains("nothing of them was written"));
        let again = said_of_refused(3, 2);
        assert!(!again.contains("nothing") && again.contains("had written them, or"), "{again}");
    }
}
