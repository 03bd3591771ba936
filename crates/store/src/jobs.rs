use std::{num::NonZeroU32, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{
    Address, Cursor, EnqueuedJob, HostId, Job, JobFilter, JobId, JobKind, JobStats, KindStatus, LeaseToken,
    Page, PortNumber, Priority, Protocol, RefusedJob, UnlocatedReason,
};

use crate::{Attempt, HostSelection, StoreError};

/// Who holds a lease: unique per process start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub i64);

/// A request for one job.
#[derive(Clone, Debug)]
pub struct EnqueueJob {
    /// What to do.
    pub kind: JobKind,
    /// About which host.
    pub address: Address,
    /// On which port, for the kinds that need one.
    pub port: Option<(PortNumber, Protocol)>,
    /// How urgent.
    pub priority: Priority,
    /// Not before this has passed.
    pub delay: Duration,
    /// Whether age and cache are bypassed.
    pub force: bool,
}

/// A request for a geolocation job for each of many hosts.
#[derive(Clone, Debug)]
pub struct EnqueueJobs {
    /// For which hosts.
    pub selection: HostSelection,
    /// Only those after this address: the `next` of the answer before.
    pub after: Option<Address>,
    /// At most so many hosts in this transaction.
    pub limit: u32,
    /// How urgent.
    pub priority: Priority,
    /// Whether age and cache are bypassed.
    pub force: bool,
}

/// What a bulk request did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnqueuedJobs {
    /// Hosts considered.
    pub considered: u64,
    /// Jobs made.
    pub queued: u64,
    /// Hosts that already had a live job, which took the request in.
    pub duplicate: u64,
    /// Where to go on; none at the end.
    pub next: Option<Address>,
}

/// Whether claiming marks jobs as running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimMode {
    /// Marks them running, counts the attempt, takes a lease.
    Lease,
    /// Only reads them; they stay waiting and are finished with [`Fence::Waiting`]. Sound only for the one process
    /// that holds the worker role, and for work without effects outside the database.
    Peek,
}

/// A request for jobs to run.
#[derive(Clone, Debug)]
pub struct ClaimJobs {
    /// Which kinds; paused ones are left out by the store.
    pub kinds: Vec<JobKind>,
    /// At most so many.
    pub limit: u32,
    /// For how long.
    pub lease: Duration,
    /// For whom.
    pub worker: WorkerId,
    /// Whether they are marked running.
    pub mode: ClaimMode,
    /// Whether to take the jobs that wait longest, of any priority, instead of the most urgent.
    pub oldest_first: bool,
    /// At most so many jobs that were running when their worker died; jobs whose group of such died again come alone.
    pub crashed_limit: u32,
    /// Whether one that has to come alone may come at all: only while the worker has nothing else to run. Where it may
    /// not and is the first, nothing comes, so that it is not passed over.
    pub alone: bool,
    /// With [`ClaimMode::Peek`]: jobs to leave out, since they are in flight.
    pub except: Vec<JobId>,
}

impl ClaimJobs {
    /// How many jobs whose worker died so often come together, and with no others: the reason may be among them.
    ///
    /// What never met a death comes by the limit. After the first death the suspects come in small groups, after
    /// further ones alone, so that whoever kills its worker is found in three deaths and its neighbours survive.
    pub fn together(&self, crash_count: u32) -> u32 {
        match crash_count {
            0 => self.limit,
            1 => self.crashed_limit.clamp(1, self.limit.max(1)),
            _ => self.limit.min(self.alone.into()),
        }
    }
}

/// A job to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedJob {
    /// Its id.
    pub id: JobId,
    /// The fence for everything that follows: with [`ClaimMode::Peek`] the token that it has while it waits.
    pub token: LeaseToken,
    /// What to do.
    pub kind: JobKind,
    /// About which host.
    pub host: HostId,
    /// Its address.
    pub address: Address,
    /// On which port.
    pub port: Option<(PortNumber, Protocol)>,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
    /// How many are allowed.
    pub max_attempts: u32,
    /// Whether age and cache are bypassed.
    pub force: bool,
    /// How often its worker died while it ran.
    pub crash_count: u32,
    /// Whether its host was located after the job was queued, so that an unforced job has nothing left to do.
    pub satisfied: bool,
}

/// What must still hold for a finish to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The job is running under this token.
    Running,
    /// The job still waits, its token unchanged.
    Waiting,
}

/// Bytes that are kept of what a job found, or of why it waits: a few words, for a column of a list.
pub const RESULT_BYTES: usize = 256;
/// Bytes that are kept of what failed, and of what recurring work says of itself: a message with its causes, and no page
/// of HTML that somebody answered with.
pub const ERROR_BYTES: usize = 1_024;

/// What becomes of a job; the queue decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Completed; with what it found, at most [`RESULT_BYTES`].
    Completed(String),
    /// Waits again, and the attempt is given back; says why it waits, in at most [`RESULT_BYTES`].
    Snoozed(Duration, String),
    /// Waits again after a failure; what failed, at most [`ERROR_BYTES`].
    Retryable(Duration, String),
    /// Given up; what failed, at most [`ERROR_BYTES`]. A pending host becomes unlocated for this reason.
    Discarded(String, UnlocatedReason),
}

/// How one job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The job.
    pub id: JobId,
    /// Its token.
    pub token: LeaseToken,
    /// Its host.
    pub host: HostId,
    /// What becomes of it.
    pub settled: Settled,
    /// What to write about its host if the fence holds.
    pub effect: Option<Attempt>,
}

/// A batch of ends.
#[derive(Clone, Debug)]
pub struct FinishJobs {
    /// Under which fence.
    pub fence: Fence,
    /// The jobs.
    pub finished: Vec<Finished>,
    /// How long ago the work was done.
    pub age: Duration,
}

/// A heartbeat.
#[derive(Clone, Debug)]
pub struct RenewJobs {
    /// What is still being worked on.
    pub jobs: Vec<(JobId, LeaseToken)>,
    /// For how long from now.
    pub lease: Duration,
}

/// Whose running jobs are taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescue {
    /// Those whose lease ran out.
    Expired,
    /// Those whose lease ran out so long ago: whoever has to look for them did not.
    Overdue(Duration),
    /// Those that a worker claimed before its session ended, whatever is left of their leases. What it claimed after that
    /// is its own: it lives.
    Ended {
        /// Whose.
        worker: WorkerId,
        /// How long ago its session was gone.
        ago: Duration,
    },
    /// All: the caller has just taken the worker role, so no worker lives.
    All,
}

/// What a rescue did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Jobs that wait again.
    pub rescued: u64,
    /// Jobs given up: their worker died three times while they ran alone.
    pub discarded: u64,
}

/// Which jobs a person means.
#[derive(Clone, Debug)]
pub enum JobSelection {
    /// These.
    Ids(Vec<JobId>),
    /// All that match, at most `limit` in one transaction.
    Matching {
        /// Which.
        filter: JobFilter,
        /// At most so many.
        limit: u32,
    },
}

/// What a bulk action did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedJobs {
    /// Jobs that changed.
    pub changed: u64,
    /// Jobs that could not: in a state from which it is not allowed, or with a live job of the same key.
    pub skipped: u64,
    /// Why, for each skipped job that was named by its id, in the order of naming. Empty where jobs were selected by a
    /// filter.
    pub refused: Vec<RefusedJob>,
}

/// When finished jobs are deleted.
#[derive(Clone, Copy, Debug)]
pub struct PrunePolicy {
    /// Completed and cancelled ones after this.
    pub completed_after: Duration,
    /// Discarded ones after this.
    pub discarded_after: Duration,
    /// At most so many in this transaction.
    pub limit: u32,
}

/// The queue's storage.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Queues a job, or merges the request into the live job of the same host, kind and port: `force` is or-ed,
    /// the time becomes the earlier, the priority the more urgent. A running job that meets a forced request runs
    /// again afterwards. [`StoreError::UnknownHost`] if no scan saw the address.
    async fn job_enqueue(&self, params: EnqueueJob) -> Result<EnqueuedJob, StoreError>;

    /// Queues geolocation jobs for the next hosts of a selection, merging as [`JobStore::job_enqueue`] does.
    async fn jobs_enqueue(&self, params: EnqueueJobs) -> Result<EnqueuedJobs, StoreError>;

    /// The next jobs to run: strictly by priority, then time, then id, but for what ADR 17 says of a store beside which
    /// somebody holds an old snapshot. No job is returned to two workers for the same
    /// token. Of a kind with a cap so many come that no more than its cap run: with [`ClaimMode::Peek`], those in
    /// `except` count as running. An empty answer means that nothing is due, that the cap is reached, or that the first
    /// has to run alone and may not.
    async fn jobs_claim(&self, params: ClaimJobs) -> Result<Vec<ClaimedJob>, StoreError>;

    /// Whether the first of the jobs that [`JobStore::jobs_claim`] would choose from has to run alone.
    async fn jobs_first_alone(&self, params: ClaimJobs) -> Result<bool, StoreError>;

    /// Ends attempts and applies their effects, only to jobs whose fence holds; answers those whose fence did not,
    /// and about which nothing was changed. A job whose rerun was asked for becomes available, whatever its end.
    async fn jobs_finish(&self, params: FinishJobs) -> Result<Vec<JobId>, StoreError>;

    /// Extends leases; answers the jobs whose lease was lost.
    async fn jobs_renew(&self, params: RenewJobs) -> Result<Vec<JobId>, StoreError>;

    /// Gives jobs back that were not worked on: available again, the attempt not counted, the token kept.
    async fn jobs_release(&self, jobs: Vec<(JobId, LeaseToken)>) -> Result<(), StoreError>;

    /// Takes back running jobs whose worker is gone, and counts the crash.
    async fn jobs_rescue(&self, rescue: Rescue) -> Result<Rescued, StoreError>;

    /// Makes finished, scheduled and retryable jobs available now, with all their attempts. Where several finished jobs
    /// have one key, the newest is revived; a key with a live job is skipped.
    async fn jobs_retry(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError>;

    /// Cancels live jobs; about their hosts nothing changes.
    async fn jobs_cancel(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError>;

    /// Jobs, newest first.
    async fn jobs_list(
        &self,
        filter: JobFilter,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Job>, StoreError>;

    /// One job. [`StoreError::UnknownJob`] if there is none.
    async fn job_get(&self, id: JobId) -> Result<Job, StoreError>;

    /// All counts, from counters.
    async fn jobs_stats(&self) -> Result<JobStats, StoreError>;

    /// Each kind with its counts, pause and oldest waiting job. `served` is left false: the caller knows.
    async fn kinds_status(&self) -> Result<Vec<KindStatus>, StoreError>;

    /// Pauses or resumes a kind; what runs goes on.
    async fn kind_pause(&self, kind: JobKind, paused: bool) -> Result<(), StoreError>;

    /// Bounds how many jobs of a kind run at once, over all processes; none for no bound. What runs goes on. To run
    /// none there is [`JobStore::kind_pause`].
    async fn kind_cap(&self, kind: JobKind, cap: Option<NonZeroU32>) -> Result<(), StoreError>;

    /// Deletes finished jobs that are old enough; answers how many.
    async fn jobs_prune(&self, policy: PrunePolicy) -> Result<u64, StoreError>;

    /// How long until the next unpaused job of these kinds can be claimed; zero if one can, none if none waits.
    async fn jobs_next_due(&self, kinds: &[JobKind]) -> Result<Option<Duration>, StoreError>;

    /// Returns when another process may have queued jobs. A hint: it may come for nothing, and it may never come, so
    /// whoever waits also looks every second. Dropping the future is free.
    async fn jobs_heard(&self);
}
