//! Taking jobs to run.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use hostatlas_domain::{
    Address, HostId, JobId, JobKind, JobState, LeaseToken, PortNumber, Priority, Protocol, Topic,
};
use hostatlas_store::{ClaimJobs, ClaimedJob, StoreError};
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};

use super::{
    frontier::{Beginning, Ends, Frontier, Met},
    kind_of, later,
    rooms::rooms,
    state_of,
};
use crate::{
    counters::{JobDelta, touch},
    error::{corrupt, engine},
};

/// Marks jobs as running.
pub(super) async fn lease(
    connection: &mut PgConnection,
    now: i64,
    params: &ClaimJobs,
    frontier: &Frontier,
) -> Result<Vec<ClaimedJob>, StoreError> {
    if params.limit == 0 {
        return Ok(Vec::new());
    }
    let rooms = rooms(connection, &params.kinds, params.limit).await?;
    if rooms.is_empty() {
        return Ok(Vec::new());
    }
    let mut beginning = frontier.ready();
    let mut claimed = take(connection, now, params, &rooms, &beginning, frontier).await?;
    if claimed.is_empty() && beginning.ends.take().is_some() {
        claimed = take(connection, now, params, &rooms, &beginning, frontier).await?;
    }
    Ok(claimed)
}

/// Marks jobs as running that are found from there on.
async fn take(
    connection: &mut PgConnection,
    now: i64,
    params: &ClaimJobs,
    rooms: &[(JobKind, u32)],
    beginning: &Beginning,
    frontier: &Frontier,
) -> Result<Vec<ClaimedJob>, StoreError> {
    let began = Instant::now();
    let first = if params.limit > params.crashed_limit {
        let first = look_at_first(connection, now, rooms, params, beginning).await?;
        let Some(first) = first.filter(|first| params.together(first.crashes) > 0) else {
            return Ok(Vec::new());
        };
        Some(first)
    } else {
        None
    };
    let crashes = first.as_ref().map(|first| first.crashes);
    // Planned anew each time: a plan that was made while the table was small reads all of it when it has grown, and a
    // limit that the planner does not know is guessed as a tenth of the table.
    let row = sqlx::query(AssertSqlSafe(statement(rooms, params, crashes, beginning)))
        .bind(now)
        .bind(params.except.iter().map(|job| job.0).collect::<Vec<_>>())
        .bind(later(now, params.lease))
        .bind(params.worker.0)
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
        .map_err(engine)?;
    let Some(before) = row.try_get::<Option<Vec<i16>>, _>("before").map_err(engine)? else {
        return Ok(Vec::new());
    };
    if let Some(first) = first {
        let entries: i64 = row.try_get("entries").map_err(engine)?;
        let (entries, claimed) = (entries.saturating_sub(first.entries), before.len());
        let met = Met { entries, claimed, ends: ends(&row, beginning)? };
        frontier.note_claim(beginning, met, began.elapsed());
    }
    let mut counts = JobDelta::default();
    for before in before {
        counts.moved(kind_of(before >> 3)?, state_of(before & 7)?, JobState::Running);
    }
    counts.write(connection).await?;
    touch(connection, &[Topic::Jobs]).await?;
    claimed(&row)
}

/// Where a claim ended, if it was asked.
fn ends(row: &PgRow, beginning: &Beginning) -> Result<Ends, StoreError> {
    if !beginning.says_ends {
        return Ok(Ends::new());
    }
    let numbers: Vec<i64> = row.try_get("ends").map_err(engine)?;
    let (ends, _) = numbers.as_chunks::<3>();
    ends.iter()
        .map(|[kind, priority, run_at]| {
            let kind = kind_of(i16::try_from(*kind).map_err(|_| corrupt("a kind of a job"))?)?;
            let priority = u8::try_from(*priority).map_err(|_| corrupt("a priority of a job"))?;
            Ok(((kind, priority), *run_at))
        })
        .collect()
}

/// Whether the job that comes first has to run alone.
pub(super) async fn first_alone(
    connection: &mut PgConnection,
    now: i64,
    params: &ClaimJobs,
) -> Result<bool, StoreError> {
    let rooms = rooms(connection, &params.kinds, 1).await?;
    if rooms.is_empty() {
        return Ok(false);
    }
    let first = look_at_first(connection, now, &rooms, params, &Beginning::default()).await?;
    Ok(first.is_some_and(|first| first.crashes > 1))
}

/// The job that a claim would take first.
struct First {
    /// How often a worker died with it.
    crashes: u32,
    /// How many entries of the index this backend had looked at afterwards: only the difference to later says something.
    entries: i64,
}

/// Looks at the job that comes first; none if nothing is due.
///
/// All that a claim finds it locks, and a lock is a write: whoever locked thousands to take one that has to run alone
/// would take 17 instead of 3 milliseconds for it, and keep everybody else from those thousands.
async fn look_at_first(
    connection: &mut PgConnection,
    now: i64,
    rooms: &[(JobKind, u32)],
    params: &ClaimJobs,
    beginning: &Beginning,
) -> Result<Option<First>, StoreError> {
    let (source, order) = source(rooms, params, beginning, 1);
    let first = format!(
        "SELECT crash_count, {ENTRIES} FROM (SELECT crash_count FROM ({source}) AS due ORDER BY {order}, id LIMIT 1) AS first"
    );
    let first: Option<(i32, i64)> = sqlx::query_as(AssertSqlSafe(first))
        .bind(now)
        .bind(params.except.iter().map(|job| job.0).collect::<Vec<_>>())
        .persistent(false)
        .fetch_optional(connection)
        .await
        .map_err(engine)?;
    let first = first.map(|(crashes, entries)| {
        let crashes = u32::try_from(crashes).map_err(|_| corrupt("a count of a job"))?;
        Ok(First { crashes, entries })
    });
    first.transpose()
}

fn claimed(row: &PgRow) -> Result<Vec<ClaimedJob>, StoreError> {
    let longs = |name: &str| row.try_get::<Vec<i64>, _>(name).map_err(engine);
    let numbers = |name: &str| row.try_get::<Vec<i32>, _>(name).map_err(engine);
    let smalls = |name: &str| row.try_get::<Vec<i16>, _>(name).map_err(engine);
    let (ids, tokens, hosts) = (longs("ids")?, longs("tokens")?, longs("hosts")?);
    let (kinds, protocols, forces) = (smalls("kinds")?, smalls("protocols")?, smalls("forces")?);
    let (ports, attempts) = (numbers("ports")?, numbers("attempts")?);
    let (most, crashes) = (numbers("most_attempts")?, numbers("crashes")?);
    let satisfied: Vec<bool> = row.try_get("satisfied").map_err(engine)?;
    let keys: &[u8] = row.try_get("keys").map_err(engine)?;
    let (keys, rest) = keys.as_chunks::<16>();
    if !rest.is_empty() || keys.len() != ids.len() {
        return Err(corrupt("an address"));
    }
    let count = |number: i32| u32::try_from(number).map_err(|_| corrupt("a count of a job"));
    (0..ids.len())
        .map(|at| {
            Ok(ClaimedJob {
                id: JobId(ids[at]),
                token: LeaseToken(tokens[at]),
                kind: kind_of(kinds[at])?,
                host: HostId(hosts[at]),
                address: Address::from_key(keys[at]),
                port: port(ports[at], protocols[at])?,
                attempt: count(attempts[at])?,
                max_attempts: count(most[at])?,
                force: forces[at] != 0,
                crash_count: count(crashes[at])?,
                satisfied: satisfied[at],
            })
        })
        .collect()
}

/// The port and protocol of a job, which are 0 where they do not apply.
pub(super) fn port(port: i32, protocol: i16) -> Result<Option<(PortNumber, Protocol)>, StoreError> {
    if port == 0 {
        return Ok(None);
    }
    let port = u16::try_from(port).ok().and_then(|port| PortNumber::try_from(port).ok());
    let protocol = u8::try_from(protocol).ok().and_then(|protocol| Protocol::try_from(protocol).ok());
    port.zip(protocol).map(Some).ok_or_else(|| corrupt("a port of a job"))
}

/// Where up to `most` due jobs are found and locked, and the order in which they come: $1 now, $2 what is left out.
fn source(
    rooms: &[(JobKind, u32)],
    params: &ClaimJobs,
    beginning: &Beginning,
    most: u32,
) -> (String, &'static str) {
    let rooms: Vec<_> = rooms.iter().map(|(kind, room)| (*kind, most.min(*room))).collect();
    let ends = beginning.ends.as_ref();
    if params.oldest_first {
        (oldest(&rooms, ends, most), "run_at")
    } else {
        (most_urgent(&rooms, ends, most), "priority, run_at")
    }
}

/// The statement for kinds and their rooms: $1 now, $2 what is left out, $3 the end of the lease, $4 the worker.
///
/// What is found is locked where it is found, so that others skip it; of each kind and priority never more than may
/// come together with the one that comes `first`, if that was looked at. Jobs whose worker died while they ran with
/// others are never mixed with the rest, and never more than [`ClaimJobs::together`] says. What is locked and not taken
/// is free again at the commit. A job whose worker died during its last attempt is attempted once more, but never
/// counted beyond the most.
fn statement(
    rooms: &[(JobKind, u32)],
    params: &ClaimJobs,
    first: Option<u32>,
    beginning: &Beginning,
) -> String {
    let most = first.map_or(params.limit, |crashes| params.together(crashes));
    let (source, order) = source(rooms, params, beginning, most);
    // Of those that became due together the one that was looked at counts: thousands may be locked for its sake.
    let like_first = first
        .map_or_else(String::new, |crashes| format!("(least(crash_count, 2) = {}) DESC, ", crashes.min(2)));
    // What became due since the first was looked at may come before it.
    let limit = |crashes: u32| params.together(crashes).min(most);
    let (none, once, more) = (limit(0), limit(1), limit(2));
    let ends = if beginning.says_ends { ENDS } else { "" };
    format!(
        "WITH due AS MATERIALIZED ({source}),
         first AS MATERIALIZED (SELECT least(crash_count, 2) AS class FROM due ORDER BY {order}, {like_first}id LIMIT 1),
         taken AS MATERIALIZED (
             SELECT id, kind, state FROM due WHERE least(crash_count, 2) = (SELECT class FROM first) ORDER BY {order}, id
             LIMIT (SELECT CASE class WHEN 0 THEN {none} WHEN 1 THEN {once} ELSE {more} END FROM first)),
         run AS (
             UPDATE job SET state = 3, lease_token = lease_token + 1, attempt = least(attempt + 1, max_attempts),
                 leased_until = $3, claimed_by = $4, started_at = $1
             WHERE id = ANY(ARRAY(SELECT id FROM taken))
             RETURNING id, lease_token, kind, host, port, protocol, priority, run_at, attempt, max_attempts, force,
                 crash_count, created_at)
         SELECT (SELECT array_agg((kind * 8 + state)::smallint) FROM taken) AS before,{ends}
             (SELECT {ENTRIES}) AS entries,
             array_agg(id) AS ids, array_agg(lease_token) AS tokens, array_agg(kind) AS kinds,
             array_agg(host) AS hosts, string_agg(address, ''::bytea) AS keys, array_agg(port) AS ports,
             array_agg(protocol) AS protocols, array_agg(attempt) AS attempts, array_agg(max_attempts) AS most_attempts,
             array_agg(force) AS forces, array_agg(crash_count) AS crashes, array_agg(satisfied) AS satisfied
         FROM (
             SELECT run.*, h.address, h.satisfied FROM run CROSS JOIN LATERAL (
                 SELECT address, location_state = 1 AND coalesce(located_at > run.created_at, false) AS satisfied
                 FROM host WHERE host.id = run.host OFFSET 0) AS h
             ORDER BY {order}, id) AS claimed"
    )
}

/// How many entries of the index of waiting jobs this backend looked at since it last told the statistics of it.
const ENTRIES: &str = "pg_stat_get_xact_tuples_returned('job_ready'::regclass)";
/// Up to when jobs of each kind and priority became due that were claimed, three numbers each.
const ENDS: &str = "
             ARRAY(SELECT unnest(ARRAY[kind::bigint, priority::bigint, max(run_at)]) FROM run GROUP BY kind, priority)
                 AS ends,";

const COLUMNS: &str = "id, kind, priority, run_at, state, crash_count";

/// The due jobs of one kind at `level.priority`: one seek. `ORDER BY priority, run_at` over several levels would read
/// and sort all that waits; so would an order by id among those that became due together, which the index need not hold.
fn seek((kind, room): (JobKind, u32), ends: Option<&Ends>) -> String {
    let kind = kind.number();
    let beginning = if ends.is_some() { format!("AND run_at >= level.end_{kind} ") } else { String::new() };
    format!(
        "SELECT * FROM (SELECT {COLUMNS} FROM job WHERE state < 3 AND kind = {kind} AND priority = level.priority \
         {beginning}AND run_at <= $1 AND id <> ALL($2) ORDER BY run_at LIMIT {room} FOR UPDATE SKIP LOCKED) AS due_{kind}"
    )
}

/// The priorities, and beside each where to begin among the jobs of each kind.
fn levels(rooms: &[(JobKind, u32)], ends: Option<&Ends>) -> String {
    let (first, last) = (Priority::FIRST.get(), Priority::LAST.get());
    let Some(ends) = ends else {
        return format!("(SELECT generate_series({first}, {last})::smallint AS priority OFFSET 0) AS level");
    };
    let end = |kind, priority| ends.get(&(kind, priority)).copied().unwrap_or(i64::MIN + 1);
    let row = |priority| {
        let ends = rooms.iter().map(|(kind, _)| format!("{}::bigint", end(*kind, priority)));
        let columns: Vec<_> = std::iter::once(format!("{priority}::smallint")).chain(ends).collect();
        format!("({})", columns.join(", "))
    };
    let rows = (first..=last).map(row).collect::<Vec<_>>().join(", ");
    let ends = rooms.iter().map(|(kind, _)| format!("end_{}", kind.number()));
    let names = std::iter::once("priority".to_owned()).chain(ends).collect::<Vec<_>>().join(", ");
    format!("(SELECT * FROM (VALUES {rows}) AS level ({names}) OFFSET 0) AS level")
}

/// Level after level; the limit ends it before the levels that are not needed are looked at.
fn most_urgent(rooms: &[(JobKind, u32)], ends: Option<&Ends>, limit: u32) -> String {
    let seeks = rooms.iter().map(|room| seek(*room, ends)).collect::<Vec<_>>();
    let of_level = if seeks.len() == 1 {
        seeks.concat()
    } else {
        format!("SELECT * FROM ({}) AS kinds ORDER BY run_at, id LIMIT {limit}", seeks.join(" UNION ALL "))
    };
    let levels = levels(rooms, ends);
    format!("SELECT found.* FROM {levels} CROSS JOIN LATERAL ({of_level}) AS found LIMIT {limit}")
}

fn oldest(rooms: &[(JobKind, u32)], ends: Option<&Ends>, limit: u32) -> String {
    let seeks = rooms.iter().map(|room| seek(*room, ends)).collect::<Vec<_>>().join(" UNION ALL ");
    let levels = levels(rooms, ends);
    format!(
        "SELECT found.* FROM {levels} CROSS JOIN LATERAL ({seeks}) AS found ORDER BY run_at, id LIMIT {limit}"
    )
}

/// How long until a job of these kinds is due.
pub(super) async fn next_due(
    connection: &mut PgConnection,
    now: i64,
    kinds: &[JobKind],
) -> Result<Option<Duration>, StoreError> {
    let open: Vec<i16> = sqlx::query_scalar(
        "SELECT kind FROM job_kind WHERE kind = ANY($1) AND paused_at IS NULL ORDER BY kind",
    )
    .bind(super::numbers(kinds))
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let mut heads = String::new();
    for kind in open {
        for priority in Priority::FIRST.get()..=Priority::LAST.get() {
            let union = if heads.is_empty() { "" } else { " UNION ALL " };
            // Writing to a string cannot fail.
            let _ = write!(
                heads,
                "{union}(SELECT run_at FROM job WHERE state < 3 AND kind = {kind} AND priority = {priority} \
                 ORDER BY run_at LIMIT 1)"
            );
        }
    }
    if heads.is_empty() {
        return Ok(None);
    }
    let earliest: Option<i64> =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT min(run_at) FROM ({heads}) AS heads")))
            .persistent(false)
            .fetch_one(connection)
            .await
            .map_err(engine)?;
    Ok(earliest.map(|at| Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0))))
}

#[cfg(test)]
mod tests;
