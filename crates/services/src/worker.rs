mod geolocation;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use hostatlas_domain::{JobKind, Priority, UnlocatedReason};
use hostatlas_geolocation::ReloadOutcome;
use hostatlas_queue::{Handler, QueueWorker, QueueWorkerOptions, WorkSummary, WorkerIdentity};
use hostatlas_store::{HostSelection, Store, StoreError, WorkerRole};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::geolocation::GeolocationHandler;
use crate::{
    Error, Services, schedules,
    sites::{Which, place_sites},
};

/// How long a worker that begins waits for a server that was lost, and how long between two looks.
const ROLE_PATIENCE: Duration = Duration::from_secs(30);
const ROLE_PAUSE: Duration = Duration::from_millis(500);
/// How often database files are checked for replacement.
const RELOAD_INTERVAL: Duration = Duration::from_secs(3);

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The command that it was started with, for the list of workers.
    pub command: &'static str,
    /// How many batches of a kind may be worked on at once.
    pub concurrency: NonZeroUsize,
    /// Only these kinds; none: all that this version serves.
    pub kinds: Option<Vec<JobKind>>,
    /// Whether to end once no served, unpaused job is due or running.
    pub drain: bool,
}

/// What a worker did, and what it left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerReport {
    /// Jobs done.
    pub completed: u64,
    /// Attempts that failed and will be repeated.
    pub retried: u64,
    /// Jobs given up.
    pub discarded: u64,
    /// Jobs put off.
    pub snoozed: u64,
    /// Kinds that this worker does not serve, with how many of their jobs wait.
    pub unserved_waiting: Vec<(JobKind, u64)>,
    /// Served kinds that are paused, with how many of their jobs wait.
    pub paused_waiting: Vec<(JobKind, u64)>,
    /// Jobs of served kinds that wait for a later time.
    pub scheduled_later: u64,
    /// Of those, how many wait until an online provider may be asked again; the others wait after a failure.
    pub waiting_for_quota: u64,
}

/// Runs jobs.
pub struct Worker {
    services: Services,
    options: WorkerOptions,
}

/// The worker role. A server that was lost since the database was opened is waited for, as a worker that works waits.
async fn take_role(store: &dyn Store, shutdown: &CancellationToken) -> Result<Box<dyn WorkerRole>, Error> {
    let began = Instant::now();
    loop {
        match store.worker_role().await {
            Err(StoreError::Unreachable { location, reason })
                if began.elapsed() < ROLE_PATIENCE && !shutdown.is_cancelled() =>
            {
                warn!(
                    database = location,
                    reason, "The server was lost before the worker could begin; it is asked again"
                );
                tokio::time::sleep(ROLE_PAUSE).await;
            }
            answer => return Ok(answer?),
        }
    }
}

/// The name of this machine.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The handler of a kind, if this version has one. The match is exhaustive so that a new kind asks for its handler.
fn handler(kind: JobKind, services: &Services, drain: bool) -> Option<Arc<dyn Handler>> {
    match kind {
        JobKind::Geolocation => Some(Arc::new(GeolocationHandler::new(services.clone(), drain))),
        JobKind::BannerGrab | JobKind::DomainEnum | JobKind::SslCert => None,
    }
}

/// Whether any worker of this version serves the kind.
pub(crate) const fn is_served(kind: JobKind) -> bool {
    matches!(kind, JobKind::Geolocation)
}

impl Worker {
    pub(crate) fn new(services: Services, options: WorkerOptions) -> Self {
        Self { services, options }
    }

    /// Takes the worker role and works until `shutdown` fires or, when draining, until nothing is due. One that does not
    /// drain also does what is due by schedule.
    ///
    /// [`Error::WorkerRoleHeld`] if another living process has the role and does not share it. An error for which
    /// [`Error::is_schema_newer`] holds if a newer version migrated the database: this version has to end.
    pub async fn run(self, shutdown: CancellationToken) -> Result<WorkerReport, Error> {
        let store = self.services.store().clone();
        let role = take_role(&*store, &shutdown).await?;
        let handlers: Vec<_> = self
            .kinds()
            .into_iter()
            .filter_map(|kind| handler(kind, &self.services, self.options.drain))
            .collect();
        let identity = WorkerIdentity::new(self.options.command, &host_name(), env!("CARGO_PKG_VERSION"));
        let worker = identity.id;
        let (concurrency, drain) = (self.options.concurrency.get(), self.options.drain);
        let options = QueueWorkerOptions { identity, concurrency, drain };
        queue_what_had_no_database(&self.services, &shutdown).await;
        place_sites(&self.services, Which::All).await;
        let over = shutdown.child_token();
        let mut beside = JoinSet::new();
        beside.spawn(keep_databases_fresh(self.services.clone(), over.clone()));
        if !drain {
            beside.spawn(schedules::run(self.services.clone(), worker, over.clone()));
        }
        let wake = self.services.jobs_waiting().clone();
        let told = self.services.clone();
        let on_finish = Arc::new(move || told.changed());
        let queue = QueueWorker::new(store, handlers, options, wake, on_finish);
        let worked = queue.run(role.as_ref(), shutdown).await;
        over.cancel();
        while let Some(ended) = beside.join_next().await {
            if let Err(error) = ended {
                warn!(error = &error as &dyn std::error::Error, "A task beside the queue broke down");
            }
        }
        drop(role);
        let summary = worked?;
        self.report(summary).await
    }

    fn kinds(&self) -> Vec<JobKind> {
        self.options.kinds.clone().unwrap_or_else(|| JobKind::ALL.to_vec())
    }

    async fn report(&self, summary: WorkSummary) -> Result<WorkerReport, Error> {
        let WorkSummary { completed, retried, discarded, snoozed } = summary;
        let mut report = WorkerReport { completed, retried, discarded, snoozed, ..WorkerReport::default() };
        let mine = self.kinds();
        for status in self.services.jobs().kinds().await? {
            let waiting = status.counts.waiting();
            if waiting == 0 {
                continue;
            }
            if !status.served || !mine.contains(&status.kind) {
                report.unserved_waiting.push((status.kind, waiting));
            } else if status.paused_at.is_some() {
                report.paused_waiting.push((status.kind, waiting));
            } else {
                report.scheduled_later += waiting;
                // Only what was snoozed is scheduled: a failure leaves a job retryable.
                report.waiting_for_quota += status.counts.scheduled;
            }
        }
        Ok(report)
    }
}

async fn keep_databases_fresh(services: Services, over: CancellationToken) {
    while over.run_until_cancelled(tokio::time::sleep(RELOAD_INTERVAL)).await.is_some() {
        if reload_databases(&services).await {
            queue_what_had_no_database(&services, &over).await;
        }
    }
}

/// Takes up database files that were replaced or added; answers whether one was.
pub(crate) async fn reload_databases(services: &Services) -> bool {
    let locator = services.locator().clone();
    let outcomes = match tokio::task::spawn_blocking(move || locator.reload_if_changed()).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "Database files could not be checked");
            return false;
        }
    };
    let mut loaded = false;
    for outcome in outcomes {
        match outcome {
            ReloadOutcome::Loaded { path, .. } => {
                loaded = true;
                info!("`{}` is in use now", path.display());
            }
            ReloadOutcome::Refused(problem) => warn!("{problem}; {}", problem.remedy),
        }
    }
    loaded
}

/// Hosts that were looked up while no database was there get a job as soon as one is, or an online provider is
/// configured: nobody should have to ask again. What `over` leaves is queued when the next worker starts.
async fn queue_what_had_no_database(services: &Services, over: &CancellationToken) {
    let locator = services.locator();
    if locator.database_build().is_none() && !locator.has_online() {
        return;
    }
    let filter = hostatlas_domain::HostFilter {
        reason: Some(UnlocatedReason::NoDatabase),
        ..hostatlas_domain::HostFilter::default()
    };
    let queued = match services.coverage().get().await {
        Ok(coverage) if !coverage.unlocated_reasons.contains_key(UnlocatedReason::NoDatabase.slug()) => {
            return;
        }
        Ok(_) => {
            let selection = HostSelection::Filter { filter, max_age: services.config().max_age, due: None };
            let priority = JobKind::Geolocation.default_priority();
            services.jobs().enqueue_all(selection, priority, false, 5_000, |_| !over.is_cancelled()).await
        }
        Err(error) => Err(error),
    };
    match queued {
        Ok(report) if report.queued > 0 => {
            info!("Queued {} hosts that had no database before", report.queued);
        }
        Ok(_) => {}
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "Hosts without a database could not be queued");
        }
    }
}

/// What a bulk request of a person gets: behind single clicks, which have [`Priority::FIRST`].
pub(crate) const fn bulk_priority() -> Priority {
    JobKind::Geolocation.default_priority()
}
