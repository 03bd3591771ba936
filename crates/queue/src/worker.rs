use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hostatlas_domain::truncate_bytes;
use hostatlas_store::{
    AdminStore, HOST_NAME_BYTES, JobStore, Rescue, Store, StoreError, WorkerId, WorkerRole, WorkerStore,
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Handler,
    batch::{BatchContext, Tally},
    exclusion::Exclusion,
    housekeeping::{self, Maintenance, Registry},
    lane::Lane,
    leases::Leases,
};

/// How long what is in flight may take to end after a stop; then it is given back.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How a worker works.
#[derive(Clone, Debug)]
pub struct QueueWorkerOptions {
    /// Who it is.
    pub identity: WorkerIdentity,
    /// How many batches of a kind may be worked on at once, at least 1.
    pub concurrency: usize,
    /// Whether to end once no job of the handlers' kinds is due or running.
    pub drain: bool,
}

/// What a process says of itself to the others.
#[derive(Clone, Debug)]
pub struct WorkerIdentity {
    /// Its id: unique per process start.
    pub id: WorkerId,
    /// The command that it was started with.
    pub command: String,
    /// The machine that it runs on, at most [`HOST_NAME_BYTES`].
    pub host_name: String,
    /// Its process id there.
    pub process_id: u32,
    /// Its version.
    pub version: String,
}

impl WorkerIdentity {
    /// This process, under a new id.
    pub fn new(command: &str, host_name: &str, version: &str) -> Self {
        Self {
            id: WorkerId(rand::random::<i64>() & i64::MAX),
            command: command.to_owned(),
            host_name: truncate_bytes(host_name, HOST_NAME_BYTES).to_owned(),
            process_id: std::process::id(),
            version: version.to_owned(),
        }
    }
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
    workers: Arc<dyn WorkerStore>,
    tidy: Arc<dyn Tidy>,
    handlers: Vec<Arc<dyn Handler>>,
    options: QueueWorkerOptions,
    wake: Arc<Notify>,
    on_finish: Arc<dyn Fn() + Send + Sync>,
}

/// What its tasks share while a worker runs.
struct Shared {
    leases: Arc<Leases>,
    tally: Arc<Tally>,
    exclusion: Exclusion,
    /// Fires when claiming has to stop.
    stop: CancellationToken,
    /// Fires when what is in flight has to be given back.
    abort: CancellationToken,
}

impl QueueWorker {
    /// A worker; `wake` is notified when this process has queued jobs, `on_finish` is called whenever jobs ended.
    pub fn new(
        store: Arc<dyn Store>,
        handlers: Vec<Arc<dyn Handler>>,
        options: QueueWorkerOptions,
        wake: Arc<Notify>,
        on_finish: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            store: store.clone(),
            workers: store.clone(),
            tidy: Arc::new(AdminTidy(store)),
            handlers,
            options,
            wake,
            on_finish,
        }
    }

    /// Works until `shutdown` fires or, when draining, until nothing is due; or until the database has become that of a
    /// newer version, which is an error.
    ///
    /// An exclusive `role` proves that nobody works on the running jobs, so they are all taken back first; with a shared
    /// one they are taken back as their leases run out, by whichever process has the duty, or as soon as the session of
    /// their worker is seen to have ended. After `shutdown` nothing is
    /// claimed; what is in flight has five seconds, and is then given back without burning the attempt.
    ///
    /// It fails if the database does again and again while it drains, or has become that of a newer version
    /// ([`StoreError::SchemaNewer`]): then what was in flight has ended, and nothing more was claimed.
    pub async fn run(
        self,
        role: &dyn WorkerRole,
        shutdown: CancellationToken,
    ) -> Result<WorkSummary, StoreError> {
        let exclusive = role.is_exclusive();
        let shared = Shared {
            leases: Arc::new(Leases::default()),
            tally: Arc::new(Tally::default()),
            exclusion: Exclusion::default(),
            stop: shutdown.child_token(),
            abort: CancellationToken::new(),
        };
        let running: Vec<_> =
            self.handlers.iter().map(|handler| (handler.kind(), Arc::new(AtomicU64::new(0)))).collect();
        let registry = Arc::new(Registry {
            store: self.workers.clone(),
            identity: self.options.identity.clone(),
            concurrency: self.options.concurrency.max(1),
            running: running.clone(),
            tally: shared.tally.clone(),
            stop: shared.stop.clone(),
            stopped_by: OnceLock::new(),
        });
        // What is only peeked at leaves no trace in the queue when its worker dies, but the worker is still on the list.
        let died = exclusive && !self.workers.workers_list().await?.is_empty();
        // Before anything is changed: a worker of an older version must not touch what a newer one has changed.
        registry.report().await?;
        let after_crash = exclusive && (self.take_all_back().await? || died);
        let over = CancellationToken::new();
        let background = self.background(&shared, &registry, exclusive, &over);
        let mut lanes = JoinSet::new();
        for (handler, (_, running)) in self.handlers.iter().zip(running) {
            lanes.spawn(self.lane(&shared, handler.clone(), running, exclusive, after_crash).run());
        }
        let ended = lanes.join_all().await;
        over.cancel();
        background.join_all().await;
        registry.leave().await;
        ended.into_iter().collect::<Result<(), _>>()?;
        if let Some(error) = Arc::into_inner(registry).and_then(|registry| registry.stopped_by.into_inner()) {
            return Err(error);
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = &shared.tally;
        let summary = WorkSummary {
            completed: count(&tally.completed),
            retried: count(&tally.retried),
            discarded: count(&tally.discarded),
            snoozed: count(&tally.snoozed),
        };
        let WorkSummary { completed, retried, discarded, snoozed } = summary;
        info!(completed, retried, discarded, snoozed, "The worker ended");
        Ok(summary)
    }

    /// Takes back what the worker before this one left running; answers whether there was anything.
    async fn take_all_back(&self) -> Result<bool, StoreError> {
        let rescued = self.store.jobs_rescue(Rescue::All).await?;
        let after_crash = rescued.rescued + rescued.discarded > 0;
        if after_crash {
            warn!(
                rescued = rescued.rescued,
                discarded = rescued.discarded,
                "The worker before this one died; its jobs wait again"
            );
        }
        Ok(after_crash)
    }

    fn background(
        &self,
        shared: &Shared,
        registry: &Arc<Registry>,
        exclusive: bool,
        over: &CancellationToken,
    ) -> JoinSet<()> {
        let maintenance = Maintenance {
            jobs: self.store.clone(),
            workers: self.workers.clone(),
            tidy: self.tidy.clone(),
            identity: self.options.identity.clone(),
            exclusive,
        };
        let mut background = JoinSet::new();
        background.spawn(housekeeping::heartbeat(self.store.clone(), shared.leases.clone(), over.clone()));
        background.spawn(housekeeping::watch_leases(shared.leases.clone(), over.clone()));
        if let Some(session) = self.workers.worker_session(self.options.identity.id) {
            let (jobs, leases) = (self.store.clone(), shared.leases.clone());
            background.spawn(housekeeping::heed_session(session, jobs, leases, over.clone()));
        }
        background.spawn(registry.clone().keep(over.clone()));
        background.spawn(maintenance.keep(over.clone()));
        background.spawn(abort_after_grace(shared.stop.clone(), shared.abort.clone(), over.clone()));
        background
    }

    fn lane(
        &self,
        shared: &Shared,
        handler: Arc<dyn Handler>,
        running: Arc<AtomicU64>,
        exclusive: bool,
        after_crash: bool,
    ) -> Lane {
        Lane {
            context: BatchContext {
                store: self.store.clone(),
                handler,
                leases: shared.leases.clone(),
                tally: shared.tally.clone(),
                running,
                on_finish: self.on_finish.clone(),
                abort: shared.abort.clone(),
            },
            worker: self.options.identity.id,
            concurrency: self.options.concurrency.max(1),
            drain: self.options.drain,
            exclusive,
            after_crash,
            exclusion: shared.exclusion.clone(),
            wake: self.wake.clone(),
            shutdown: shared.stop.clone(),
            tidy: self.tidy.clone(),
        }
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
