//! Taking jobs to run.

use std::{fmt::Write, sync::OnceLock, time::Duration};

use hostatlas_domain::{
    Address, HostId, JobId, JobKind, JobState, LeaseToken, PortNumber, Priority, Protocol, Topic,
};
use hostatlas_store::{ClaimJobs, ClaimedJob, StoreError};
use sqlx::SqliteConnection;

use super::{
    kind_of,
    rooms::{Rooms, paused, rooms},
    state_of,
};
use crate::{
    counters::JobDelta,
    database::touch,
    error::{corrupt, engine},
    packed::{Row, id_array, rows},
};

/// A set of kinds, a bit each.
pub(super) type Kinds = u8;

const ALL_SETS: usize = 1 << JobKind::ALL.len();

/// The set of these kinds.
pub(super) fn mask(kinds: &[JobKind]) -> Kinds {
    kinds.iter().fold(0, |mask, kind| mask | (1 << kind.number()))
}

/// A job that could be claimed.
struct Candidate {
    job: ClaimedJob,
    state: JobState,
}

/// Reads the jobs that would be claimed, and leaves them as they are.
pub(super) async fn peek(
    connection: &mut SqliteConnection,
    now: i64,
    params: ClaimJobs,
) -> Result<Vec<ClaimedJob>, StoreError> {
    let candidates = candidates(connection, now, &params).await?;
    Ok(candidates.into_iter().map(|candidate| candidate.job).collect())
}

/// Whether the job that comes first has to run alone.
pub(super) async fn first_alone(
    connection: &mut SqliteConnection,
    now: i64,
    params: ClaimJobs,
) -> Result<bool, StoreError> {
    let params = ClaimJobs { limit: 1, alone: true, ..params };
    let first = candidates(connection, now, &params).await?;
    Ok(first.iter().any(|first| first.job.crash_count > 1))
}

/// Marks jobs as running.
pub(super) async fn lease(
    connection: &mut SqliteConnection,
    now: i64,
    params: ClaimJobs,
) -> Result<Vec<ClaimedJob>, StoreError> {
    let candidates = candidates(connection, now, &params).await?;
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let mut counts = JobDelta::default();
    for candidate in &candidates {
        counts.moved(candidate.job.kind, candidate.state, JobState::Running);
    }
    // A job whose worker died during its last attempt is attempted once more, but never counted beyond the most.
    sqlx::query(
        "UPDATE job SET state = 3, lease_token = lease_token + 1, attempt = min(attempt + 1, max_attempts), \
         leased_until = ?2, claimed_by = ?3, started_at = ?4 WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(id_array(candidates.iter().map(|candidate| candidate.job.id.0)))
    .bind(later(now, params.lease))
    .bind(params.worker.0)
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    counts.write(connection).await?;
    touch(connection, &[Topic::Jobs]).await?;
    let leased = candidates.into_iter().map(|candidate| {
        let token = LeaseToken(candidate.job.token.0 + 1);
        ClaimedJob { token, ..candidate.job }
    });
    Ok(leased.collect())
}

/// `now` and a duration.
pub(super) fn later(now: i64, duration: Duration) -> i64 {
    now.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

async fn candidates(
    connection: &mut SqliteConnection,
    now: i64,
    params: &ClaimJobs,
) -> Result<Vec<Candidate>, StoreError> {
    let rooms = rooms(connection, &params.except).await?;
    let kinds = mask(&params.kinds) & rooms.open();
    if kinds == 0 || params.limit == 0 {
        return Ok(Vec::new());
    }
    // Whoever reads thousands to take one that has to run alone is ten times as long about it.
    let first = find(connection, now, params, kinds, &rooms, 1).await?;
    let most = first.first().map_or(0, |first| params.together(first.job.crash_count));
    match most {
        0 => return Ok(Vec::new()),
        1 => return Ok(first),
        _ => {}
    }
    let mut found = find(connection, now, params, kinds, &rooms, most).await?;
    one_class(&mut found);
    Ok(found)
}

/// The first `limit` claimable jobs.
async fn find(
    connection: &mut SqliteConnection,
    now: i64,
    params: &ClaimJobs,
    kinds: Kinds,
    rooms: &Rooms,
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let packed = if rooms.bind(kinds, limit) {
        capped(connection, now, params, kinds, rooms, limit).await?
    } else {
        free(connection, now, params, kinds, limit).await?
    };
    rows(packed.as_deref()).map(Candidate::of).collect()
}

/// The claimable jobs of kinds of which as many may run as there are asked for.
async fn free(
    connection: &mut SqliteConnection,
    now: i64,
    params: &ClaimJobs,
    kinds: Kinds,
    limit: u32,
) -> Result<Option<String>, StoreError> {
    let limit = i64::from(limit);
    let except = i64::try_from(params.except.len()).unwrap_or(i64::MAX);
    sqlx::query_scalar(statement(kinds, params.oldest_first, except > 0))
        .bind(now)
        .bind(limit.saturating_add(except))
        .bind(id_array(params.except.iter().map(|job| job.0)))
        .bind(limit)
        .fetch_one(connection)
        .await
        .map_err(engine)
}

/// The claimable jobs of kinds of which one has room for fewer than are asked for.
async fn capped(
    connection: &mut SqliteConnection,
    now: i64,
    params: &ClaimJobs,
    kinds: Kinds,
    rooms: &Rooms,
    limit: u32,
) -> Result<Option<String>, StoreError> {
    let query = sqlx::query_scalar(capped_statement(kinds, params.oldest_first))
        .bind(now)
        .bind(i64::from(limit))
        .bind(id_array(params.except.iter().map(|job| job.0)));
    let query =
        JobKind::ALL.into_iter().fold(query, |query, kind| query.bind(i64::from(rooms.of(kind).min(limit))));
    query.fetch_one(connection).await.map_err(engine)
}

/// Never mixes jobs whose worker died while they ran with others: one of them may be the reason.
fn one_class(found: &mut Vec<Candidate>) {
    let class = found.first().map(|first| first.job.crash_count);
    found.retain(|candidate| Some(candidate.job.crash_count) == class);
}

impl Candidate {
    fn of(mut row: Row<'_>) -> Result<Self, StoreError> {
        let id = JobId(row.number()?);
        let token = LeaseToken(row.number()?);
        let host = HostId(row.number()?);
        let key = u128::from_str_radix(row.text(), 16).map_err(|_| corrupt("an address"))?;
        let (what, counts) = (row.number()?, row.number()?);
        let (kind, state) = (kind_of(what >> 28)?, state_of((what >> 25) & 7)?);
        let port = port((what >> 8) & 0xffff, what & 0xff)?;
        let (force, satisfied) = (what & (1 << 24) != 0, counts & 1 != 0);
        let count =
            |shift: u32| u32::try_from((counts >> shift) & 0xffff).map_err(|_| corrupt("a count of a job"));
        let (attempt, max_attempts, crash_count) = (count(33)?, count(17)?, count(1)?);
        let job = ClaimedJob {
            id,
            token,
            kind,
            host,
            address: Address::from_key(key.to_be_bytes()),
            port,
            attempt: (attempt + 1).min(max_attempts),
            max_attempts,
            force,
            crash_count,
            satisfied,
        };
        Ok(Self { job, state })
    }
}

/// The port and protocol of a job, which are 0 where they do not apply.
pub(super) fn port(port: i64, protocol: i64) -> Result<Option<(PortNumber, Protocol)>, StoreError> {
    if port == 0 {
        return Ok(None);
    }
    let port = u16::try_from(port).ok().and_then(|port| PortNumber::try_from(port).ok());
    let protocol = u8::try_from(protocol).ok().and_then(|protocol| Protocol::try_from(protocol).ok());
    port.zip(protocol).map(Some).ok_or_else(|| corrupt("a port of a job"))
}

/// The statement for a set of kinds: ?1 now, ?2 the limit and what is left out, ?3 what is left out, ?4 the limit.
///
/// A limit is `?2 + 0`, since the engine plans by the value of a bare parameter, and compiles the statement anew each
/// time that one is bound: 170 instead of 7 microseconds.
fn statement(kinds: Kinds, oldest_first: bool, leaves_out: bool) -> &'static str {
    static STATEMENTS: [OnceLock<String>; 4 * ALL_SETS] = [const { OnceLock::new() }; 4 * ALL_SETS];
    let at = usize::from(kinds) % ALL_SETS
        + if oldest_first { ALL_SETS } else { 0 }
        + if leaves_out { 2 * ALL_SETS } else { 0 };
    STATEMENTS[at].get_or_init(|| {
        let source = if oldest_first { oldest(kinds) } else { most_urgent(kinds) };
        let except =
            if leaves_out { "id NOT IN (SELECT value FROM json_each(?3))" } else { "?3 IS NOT NULL" };
        packed(&format!("SELECT id FROM ({source}) WHERE {except} LIMIT ?4 + 0"))
    })
}

/// The statement for a set of kinds of which some are capped: ?1 now, ?2 the limit, ?3 what is left out, ?4 and
/// following the most of each kind. Each kind is cut to its room before they are put in order, and what is left out
/// before that: it would take up the room.
fn capped_statement(kinds: Kinds, oldest_first: bool) -> &'static str {
    static STATEMENTS: [OnceLock<String>; 2 * ALL_SETS] = [const { OnceLock::new() }; 2 * ALL_SETS];
    let at = usize::from(kinds) % ALL_SETS + if oldest_first { ALL_SETS } else { 0 };
    STATEMENTS[at].get_or_init(|| {
        let of_kind = |kind: u8| {
            let room = usize::from(kind) + 4;
            let seeks: Vec<_> = levels()
                .map(|priority| {
                    format!(
                        "SELECT * FROM (SELECT id, priority, run_at FROM job WHERE state < 3 AND kind = {kind} \
                         AND priority = {priority} AND run_at <= ?1 AND id NOT IN (SELECT value FROM json_each(?3)) \
                         ORDER BY run_at, id LIMIT ?{room} + 0)"
                    )
                })
                .collect();
            let order = if oldest_first { "ORDER BY run_at, id " } else { "" };
            format!("SELECT * FROM ({} {order}LIMIT ?{room} + 0)", seeks.join(" UNION ALL "))
        };
        let kinds: Vec<_> = members(kinds).map(of_kind).collect();
        let order = if oldest_first { "run_at, id" } else { "priority, run_at, id" };
        packed(&format!("SELECT id FROM ({}) ORDER BY {order} LIMIT ?2 + 0", kinds.join(" UNION ALL ")))
    })
}

/// Reads the jobs that `source` names, in one row. Small columns share numbers: each field of text costs as much as
/// reading its row.
fn packed(source: &str) -> String {
    format!(
        "SELECT group_concat(concat_ws(',', j.id, j.lease_token, j.host, hex(h.address), \
         (j.kind << 28) | (j.state << 25) | (j.force << 24) | (j.port << 8) | j.protocol, \
         (j.attempt << 33) | (j.max_attempts << 17) | (j.crash_count << 1) \
         | (h.location_state = 1 AND h.located_at > j.created_at)), ';') \
         FROM ({source}) AS c CROSS JOIN job AS j ON j.id = c.id CROSS JOIN host AS h ON h.id = j.host"
    )
}

fn members(kinds: Kinds) -> impl Iterator<Item = u8> {
    JobKind::ALL.into_iter().map(JobKind::number).filter(move |kind| kinds & (1 << kind) != 0)
}

fn levels() -> std::ops::RangeInclusive<u8> {
    Priority::FIRST.get()..=Priority::LAST.get()
}

/// The due jobs of one kind and priority: one seek. `ORDER BY priority, run_at` over several levels would read and
/// sort all that waits.
fn seek(kind: u8, priority: u8) -> String {
    format!(
        "SELECT * FROM (SELECT id, run_at FROM job WHERE state < 3 AND kind = {kind} AND priority = {priority} \
         AND run_at <= ?1 ORDER BY run_at, id LIMIT ?2 + 0)"
    )
}

/// Level after level; the outer limit ends it before the levels that are not needed are looked at.
fn most_urgent(kinds: Kinds) -> String {
    let level = |priority| {
        let seeks: Vec<_> = members(kinds).map(|kind| seek(kind, priority)).collect();
        if seeks.len() == 1 {
            seeks.concat()
        } else {
            format!("SELECT * FROM ({} ORDER BY run_at, id LIMIT ?2 + 0)", seeks.join(" UNION ALL "))
        }
    };
    levels().map(level).collect::<Vec<_>>().join(" UNION ALL ")
}

fn oldest(kinds: Kinds) -> String {
    let seeks: Vec<_> =
        members(kinds).flat_map(|kind| levels().map(move |level| seek(kind, level))).collect();
    format!("{} ORDER BY run_at, id LIMIT ?2 + 0", seeks.join(" UNION ALL "))
}

/// How long until a job of these kinds is due.
pub(super) async fn next_due(
    connection: &mut SqliteConnection,
    now: i64,
    kinds: Kinds,
) -> Result<Option<Duration>, StoreError> {
    static STATEMENTS: [OnceLock<String>; ALL_SETS] = [const { OnceLock::new() }; ALL_SETS];
    // A kind that is at its cap is due: a worker that drains waits for what runs, and does not take it for the end.
    let kinds = kinds & !paused(connection).await?;
    if kinds == 0 {
        return Ok(None);
    }
    let statement = STATEMENTS[usize::from(kinds) % ALL_SETS].get_or_init(|| {
        let mut heads = String::new();
        for kind in members(kinds) {
            for priority in levels() {
                let union = if heads.is_empty() { "" } else { " UNION ALL " };
                // Writing to a string cannot fail.
                let _ = write!(
                    heads,
                    "{union}SELECT * FROM (SELECT run_at FROM job WHERE state < 3 AND kind = {kind} \
                     AND priority = {priority} ORDER BY run_at LIMIT 1)"
                );
            }
        }
        format!("SELECT min(run_at) FROM ({heads})")
    });
    let earliest: Option<i64> =
        sqlx::query_scalar(statement.as_str()).fetch_one(connection).await.map_err(engine)?;
    Ok(earliest.map(|at| Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection};

    use super::*;

    fn candidate(id: i64, crash_count: u32) -> Candidate {
        let job = ClaimedJob {
            id: JobId(id),
            token: LeaseToken(0),
            kind: JobKind::Geolocation,
            host: HostId(1),
            address: Address::from_key([1; 16]),
            port: None,
            attempt: 1,
            max_attempts: 8,
            force: false,
            crash_count,
            satisfied: false,
        };
        Candidate { job, state: JobState::Available }
    }

    #[test]
    fn jobs_that_crashed_are_never_mixed_with_others() {
        let classes = |crashes: &[u32]| -> Vec<i64> {
            let mut found = (0..).zip(crashes).map(|(id, crashes)| candidate(id, *crashes)).collect();
            one_class(&mut found);
            found.iter().map(|candidate| candidate.job.id.0).collect()
        };
        assert_eq!(
            [classes(&[0, 1, 0, 2]), classes(&[1, 0, 1, 2]), classes(&[2, 1, 0]), classes(&[])],
            [vec![0, 2], vec![0, 2], vec![0], vec![]]
        );
    }

    /// An empty database of the newest schema.
    async fn migrated() -> SqliteConnection {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("a database");
        for (_, statements) in crate::schema::MIGRATIONS {
            sqlx::raw_sql(statements).execute(&mut connection).await.expect("a migration");
        }
        connection
    }

    /// Behind a million waiting jobs a claim that reads or sorts a whole level takes seconds.
    #[tokio::test]
    async fn every_claim_seeks_each_kind_and_priority() {
        let mut connection = migrated().await;
        for (kinds, oldest_first) in (1..16).flat_map(|kinds| [(kinds, false), (kinds, true)]) {
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(format!(
                "EXPLAIN QUERY PLAN {}",
                statement(kinds, oldest_first, true)
            )))
            .fetch_all(&mut connection)
            .await
            .expect("a plan");
            let seeks: Vec<_> =
                plan.iter().filter(|(.., step)| step.starts_with("SEARCH job USING")).collect();
            assert_eq!(seeks.len(), 10 * members(kinds).count(), "{plan:#?}");
            let key = "INDEX job_ready (kind=? AND priority=? AND run_at<?)";
            assert!(seeks.iter().all(|(.., step)| step.ends_with(key)), "{seeks:#?}");
            // What several seeks found may be sorted, since each ends at the limit; what a seek reads may not.
            let sorts = |parent: i64| {
                plan.iter().any(|(_, of, _, step)| *of == parent && step.contains("TEMP B-TREE"))
            };
            assert!(!seeks.iter().any(|(_, parent, ..)| sorts(*parent)), "{plan:#?}");
            assert!(!plan.iter().any(|(.., step)| step.starts_with("SCAN job")), "{plan:#?}");
        }
    }

    /// As little may be read for a kind that is capped.
    #[tokio::test]
    async fn a_capped_claim_seeks_each_kind_and_priority() {
        let mut connection = migrated().await;
        for (kinds, oldest_first) in (1..16).flat_map(|kinds| [(kinds, false), (kinds, true)]) {
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(format!(
                "EXPLAIN QUERY PLAN {}",
                capped_statement(kinds, oldest_first)
            )))
            .fetch_all(&mut connection)
            .await
            .expect("a plan");
            let key = "INDEX job_ready (kind=? AND priority=? AND run_at<?)";
            let seeks = plan.iter().filter(|(.., step)| step.starts_with("SEARCH job USING"));
            let seeks: Vec<_> = seeks.filter(|(.., step)| step.ends_with(key)).collect();
            assert_eq!(seeks.len(), 10 * members(kinds).count(), "{plan:#?}");
            assert!(!plan.iter().any(|(.., step)| step.starts_with("SCAN job")), "{plan:#?}");
        }
    }
}
