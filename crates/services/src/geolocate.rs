mod batch;
mod online;
mod sequential;

use std::{num::NonZeroUsize, time::Duration};

use hostatlas_domain::{
    Address, DuePolicy, GeolocateSummary, HostFilter, Located, Location, LookupView, Mode, ProviderName,
    Timestamp,
};
use hostatlas_geolocation::{LocateOptions, Locator, Lookup};
use hostatlas_store::{ApplyLocations, Attempt, HostSelection, LocationWrite, SelectHosts, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Permission, Services,
    request::{parse_address, parse_addresses, parse_query},
    worker::bulk_priority,
};

/// Hosts in one transaction of queueing, unless told otherwise.
const QUEUE_BATCH: u32 = 5_000;
/// More than this in one transaction would hold the write lock for too long.
const LARGEST_BATCH: u32 = 20_000;
/// Lookups below this are not worth another thread.
const THREAD_SHARE: usize = 2_000;
/// How long a direct lookup waits for an online provider's next permit: longer than the minute in which most of them
/// count, and short enough that a person still waits.
pub(crate) const DIRECT_PATIENCE: Duration = Duration::from_secs(90);

/// Looking hosts up.
#[derive(Clone)]
pub struct Geolocate {
    services: Services,
}

/// Which hosts a run means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Those that are due.
    #[default]
    Due,
    /// Pending and unlocated ones, however recently they were tried.
    Missing,
    /// Located ones whose location is stale.
    Stale,
    /// All public ones.
    All,
    /// Those that match a query.
    Query(String),
    /// These; unknown ones are left out.
    Addresses(Vec<String>),
}

/// How to look which hosts up.
#[derive(Clone, Debug)]
pub struct GeolocateRequest {
    /// How to go about it; [`Mode::Single`] is [`Geolocate::single`] and not accepted here.
    pub mode: Mode,
    /// Which hosts.
    pub selection: Selection,
    /// Hosts in one transaction of queueing, or at most so many in one request to an online provider.
    pub batch_size: Option<NonZeroUsize>,
    /// Pause between two lookups (sequential) or batches.
    pub delay: Duration,
    /// Whether age and cache are bypassed: [`Selection::Due`] becomes [`Selection::All`].
    pub force: bool,
    /// After how long a location is stale, unless as configured; zero makes every located host due.
    pub max_age: Option<Duration>,
    /// How many lookups may run at once, unless as configured.
    pub max_workers: Option<NonZeroUsize>,
}

impl GeolocateRequest {
    /// A direct batch over a selection, with everything else as it usually is.
    pub const fn of(selection: Selection) -> Self {
        Self {
            mode: Mode::AsyncBatch,
            selection,
            batch_size: None,
            delay: Duration::ZERO,
            force: false,
            max_age: None,
            max_workers: None,
        }
    }
}

/// What was answered about one address, and what each provider that failed said.
#[derive(Clone, Debug, PartialEq)]
pub struct LookedUp {
    /// The answer.
    pub answer: LookupView,
    /// Provider and message, in the order of asking; only where nobody located it.
    pub failures: Vec<(ProviderName, String)>,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub struct GeolocateProgress {
    /// What it did so far; `seconds` since it began.
    pub summary: GeolocateSummary,
    /// How many hosts there are to do, as far as the counters know.
    pub total: Option<u64>,
}

/// A selection, understood.
pub(crate) struct Plan {
    pub(crate) selection: HostSelection,
    pub(crate) total: Option<u64>,
}

/// Counts and clock of a run, and whom to tell.
struct Tracker<'a> {
    progress: GeolocateProgress,
    began: Instant,
    told: Instant,
    tell: &'a mut (dyn FnMut(&GeolocateProgress) + Send),
}

impl Tracker<'_> {
    /// How often progress is told at most.
    const INTERVAL: Duration = Duration::from_millis(100);

    fn tell(&mut self, now: bool) {
        if now || self.told.elapsed() >= Self::INTERVAL {
            self.told = Instant::now();
            self.progress.summary.seconds = self.began.elapsed().as_secs_f64();
            (self.tell)(&self.progress);
        }
    }

    fn count(&mut self, lookup: &Lookup) {
        let summary = &mut self.progress.summary;
        summary.considered += 1;
        match lookup {
            Lookup::Located(_) => summary.located += 1,
            Lookup::Miss(_) => summary.unlocated += 1,
            Lookup::Failed { .. } => summary.failed += 1,
            Lookup::NotApplicable(_) => summary.skipped += 1,
            Lookup::Deferred { .. } => summary.deferred += 1,
        }
    }
}

impl Geolocate {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// Looks up, or queues lookups of, all hosts of a selection. Cancelling ends it after the batch at hand; what was
    /// done stays, and the summary says how much that is.
    pub async fn run(
        &self,
        request: GeolocateRequest,
        cancel: CancellationToken,
        mut on_progress: impl FnMut(&GeolocateProgress) + Send,
    ) -> Result<GeolocateSummary, Error> {
        self.services.authorize(Permission::Geolocate)?;
        let plan = self.plan(&request).await?;
        let mut tracker = Tracker {
            progress: GeolocateProgress { summary: GeolocateSummary::new(request.mode), total: plan.total },
            began: Instant::now(),
            told: Instant::now(),
            tell: &mut on_progress,
        };
        match request.mode {
            Mode::QueueJobs => self.queue(&request, plan, &cancel, &mut tracker).await?,
            Mode::AsyncBatch => batch::run(&self.services, &request, plan, &cancel, &mut tracker).await?,
            Mode::Sequential => {
                sequential::run(&self.services, &request, plan, &cancel, &mut tracker).await?;
            }
            Mode::Single => {
                return Err(Error::invalid("a single lookup takes one address", "use `geolocate --ip`"));
            }
        }
        tracker.tell(true);
        self.services.changed();
        Ok(tracker.progress.summary)
    }

    async fn queue(
        &self,
        request: &GeolocateRequest,
        plan: Plan,
        cancel: &CancellationToken,
        tracker: &mut Tracker<'_>,
    ) -> Result<(), Error> {
        let chunk = chunk_size(request.batch_size, QUEUE_BATCH);
        let note = |tracker: &mut Tracker<'_>, report: &crate::EnqueuedJobsReport| {
            let summary = &mut tracker.progress.summary;
            summary.considered = report.considered;
            summary.queued = report.queued;
            summary.duplicate = report.duplicate;
        };
        let go_on = |report: &crate::EnqueuedJobsReport| {
            note(tracker, report);
            tracker.tell(false);
            !cancel.is_cancelled()
        };
        let jobs = self.services.jobs();
        let report = jobs.enqueue_all(plan.selection, bulk_priority(), request.force, chunk, go_on).await?;
        note(tracker, &report);
        Ok(())
    }

    /// Looks one address up. The answer is stored when the address is a known host and `store_if_known`; without
    /// `force` a host whose location is fresh is asked about all the same, since a person wants to see the answer.
    pub async fn single(
        &self,
        ip: &str,
        force: bool,
        store_if_known: bool,
    ) -> Result<(LookupView, GeolocateSummary), Error> {
        self.services.authorize(Permission::Geolocate)?;
        let address = parse_address(ip)?;
        let began = Instant::now();
        let mut summary = GeolocateSummary { considered: 1, ..GeolocateSummary::new(Mode::Single) };
        let options = LocateOptions { force, patience: DIRECT_PATIENCE, batch_size: None };
        let lookup = one(self.services.locator().locate_with(&[address], options).await);
        match &lookup {
            Lookup::Located(_) => summary.located = 1,
            Lookup::Miss(_) => summary.unlocated = 1,
            Lookup::Failed { .. } => summary.failed = 1,
            Lookup::NotApplicable(_) => summary.skipped = 1,
            Lookup::Deferred { .. } => summary.deferred = 1,
        }
        let view = view(address, &lookup);
        if store_if_known {
            self.store_one(address, &lookup, began).await?;
        }
        summary.seconds = began.elapsed().as_secs_f64();
        Ok((view, summary))
    }

    async fn store_one(&self, address: Address, lookup: &Lookup, asked: Instant) -> Result<(), Error> {
        let store = self.services.store();
        let selection = HostSelection::Addresses(vec![address]);
        let hosts = store.hosts_select(SelectHosts { selection, after: None, limit: 1 }).await?;
        let build = self.services.locator().database_build();
        let writes: Vec<_> = hosts
            .into_iter()
            .filter_map(|host| attempt(lookup, build).map(|attempt| LocationWrite { host: host.id, attempt }))
            .collect();
        if !writes.is_empty() {
            store.locations_apply(ApplyLocations { writes, age: asked.elapsed() }).await?;
            self.services.changed();
        }
        Ok(())
    }

    /// Asks the providers and stores nothing about any host.
    pub async fn lookup(&self, ips: &[Address]) -> Vec<LookedUp> {
        lookup(self.services.locator(), ips).await
    }

    /// Where many addresses are by the databases, in ascending order for speed, over several threads.
    pub(crate) async fn locate_offline(&self, addresses: Vec<Address>) -> Vec<Lookup> {
        locate_offline(&self.services, addresses, self.services.config().max_workers).await
    }

    pub(crate) async fn plan(&self, request: &GeolocateRequest) -> Result<Plan, Error> {
        let max_age = request.max_age.unwrap_or(self.services.config().max_age);
        let due = DuePolicy { max_age, ..self.services.due_policy() };
        let selection = match &request.selection {
            Selection::Due if request.force => HostSelection::All,
            Selection::Due => HostSelection::Due(due),
            Selection::Missing => HostSelection::Due(missing_policy()),
            Selection::Stale => {
                HostSelection::Filter { filter: HostFilter { stale: true, ..HostFilter::default() }, max_age }
            }
            Selection::All => HostSelection::All,
            Selection::Query(q) => {
                HostSelection::Filter { filter: parse_query(q)?.filter().clone(), max_age }
            }
            Selection::Addresses(ips) => HostSelection::Addresses(parse_addresses(ips)?),
        };
        let total = self.total(&request.selection, &selection, max_age).await?;
        Ok(Plan { selection, total })
    }

    async fn total(
        &self,
        asked: &Selection,
        selection: &HostSelection,
        max_age: Duration,
    ) -> Result<Option<u64>, Error> {
        let store = self.services.store();
        if let HostSelection::Addresses(addresses) = selection {
            return Ok(Some(addresses.len() as u64));
        }
        if let (Selection::Query(_), HostSelection::Filter { filter, max_age }) = (asked, selection) {
            let count = store.hosts_count(filter.clone(), *max_age, 100_000).await?;
            return Ok(count.exact.then_some(count.hosts));
        }
        let coverage = store.coverage(max_age).await?;
        let stale = if max_age.is_zero() { coverage.located } else { coverage.stale };
        Ok(match (asked, selection) {
            (_, HostSelection::All) => Some(coverage.total - coverage.not_applicable),
            (Selection::Missing, _) => Some(coverage.pending + coverage.unlocated),
            (Selection::Stale, _) => Some(stale),
            // How many unlocated hosts are due is not counted anywhere.
            _ if coverage.unlocated > 0 => None,
            _ => Some(coverage.pending + stale),
        })
    }
}

/// Nothing located is due, everything else is.
fn missing_policy() -> DuePolicy {
    DuePolicy {
        max_age: Duration::from_hours(100 * 365 * 24),
        failure_retry_after: Duration::ZERO,
        database_build: Some(Timestamp::from_millis(i64::MAX)),
    }
}

/// A batch size within its bounds.
fn chunk_size(asked: Option<NonZeroUsize>, otherwise: u32) -> u32 {
    let asked = asked.map_or(otherwise, |size| u32::try_from(size.get()).unwrap_or(u32::MAX));
    asked.clamp(1, LARGEST_BATCH)
}

/// Asks the providers and stores nothing about any host; needs no database of hosts.
pub async fn lookup(locator: &Locator, ips: &[Address]) -> Vec<LookedUp> {
    let options = LocateOptions { force: false, patience: DIRECT_PATIENCE, batch_size: None };
    let lookups = locator.locate_with(ips, options).await;
    let looked_up = |(ip, lookup): (&Address, Lookup)| LookedUp {
        answer: view(*ip, &lookup),
        failures: match lookup {
            Lookup::Failed { failures, .. } => failures,
            _ => Vec::new(),
        },
    };
    ips.iter().zip(lookups).map(looked_up).collect()
}

/// The answer to a question about one address.
fn one(mut lookups: Vec<Lookup>) -> Lookup {
    lookups
        .pop()
        .unwrap_or(Lookup::Failed { reason: hostatlas_domain::UnlocatedReason::Failed, failures: Vec::new() })
}

/// The answer as it is shown.
pub(crate) fn view(ip: Address, lookup: &Lookup) -> LookupView {
    match lookup {
        Lookup::Located(located) => LookupView::located(ip, &as_location(located)),
        Lookup::NotApplicable(class) => LookupView::not_applicable(ip, *class),
        Lookup::Deferred { why, .. } => LookupView::without_place(ip, lookup.status(), Some(why.clone())),
        Lookup::Miss(reason) => {
            LookupView::without_place(ip, lookup.status(), Some(reason.slug().to_owned()))
        }
        Lookup::Failed { reason, failures } => {
            let said = said_by(failures);
            let said = if said.is_empty() { reason.label().to_owned() } else { said };
            LookupView::without_place(ip, lookup.status(), Some(said))
        }
    }
}

/// What each provider said, in the order of asking; once what one repeats when it is asked again.
pub(crate) fn said_by(failures: &[(ProviderName, String)]) -> String {
    let mut said: Vec<String> = Vec::with_capacity(failures.len());
    for (provider, message) in failures {
        let words = format!("{provider}: {message}");
        if !said.contains(&words) {
            said.push(words);
        }
    }
    said.join("; ")
}

fn as_location(located: &Located) -> Location {
    Location {
        place: Some(located.place.clone()),
        network: located.network.clone(),
        timezone: located.timezone.clone(),
        provider: located.provider,
        accuracy_km: located.accuracy_km,
        database_build: located.database_build,
    }
}

/// What to write about a host; nothing where there is nothing to say.
fn attempt(lookup: &Lookup, build: Option<Timestamp>) -> Option<Attempt> {
    match lookup {
        Lookup::Located(located) => Some(Attempt::Located(located.clone())),
        Lookup::Miss(reason) | Lookup::Failed { reason, .. } => {
            Some(Attempt::Unlocated { reason: *reason, database_build: build })
        }
        Lookup::NotApplicable(_) | Lookup::Deferred { .. } => None,
    }
}

/// Where many addresses are by the databases alone. `addresses` should ascend; `workers` bounds the threads.
async fn locate_offline(services: &Services, addresses: Vec<Address>, workers: NonZeroUsize) -> Vec<Lookup> {
    let locator = services.locator();
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let shares = workers.get().min(cores).min(addresses.len().div_ceil(THREAD_SHARE)).max(1);
    let share = addresses.len().div_ceil(shares).max(1);
    let tasks: Vec<_> = addresses
        .chunks(share)
        .map(|chunk| {
            let (locator, chunk) = (locator.clone(), chunk.to_vec());
            (chunk.len(), tokio::task::spawn_blocking(move || locator.locate_sorted(&chunk)))
        })
        .collect();
    let mut lookups = Vec::with_capacity(addresses.len());
    for (length, task) in tasks {
        match task.await {
            Ok(found) => lookups.extend(found),
            // A provider that breaks down must not take the whole run along.
            Err(error) => lookups.extend((0..length).map(|_| Lookup::Failed {
                reason: hostatlas_domain::UnlocatedReason::Failed,
                failures: vec![(ProviderName::Mmdb, error.to_string())],
            })),
        }
    }
    lookups
}

/// The hosts of a selection after `after`, by address.
async fn select(
    services: &Services,
    selection: &HostSelection,
    after: Option<Address>,
    limit: u32,
) -> Result<Vec<hostatlas_store::SelectedHost>, StoreError> {
    let params = SelectHosts { selection: selection.clone(), after, limit };
    services.store().hosts_select(params).await
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::{LocationFacts, LocationState, LookupStatus, UnlocatedReason, due};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

    #[test]
    fn missing_means_pending_and_unlocated_however_recently_tried() {
        let facts = |state, reason| LocationFacts {
            state,
            located_at: (state == LocationState::Located).then_some(Timestamp::from_secs(1)),
            attempted_at: Some(NOW),
            reason,
            database_build: Some(NOW),
        };
        let cases = [
            facts(LocationState::Pending, None),
            facts(LocationState::Unlocated, Some(UnlocatedReason::NoRecord)),
            facts(LocationState::Located, None),
            facts(LocationState::NotApplicable, None),
        ];
        assert_eq!(cases.map(|host| due(&host, NOW, &missing_policy())), [true, true, false, false]);
    }

    #[test]
    fn what_a_provider_says_twice_is_told_once() {
        let said = |provider, words: &str| (provider, words.to_owned());
        let failures = [
            said(ProviderName::Freeipapi, "503"),
            said(ProviderName::Freeipapi, "503"),
            said(ProviderName::IpApi, "503"),
        ];
        assert_eq!(said_by(&failures), "freeipapi: 503; ip-api: 503");
    }

    #[test]
    fn a_chunk_fits_a_short_transaction() {
        let sizes = [None, NonZeroUsize::new(7), NonZeroUsize::new(usize::MAX)];
        assert_eq!(sizes.map(|size| chunk_size(size, QUEUE_BATCH)), [5_000, 7, 20_000]);
    }

    #[tokio::test]
    async fn without_a_database_a_lookup_says_so_and_a_private_address_is_not_asked_about() {
        let ips = ["8.8.8.8", "10.0.0.1"].map(|text| text.parse().expect("an address"));
        let views = lookup(&Locator::builder().build(), &ips).await;
        let told: Vec<_> =
            views.iter().map(|view| (view.answer.status, view.answer.reason.as_deref())).collect();
        assert_eq!(
            told,
            [
                (LookupStatus::Failed, Some(UnlocatedReason::NoDatabase.label())),
                (LookupStatus::NotApplicable, Some("private")),
            ]
        );
    }
}
