//! What people do to jobs, and housekeeping.

use std::{collections::HashSet, num::NonZeroU32};

use hostatlas_domain::{JobFilter, JobId, JobKind, JobState, Timestamp, Topic};
use hostatlas_store::{
    ChangedJobs, JobSelection, PrunePolicy, StoreError,
    backend::{cancelled, retried},
};
use sqlx::SqliteConnection;

use super::{
    KINDS,
    candidates::{self, Candidate},
    kind_of, state_of,
};
use crate::{
    counters::{CoverageDelta, JobDelta},
    database::touch,
    error::engine,
    locations::pending,
    packed::{id_array, rows},
};

/// How many jobs are read at once.
const CHUNK: u32 = 2_000;
/// After so many jobs that cannot be changed a transaction ends, so that the write lock is not held for long.
const EXAMINED_MOST: u64 = 100_000;

/// Makes jobs available again.
pub(super) async fn retry(
    connection: &mut SqliteConnection,
    now: i64,
    selection: JobSelection,
) -> Result<ChangedJobs, StoreError> {
    match selection {
        JobSelection::Ids(ids) => {
            let found = candidates::by_ids(connection, &ids).await?;
            let changed = revive(connection, now, &found, usize::MAX).await?;
            Ok(retried(&ids, found.iter().map(Candidate::before), &changed))
        }
        JobSelection::Matching { filter, limit } => match filter.ip {
            Some(ip) => {
                let found = candidates::of_host(connection, ip, &filter).await?;
                let changed = revive(connection, now, &found, limit as usize).await?;
                let skipped = (found.len() - changed.len()) as u64;
                Ok(ChangedJobs { changed: changed.len() as u64, skipped, ..ChangedJobs::default() })
            }
            None => retry_matching(connection, now, &filter, limit).await,
        },
    }
}

/// Goes through what matches, newest first, until `limit` jobs are changed.
async fn retry_matching(
    connection: &mut SqliteConnection,
    now: i64,
    filter: &JobFilter,
    limit: u32,
) -> Result<ChangedJobs, StoreError> {
    use JobState::{Cancelled, Completed, Discarded, Retryable, Scheduled};
    let wanted = |state: &JobState| filter.state.is_none_or(|wanted| wanted == *state);
    let rare: Vec<_> = [Scheduled, Retryable, Cancelled, Discarded].into_iter().filter(wanted).collect();
    let (mut sum, mut examined, mut before) = (ChangedJobs::default(), 0, i64::MAX);
    let done =
        |sum: &ChangedJobs, examined: u64| sum.changed >= u64::from(limit) || examined >= EXAMINED_MOST;
    while !rare.is_empty() && !done(&sum, examined) {
        let found = candidates::rare(connection, filter.kind, &rare, before, CHUNK).await?;
        let Some(last) = found.last() else { break };
        before = last.id;
        examined += retry_chunk(connection, now, &found, limit, &mut sum).await?;
    }
    let mut before = (i64::MAX, i64::MAX);
    while wanted(&Completed) && !done(&sum, examined) {
        let found = candidates::completed(connection, filter.kind, before, CHUNK).await?;
        let Some(last) = found.iter().map(|job| (job.finished_at, job.id)).min() else { break };
        before = last;
        examined += retry_chunk(connection, now, &found, limit, &mut sum).await?;
    }
    Ok(sum)
}

async fn retry_chunk(
    connection: &mut SqliteConnection,
    now: i64,
    found: &[Candidate],
    limit: u32,
    sum: &mut ChangedJobs,
) -> Result<u64, StoreError> {
    let left = usize::try_from(u64::from(limit).saturating_sub(sum.changed)).unwrap_or(usize::MAX);
    let changed = revive(connection, now, found, left).await?.len() as u64;
    let examined = found.len() as u64;
    sum.changed += changed;
    // Where the limit ended it, the rest was not refused but waits for the next transaction.
    if changed < left as u64 {
        sum.skipped += examined - changed;
    }
    Ok(examined)
}

/// Makes at most `limit` of these available, newest first; answers which.
async fn revive(
    connection: &mut SqliteConnection,
    now: i64,
    found: &[Candidate],
    limit: usize,
) -> Result<Vec<JobId>, StoreError> {
    let (mut counts, mut keys) = (JobDelta::default(), HashSet::new());
    let may = |job: &&Candidate| {
        job.state.may_become(JobState::Available)
            && job.state != JobState::Running
            && !job.replaced
            && (job.state.is_waiting() || keys.insert(job.key()))
    };
    let changed: Vec<&Candidate> = found.iter().filter(may).take(limit).collect();
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query(
        "UPDATE job SET state = 0, run_at = ?2, attempt = 0, crash_count = 0, finished_at = NULL, result = NULL \
         WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(id_array(changed.iter().map(|job| job.id)))
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    for job in &changed {
        counts.moved(job.kind, job.state, JobState::Available);
    }
    let revived = changed.iter().filter(|job| !job.state.is_live());
    count(connection, counts, revived, 1).await?;
    Ok(changed.iter().map(|job| JobId(job.id)).collect())
}

/// Writes the counts, and that pending hosts of these jobs have a live geolocation job more or less.
async fn count<'j>(
    connection: &mut SqliteConnection,
    counts: JobDelta,
    jobs: impl Iterator<Item = &'j &'j Candidate>,
    sign: i64,
) -> Result<(), StoreError> {
    let hosts: Vec<i64> = jobs.filter(|job| job.kind == JobKind::Geolocation).map(|job| job.host).collect();
    let mut coverage = CoverageDelta::default();
    coverage.pending_live(sign * pending(connection, &hosts).await?);
    counts.write(connection).await?;
    if coverage.write(connection).await? {
        touch(connection, &[Topic::Jobs, Topic::Coverage]).await
    } else {
        touch(connection, &[Topic::Jobs]).await
    }
}

/// Cancels live jobs.
pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    now: i64,
    selection: JobSelection,
) -> Result<ChangedJobs, StoreError> {
    let found = match &selection {
        JobSelection::Ids(ids) => candidates::by_ids(connection, ids).await?,
        JobSelection::Matching { filter, limit } => live_matching(connection, filter, *limit).await?,
    };
    let mut counts = JobDelta::default();
    let changed: Vec<&Candidate> = found.iter().filter(|job| job.state.is_live()).collect();
    let ids: Vec<JobId> = changed.iter().map(|job| JobId(job.id)).collect();
    let answer = match &selection {
        JobSelection::Ids(named) => cancelled(named, found.iter().map(Candidate::before), &ids),
        JobSelection::Matching { .. } => ChangedJobs { changed: ids.len() as u64, ..ChangedJobs::default() },
    };
    if changed.is_empty() {
        return Ok(answer);
    }
    sqlx::query(
        "UPDATE job SET state = 5, finished_at = ?2, leased_until = NULL, claimed_by = NULL, rerun = 0, \
         result = NULL WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(id_array(changed.iter().map(|job| job.id)))
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    for job in &changed {
        counts.moved(job.kind, job.state, JobState::Cancelled);
    }
    count(connection, counts, changed.iter(), -1).await?;
    Ok(answer)
}

async fn live_matching(
    connection: &mut SqliteConnection,
    filter: &JobFilter,
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    if let Some(ip) = filter.ip {
        let mut found = candidates::of_host(connection, ip, filter).await?;
        found.retain(|job| job.state.is_live());
        found.truncate(limit as usize);
        return Ok(found);
    }
    let wanted = |state: &JobState| state.is_live() && filter.state.is_none_or(|wanted| wanted == *state);
    let states: Vec<_> = JobState::ALL.into_iter().filter(wanted).collect();
    let waiting: Vec<_> = states.iter().copied().filter(|state| state.is_waiting()).collect();
    let mut found = Vec::new();
    if !waiting.is_empty() {
        found = candidates::waiting(connection, filter.kind, &waiting, limit).await?;
    }
    let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit));
    if left > 0 && states.contains(&JobState::Running) {
        found.extend(candidates::running(connection, filter.kind, left).await?);
    }
    Ok(found)
}

/// Pauses or resumes a kind. One that is paused already stays so since then.
pub(super) async fn pause(
    connection: &mut SqliteConnection,
    now: i64,
    kind: JobKind,
    paused: bool,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE job_kind SET paused_at = iif(?2, coalesce(paused_at, ?3), NULL) WHERE kind = ?1")
        .bind(kind.number())
        .bind(paused)
        .bind(now)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    touch(connection, &[Topic::Jobs]).await
}

/// Bounds how many jobs of a kind run at once.
pub(super) async fn cap(
    connection: &mut SqliteConnection,
    kind: JobKind,
    cap: Option<NonZeroU32>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE job_kind SET cap = ?2 WHERE kind = ?1")
        .bind(kind.number())
        .bind(cap.map(NonZeroU32::get))
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    touch(connection, &[Topic::Jobs]).await
}

/// Deletes finished jobs that are old enough: one seek a state. (`?3 + 0`: see `claim`.)
pub(super) async fn prune(
    connection: &mut SqliteConnection,
    now: i64,
    policy: PrunePolicy,
) -> Result<u64, StoreError> {
    let now = Timestamp::from_millis(now);
    let packed: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(concat_ws(',', id, kind, state), ';') FROM (SELECT * FROM ( \
         SELECT * FROM (SELECT id, kind, state FROM job INDEXED BY job_finished \
         WHERE state > 3 AND state = 4 AND finished_at <= ?1 AND kind < ?4 ORDER BY finished_at LIMIT ?3 + 0) UNION ALL \
         SELECT * FROM (SELECT id, kind, state FROM job INDEXED BY job_finished \
         WHERE state > 3 AND state = 5 AND finished_at <= ?1 AND kind < ?4 ORDER BY finished_at LIMIT ?3 + 0) UNION ALL \
         SELECT * FROM (SELECT id, kind, state FROM job INDEXED BY job_finished \
         WHERE state > 3 AND state = 6 AND finished_at <= ?2 AND kind < ?4 ORDER BY finished_at LIMIT ?3 + 0)) LIMIT ?3 + 0)",
    )
    .bind(now.minus(policy.completed_after).as_millis())
    .bind(now.minus(policy.discarded_after).as_millis())
    .bind(policy.limit)
    .bind(KINDS)
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    let (mut ids, mut counts) = (Vec::new(), JobDelta::default());
    for mut row in rows(packed.as_deref()) {
        ids.push(row.number()?);
        counts.add(kind_of(row.number()?)?, state_of(row.number()?)?, -1);
    }
    if ids.is_empty() {
        return Ok(0);
    }
    let pruned = ids.len() as u64;
    ids.sort_unstable();
    sqlx::query("DELETE FROM job WHERE id IN (SELECT value FROM json_each(?1))")
        .bind(id_array(ids))
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    counts.write(connection).await?;
    touch(connection, &[Topic::Jobs]).await?;
    Ok(pruned)
}
