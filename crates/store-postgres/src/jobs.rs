//! The queue.
//!
//! Whoever makes a job live, or changes whether a pending host has a live one, locks the host first: hosts by address,
//! then jobs by id. So what is counted of a host never depends on who commits first, and nobody waits in a circle.

mod candidates;
mod claim;
mod enqueue;
mod finish;
mod frontier;
mod leases;
mod list;
mod manage;
mod rooms;
mod view;

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hostatlas_domain::{
    Cursor, EnqueuedJob, Job, JobFilter, JobId, JobKind, JobState, JobStats, KindStatus, LeaseToken, Page,
};
use hostatlas_store::{
    ChangedJobs, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJob, EnqueueJobs, EnqueuedJobs, Fence, FinishJobs,
    JobSelection, JobStore, PrunePolicy, RenewJobs, Rescue, Rescued, StoreError,
};

pub(crate) use self::frontier::Frontier;
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
            .write_with(params, |connection, now, params| {
                Box::pin(async move {
                    copy::refuse_half(connection).await?;
                    enqueue::one(connection, now, params).await
                })
            })
            .await
    }

    async fn jobs_enqueue(&self, params: EnqueueJobs) -> Result<EnqueuedJobs, StoreError> {
        self.database
            .write_with(params, |connection, now, params| {
                Box::pin(async move {
                    copy::refuse_half(connection).await?;
                    enqueue::many(connection, now, params).await
                })
            })
            .await
    }

    async fn jobs_claim(&self, params: ClaimJobs) -> Result<Vec<ClaimedJob>, StoreError> {
        if params.mode == ClaimMode::Peek {
            return Err(not_alone("jobs cannot be run without being marked as running"));
        }
        self.database
            .write_with((params, Arc::clone(&self.frontier)), |connection, now, (params, frontier)| {
                Box::pin(claim::lease(connection, now, params, frontier))
            })
            .await
    }

    async fn jobs_first_alone(&self, params: ClaimJobs) -> Result<bool, StoreError> {
        // What it finds it locks for a moment, as a claim does: what others hold is not the first.
        self.database
            .write_with(params, |connection, now, params| {
                Box::pin(claim::first_alone(connection, now, params))
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
        let (lost, learned) = self
            .database
            .write_with(
                (finish::Batch::new(params), self.caches.clone()),
                |connection, now, (batch, caches)| Box::pin(finish::finish(connection, now, batch, caches)),
            )
            .await?;
        self.caches.learn(learned);
        Ok(lost)
    }

    async fn jobs_renew(&self, params: RenewJobs) -> Result<Vec<JobId>, StoreError> {
        self.database
            .write_with(params, |connection, now, params| Box::pin(leases::renew(connection, now, params)))
            .await
    }

    async fn jobs_release(&self, jobs: Vec<(JobId, LeaseToken)>) -> Result<(), StoreError> {
        self.database
            .write_with(jobs, |connection, _, jobs| Box::pin(leases::release(connection, jobs)))
            .await
    }

    async fn jobs_rescue(&self, rescue: Rescue) -> Result<Rescued, StoreError> {
        let mut sum = Rescued::default();
        let began = Instant::now();
        let looks_for_expired = matches!(rescue, Rescue::Expired | Rescue::Overdue(_));
        let after = if looks_for_expired { self.frontier.leased() } else { i64::MIN };
        loop {
            let (rescued, expired, is_last) = self
                .database
                .write_with(self.caches.clone(), move |connection, now, caches| {
                    Box::pin(leases::rescue(connection, now, rescue, after, caches))
                })
                .await?;
            sum.rescued += rescued.rescued;
            sum.discarded += rescued.discarded;
            if is_last {
                if after == i64::MIN && looks_for_expired {
                    self.frontier.note_leased(expired, began.elapsed());
                }
                return Ok(sum);
            }
        }
    }

    async fn jobs_retry(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError> {
        self.database
            .write_with(selection, |connection, now, selection| {
                Box::pin(manage::retry(connection, now, selection))
            })
            .await
    }

    async fn jobs_cancel(&self, selection: JobSelection) -> Result<ChangedJobs, StoreError> {
        self.database
            .write_with(selection, |connection, now, selection| {
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
        let before = cursor.map_or(Ok(i64::MAX), |cursor| cursor.number(0))?;
        self.database
            .read_with(filter, move |connection, now, filter| {
                Box::pin(list::list(connection, now, filter, before, limit))
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
        self.database
            .read_with(kinds.to_vec(), |connection, now, kinds| {
                Box::pin(claim::next_due(connection, now, kinds))
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

pub(crate) fn state_of(number: i16) -> Result<JobState, StoreError> {
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
