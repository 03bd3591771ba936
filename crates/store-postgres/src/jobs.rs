//! The queue.
//!
//! Whoever makes a job live, or changes whether a pending host has a live one, locks the host first: hosts by address,
//! then jobs by id. So what is counted of a host never depends on who commits first, and nobody waits in a circle.

mod candidates;
mod claim;
mod enqueue;
mod finish;
mod leases;
mod list;
mod manage;
mod rooms;
mod view;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{
    Cursor, EnqueuedJob, Job, JobFilter, JobId, JobKind, JobState, JobStats, KindStatus, LeaseToken, Page,
};
use hostatlas_store::{
    ChangedJobs, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJob, EnqueueJobs, EnqueuedJobs, Fence, FinishJobs,
    JobSelection, JobStore, PrunePolicy, RenewJobs, Rescue, Rescued, StoreError,
};

use crate::{PostgresStore, copy, error::corrupt};

/// What this backend says where work is asked for that only a single process may do.
fn not_alone(what: &str) -> StoreError {
    StoreError::NotSupported {
        what: format!("PostgreSQL is shared by many workers: {what}"),
        remedy: "claim jobs with a lease".to_owned(),
    }
}

#[async_trait]
impl JobStore for PostgresStore {
    async fn job_enqueue(&self, params: EnqueueJob) -> Result<EnqueuedJob, StoreError> {
        self.database
            .write(move |connection, now| {
                let params = params.clone();
                Box::pin(async move {
                    copy::refuse_half(connection).await?;
                    enqueue::one(connection, now, &params).await
                })
            })
            .await
    }

    async fn jobs_enqueue(&self, params: EnqueueJobs) -> Result<EnqueuedJobs, StoreError> {
        let params = Arc::new(params);
        self.database
            .write(move |connection, now| {
                let params = Arc::clone(&params);
                Box::pin(async move {
                    copy::refuse_half(connection).await?;
                    enqueue::many(connection, now, &params).await
                })
            })
            .await
    }

    async fn jobs_claim(&self, params: ClaimJobs) -> Result<Vec<ClaimedJob>, StoreError> {
        if params.mode == ClaimMode::Peek {
            return Err(not_alone("jobs cannot be run without being marked as running"));
        }
        let params = Arc::new(params);
        self.database
            .write(move |connection, now| {
                let params = Arc::clone(&params);
                Box::pin(async move { claim::lease(connection, now, &params).await })
            })
            .await
    }

    async fn jobs_first_alone(&self, params: ClaimJobs) -> Result<bool, StoreError> {
        let params = Arc::new(params);
        // What it finds it locks for a moment, as a claim does: what others hold is not the first.
        self.database
            .write(move |connection, now| {
                let params = Arc::clone(&params);
                Box::pin(async move { claim::first_alone(connection, now, &params).await })
            })
            .await
    }

    async fn jobs_finish(&self, params: FinishJobs) -> Result<Vec<JobId>, StoreError> {
        if params.fence == Fence::Waiting {
            return Err(not_alone("jobs that are not marked as running cannot be finished"));
        }
        if params.finished.is_empty() {
            return Ok(Vec::new());
        }
        let (batch, caches) = (Arc::new(finish::Batch::new(params)), self.caches.clone());
        let (lost, learned) = self
            .database
            .write(move |connection, now| {
                let (batch, caches) = (Arc::clone(&batch), caches.clone());
                Box::pin(async move { finish::finish(connection, now, &batch, &caches).await })
            })
            .await?;
        self.caches.learn(learned);
        Ok(lost)
    }

    async fn jobs_renew(&self, params: RenewJobs) -> Result<Vec<JobId>, StoreError> {
        let params = Arc::new(params);
        self.database
            .write(move |connection, now| {
                let params = Arc::clone(&params);
                Box::pin(async move { leases::renew(connection, now, &params).await })
            })
            .await
    }

    async fn jobs_release(&self, jobs: Vec<(JobId, LeaseToken)>) -> Result<(), StoreError> {
        let jobs = Arc::new(jobs);
        self.database
            .write(move |connection, _| {
                let jobs = Arc::clone(&jobs);
                Box::pin(async move { leases::release(connection, &jobs).await })
            })
            .await
    }

    async fn jobs_rescue(&self, rescue: Rescue) -> Result<Rescued, StoreError> {
        let mut sum = Rescued::default();
        loop {
            let caches = self.caches.clone();
            let (rescued, is_last) = self
                .database
                .write(move |connection, now| {
                    let caches = caches.clone();
                    Box::pin(async move { leases::rescue(connection, now, rescue, &caches).await })
                })
                .await?;
            sum.rescued += rescued.rescued;
            sum.discarded += rescued.discarded;
            if is_last {
                return Ok(sum);
            }
        }
    }

    async fn jobs_retry(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError> {
        let selection = Arc::new(selection);
        self.database
            .write(move |connection, now| {
                let selection = Arc::clone(&selection);
                Box::pin(async move { manage::retry(connection, now, &selection).await })
            })
            .await
    }

    async fn jobs_cancel(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError> {
        let selection = Arc::new(selection);
        self.database
            .write(move |connection, now| {
                let selection = Arc::clone(&selection);
                Box::pin(async move { manage::cancel(connection, now, &selection).await })
            })
            .await
    }

    async fn jobs_list(
        &self,
        filter: JobFilter,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> Result<Page<Job>, StoreError> {
        let before = cursor.map_or(Ok(i64::MAX), |cursor| cursor.number(0))?;
        let filter = Arc::new(filter);
        self.database
            .read(move |connection, now| {
                let filter = Arc::clone(&filter);
                Box::pin(async move { list::list(connection, now, &filter, before, limit).await })
            })
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
            .write(move |connection, now| Box::pin(manage::pause(connection, now, kind, paused)))
            .await
    }

    async fn kind_cap(&self, kind: JobKind, cap: Option<NonZeroU32>) -> Result<(), StoreError> {
        self.database.write(move |connection, _| Box::pin(manage::cap(connection, kind, cap))).await
    }

    async fn jobs_prune(&self, policy: PrunePolicy) -> Result<u64, StoreError> {
        self.database.write(move |connection, now| Box::pin(manage::prune(connection, now, policy))).await
    }

    async fn jobs_next_due(&self, kinds: &[JobKind]) -> Result<Option<Duration>, StoreError> {
        let kinds = Arc::new(kinds.to_vec());
        self.database
            .read(move |connection, now| {
                let kinds = Arc::clone(&kinds);
                Box::pin(async move { claim::next_due(connection, now, &kinds).await })
            })
            .await
    }

    async fn jobs_heard(&self) {
        self.listener.heard().await;
    }
}

/// How many kinds this version knows. Jobs whose kind has a higher number were queued by a newer version: they are its
/// own, and nothing here shows, changes or removes them.
pub(crate) const KINDS: i16 = 4;
const _: () =
    assert!(JobKind::ALL.len() == 4, "another kind: say so in `KINDS`, and add its rows in a migration");

/// The kind of this number; none for one that only a newer version knows.
fn known(number: i16) -> Option<JobKind> {
    u8::try_from(number).ok().and_then(JobKind::from_number)
}

fn kind_of(number: i16) -> Result<JobKind, StoreError> {
    known(number).ok_or_else(|| corrupt("a kind of job"))
}

fn state_of(number: i16) -> Result<JobState, StoreError> {
    let state = u8::try_from(number).ok().and_then(JobState::from_number);
    state.ok_or_else(|| corrupt("a state of a job"))
}

/// The numbers of kinds, for a `smallint[]` parameter.
fn numbers(kinds: &[JobKind]) -> Vec<i16> {
    kinds.iter().map(|kind| i16::from(kind.number())).collect()
}

/// `now` and a duration.
fn later(now: i64, duration: Duration) -> i64 {
    now.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
