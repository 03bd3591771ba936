//! Ending attempts.

use std::{collections::HashSet, time::Duration};

use hostatlas_domain::{JobId, JobKind, JobState, Topic, UnlocatedReason, truncate_bytes};
use hostatlas_store::{Attempt, ERROR_BYTES, FinishJobs, Finished, RESULT_BYTES, Settled, StoreError};
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{kind_of, later, state_of};
use crate::{
    counters::{JobDelta, touch},
    error::{corrupt, engine},
    listen::announce,
    locations::{
        Applied, Caches, Hosts, Learned, Rule, Write, apply_to, geolocation_live, lock_hosts,
        one_of_each_host,
    },
    rows::{small, storable},
};

/// So many different ends one statement writes. Whatever the planner believes, it compares no more than the square of
/// this; portions follow each other by id, as locks do.
const ENDED_AT_ONCE: usize = 500;

/// The ends of a batch, by id and each job once.
pub(super) struct Batch {
    finished: Vec<Finished>,
    /// Jobs whose end came a second time: the first one counts.
    repeated: Vec<JobId>,
    age: Duration,
}

impl Batch {
    pub(super) fn new(params: FinishJobs) -> Self {
        let FinishJobs { mut finished, age, .. } = params;
        finished.sort_by_key(|finished| finished.id);
        let mut repeated = Vec::new();
        finished.dedup_by(|later, kept| {
            let same = later.id == kept.id;
            if same {
                repeated.push(later.id);
            }
            same
        });
        Self { finished, repeated, age }
    }

    /// Whether an end may say anything about its host.
    fn writes_hosts(&self) -> bool {
        let writes = |end: &Finished| end.effect.is_some() || matches!(end.settled, Settled::Discarded(..));
        self.finished.iter().any(writes)
    }

    fn hosts(&self) -> Vec<i64> {
        self.finished.iter().map(|finished| finished.host.0).collect()
    }
}

/// Ends attempts; answers the jobs whose fence did not hold.
///
/// Hosts are locked before the jobs, as imports do; then one statement both asks for the fence and writes the end, and
/// only what it ended has effects.
pub(super) async fn finish(
    connection: &mut PgConnection,
    now: i64,
    batch: &Batch,
    caches: &Caches,
) -> Result<(Vec<JobId>, Learned), StoreError> {
    // A host that is not pending never is again, so without anything to write about hosts only pending ones matter.
    let (hosts, pending) = if batch.writes_hosts() {
        (lock_hosts(connection, &batch.hosts()).await?, HashSet::new())
    } else {
        (Hosts::default(), lock_pending(connection, &batch.hosts()).await?)
    };
    let is_pending = |host: i64| pending.contains(&host) || hosts.is_pending(host);
    let ended = end(connection, now, &batch.finished).await?;

    let mut counts = JobDelta::default();
    let mut geolocations = Geolocations::default();
    let mut writes = Vec::new();
    let mut lost = batch.repeated.clone();
    let mut ended_jobs = ended.iter().peekable();
    let mut reruns = false;
    for finished in &batch.finished {
        let Some(job) = ended_jobs.next_if(|job| job.id == finished.id.0) else {
            lost.push(finished.id);
            continue;
        };
        counts.moved(job.kind, JobState::Running, job.state);
        reruns |= job.state == JobState::Available;
        if job.kind == JobKind::Geolocation {
            geolocations.live.insert(job.host);
            if !job.state.is_live() && is_pending(job.host) {
                geolocations.ended.push(job.host);
            }
        }
        writes.extend(write_of(job, finished));
    }
    if ended.is_empty() {
        return Ok((lost, Learned::default()));
    }
    let writes = one_of_each_host(writes);
    let applied = apply_to(connection, now, batch.age, &writes, &hosts, caches).await?;
    let learned = settle_counts(connection, applied, &geolocations, counts).await?;
    if reruns {
        announce(connection).await?;
    }
    lost.sort_unstable();
    Ok((lost, learned))
}

/// What an end says about its host.
fn write_of(job: &Ended, finished: &Finished) -> Option<Write> {
    let host = job.host;
    if let Some(attempt) = finished.effect.clone() {
        return Some(Write { host, attempt, rule: Rule::Unpinned });
    }
    match &finished.settled {
        Settled::Discarded(_, reason)
            if job.state == JobState::Discarded && job.kind == JobKind::Geolocation =>
        {
            let attempt = Attempt::Unlocated { reason: *reason, database_build: None };
            Some(Write { host, attempt, rule: Rule::Pending })
        }
        _ => None,
    }
}

/// Locks the pending ones among these hosts and answers which they are.
pub(super) async fn lock_pending(
    connection: &mut PgConnection,
    hosts: &[i64],
) -> Result<HashSet<i64>, StoreError> {
    let pending: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM host WHERE id = ANY($1) AND location_state = 0 ORDER BY address FOR NO KEY UPDATE",
    )
    .bind(hosts)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    Ok(pending.into_iter().collect())
}

/// A job whose end was written.
#[derive(Clone, Copy, Debug)]
struct Ended {
    id: i64,
    host: i64,
    kind: JobKind,
    /// Where it went: available if it is to run again, whatever its end was.
    state: JobState,
}

/// Writes the ends of the jobs whose fence holds; answers those, by id.
async fn end(
    connection: &mut PgConnection,
    now: i64,
    finished: &[Finished],
) -> Result<Vec<Ended>, StoreError> {
    if let Some((token, result)) = same_completion(finished) {
        let row = sqlx::query(COMPLETE)
            .bind(finished.iter().map(|finished| finished.id.0).collect::<Vec<_>>())
            .bind(token)
            .bind(now)
            .bind(storable(truncate_bytes(result, RESULT_BYTES)).into_owned())
            .fetch_one(connection)
            .await
            .map_err(engine)?;
        return read_ended(&row);
    }
    let mut ended = Vec::with_capacity(finished.len());
    for portion in finished.chunks(ENDED_AT_ONCE) {
        let ends = Ends::of(portion, now);
        let row = sqlx::query(END)
            .bind(ends.id)
            .bind(ends.token)
            .bind(now)
            .bind(ends.state)
            .bind(ends.run_at)
            .bind(ends.attempts)
            .bind(ends.result)
            .bind(ends.error)
            .persistent(false)
            .fetch_one(&mut *connection)
            .await
            .map_err(engine)?;
        ended.extend(read_ended(&row)?);
    }
    Ok(ended)
}

/// All of these under one token, completed with one result? Nearly every batch is such.
fn same_completion(finished: &[Finished]) -> Option<(i64, &str)> {
    let first = finished.first()?;
    let Settled::Completed(result) = &first.settled else { return None };
    let same = |end: &Finished| end.token == first.token && end.settled == first.settled;
    finished.iter().all(same).then_some((first.token.0, result.as_str()))
}

/// The whole fence stands in the condition of the update itself: who waits for a row that another transaction changes
/// has that condition asked again, and nothing else. `state + 0` keeps the planner from reading every running job by
/// the index of leases, of which it believes that there are none.
const COMPLETE: &str = "WITH ended AS (
        UPDATE job SET state = CASE rerun WHEN 0 THEN 4 ELSE 0 END,
            run_at = CASE rerun WHEN 0 THEN run_at ELSE $3 END,
            attempt = CASE rerun WHEN 0 THEN attempt ELSE 0 END,
            crash_count = CASE rerun WHEN 0 THEN crash_count ELSE 0 END,
            result = CASE rerun WHEN 0 THEN nullif($4, '') END,
            finished_at = CASE rerun WHEN 0 THEN $3 END,
            rerun = 0, leased_until = NULL, claimed_by = NULL
        WHERE id = ANY($1) AND lease_token = $2 AND state + 0 = 3
        RETURNING id, host, kind, state)
    SELECT array_agg(id) AS ids, array_agg(host) AS hosts, array_agg(kind) AS kinds, array_agg(state) AS states
    FROM ended";

/// As [`COMPLETE`], with an end for each. That the keys are said once more, and the ends materialized, keeps the planner
/// from walking through all ends for each running job, which takes minutes; and it is planned anew each time, since a
/// plan for any number of ends is one for ten.
/// A request to run again is a new one, with all its attempts; and who came to an end did not kill its worker: an
/// earlier crash is forgiven.
const END: &str = "WITH x AS MATERIALIZED (
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $4::smallint[], $5::bigint[], $6::integer[], $7::text[], $8::text[])
            AS wanted (id, token, state, run_at, attempts, result, error)),
    ended AS (
        UPDATE job SET state = CASE job.rerun WHEN 0 THEN x.state ELSE 0 END,
            run_at = CASE job.rerun WHEN 0 THEN coalesce(x.run_at, job.run_at) ELSE $3 END,
            attempt = CASE job.rerun WHEN 0 THEN greatest(least(job.attempt + x.attempts, job.max_attempts), 0) ELSE 0 END,
            crash_count = CASE WHEN job.rerun = 0 AND x.state = 4 THEN job.crash_count ELSE 0 END,
            result = CASE job.rerun WHEN 0 THEN nullif(x.result, '') END,
            last_error = coalesce(x.error, job.last_error),
            finished_at = CASE WHEN job.rerun = 0 AND x.state > 3 THEN $3 END,
            rerun = 0, leased_until = NULL, claimed_by = NULL
        FROM x
        WHERE job.id = ANY($1) AND job.id = x.id AND job.lease_token = x.token AND job.state + 0 = 3
        RETURNING job.id, job.host, job.kind, job.state)
    SELECT array_agg(id) AS ids, array_agg(host) AS hosts, array_agg(kind) AS kinds, array_agg(state) AS states
    FROM ended";

/// Ends by column.
#[derive(Default)]
struct Ends {
    id: Vec<i64>,
    token: Vec<i64>,
    state: Vec<i16>,
    run_at: Vec<Option<i64>>,
    attempts: Vec<i32>,
    result: Vec<Option<String>>,
    error: Vec<Option<String>>,
}

impl Ends {
    fn of(finished: &[Finished], now: i64) -> Self {
        let mut ends = Self::default();
        for end in finished {
            let (state, delay, attempts, result, error) = match &end.settled {
                Settled::Completed(result) => (JobState::Completed, None, 0, Some(result), None),
                Settled::Snoozed(delay, reason) => {
                    (JobState::Scheduled, Some(*delay), -1, Some(reason), None)
                }
                Settled::Retryable(delay, error) => (JobState::Retryable, Some(*delay), 0, None, Some(error)),
                Settled::Discarded(error, _) => (JobState::Discarded, None, 0, None, Some(error)),
            };
            let text = |text: Option<&String>, most| {
                text.map(|text| storable(truncate_bytes(text, most)).into_owned())
            };
            ends.id.push(end.id.0);
            ends.token.push(end.token.0);
            ends.state.push(small(state.number()));
            ends.run_at.push(delay.map(|delay| later(now, delay)));
            ends.attempts.push(attempts);
            ends.result.push(text(result, RESULT_BYTES));
            ends.error.push(text(error, ERROR_BYTES));
        }
        ends
    }
}

fn read_ended(row: &PgRow) -> Result<Vec<Ended>, StoreError> {
    let Some(ids) = row.try_get::<Option<Vec<i64>>, _>("ids").map_err(engine)? else {
        return Ok(Vec::new());
    };
    let hosts: Vec<i64> = row.try_get("hosts").map_err(engine)?;
    let kinds: Vec<i16> = row.try_get("kinds").map_err(engine)?;
    let states: Vec<i16> = row.try_get("states").map_err(engine)?;
    if [hosts.len(), kinds.len(), states.len()].iter().any(|length| *length != ids.len()) {
        return Err(corrupt("a job without a host, kind or state"));
    }
    let ended = (0..ids.len()).map(|at| {
        let (kind, state) = (kind_of(kinds[at])?, state_of(states[at])?);
        Ok(Ended { id: ids[at], host: hosts[at], kind, state })
    });
    let mut ended = ended.collect::<Result<Vec<_>, StoreError>>()?;
    ended.sort_unstable_by_key(|job| job.id);
    Ok(ended)
}

/// What became of geolocation jobs, for `pending_live`.
#[derive(Debug, Default)]
pub(super) struct Geolocations {
    /// Hosts whose job was live.
    pub(super) live: HashSet<i64>,
    /// Of those, hosts that are pending and whose job is live no more.
    pub(super) ended: Vec<i64>,
}

/// Writes the counters of ended jobs and of what was written about their hosts.
pub(super) async fn settle_counts(
    connection: &mut PgConnection,
    mut applied: Applied,
    geolocations: &Geolocations,
    counts: JobDelta,
) -> Result<Learned, StoreError> {
    let left: HashSet<i64> = applied.left_pending.iter().copied().collect();
    // Hosts that are pending no more leave the count if they had a live job: those of this batch had.
    let (here, elsewhere): (Vec<i64>, Vec<i64>) =
        left.iter().partition(|host| geolocations.live.contains(host));
    // Hosts that stay pending leave it with their job.
    let staying: HashSet<i64> =
        geolocations.ended.iter().copied().filter(|host| !left.contains(host)).collect();
    let fewer = i64::try_from(here.len() + staying.len()).unwrap_or(i64::MAX);
    let fewer = fewer + geolocation_live(connection, &elsewhere).await?;
    applied.coverage.pending_live(-fewer);

    counts.write(connection).await?;
    let mut topics = applied.finish(connection).await?;
    topics.push(Topic::Jobs);
    touch(connection, &topics).await?;
    Ok(applied.learned)
}

/// The reason and the words with which a job is given up whose worker died again and again.
pub(super) const POISON: (UnlocatedReason, &str) =
    (UnlocatedReason::Poison, "its worker died three times while it ran this job alone");
