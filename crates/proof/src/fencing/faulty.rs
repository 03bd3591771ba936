//! A real queue with one mistake in front of it.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use hostatlas_domain::{
    Cursor, EnqueuedJob, Job, JobFilter, JobId, JobKind, JobState, JobStats, KindStatus, LeaseToken, Page,
};
use hostatlas_store::{
    ChangedJobs, ClaimJobs, ClaimedJob, EnqueueJob, EnqueueJobs, EnqueuedJobs, Fence, FinishJobs,
    JobSelection, JobStore, PrunePolicy, RenewJobs, Rescue, Rescued, Settled, Store, StoreError,
};

use super::Fault;

/// A store's queue that makes one mistake, as a backend would whose statement lacks a condition. Whoever talks to it
/// sees what it would see of such a backend.
///
/// No statement is changed: the backends' SQL is the product's, and has no switch for faults. The mistake is made in what
/// is handed to a sound backend, or in what it answers. Each stands for a statement:
///
/// | fault | the statement that it stands for | how it is made here |
/// |---|---|---|
/// | [`Fault::FinishWithoutToken`] | `jobs_finish` without `AND lease_token = ...` | the token that is handed in is replaced by the live one |
/// | [`Fault::SnoozeWithoutToken`] | the same, for the ends that are snoozes alone | the same, for those |
/// | [`Fault::RenewWithoutToken`] | `jobs_renew` without `AND lease_token = ...` | the same, for heartbeats |
/// | [`Fault::ClaimKeepsToken`] | `jobs_claim` without `lease_token = lease_token + 1` | every claim is told the token 1, and whatever token is handed in is replaced by the live one |
/// | [`Fault::RescueIgnoresLease`] | `jobs_rescue` without `AND leased_until <= ...` | a rescue of expired leases becomes one of all |
/// | [`Fault::ReleaseTouchesToken`] | `jobs_release` with `lease_token = lease_token + 1` | after a release of its own, tokens that are told run ahead by one more |
/// | [`Fault::RetryEndsLiveJob`] | `jobs_retry` that cancels the live job of a key instead of leaving the finished one alone | that live job is cancelled first |
/// | [`Fault::CancelLeavesLease`] | `jobs_cancel` that sets the state of a running job and leaves its token and lease | the running job is cancelled only in what lists and looks say of it |
/// | [`Fault::MergeForgetsRerun`] | the merge of a forced request into a live job without `rerun = 1` | the request is handed on unforced |
/// | [`Fault::RescueForgetsCrash`] | `jobs_rescue` without `crash_count = crash_count + 1` | claims say that no worker died with a job; the backend still counts, so that this shows in what a claim says, not in when a job is given up |
/// | [`Fault::PeekedEndInAnyState`] | the end of a peeked job without `AND state < 3` | a finished job is made available first |
/// | [`Fault::PeekedEndWithoutToken`] | the same without `AND lease_token = ...` | the token that is handed in is replaced by the live one |
/// | [`Fault::PeekedEndKeepsToken`] | the same without `lease_token = lease_token + 1` | after such an end, tokens that are told lag by one more |
///
/// So this shows that the comparison notices such a mistake, not which line of a backend's SQL prevents it.
pub struct Faulty {
    inner: Arc<dyn Store>,
    fault: Fault,
    known: Mutex<Known>,
}

/// What the mistakes need to know.
#[derive(Default)]
struct Known {
    /// The live token of each job.
    tokens: HashMap<JobId, i64>,
    /// How far the tokens that are told run ahead of the real ones.
    ahead: HashMap<JobId, i64>,
    /// Jobs that were cancelled on paper and still run.
    on_paper: HashSet<JobId>,
}

impl Faulty {
    /// Puts `fault` in front of `inner`.
    pub fn new(inner: Arc<dyn Store>, fault: Fault) -> Self {
        Self { inner, fault, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token that is told for the real one of a claim.
    fn tell(&self, job: JobId, real: LeaseToken) -> LeaseToken {
        let mut known = self.known();
        known.tokens.insert(job, real.0);
        if self.fault == Fault::ClaimKeepsToken {
            return LeaseToken(1);
        }
        LeaseToken(real.0 + known.ahead.get(&job).copied().unwrap_or(0))
    }

    /// The real token for one that was told.
    fn real(&self, job: JobId, told: LeaseToken, any: bool) -> LeaseToken {
        let known = self.known();
        match known.tokens.get(&job) {
            Some(live) if any || self.fault == Fault::ClaimKeepsToken => LeaseToken(*live),
            _ => LeaseToken(told.0 - known.ahead.get(&job).copied().unwrap_or(0)),
        }
    }

    fn seen(&self, mut job: Job) -> Job {
        if job.state == JobState::Running && self.known().on_paper.contains(&job.id) {
            job.state = JobState::Cancelled;
        }
        job
    }

    /// Cancels the live jobs of the keys of these finished ones.
    async fn make_room(&self, ids: &[JobId]) -> Result<(), StoreError> {
        for id in ids {
            let job = self.inner.job_get(*id).await?;
            if job.state.is_live() {
                continue;
            }
            let filter = JobFilter { ip: Some(job.ip), kind: Some(job.kind), state: None };
            let page = self.inner.jobs_list(filter, None, 100).await?;
            let live = page.items.iter().filter(|other| other.state.is_live() && other.port == job.port);
            let live: Vec<JobId> = live.map(|other| other.id).collect();
            self.inner.jobs_cancel(JobSelection::Ids(live)).await?;
        }
        Ok(())
    }

    /// Finishes jobs that were only looked at.
    async fn finish_peeked(&self, mut params: FinishJobs) -> Result<Vec<JobId>, StoreError> {
        for finished in &mut params.finished {
            let any = self.fault == Fault::PeekedEndWithoutToken;
            finished.token = self.real(finished.id, finished.token, any);
        }
        if self.fault == Fault::PeekedEndInAnyState {
            self.make_waiting(&params).await?;
        }
        let ended: Vec<(JobId, LeaseToken)> =
            params.finished.iter().map(|finished| (finished.id, finished.token)).collect();
        let lost = self.inner.jobs_finish(params).await?;
        let mut known = self.known();
        for (job, token) in ended.into_iter().filter(|(job, _)| !lost.contains(job)) {
            known.tokens.insert(job, token.0 + 1);
            if self.fault == Fault::PeekedEndKeepsToken {
                *known.ahead.entry(job).or_default() -= 1;
            }
        }
        Ok(lost)
    }

    /// Makes those of these jobs wait that are finished under the token that is handed in.
    async fn make_waiting(&self, params: &FinishJobs) -> Result<(), StoreError> {
        for finished in &params.finished {
            let live = self.known().tokens.get(&finished.id) == Some(&finished.token.0);
            if live && !self.inner.job_get(finished.id).await?.state.is_live() {
                self.inner.jobs_retry(JobSelection::Ids(vec![finished.id])).await?;
            }
        }
        Ok(())
    }

    /// Cancels those of these jobs that do not run, and the others on paper.
    async fn cancel_on_paper(&self, ids: Vec<JobId>) -> Result<ChangedJobs, StoreError> {
        let (mut others, mut running) = (Vec::new(), 0);
        for id in ids {
            if self.inner.job_get(id).await?.state == JobState::Running && self.known().on_paper.insert(id) {
                running += 1;
            } else {
                others.push(id);
            }
        }
        let mut changed = self.inner.jobs_cancel(JobSelection::Ids(others)).await?;
        changed.changed += running;
        Ok(changed)
    }
}

#[async_trait]
impl JobStore for Faulty {
    async fn job_enqueue(&self, mut params: EnqueueJob) -> Result<EnqueuedJob, StoreError> {
        params.force &= self.fault != Fault::MergeForgetsRerun;
        self.inner.job_enqueue(params).await
    }

    async fn jobs_enqueue(&self, params: EnqueueJobs) -> Result<EnqueuedJobs, StoreError> {
        self.inner.jobs_enqueue(params).await
    }

    async fn jobs_claim(&self, params: ClaimJobs) -> Result<Vec<ClaimedJob>, StoreError> {
        let mut claimed = self.inner.jobs_claim(params).await?;
        for job in &mut claimed {
            job.token = self.tell(job.id, job.token);
            if self.fault == Fault::RescueForgetsCrash {
                job.crash_count = 0;
            }
        }
        Ok(claimed)
    }

    async fn jobs_first_alone(&self, params: ClaimJobs) -> Result<bool, StoreError> {
        self.inner.jobs_first_alone(params).await
    }

    async fn jobs_finish(&self, mut params: FinishJobs) -> Result<Vec<JobId>, StoreError> {
        if params.fence == Fence::Waiting {
            return self.finish_peeked(params).await;
        }
        for finished in &mut params.finished {
            let snoozed = matches!(finished.settled, Settled::Snoozed(..));
            let any =
                self.fault == Fault::FinishWithoutToken || self.fault == Fault::SnoozeWithoutToken && snoozed;
            finished.token = self.real(finished.id, finished.token, any);
        }
        self.inner.jobs_finish(params).await
    }

    async fn jobs_renew(&self, mut params: RenewJobs) -> Result<Vec<JobId>, StoreError> {
        for (job, token) in &mut params.jobs {
            *token = self.real(*job, *token, self.fault == Fault::RenewWithoutToken);
        }
        self.inner.jobs_renew(params).await
    }

    async fn jobs_release(&self, mut jobs: Vec<(JobId, LeaseToken)>) -> Result<(), StoreError> {
        for (job, token) in &mut jobs {
            *token = self.real(*job, *token, false);
        }
        self.inner.jobs_release(jobs.clone()).await?;
        if self.fault == Fault::ReleaseTouchesToken {
            let mut known = self.known();
            for (job, token) in jobs {
                if known.tokens.get(&job) == Some(&token.0) {
                    *known.ahead.entry(job).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    async fn jobs_rescue(&self, rescue: Rescue) -> Result<Rescued, StoreError> {
        let rescue = if self.fault == Fault::RescueIgnoresLease { Rescue::All } else { rescue };
        self.inner.jobs_rescue(rescue).await
    }

    async fn jobs_retry(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError> {
        if let JobSelection::Ids(ids) = &selection
            && self.fault == Fault::RetryEndsLiveJob
        {
            self.make_room(ids).await?;
        }
        self.inner.jobs_retry(selection).await
    }

    async fn jobs_cancel(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError> {
        match selection {
            JobSelection::Ids(ids) if self.fault == Fault::CancelLeavesLease => {
                self.cancel_on_paper(ids).await
            }
            selection => self.inner.jobs_cancel(selection).await,
        }
    }

    async fn jobs_list(
        &self,
        filter: JobFilter,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Job>, StoreError> {
        let mut page = self.inner.jobs_list(filter, cursor, limit).await?;
        page.items = page.items.into_iter().map(|job| self.seen(job)).collect();
        Ok(page)
    }

    async fn job_get(&self, id: JobId) -> Result<Job, StoreError> {
        Ok(self.seen(self.inner.job_get(id).await?))
    }

    async fn jobs_stats(&self) -> Result<JobStats, StoreError> {
        self.inner.jobs_stats().await
    }

    async fn kinds_status(&self) -> Result<Vec<KindStatus>, StoreError> {
        self.inner.kinds_status().await
    }

    async fn kind_pause(&self, kind: JobKind, paused: bool) -> Result<(), StoreError> {
        self.inner.kind_pause(kind, paused).await
    }

    async fn kind_cap(&self, kind: JobKind, cap: Option<NonZeroU32>) -> Result<(), StoreError> {
        self.inner.kind_cap(kind, cap).await
    }

    async fn jobs_prune(&self, policy: PrunePolicy) -> Result<u64, StoreError> {
        self.inner.jobs_prune(policy).await
    }

    async fn jobs_next_due(&self, kinds: &[JobKind]) -> Result<Option<std::time::Duration>, StoreError> {
        self.inner.jobs_next_due(kinds).await
    }

    async fn jobs_heard(&self) {
        self.inner.jobs_heard().await;
    }
}
