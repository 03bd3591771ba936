mod answer;
mod batch;
mod offline;
mod online;
mod patience;
mod plan;
mod progress;
mod request;
mod sequential;

use std::{num::NonZeroUsize, time::Duration};

use hostatlas_domain::{Address, GeolocateSummary, LookupView, Mode};
use hostatlas_geolocation::{LocateOptions, Lookup};
use hostatlas_store::{ApplyLocations, Attempt, HostSelection, LocationWrite, SelectHosts};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    answer::attempt,
    offline::locate_offline,
    patience::{one, patiently},
    plan::{Plan, select},
    progress::{Tracker, count},
};
pub use self::{
    answer::{LookedUp, lookup},
    patience::Waiting,
    progress::GeolocateProgress,
    request::{GeolocateRequest, Selection},
};
pub(crate) use self::{
    answer::{said_by, view},
    plan::understand,
};
use crate::{Error, Permission, Services, request::parse_address, worker::bulk_priority};

/// Hosts in one transaction of queueing, unless told otherwise.
const QUEUE_BATCH: u32 = 5_000;
/// More than this in one transaction would hold the write lock for too long.
const LARGEST_BATCH: u32 = 20_000;
/// How long a direct lookup waits for an online provider's next permit: longer than the minute in which most of them
/// count, and short enough that a person still waits.
pub(crate) const DIRECT_PATIENCE: Duration = Duration::from_secs(90);

/// Looking hosts up.
#[derive(Clone)]
pub struct Geolocate {
    services: Services,
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
        let mut tracker = Tracker::begin(request.mode, plan.total, &mut on_progress);
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
        tracker.tell_now();
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
            tracker.tell();
            !cancel.is_cancelled()
        };
        let jobs = self.services.jobs();
        let report = jobs.enqueue_all(plan.selection, bulk_priority(), request.force, chunk, go_on).await?;
        note(tracker, &report);
        Ok(())
    }

    /// Looks one address up, and stores the answer if the address is a known host. Without `force` a host whose
    /// location is fresh is asked about all the same, since a person wants to see the answer. `on_wait` hears of each
    /// wait for quota; cancelling ends it.
    pub async fn single(
        &self,
        ip: &str,
        force: bool,
        cancel: &CancellationToken,
        mut on_wait: impl FnMut(&Waiting) + Send,
    ) -> Result<(LookupView, GeolocateSummary), Error> {
        self.services.authorize(Permission::Geolocate)?;
        let address = parse_address(ip)?;
        let began = Instant::now();
        let options = LocateOptions { force, patience: DIRECT_PATIENCE, batch_size: None };
        let locator = self.services.locator();
        let lookup = one(patiently(locator, &[address], options, cancel, &mut on_wait).await);
        let mut summary = GeolocateSummary::new(Mode::Single);
        count(&mut summary, &lookup);
        let view = view(address, &lookup);
        let build = self.services.locator().database_build();
        if let Some(attempt) = attempt(&lookup, build) {
            self.apply(address, attempt, began).await?;
        }
        summary.seconds = began.elapsed().as_secs_f64();
        Ok((view, summary))
    }

    /// Writes what was found about an address at `asked`, if it is that of a known host.
    pub(crate) async fn apply(
        &self,
        address: Address,
        attempt: Attempt,
        asked: Instant,
    ) -> Result<(), Error> {
        let store = self.services.store();
        let selection = HostSelection::Addresses(vec![address]);
        let hosts = store.hosts_select(SelectHosts { selection, after: None, limit: 1 }).await?;
        let writes: Vec<_> =
            hosts.iter().map(|host| LocationWrite { host: host.id, attempt: attempt.clone() }).collect();
        if !writes.is_empty() {
            store.locations_apply(ApplyLocations { writes, age: asked.elapsed() }).await?;
            self.services.changed();
        }
        Ok(())
    }

    /// Where many addresses are by the databases, in ascending order for speed, over several threads.
    pub(crate) async fn locate_offline(&self, addresses: Vec<Address>) -> Vec<Lookup> {
        locate_offline(&self.services, addresses, self.services.config().max_workers).await
    }
}

/// A batch size within its bounds.
fn chunk_size(asked: Option<NonZeroUsize>, otherwise: u32) -> u32 {
    let asked = asked.map_or(otherwise, |size| u32::try_from(size.get()).unwrap_or(u32::MAX));
    asked.clamp(1, LARGEST_BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_fits_a_short_transaction() {
        let sizes = [None, NonZeroUsize::new(7), NonZeroUsize::new(usize::MAX)];
        assert_eq!(sizes.map(|size| chunk_size(size, QUEUE_BATCH)), [5_000, 7, 20_000]);
    }
}
