use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{Address, JobKind, Priority, ProviderName, UnlocatedReason};
use hostatlas_geolocation::{LocateOptions, Lookup, ReloadOutcome};
use hostatlas_queue::{
    Handler, JobError, Outcome, QueueWorker, QueueWorkerOptions, RunError, WorkSummary, WorkerIdentity,
};
use hostatlas_store::{Attempt, ClaimMode, ClaimedJob, HostSelection};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Error, Services,
    geolocate::said_by,
    schedules,
    sites::{Which, place_sites},
};

/// Geolocations in one claim, lookup pass and write: measured best on SQLite, in transactions under 100 ms.
const GEOLOCATION_BATCH: u32 = 10_000;
/// A batch of database lookups takes milliseconds; longer than this, something is broken.
const GEOLOCATION_DEADLINE: Duration = Duration::from_mins(1);
/// Geolocations in one claim where online providers are asked. Their answers come slowly, and what cannot be asked now
/// costs a write; still enough for several full requests to the widest provider at once.
const ONLINE_BATCH: u32 = 2_000;
/// How many of those are asked about together, so that a slow provider does not keep the whole claim.
const ONLINE_SLICE: usize = 500;
/// No slice is begun after so long: the claim is written, and the rest waits for the next.
const ONLINE_BUDGET: Duration = Duration::from_secs(30);
/// A slice is given up after so long. The answers that came are kept, and the next attempt finds them.
const ONLINE_SLICE_LIMIT: Duration = Duration::from_mins(2);
/// Longer than budget and slice together.
const ONLINE_DEADLINE: Duration = Duration::from_mins(3);
/// How long a job waits for a permit while it is claimed; what takes longer is put off until the permit exists.
const ONLINE_PATIENCE: Duration = Duration::from_secs(2);
/// The same while draining: a drain leaves what is put off, so it bears the pause between two calls of one window.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
/// Up to so many jobs in a batch each say in words what was found. In bulk one word does, since equal results are
/// written together.
const DETAILED_RESULTS: usize = 100;
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

/// The name of this machine.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The handler of a kind, if this version has one. The match is exhaustive so that a new kind asks for its handler.
fn handler(kind: JobKind, services: &Services, drain: bool) -> Option<Arc<dyn Handler>> {
    match kind {
        JobKind::Geolocation => {
            let patience = if drain { DRAIN_PATIENCE } else { ONLINE_PATIENCE };
            Some(Arc::new(GeolocationHandler { services: services.clone(), patience }))
        }
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
        let role = store.worker_role().await?;
        let handlers: Vec<_> = self
            .kinds()
            .into_iter()
            .filter_map(|kind| handler(kind, &self.services, self.options.drain))
            .collect();
        let identity = WorkerIdentity::new(self.options.command, &host_name(), env!("CARGO_PKG_VERSION"));
        let worker = identity.id;
        let (concurrency, drain) = (self.options.concurrency.get(), self.options.drain);
        let options = QueueWorkerOptions { identity, concurrency, drain };
        queue_what_had_no_database(&self.services).await;
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
        let queue = QueueWorker::new(store.clone(), store.clone(), store, handlers, options, wake, on_finish);
        let worked = queue.run(role.as_ref(), shutdown).await;
        over.cancel();
        while let Some(ended) = beside.join_next().await {
            if let Err(error) = ended {
                warn!(error = &error as &dyn std::error::Error, "A task beside the queue broke down");
            }
        }
        drop(role);
        let summary = worked.map_err(|RunError::Store(error)| Error::from(error))?;
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
            queue_what_had_no_database(&services).await;
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
/// configured: nobody should have to ask again.
async fn queue_what_had_no_database(services: &Services) {
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
            let selection = HostSelection::Filter { filter, max_age: services.config().max_age };
            let priority = JobKind::Geolocation.default_priority();
            services.jobs().enqueue_all(selection, priority, false, 5_000, |_| true).await
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

/// Locates the hosts of a batch: in one sorted pass over the databases, and where online providers are configured
/// within what they allow. What has to wait for a permit is put off until there is one, and burns no attempt.
///
/// A missing database is no failure of the job: eight attempts would only find the same. The host is unlocated with
/// that reason, the job is done, and the host is due again after an hour, or at once when a database appears.
struct GeolocationHandler {
    services: Services,
    /// How long a permit of an online provider is waited for.
    patience: Duration,
}

#[async_trait]
impl Handler for GeolocationHandler {
    fn kind(&self) -> JobKind {
        JobKind::Geolocation
    }

    fn batch_size(&self) -> u32 {
        if self.services.locator().has_online() { ONLINE_BATCH } else { GEOLOCATION_BATCH }
    }

    fn deadline(&self) -> Duration {
        if self.services.locator().has_online() { ONLINE_DEADLINE } else { GEOLOCATION_DEADLINE }
    }

    fn mode(&self) -> ClaimMode {
        if self.services.locator().has_online() { ClaimMode::Lease } else { ClaimMode::Peek }
    }

    async fn run(&self, jobs: &[ClaimedJob], cancel: CancellationToken) -> Vec<(Outcome, Option<Attempt>)> {
        let mut order: Vec<usize> =
            (0..jobs.len()).filter(|&index| jobs[index].force || !jobs[index].satisfied).collect();
        order.sort_unstable_by_key(|&index| jobs[index].address);
        let lookups = if self.services.locator().has_online() {
            self.ask(jobs, &mut order, &cancel).await
        } else {
            let addresses: Vec<Address> = order.iter().map(|&index| jobs[index].address).collect();
            self.services.geolocate().locate_offline(addresses).await
        };
        let build = self.services.locator().database_build();
        let detailed = jobs.len() <= DETAILED_RESULTS;
        let mut outcomes: Vec<_> =
            jobs.iter().map(|_| (Outcome::Done("located since it was queued".to_owned()), None)).collect();
        for (index, lookup) in order.into_iter().zip(lookups) {
            outcomes[index] = outcome(lookup, build, detailed);
        }
        outcomes
    }
}

impl GeolocationHandler {
    /// Asks slice by slice, forced jobs first since they bypass the cache; `order` becomes that of the answers.
    async fn ask(
        &self,
        jobs: &[ClaimedJob],
        order: &mut Vec<usize>,
        cancel: &CancellationToken,
    ) -> Vec<Lookup> {
        let (forced, other): (Vec<usize>, Vec<usize>) = order.iter().partition(|&&index| jobs[index].force);
        *order = forced.iter().chain(&other).copied().collect();
        let slices = forced
            .chunks(ONLINE_SLICE)
            .map(|slice| (slice, true))
            .chain(other.chunks(ONLINE_SLICE).map(|slice| (slice, false)));
        let began = tokio::time::Instant::now();
        let mut lookups = Vec::with_capacity(order.len());
        for (slice, force) in slices {
            let later =
                |wait: Duration, why: &str| vec![Lookup::Deferred { wait, why: why.to_owned() }; slice.len()];
            if cancel.is_cancelled() {
                lookups.extend(later(Duration::ZERO, "the worker is stopping"));
            } else if began.elapsed() > ONLINE_BUDGET {
                lookups.extend(later(Duration::ZERO, "others are asked about first"));
            } else {
                let addresses: Vec<Address> = slice.iter().map(|&index| jobs[index].address).collect();
                let options = LocateOptions { force, patience: self.patience, batch_size: None };
                let located = self.services.locator().locate_with(&addresses, options);
                let bounded = tokio::time::timeout(ONLINE_SLICE_LIMIT, located);
                lookups.extend(match cancel.run_until_cancelled(bounded).await {
                    Some(Ok(found)) => found,
                    Some(Err(_)) => later(Duration::from_secs(5), "the providers answer slowly"),
                    None => later(Duration::ZERO, "the worker is stopping"),
                });
            }
        }
        lookups
    }
}

fn outcome(
    lookup: Lookup,
    build: Option<hostatlas_domain::Timestamp>,
    detailed: bool,
) -> (Outcome, Option<Attempt>) {
    let unlocated = |reason| Some(Attempt::Unlocated { reason, database_build: build });
    match lookup {
        Lookup::Located(located) => {
            let result =
                if detailed { format!("located: {}", located.place.label()) } else { "located".to_owned() };
            (Outcome::Done(result), Some(Attempt::Located(located)))
        }
        Lookup::Miss(reason) => (Outcome::Done("no provider knows it".to_owned()), unlocated(reason)),
        Lookup::Deferred { wait, why } => (Outcome::Snooze(wait, why), None),
        Lookup::NotApplicable(class) => (Outcome::Done(format!("not applicable: {}", class.slug())), None),
        Lookup::Failed { reason: UnlocatedReason::NoDatabase, .. } => {
            let reason = UnlocatedReason::NoDatabase;
            (Outcome::Done("no database for its address family is installed".to_owned()), unlocated(reason))
        }
        Lookup::Failed { reason, failures } => {
            let error = JobError::new(said_by(&failures), reason);
            // The same file gives the same damaged answer; an online provider may be better tomorrow.
            let permanent = reason == UnlocatedReason::Malformed
                && failures.iter().all(|(provider, _)| *provider == ProviderName::Mmdb);
            (if permanent { Outcome::Discard(error) } else { Outcome::Retry(error) }, None)
        }
    }
}

/// What a bulk request of a person gets: behind single clicks, which have [`Priority::FIRST`].
pub(crate) const fn bulk_priority() -> Priority {
    JobKind::Geolocation.default_priority()
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::AddressClass;

    use super::*;

    fn failed(reason: UnlocatedReason) -> Lookup {
        Lookup::Failed { reason, failures: vec![(ProviderName::Mmdb, "said why".to_owned())] }
    }

    #[test]
    fn a_missing_database_burns_no_attempt_and_is_written_down() {
        let (outcome, effect) = outcome(failed(UnlocatedReason::NoDatabase), None, true);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        let reason = UnlocatedReason::NoDatabase;
        assert_eq!(effect, Some(Attempt::Unlocated { reason, database_build: None }));
    }

    #[test]
    fn a_miss_is_an_answer() {
        let build = Some(hostatlas_domain::Timestamp::from_secs(9));
        let (outcome, effect) = outcome(Lookup::Miss(UnlocatedReason::NoRecord), build, true);
        assert_eq!(outcome, Outcome::Done("no provider knows it".to_owned()));
        let reason = UnlocatedReason::NoRecord;
        assert_eq!(effect, Some(Attempt::Unlocated { reason, database_build: build }));
    }

    #[test]
    fn a_damaged_answer_is_given_up_and_a_silent_provider_is_asked_again() {
        let error = |reason| JobError::new("mmdb: said why", reason);
        let malformed = outcome(failed(UnlocatedReason::Malformed), None, true);
        let unreachable = outcome(failed(UnlocatedReason::Unreachable), None, true);
        assert_eq!(malformed, (Outcome::Discard(error(UnlocatedReason::Malformed)), None));
        assert_eq!(unreachable, (Outcome::Retry(error(UnlocatedReason::Unreachable)), None));
    }

    #[test]
    fn a_special_address_is_done_without_an_effect() {
        let (outcome, effect) = outcome(Lookup::NotApplicable(AddressClass::Private), None, true);
        assert_eq!((outcome, effect), (Outcome::Done("not applicable: private".to_owned()), None));
    }
}
