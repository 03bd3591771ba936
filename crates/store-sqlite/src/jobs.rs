//! The queue.

mod candidates;
mod claim;
mod enqueue;
mod finish;
mod leases;
mod list;
mod manage;
mod rooms;
mod view;

use std::{num::NonZeroU32, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{
    Cursor, EnqueuedJob, Job, JobFilter, JobId, JobKind, JobState, JobStats, KindStatus, LeaseToken, Page,
};
use hostatlas_store::{
    ChangedJobs, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJob, EnqueueJobs, EnqueuedJobs, FinishJobs,
    JobSelection, JobStore, PrunePolicy, RenewJobs, Rescue, Rescued, StoreError,
};

use crate::{SqliteStore, copy, database::Size, error::corrupt};

/// Up to so many jobs an operation may share its commit with others: so the end of one batch of a worker and the claim
/// of its next are one commit.
const SMALL_BATCH: usize = 1_000;

fn size_of(jobs: usize) -> Size {
    if jobs <= SMALL_BATCH { Size::Small } else { Size::Bulk }
}

fn size_of_selection(selection: &JobSelection) -> Size {
    match selection {
        JobSelection::Ids(ids) => size_of(ids.len()),
        JobSelection::Matching { limit, .. } => size_of(*limit as usize),
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn job_enqueue(&self, params: EnqueueJob) -> Result<EnqueuedJob, StoreError> {
        self.database
            .write(Size::Small, move |connection, now| {
                Box::pin(async move {
                    copy::refuse_half(connection).await?;
                    enqueue::one(connection, now, params).await
                })
            })
            .await
    }

    async fn jobs_enqueue(&self, params: EnqueueJobs) -> Result<EnqueuedJobs, StoreError> {
        self.database
            .write(Size::Bulk, move |connection, now| {
                Box::pin(async move {
                    copy::refuse_half(connection).await?;
                    enqueue::many(connection, now, params).await
                })
            })
            .await
    }

    async fn jobs_claim(&self, params: ClaimJobs) -> Result<Vec<ClaimedJob>, StoreError> {
        match params.mode {
            ClaimMode::Peek => {
                self.database
                    .read(move |connection, now| Box::pin(claim::peek(connection, now, params)))
                    .await
            }
            ClaimMode::Lease => {
                // Small whatever its limit: a worker that asks has nothing to do.
                self.database
                    .write(Size::Small, move |connection, now| {
                        Box::pin(claim::lease(connection, now, params))
                    })
                    .await
            }
        }
    }

    async fn jobs_first_alone(&self, params: ClaimJobs) -> Result<bool, StoreError> {
        self.database.read(move |connection, now| Box::pin(claim::first_alone(connection, now, params))).await
    }

    async fn jobs_finish(&self, params: FinishJobs) -> Result<Vec<JobId>, StoreError> {
        if params.finished.is_empty() {
            return Ok(Vec::new());
        }
        let caches = self.caches.clone();
        let (lost, learned) = self
            .database
            .write(size_of(params.finished.len()), move |connection, now| {
                Box::pin(finish::finish(connection, now, params, caches))
            })
            .await?;
        self.caches.learn(learned);
        Ok(lost)
    }

    async fn jobs_renew(&self, params: RenewJobs) -> Result<Vec<JobId>, StoreError> {
        self.database
            .write(Size::Small, move |connection, now| Box::pin(leases::renew(connection, now, params)))
            .await
    }

    async fn jobs_release(&self, jobs: Vec<(JobId, LeaseToken)>) -> Result<(), StoreError> {
        self.database
            .write(Size::Small, move |connection, _| Box::pin(leases::release(connection, jobs)))
            .await
    }

    async fn jobs_rescue(&self, rescue: Rescue) -> Result<Rescued, StoreError> {
        let caches = self.caches.clone();
        self.database
            .write(Size::Small, move |connection, now| {
                Box::pin(leases::rescue(connection, now, rescue, caches))
            })
            .await
    }

    async fn jobs_retry(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError> {
        self.database
            .write(size_of_selection(&selection), move |connection, now| {
                Box::pin(manage::retry(connection, now, selection))
            })
            .await
    }

    async fn jobs_cancel(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError> {
        self.database
            .write(size_of_selection(&selection), move |connection, now| {
                Box::pin(manage::cancel(connection, now, selection))
            })
            .await
    }

    async fn jobs_list(
        &self,
        filter: JobFilter,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Job>, StoreError> {
        self.database
            .read(move |connection, now| Box::pin(list::list(connection, now, filter, cursor, limit)))
            .await
    }

    async fn job_get(&self, id: JobId) -> Result<Job, StoreError> {
        self.database.read(move |connection, now| Box::pin(list::get(connection, now, id))).await
    }

    async fn jobs_stats(&self) -> Result<JobStats, StoreError> {
        self.database.read(|connection, _| Box::pin(list::stats(connection))).await
    }

    async fn kinds_status(&self) -> Result<Vec<KindStatus>, StoreError> {
        self.database.read(|connection, _| Box::pin(list::kinds(connection))).await
    }

    async fn kind_pause(&self, kind: JobKind, paused: bool) -> Result<(), StoreError> {
        self.database
            .write(Size::Small, move |connection, now| Box::pin(manage::pause(connection, now, kind, paused)))
            .await
    }

    async fn kind_cap(&self, kind: JobKind, cap: Option<NonZeroU32>) -> Result<(), StoreError> {
        self.database
            .write(Size::Small, move |connection, _| Box::pin(manage::cap(connection, kind, cap)))
            .await
    }

    async fn jobs_prune(&self, policy: PrunePolicy) -> Result<u64, StoreError> {
        self.database
            .write(Size::Bulk, move |connection, now| Box::pin(manage::prune(connection, now, policy)))
            .await
    }

    async fn jobs_next_due(&self, kinds: &[JobKind]) -> Result<Option<Duration>, StoreError> {
        let kinds = claim::mask(kinds);
        self.database.read(move |connection, now| Box::pin(claim::next_due(connection, now, kinds))).await
    }

    // The engine tells no other process of a commit.
    async fn jobs_heard(&self) {
        std::future::pending::<()>().await;
    }
}

/// How many kinds this version knows. Jobs whose kind has a higher number were queued by a newer version: they are its
/// own, and nothing here shows, changes or removes them.
pub(crate) const KINDS: i64 = 4;
const _: () =
    assert!(JobKind::ALL.len() == 4, "another kind: say so in `KINDS`, and add its rows in a migration");

/// The kind of this number; none for one that only a newer version knows.
fn known(number: i64) -> Option<JobKind> {
    u8::try_from(number).ok().and_then(JobKind::from_number)
}

fn kind_of(number: i64) -> Result<JobKind, StoreError> {
    known(number).ok_or_else(|| corrupt("a kind of job"))
}

fn state_of(number: i64) -> Result<JobState, StoreError> {
    let state = u8::try_from(number).ok().and_then(JobState::from_number);
    state.ok_or_else(|| corrupt("a state of a job"))
}
