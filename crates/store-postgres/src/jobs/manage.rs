//! What people do to jobs, and housekeeping.

use std::{collections::HashSet, num::NonZeroU32};

use hostatlas_domain::{JobFilter, JobId, JobKind, JobState, Timestamp, Topic};
use hostatlas_store::{
    ChangedJobs, JobSelection, PrunePolicy, StoreError,
    backend::{cancelled, retried},
};
use sqlx::PgConnection;

use super::{
    KINDS,
    candidates::{self, Candidate},
    kind_of, state_of,
};
use crate::{
    counters::{CoverageDelta, JobDelta, touch},
    error::engine,
    listen::announce,
    locations::{Hosts, lock_hosts},
    rows::small,
};

/// How many jobs are read at once.
const CHUNK: u32 = 2_000;
/// After so many jobs that cannot be changed a transaction ends, so that it is short.
const EXAMINED_MOST: usize = 100_000;

/// Makes jobs available again.
pub(super) async fn retry(
    connection: &mut PgConnection,
    now: i64,
    selection: &JobSelection,
) -> Result<ChangedJobs, StoreError> {
    let changed = match selection {
        JobSelection::Ids(ids) => {
            let found = candidates::by_ids(connection, ids).await?;
            let changed = revive(connection, now, &found, usize::MAX).await?;
            retried(ids, found.iter().map(Candidate::before), &changed)
        }
        JobSelection::Matching { filter, limit } => match filter.ip {
            Some(ip) => {
                let found = candidates::of_host(connection, ip, filter).await?;
                let changed = revive(connection, now, &found, *limit as usize).await?;
                let skipped = (found.len() - changed.len()) as u64;
                ChangedJobs { changed: changed.len() as u64, skipped, ..ChangedJobs::default() }
            }
            None => retry_matching(connection, now, filter, *limit).await?,
        },
    };
    if changed.changed > 0 {
        announce(connection).await?;
    }
    Ok(changed)
}

/// Goes through what matches until `limit` jobs can be changed, and then changes them: all hosts are locked at once, since
/// those of a second step could come before those of the first.
async fn retry_matching(
    connection: &mut PgConnection,
    now: i64,
    filter: &JobFilter,
    limit: u32,
) -> Result<ChangedJobs, StoreError> {
    use JobState::{Cancelled, Completed, Discarded, Retryable, Scheduled};
    let wanted = |state: &JobState| filter.state.is_none_or(|wanted| wanted == *state);
    let rare: Vec<_> = [Scheduled, Retryable, Cancelled, Discarded].into_iter().filter(wanted).collect();
    let (mut found, mut before) = (Vec::new(), i64::MAX);
    let is_enough = |found: &[Candidate]| {
        found.len() >= EXAMINED_MOST || revivable(found).nth(limit.max(1) as usize - 1).is_some()
    };
    while !rare.is_empty() && !is_enough(&found) {
        let chunk = candidates::rare(connection, filter.kind, &rare, before, CHUNK).await?;
        let Some(last) = chunk.last() else { break };
        before = last.id;
        found.extend(chunk);
    }
    let mut before = (i64::MAX, i64::MAX);
    while wanted(&Completed) && !is_enough(&found) {
        let chunk = candidates::completed(connection, filter.kind, before, CHUNK).await?;
        let Some(last) = chunk.iter().map(|job| (job.finished_at, job.id)).min() else { break };
        before = last;
        found.extend(chunk);
    }
    found.sort_by_key(|job| std::cmp::Reverse(job.id));
    let changed = revive(connection, now, &found, limit as usize).await?.len() as u64;
    // Where the limit ended it, the rest was not refused but waits for the next transaction.
    let skipped = if changed < u64::from(limit) { found.len() as u64 - changed } else { 0 };
    Ok(ChangedJobs { changed, skipped, ..ChangedJobs::default() })
}

/// Those of these that may be made available, newest first, one a key.
fn revivable(found: &[Candidate]) -> impl Iterator<Item = &Candidate> {
    let mut keys = HashSet::new();
    found.iter().filter(move |job| {
        job.state.may_become(JobState::Available)
            && job.state != JobState::Running
            && !job.replaced
            && (job.state.is_waiting() || keys.insert(job.key()))
    })
}

/// Locks the hosts of jobs and then the jobs; answers both as they are now.
async fn hold<'j>(
    connection: &mut PgConnection,
    jobs: impl Iterator<Item = &'j Candidate>,
) -> Result<(Hosts, Vec<Candidate>), StoreError> {
    let (mut ids, mut of) = (Vec::new(), HashSet::new());
    for job in jobs {
        ids.push(job.id);
        of.insert(job.host);
    }
    if ids.is_empty() {
        return Ok((Hosts::default(), Vec::new()));
    }
    let hosts = lock_hosts(connection, &of.into_iter().collect::<Vec<_>>()).await?;
    Ok((hosts, candidates::locked(connection, ids).await?))
}

/// Makes at most `limit` of these available, newest first; answers which.
async fn revive(
    connection: &mut PgConnection,
    now: i64,
    found: &[Candidate],
    limit: usize,
) -> Result<Vec<JobId>, StoreError> {
    let (hosts, held) = hold(connection, revivable(found).take(limit)).await?;
    let changed: Vec<&Candidate> = revivable(&held).collect();
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query(
        "UPDATE job SET state = 0, run_at = $2, attempt = 0, crash_count = 0, finished_at = NULL, result = NULL \
         WHERE id = ANY($1)",
    )
    .bind(changed.iter().map(|job| job.id).collect::<Vec<_>>())
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let mut counts = JobDelta::default();
    for job in &changed {
        counts.moved(job.kind, job.state, JobState::Available);
    }
    let revived = changed.iter().filter(|job| !job.state.is_live());
    let pending = pending(&hosts, revived.copied());
    count(connection, counts, pending).await?;
    Ok(changed.iter().map(|job| JobId(job.id)).collect())
}

/// How many pending hosts these jobs are about that are counted by their geolocation jobs.
fn pending<'j>(hosts: &Hosts, jobs: impl Iterator<Item = &'j Candidate>) -> i64 {
    let counted = jobs.filter(|job| job.kind == JobKind::Geolocation && hosts.is_pending(job.host)).count();
    i64::try_from(counted).unwrap_or(i64::MAX)
}

/// Writes the counts, and that so many pending hosts more or less have a live geolocation job.
async fn count(connection: &mut PgConnection, counts: JobDelta, pending: i64) -> Result<(), StoreError> {
    let mut coverage = CoverageDelta::default();
    coverage.pending_live(pending);
    counts.write(connection).await?;
    if coverage.write(connection).await? {
        touch(connection, &[Topic::Jobs, Topic::Coverage]).await
    } else {
        touch(connection, &[Topic::Jobs]).await
    }
}

/// Cancels live jobs.
pub(super) async fn cancel(
    connection: &mut PgConnection,
    now: i64,
    selection: &JobSelection,
) -> Result<ChangedJobs, StoreError> {
    let found = match selection {
        JobSelection::Ids(ids) => candidates::by_ids(connection, ids).await?,
        JobSelection::Matching { filter, limit } => live_matching(connection, filter, *limit).await?,
    };
    let (hosts, held) = hold(connection, found.iter().filter(|job| job.state.is_live())).await?;
    let changed: Vec<&Candidate> = held.iter().filter(|job| job.state.is_live()).collect();
    let ids: Vec<JobId> = changed.iter().map(|job| JobId(job.id)).collect();
    let answer = match selection {
        JobSelection::Ids(named) => cancelled(named, found.iter().map(Candidate::before), &ids),
        JobSelection::Matching { .. } => ChangedJobs { changed: ids.len() as u64, ..ChangedJobs::default() },
    };
    if changed.is_empty() {
        return Ok(answer);
    }
    sqlx::query(
        "UPDATE job SET state = 5, finished_at = $2, leased_until = NULL, claimed_by = NULL, rerun = 0, \
         result = NULL WHERE id = ANY($1)",
    )
    .bind(changed.iter().map(|job| job.id).collect::<Vec<_>>())
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let mut counts = JobDelta::default();
    for job in &changed {
        counts.moved(job.kind, job.state, JobState::Cancelled);
    }
    let pending = pending(&hosts, changed.iter().copied());
    count(connection, counts, -pending).await?;
    Ok(answer)
}

async fn live_matching(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
    now: i64,
    kind: JobKind,
    paused: bool,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE job_kind SET paused_at = CASE WHEN $2 THEN coalesce(paused_at, $3) END WHERE kind = $1",
    )
    .bind(small(kind.number()))
    .bind(paused)
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    touch(connection, &[Topic::Jobs]).await?;
    if paused { Ok(()) } else { announce(connection).await }
}

/// Bounds how many jobs of a kind run at once.
pub(super) async fn cap(
    connection: &mut PgConnection,
    kind: JobKind,
    cap: Option<NonZeroU32>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE job_kind SET cap = $2 WHERE kind = $1")
        .bind(small(kind.number()))
        .bind(cap.map(|cap| i32::try_from(cap.get()).unwrap_or(i32::MAX)))
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    touch(connection, &[Topic::Jobs]).await?;
    announce(connection).await
}

/// Deletes finished jobs that are old enough: one seek a state, then locked by id. One that is being revived stays.
pub(super) async fn prune(
    connection: &mut PgConnection,
    now: i64,
    policy: PrunePolicy,
) -> Result<u64, StoreError> {
    let now = Timestamp::from_millis(now);
    let (completed, discarded) = (now.minus(policy.completed_after), now.minus(policy.discarded_after));
    let pruned: Vec<(i16, i16, i64)> = sqlx::query_as(
        "WITH old AS MATERIALIZED (SELECT id FROM (
             (SELECT id FROM job WHERE state > 3 AND state = 4 AND finished_at <= $1 AND kind < $4
              ORDER BY finished_at LIMIT $3)
             UNION ALL
             (SELECT id FROM job WHERE state > 3 AND state = 5 AND finished_at <= $1 AND kind < $4
              ORDER BY finished_at LIMIT $3)
             UNION ALL
             (SELECT id FROM job WHERE state > 3 AND state = 6 AND finished_at <= $2 AND kind < $4
              ORDER BY finished_at LIMIT $3)
         ) AS seeks LIMIT $3),
         held AS MATERIALIZED (
             SELECT id FROM job WHERE id = ANY(ARRAY(SELECT id FROM old)) AND state + 0 > 3
                 AND finished_at <= CASE state WHEN 6 THEN $2 ELSE $1 END
             ORDER BY id FOR UPDATE SKIP LOCKED),
         gone AS (DELETE FROM job WHERE id = ANY(ARRAY(SELECT id FROM held)) RETURNING kind, state)
         SELECT kind, state, count(*) FROM gone GROUP BY kind, state",
    )
    .bind(completed.as_millis())
    .bind(discarded.as_millis())
    .bind(i64::from(policy.limit))
    .bind(KINDS)
    .persistent(false)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    if pruned.is_empty() {
        return Ok(0);
    }
    let mut counts = JobDelta::default();
    let mut sum = 0;
    for (kind, state, jobs) in pruned {
        counts.add(kind_of(kind)?, state_of(state)?, -jobs);
        sum += jobs.unsigned_abs();
    }
    counts.write(connection).await?;
    touch(connection, &[Topic::Jobs]).await?;
    Ok(sum)
}
