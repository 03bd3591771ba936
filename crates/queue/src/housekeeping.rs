use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hostatlas_domain::{JobKind, RunningJobs};
use hostatlas_store::{
    Duty, JobStore, ReportWorker, Rescue, SessionNews, StoreError, WorkerSession, WorkerStore,
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    WorkerIdentity,
    backoff::spread,
    batch::Tally,
    leases::{HEARTBEAT, LEASE, Leases},
    worker::Tidy,
};

/// How often leases that ran out are looked for, and a duty that nobody has is asked for. With a lease of 25 seconds the
/// jobs of a dead worker run again within 35, even if the one that looked died too: see [`OVERDUE`].
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(1);
/// The same for a worker that is alone: all of the dead were found when it started.
const MAINTENANCE_INTERVAL_ALONE: Duration = Duration::from_secs(5);
/// A lease that ran out so long ago is taken back by whoever sees it. Who has the duty may have died with it, and the
/// duty is free only half a minute later: the jobs of those that died shortly before would wait up to a minute.
const OVERDUE: Duration = Duration::from_secs(1);
/// A store that hangs must not keep the next report from coming.
const PATIENCE: Duration = Duration::from_secs(5);

/// Renews leases until `stop`.
pub(crate) async fn heartbeat(store: Arc<dyn JobStore>, leases: Arc<Leases>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(HEARTBEAT)).await.is_some() {
        leases.renew(store.as_ref()).await;
    }
}

/// Stops work whose lease can no longer be trusted, until `stop`. Beside the heartbeat, which may be waiting for a store
/// that hangs.
pub(crate) async fn watch_leases(leases: Arc<Leases>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(MAINTENANCE_INTERVAL)).await.is_some() {
        leases.drop_untrusted();
    }
}

/// What this process tells the others of itself.
pub(crate) struct Registry {
    pub(crate) store: Arc<dyn WorkerStore>,
    pub(crate) identity: WorkerIdentity,
    pub(crate) concurrency: usize,
    /// Its kinds, and how many jobs of each are in its hands.
    pub(crate) running: Vec<(JobKind, Arc<AtomicU64>)>,
    pub(crate) tally: Arc<Tally>,
    /// Fires when claiming has to stop; fired here when the database has become that of a newer version.
    pub(crate) stop: CancellationToken,
    /// Why this process stopped itself.
    pub(crate) stopped_by: OnceLock<StoreError>,
}

impl Registry {
    /// Reports once. Only a schema that is too new is an error: whoever cannot be told finds out by the silence.
    pub(crate) async fn report(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(PATIENCE, self.store.worker_report(self.current())).await {
            Ok(Err(error @ StoreError::SchemaNewer { .. })) => return Err(error),
            Ok(Err(error)) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "The other processes could not be told of this one"
                );
            }
            Err(_) => warn!("Telling the other processes of this one took too long"),
            Ok(Ok(())) => {}
        }
        Ok(())
    }

    /// Reports again and again until `over`, and at once when the worker is told to stop.
    pub(crate) async fn keep(self: Arc<Self>, over: CancellationToken) {
        let mut stopping = self.stop.is_cancelled();
        loop {
            let turn = async {
                tokio::select! {
                    () = tokio::time::sleep(HEARTBEAT) => {}
                    () = self.stop.cancelled(), if !stopping => {}
                }
            };
            if over.run_until_cancelled(turn).await.is_none() {
                return;
            }
            stopping = self.stop.is_cancelled();
            if let Err(error) = self.report().await
                && !stopping
            {
                error!("The database was brought to a newer schema; this worker ends what it has and stops");
                let _ = self.stopped_by.set(error);
                self.stop.cancel();
            }
        }
    }

    /// Takes this process off the list.
    pub(crate) async fn leave(&self) {
        let left = tokio::time::timeout(PATIENCE, self.store.worker_leave(self.identity.id)).await;
        if let Ok(Err(error)) = left {
            warn!(
                error = &error as &dyn std::error::Error,
                "The other processes could not be told of the end"
            );
        }
    }

    fn current(&self) -> ReportWorker {
        let WorkerIdentity { id, command, host_name, process_id, version } = self.identity.clone();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let running = self.running.iter().map(|(kind, jobs)| RunningJobs { kind: *kind, jobs: count(jobs) });
        ReportWorker {
            id,
            command,
            host_name,
            process_id,
            version,
            kinds: self.running.iter().map(|(kind, _)| *kind).collect(),
            concurrency: u32::try_from(self.concurrency).unwrap_or(u32::MAX),
            running: running.filter(|running| running.jobs > 0).collect(),
            completed: count(&self.tally.completed),
            failed: count(&self.tally.retried) + count(&self.tally.discarded),
            stopping: self.stop.is_cancelled(),
        }
    }
}

/// What one process does for all: taking back jobs whose lease ran out, and housekeeping of the database. The others only
/// see to it that no job waits for the next to take the duty.
pub(crate) struct Maintenance {
    pub(crate) jobs: Arc<dyn JobStore>,
    pub(crate) workers: Arc<dyn WorkerStore>,
    pub(crate) tidy: Arc<dyn Tidy>,
    pub(crate) identity: WorkerIdentity,
    /// Whether no other worker can be there, so that there is nobody to share the duty with. Then idle lanes keep the
    /// database in shape, between two bursts of work.
    pub(crate) exclusive: bool,
}

impl Maintenance {
    /// Does its part whenever it has the duty, until `stop`; then lets the duty go.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let interval = if self.exclusive { MAINTENANCE_INTERVAL_ALONE } else { MAINTENANCE_INTERVAL };
        let mut held_since: Option<Instant> = None;
        // Beside the rescue: making an index takes minutes, and orphaned jobs must not wait for it.
        let mut tidying = JoinSet::new();
        loop {
            if !self.exclusive && held_since.is_none_or(|since| since.elapsed() >= HEARTBEAT) {
                held_since = self.take().await;
            }
            if self.exclusive || held_since.is_some() {
                self.rescue(Rescue::Expired).await;
                while tidying.try_join_next().is_some() {}
                if !self.exclusive && tidying.is_empty() {
                    tidying.spawn(tidy_for_a_while(self.tidy.clone(), stop.clone()));
                }
            } else {
                self.rescue(Rescue::Overdue(OVERDUE)).await;
            }
            let pause = spread(interval, rand::random());
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        if held_since.is_some() {
            // Whoever comes next would only wait for the lease to run out.
            let _ = self.workers.duty_leave(Duty::Maintenance, self.identity.id).await;
        }
    }

    /// Takes or keeps the duty; answers since when it is sure, or none if another process has it.
    async fn take(&self) -> Option<Instant> {
        let asked = Instant::now();
        match self.workers.duty_take(Duty::Maintenance, self.identity.id, LEASE).await {
            Ok(held) => held.then_some(asked),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "Nobody could be named for the maintenance");
                None
            }
        }
    }

    async fn rescue(&self, whose: Rescue) {
        rescue(self.jobs.as_ref(), whose, "Leases ran out; their jobs wait again").await;
    }
}

/// Takes back whose worker is gone; `said` where there was something.
async fn rescue(jobs: &dyn JobStore, whose: Rescue, said: &str) {
    match jobs.jobs_rescue(whose).await {
        Ok(rescued) if rescued.rescued + rescued.discarded > 0 => {
            warn!(rescued = rescued.rescued, discarded = rescued.discarded, "{said}");
        }
        Ok(_) => {}
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "Jobs of dead workers could not be taken back");
        }
    }
}

/// Heeds what this worker's session tells, until `over`. It is let go then.
pub(crate) async fn heed_session(
    session: Box<dyn WorkerSession>,
    jobs: Arc<dyn JobStore>,
    leases: Arc<Leases>,
    over: CancellationToken,
) {
    while let Some(news) = over.run_until_cancelled(session.news()).await {
        match news {
            SessionNews::Ended { worker, ago } => {
                let whose = Rescue::Ended { worker, ago };
                rescue(jobs.as_ref(), whose, "The session of a worker ended; its jobs wait again").await;
            }
            // What was taken back meanwhile is dropped now and not at the next heartbeat: somebody else is at it.
            SessionNews::Regained => leases.renew(jobs.as_ref()).await,
        }
    }
}

/// Keeps the database in shape until there is nothing to do, or its turn is over.
async fn tidy_for_a_while(tidy: Arc<dyn Tidy>, stop: CancellationToken) {
    let began = Instant::now();
    while !stop.is_cancelled() && began.elapsed() < MAINTENANCE_INTERVAL {
        match tidy.tidy().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "Housekeeping of the database failed");
                break;
            }
        }
    }
}
