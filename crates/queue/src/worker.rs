use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use hostatlas_store::{AdminStore, JobStore, Rescue, StoreError, WorkerId};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Handler,
    batch::{BatchContext, Tally},
    housekeeping,
    lane::{Lane, first_error},
    leases::Leases,
};

/// How long what is in flight may take to end after a stop; then it is given back.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How a worker works.
#[derive(Clone, Debug)]
pub struct QueueWorkerOptions {
    /// How many batches of a kind may be worked on at once, at least 1.
    pub concurrency: usize,
    /// Whether to end once no job of the handlers' kinds is due or running.
    pub drain: bool,
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkSummary {
    /// Jobs done.
    pub completed: u64,
    /// Attempts that failed and will be repeated.
    pub retried: u64,
    /// Jobs given up.
    pub discarded: u64,
    /// Jobs put off.
    pub snoozed: u64,
}

/// Why a worker ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database failed again and again.
    #[error("the queue cannot be worked on")]
    Store(#[source] StoreError),
}

/// Housekeeping of the database between batches.
#[async_trait]
pub(crate) trait Tidy: Send + Sync {
    async fn tidy(&self) -> Result<bool, StoreError>;
}

struct AdminTidy(Arc<dyn AdminStore>);

#[async_trait]
impl Tidy for AdminTidy {
    async fn tidy(&self) -> Result<bool, StoreError> {
        self.0.tidy().await
    }
}

/// Runs handlers over a queue. Whoever starts it holds the worker role for as long as it runs.
pub struct QueueWorker {
    store: Arc<dyn JobStore>,
    tidy: Arc<dyn Tidy>,
    handlers: Vec<Arc<dyn Handler>>,
    options: QueueWorkerOptions,
    wake: Arc<Notify>,
    on_finish: Arc<dyn Fn() + Send + Sync>,
}

impl QueueWorker {
    /// A worker; `wake` is notified when this process has queued jobs, `on_finish` is called whenever jobs ended.
    pub fn new(
        store: Arc<dyn JobStore>,
        admin: Arc<dyn AdminStore>,
        handlers: Vec<Arc<dyn Handler>>,
        options: QueueWorkerOptions,
        wake: Arc<Notify>,
        on_finish: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self { store, tidy: Arc::new(AdminTidy(admin)), handlers, options, wake, on_finish }
    }

    /// Works until `shutdown` fires or, when draining, until nothing is due.
    ///
    /// Rescues all running jobs first: the worker role proves that nobody works on them. After `shutdown` nothing is
    /// claimed; what is in flight has five seconds, and is then given back without burning the attempt.
    pub async fn run(self, shutdown: CancellationToken) -> Result<WorkSummary, RunError> {
        let rescued = self.store.jobs_rescue(Rescue::All).await.map_err(RunError::Store)?;
        let after_crash = rescued.rescued + rescued.discarded > 0;
        if after_crash {
            warn!(
                rescued = rescued.rescued,
                discarded = rescued.discarded,
                "The worker before this one died; its jobs wait again"
            );
        }
        let leases = Arc::new(Leases::default());
        let tally = Arc::new(Tally::default());
        let abort = CancellationToken::new();
        let over = CancellationToken::new();
        let mut background = JoinSet::new();
        background.spawn(housekeeping::heartbeat(self.store.clone(), leases.clone(), over.clone()));
        background.spawn(housekeeping::rescue(self.store.clone(), over.clone()));
        background.spawn(housekeeping::prune(self.store.clone(), over.clone()));
        background.spawn(abort_after_grace(shutdown.clone(), abort.clone(), over.clone()));

        let worker = WorkerId(rand::random::<i64>() & i64::MAX);
        let mut lanes = JoinSet::new();
        for handler in self.handlers {
            let lane = Lane {
                context: BatchContext {
                    store: self.store.clone(),
                    handler,
                    leases: leases.clone(),
                    tally: tally.clone(),
                    on_finish: self.on_finish.clone(),
                    abort: abort.clone(),
                },
                worker,
                concurrency: self.options.concurrency.max(1),
                drain: self.options.drain,
                after_crash,
                wake: self.wake.clone(),
                shutdown: shutdown.clone(),
                tidy: self.tidy.clone(),
            };
            lanes.spawn(lane.run());
        }
        let ended = lanes.join_all().await;
        over.cancel();
        background.join_all().await;
        first_error(ended.into()).map_err(RunError::Store)?;
        let summary = WorkSummary {
            completed: tally.completed.load(Ordering::Relaxed),
            retried: tally.retried.load(Ordering::Relaxed),
            discarded: tally.discarded.load(Ordering::Relaxed),
            snoozed: tally.snoozed.load(Ordering::Relaxed),
        };
        info!(?summary, "The worker ended");
        Ok(summary)
    }
}

async fn abort_after_grace(shutdown: CancellationToken, abort: CancellationToken, over: CancellationToken) {
    let stopping = async {
        shutdown.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
        abort.cancel();
    };
    over.run_until_cancelled(stopping).await;
}

#[cfg(test)]
mod memory_store;
#[cfg(test)]
mod tests;
