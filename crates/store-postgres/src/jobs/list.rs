//! Reading jobs.

use hostatlas_domain::{
    Cursor, Job, JobFilter, JobId, JobKind, JobState, JobStats, KindStatus, Page, Timestamp,
};
use hostatlas_store::StoreError;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    KINDS,
    candidates::{all_of_host, equals, host_of, rare_ids},
    known, state_of, view,
};
use crate::{
    error::{corrupt, engine},
    rows::count,
};

/// So many jobs are sorted rather than searched for among all others.
const SORTED_MOST: u64 = 20_000;
/// So many jobs a page looks at while it searches.
const SEARCHED_MOST: i64 = 20_000;

/// A page of jobs, newest first and older than `before`.
pub(super) async fn list(
    connection: &mut PgConnection,
    now: i64,
    filter: &JobFilter,
    before: i64,
    limit: u32,
) -> Result<Page<Job>, StoreError> {
    let limit = limit.max(1);
    // One more than the page holds tells whether there is a next one.
    let search = search(connection, filter, before, limit.saturating_add(1)).await?;
    let Some(search) = search else { return Ok(Page { items: Vec::new(), next_cursor: None }) };
    let mut ids: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(search.ids))
        .persistent(false)
        .fetch_all(&mut *connection)
        .await
        .map_err(engine)?;
    ids.sort_unstable_by(|one, other| other.cmp(one));
    let next = if ids.len() > limit as usize {
        ids.truncate(limit as usize);
        ids.last().copied()
    } else {
        search.end
    };
    let items = views(connection, now, ids).await?;
    Ok(Page { items, next_cursor: next.map(|id| Cursor::from_number(id).to_string()) })
}

/// How a page is found.
struct Search {
    /// A statement for the ids.
    ids: String,
    /// Where a search that was cut short goes on.
    end: Option<i64>,
}

/// The cheapest way to the jobs of a filter; none if no host has its address.
async fn search(
    connection: &mut PgConnection,
    filter: &JobFilter,
    before: i64,
    limit: u32,
) -> Result<Option<Search>, StoreError> {
    let kind = equals("kind", filter.kind.map(JobKind::number));
    let state = equals("state", filter.state.map(JobState::number));
    let order = format!("AND id < {before}{kind} ORDER BY id DESC LIMIT {limit}");
    let whole = |ids: String| Ok(Some(Search { ids, end: None }));
    // Few rows, all of which are read and sorted: the `OFFSET 0` keeps the planner from walking through the key.
    let among = |few: &str| format!("SELECT id FROM ({few} OFFSET 0) AS few WHERE true{state} {order}");
    let sorted = |few: &str| among(&format!("SELECT id, kind, state FROM job WHERE {few}"));
    if let Some(ip) = filter.ip {
        let Some(host) = host_of(connection, ip).await? else { return Ok(None) };
        return whole(among(&all_of_host(host)));
    }
    match filter.state {
        None if filter.kind.is_none() => {
            return whole(format!("SELECT id FROM job WHERE id < {before} ORDER BY id DESC LIMIT {limit}"));
        }
        Some(
            state @ (JobState::Scheduled | JobState::Retryable | JobState::Cancelled | JobState::Discarded),
        ) => {
            return whole(rare_ids(filter.kind, &[state], before, limit));
        }
        Some(JobState::Running) => return whole(sorted("state = 3")),
        Some(JobState::Available) => {
            let counts = stats(connection).await?;
            let kinds =
                JobKind::ALL.into_iter().filter(|kind| filter.kind.is_none_or(|wanted| wanted == *kind));
            if kinds.map(|kind| counts.of(kind).waiting()).sum::<u64>() <= SORTED_MOST {
                return whole(sorted(&format!("state < 3{kind}")));
            }
        }
        Some(JobState::Completed) => {
            let counts = stats(connection).await?;
            if JobKind::ALL.into_iter().map(|kind| counts.of(kind).completed).sum::<u64>() <= SORTED_MOST {
                return whole(sorted("state > 3 AND state = 4"));
            }
        }
        None => {}
    }
    // Job after job by id, and not for ever: a rare kind may have its next job millions of rows away.
    let end: Option<i64> =
        sqlx::query_scalar("SELECT id FROM job WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2")
            .bind(before)
            .bind(SEARCHED_MOST - 1)
            .persistent(false)
            .fetch_optional(connection)
            .await
            .map_err(engine)?;
    let from = end.map_or_else(String::new, |end| format!(" AND id >= {end}"));
    let ids = format!(
        "SELECT id FROM (SELECT id, kind, state FROM job WHERE id < {before}{from} OFFSET 0) AS searched \
         WHERE true{kind}{state} ORDER BY id DESC LIMIT {limit}"
    );
    Ok(Some(Search { ids, end }))
}

/// These jobs, in this order.
async fn views(connection: &mut PgConnection, now: i64, ids: Vec<i64>) -> Result<Vec<Job>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {} FROM unnest($1::bigint[]) WITH ORDINALITY AS x (id, place) \
         CROSS JOIN LATERAL (SELECT * FROM job WHERE job.id = x.id OFFSET 0) AS j \
         CROSS JOIN LATERAL (SELECT address FROM host WHERE host.id = j.host OFFSET 0) AS h \
         JOIN job_kind AS k ON k.kind = j.kind WHERE j.kind < {KINDS} ORDER BY x.place",
        view::COLUMNS
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(connection).await.map_err(engine)?;
    rows.iter().map(|row| view::job(row, now)).collect()
}

/// One job.
pub(super) async fn get(connection: &mut PgConnection, now: i64, id: JobId) -> Result<Job, StoreError> {
    views(connection, now, vec![id.0]).await?.pop().ok_or(StoreError::UnknownJob(id))
}

/// All counts.
pub(super) async fn stats(connection: &mut PgConnection) -> Result<JobStats, StoreError> {
    let counts: Vec<(i16, i16, i64)> = sqlx::query_as(
        "SELECT kind, state, sum(n)::bigint FROM (SELECT kind, state, n FROM job_count UNION ALL \
         SELECT kind, state, n FROM job_count_delta) AS counts GROUP BY kind, state",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let mut stats = JobStats::default();
    for (kind, state, jobs) in counts {
        let Some(kind) = known(kind) else { continue };
        stats.of_mut(kind).add(state_of(state)?, count(jobs));
    }
    Ok(stats)
}

/// A kind, since when it is paused, since when its oldest job waits, its cap.
type Kind = (i16, Option<i64>, Option<i64>, Option<i32>);

/// Each kind. Its longest waiting job is the one whose turn comes first at any of its priorities.
pub(super) async fn kinds(connection: &mut PgConnection) -> Result<Vec<KindStatus>, StoreError> {
    let counts = stats(connection).await?;
    let rows: Vec<Kind> = sqlx::query_as(
        "SELECT k.kind, k.paused_at, (SELECT min(head.created_at) FROM generate_series(0, 9) AS level (priority) \
             CROSS JOIN LATERAL (SELECT created_at FROM job WHERE state < 3 AND kind = k.kind \
                 AND priority = level.priority::smallint ORDER BY run_at, id LIMIT 1) AS head), \
         k.cap FROM job_kind AS k ORDER BY k.kind",
    )
    .persistent(false)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    rows.into_iter()
        .filter_map(|(kind, paused_at, oldest, cap)| Some((known(kind)?, paused_at, oldest, cap)))
        .map(|(kind, paused_at, oldest, cap)| {
            let cap =
                cap.map(|cap| u32::try_from(cap).map_err(|_| corrupt("a cap of a kind"))).transpose()?;
            Ok(KindStatus {
                kind,
                counts: *counts.of(kind),
                paused_at: paused_at.map(Timestamp::from_millis),
                served: false,
                oldest_waiting: oldest.map(Timestamp::from_millis),
                cap,
            })
        })
        .collect()
}
