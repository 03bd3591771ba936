use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use hostatlas_domain::{
    Address, AddressClass, AddressRefusal, EnqueuedJob, Job, JobFilter, JobId, JobKind, JobTargets,
    KindStatus, Page, Priority, QueueStats, RefusedAddress, classify,
};
use hostatlas_store::{
    ChangedJobs, EnqueueJob, EnqueueJobs, EnqueuedJobs, HostSelection, JobSelection, PrunePolicy,
    SelectHosts, StoreError,
};
use tracing::Instrument as _;

use crate::{
    Error, Permission, Selection, Services,
    flight::Flight,
    geolocate::understand,
    request::{parse_address, parse_cursor, parse_limit},
    worker::is_served,
};

/// Hosts or jobs changed in one transaction: long enough to be quick, short enough that a click gets in between.
const CHUNK: u32 = 5_000;
/// A list of addresses up to this length is what a person picked by hand, and runs first.
const PICKED_BY_HAND: usize = 1_000;

/// The queue, as people see it.
#[derive(Clone)]
pub struct Jobs {
    services: Services,
}

/// A request for geolocation jobs for many hosts.
#[derive(Clone, Debug)]
pub struct EnqueueRequest {
    /// Which hosts.
    pub selection: Selection,
    /// Whether age and cache are bypassed.
    pub force: bool,
    /// What to queue; this version queues `geolocation` only.
    pub kind: JobKind,
}

/// What queueing for many hosts did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EnqueuedJobsReport {
    /// Hosts considered.
    pub considered: u64,
    /// Jobs made.
    pub queued: u64,
    /// Hosts that already had a live job, which took the request in.
    pub duplicate: u64,
}

/// What queueing for the hosts of a request did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnqueuedHosts {
    /// The counts.
    pub report: EnqueuedJobsReport,
    /// The addresses that were named and got no job, in their order.
    pub refused: Vec<RefusedAddress>,
}

impl From<RefusedAddress> for Error {
    /// The error of a request for this address alone.
    fn from(RefusedAddress { ip, reason }: RefusedAddress) -> Self {
        match reason {
            AddressRefusal::Unknown => StoreError::UnknownHost(ip).into(),
            AddressRefusal::NotApplicable => Self::NotApplicable { ip, class: classify(ip) },
        }
    }
}

/// After how long finished jobs are deleted.
#[derive(Clone, Copy, Debug)]
pub struct PruneRequest {
    /// Completed and cancelled ones.
    pub completed_after: Duration,
    /// Discarded ones.
    pub discarded_after: Duration,
}

impl Jobs {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// Jobs, newest first; `limit` is 1 to 1000.
    pub async fn list(
        &self,
        filter: JobFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Job>, Error> {
        Ok(self.services.store().jobs_list(filter, parse_cursor(cursor)?, parse_limit(limit)?).await?)
    }

    /// The jobs of one host, newest first.
    pub async fn for_host(&self, ip: &str, cursor: Option<&str>, limit: u32) -> Result<Page<Job>, Error> {
        let filter = JobFilter { ip: Some(parse_address(ip)?), ..JobFilter::default() };
        self.list(filter, cursor, limit).await
    }

    /// One job.
    pub async fn get(&self, id: JobId) -> Result<Job, Error> {
        Ok(self.services.store().job_get(id).await?)
    }

    /// All counts, and which kinds are paused or capped.
    pub async fn stats(&self) -> Result<QueueStats, Error> {
        Ok(self.services.store().kinds_status().await?.into_iter().collect())
    }

    /// One kind.
    pub async fn kind(&self, kind: JobKind) -> Result<KindStatus, Error> {
        let all = self.kinds().await?;
        all.into_iter()
            .find(|status| status.kind == kind)
            .ok_or_else(|| Error::Internal(format!("the database does not hold the kind `{kind}`").into()))
    }

    /// Each kind with its counts, its pause and whether any worker of this build serves it.
    pub async fn kinds(&self) -> Result<Vec<KindStatus>, Error> {
        let kinds = self.services.store().kinds_status().await?;
        Ok(kinds.into_iter().map(|kind| KindStatus { served: is_served(kind.kind), ..kind }).collect())
    }

    /// Queues a lookup of one host, ahead of everything that no person asked for.
    pub async fn geolocate_host(&self, ip: &str, force: bool) -> Result<EnqueuedJob, Error> {
        self.services.authorize(Permission::Geolocate)?;
        let address = parse_address(ip)?;
        let class = classify(address);
        if class != AddressClass::Public {
            return Err(Error::NotApplicable { ip: address, class });
        }
        let params = EnqueueJob {
            kind: JobKind::Geolocation,
            address,
            port: None,
            priority: Priority::FIRST,
            delay: Duration::ZERO,
            force,
        };
        let queued = self.services.store().job_enqueue(params).await.map_err(|error| match error {
            StoreError::UnknownHost(address) => Error::NotFound {
                detail: format!("there is no host `{address}`"),
                hint: Some("no scan has seen it: import it first, or ask with `hostatlas lookup`".to_owned()),
            },
            other => other.into(),
        })?;
        self.services.jobs_changed();
        Ok(queued)
    }

    /// Queues a lookup for each host of a selection, in chunks, and merges into jobs that are already live.
    ///
    /// Of addresses that are named, those of no known public host are refused one by one; where all of them are, the
    /// request fails and changes nothing.
    pub async fn enqueue(&self, request: EnqueueRequest) -> Result<EnqueuedHosts, Error> {
        self.services.authorize(Permission::ManageJobs)?;
        if request.kind != JobKind::Geolocation {
            return Err(Error::NotSupported {
                detail: format!("`{}` jobs cannot be queued by hand", request.kind),
                hint: Some("queue `geolocation` jobs; the probe kinds come with a later version".to_owned()),
            });
        }
        let selection = understand(&self.services, &request.selection, self.services.config().max_age)?;
        let priority = match &selection {
            HostSelection::Addresses(picked) if picked.len() <= PICKED_BY_HAND => Priority::FIRST,
            _ => request.kind.default_priority(),
        };
        let mut answer = match &selection {
            HostSelection::Addresses(named) => self.refused(named).await?,
            _ => EnqueuedHosts::default(),
        };
        answer.report = self.enqueue_all(selection, priority, request.force, CHUNK, |_| true).await?;
        Ok(answer)
    }

    /// Which of these addresses get no job; an error where none gets one.
    pub async fn refused(&self, named: &[Address]) -> Result<EnqueuedHosts, Error> {
        let mut left: BTreeSet<Address> = named.iter().copied().collect();
        let meant = left.len();
        let selection = HostSelection::Addresses(named.to_vec());
        let mut after = None;
        loop {
            let params = SelectHosts { selection: selection.clone(), after, limit: CHUNK };
            let known = self.services.store().hosts_select(params).await?;
            for host in &known {
                left.remove(&host.address);
            }
            after = known.last().map(|host| host.address);
            if known.len() < CHUNK as usize {
                break;
            }
        }
        let reason = |ip: &Address| match classify(*ip) {
            AddressClass::Public => AddressRefusal::Unknown,
            _ => AddressRefusal::NotApplicable,
        };
        let mut refused = left.iter().map(|ip| RefusedAddress { ip: *ip, reason: reason(ip) });
        match (left.len(), meant) {
            (1, 1) => refused.next().map_or_else(|| Ok(EnqueuedHosts::default()), |one| Err(one.into())),
            (none, meant) if none == meant && meant > 0 => Err(Error::NotFound {
                detail: format!("none of the {meant} addresses is a public host that a scan has seen"),
                hint: Some("import the scan that saw them first, or ask with `hostatlas lookup`".to_owned()),
            }),
            _ => Ok(EnqueuedHosts { refused: refused.collect(), ..EnqueuedHosts::default() }),
        }
    }

    /// Queues chunk by chunk until the selection ends or `go_on` says no, and returns once nothing is under way.
    ///
    /// The next chunk is selected while chunks before it are queued: several, where the engine has no single writer. They
    /// share no host, so none waits for another. A host that was looked up since it was selected gets its job all the
    /// same.
    pub(crate) async fn enqueue_all(
        &self,
        selection: HostSelection,
        priority: Priority,
        force: bool,
        chunk: u32,
        mut go_on: impl FnMut(&EnqueuedJobsReport) -> bool + Send,
    ) -> Result<EnqueuedJobsReport, Error> {
        let store = self.services.store();
        let mut flight = Flight::new(store.batches_at_once());
        let (mut report, mut after) = (EnqueuedJobsReport::default(), None);
        loop {
            let params = SelectHosts { selection: selection.clone(), after, limit: chunk };
            let hosts = store.hosts_select(params).await?;
            while flight.is_full() {
                self.queued(&mut flight, &mut report).await?;
            }
            let is_last = hosts.len() < chunk as usize;
            after = hosts.last().map(|host| host.address);
            let Some(last) = after.filter(|_| go_on(&report)) else { break };
            let selection = HostSelection::Hosts(hosts);
            let params = EnqueueJobs { selection, after: None, limit: chunk, priority, force };
            let store = store.clone();
            let queueing = async move { Ok(store.jobs_enqueue(params).await?) };
            flight.begin(last, queueing.in_current_span());
            if is_last {
                break;
            }
        }
        while self.queued(&mut flight, &mut report).await? {}
        Ok(report)
    }

    /// Waits for a chunk that is being queued, and counts it; false if none is.
    async fn queued(
        &self,
        flight: &mut Flight<EnqueuedJobs>,
        report: &mut EnqueuedJobsReport,
    ) -> Result<bool, Error> {
        let Some(done) = flight.next().await.transpose()? else { return Ok(false) };
        report.considered += done.considered;
        report.queued += done.queued;
        report.duplicate += done.duplicate;
        self.services.jobs_changed();
        Ok(true)
    }

    /// Makes finished and waiting jobs available now, with all their attempts.
    pub async fn retry(&self, targets: JobTargets) -> Result<ChangedJobs, Error> {
        self.services.authorize(Permission::ManageJobs)?;
        self.change(targets, Change::Retry).await
    }

    /// Cancels live jobs; about their hosts nothing changes.
    pub async fn cancel(&self, targets: JobTargets) -> Result<ChangedJobs, Error> {
        self.services.authorize(Permission::ManageJobs)?;
        self.change(targets, Change::Cancel).await
    }

    async fn change(&self, targets: JobTargets, change: Change) -> Result<ChangedJobs, Error> {
        let total = match targets {
            JobTargets::Ids(ids) => self.change_these(&ids, change).await?,
            JobTargets::Matching(conditions) => self.change_matching(&conditions.into(), change).await?,
            JobTargets::All => self.change_matching(&JobFilter::default(), change).await?,
        };
        self.services.jobs_changed();
        Ok(total)
    }

    async fn change_these(&self, ids: &[JobId], change: Change) -> Result<ChangedJobs, Error> {
        let mut total = ChangedJobs::default();
        for ids in ids.chunks(CHUNK as usize) {
            let done = self.change_once(JobSelection::Ids(ids.to_vec()), change).await?;
            total.changed += done.changed;
            total.skipped += done.skipped;
            total.refused.extend(done.refused);
        }
        Ok(total)
    }

    async fn change_matching(&self, filter: &JobFilter, change: Change) -> Result<ChangedJobs, Error> {
        let mut total = ChangedJobs::default();
        loop {
            let selection = JobSelection::Matching { filter: filter.clone(), limit: CHUNK };
            let done = self.change_once(selection, change).await?;
            total.changed += done.changed;
            // Jobs that cannot be changed match again and again: once nothing changes, all that are left are such.
            if done.changed == 0 {
                total.skipped += done.skipped;
                return Ok(total);
            }
        }
    }

    async fn change_once(&self, selection: JobSelection, change: Change) -> Result<ChangedJobs, Error> {
        let store = self.services.store();
        Ok(match change {
            Change::Retry => store.jobs_retry(selection).await?,
            Change::Cancel => store.jobs_cancel(selection).await?,
        })
    }

    /// Stops claiming jobs of a kind, in every process; what runs goes on.
    pub async fn pause(&self, kind: JobKind) -> Result<(), Error> {
        self.set_paused(kind, true).await
    }

    /// Takes a kind up again.
    pub async fn resume(&self, kind: JobKind) -> Result<(), Error> {
        self.set_paused(kind, false).await
    }

    async fn set_paused(&self, kind: JobKind, paused: bool) -> Result<(), Error> {
        self.services.authorize(Permission::ManageJobs)?;
        self.services.store().kind_pause(kind, paused).await?;
        self.services.jobs_changed();
        Ok(())
    }

    /// Limits how many jobs of a kind run at once across all processes. `None` removes the limit. What runs goes on.
    pub async fn cap(&self, kind: JobKind, cap: Option<u32>) -> Result<(), Error> {
        self.services.authorize(Permission::ManageJobs)?;
        let none = || Error::invalid("a cap must be at least 1", "to stop a kind, pause it");
        let cap = cap.map(|cap| NonZeroU32::new(cap).ok_or_else(none)).transpose()?;
        self.services.store().kind_cap(kind, cap).await?;
        self.services.jobs_changed();
        Ok(())
    }

    /// Deletes finished jobs that are old enough, in small transactions; answers how many.
    pub async fn prune(&self, request: PruneRequest) -> Result<u64, Error> {
        self.services.authorize(Permission::ManageJobs)?;
        let limit = crate::schedules::PRUNE_BATCH;
        let policy = PrunePolicy {
            completed_after: request.completed_after,
            discarded_after: request.discarded_after,
            limit,
        };
        let mut total = 0;
        loop {
            let pruned = self.services.store().jobs_prune(policy).await?;
            total += pruned;
            if pruned < u64::from(limit) {
                self.services.jobs_changed();
                return Ok(total);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Change {
    Retry,
    Cancel,
}
