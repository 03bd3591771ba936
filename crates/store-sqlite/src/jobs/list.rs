//! Reading jobs.

use hostatlas_domain::{
    Cursor, Job, JobFilter, JobId, JobKind, JobState, JobStats, KindStatus, Page, Timestamp,
};
use hostatlas_store::StoreError;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{
    KINDS,
    candidates::{equals, host_of, rare_ids},
    known, state_of, view,
};
use crate::{
    error::engine,
    packed::{id_array, rows},
};

/// So many jobs are sorted rather than searched for among all others.
const SORTED_MOST: u64 = 20_000;
/// So many jobs a page looks at while it searches.
const SEARCHED_MOST: i64 = 20_000;

/// A page of jobs, newest first.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    now: i64,
    filter: JobFilter,
    cursor: Option<Cursor>,
    limit: u32,
) -> Result<Page<Job>, StoreError> {
    let before = cursor.map_or(Ok(i64::MAX), |cursor| cursor.number(0))?;
    let limit = limit.max(1);
    // One more than the page holds tells whether there is a next one.
    let search = search(connection, &filter, before, limit + 1).await?;
    let Some(search) = search else { return Ok(Page { items: Vec::new(), next_cursor: None }) };
    let packed: Option<String> =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT group_concat(id, ';') FROM ({})", search.ids)))
            .persistent(false)
            .fetch_one(&mut *connection)
            .await
            .map_err(engine)?;
    let mut ids = rows(packed.as_deref()).map(|mut row| row.number()).collect::<Result<Vec<_>, _>>()?;
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
    connection: &mut SqliteConnection,
    filter: &JobFilter,
    before: i64,
    limit: u32,
) -> Result<Option<Search>, StoreError> {
    let kind = equals("kind", filter.kind.map(JobKind::number));
    let state = equals("+state", filter.state.map(JobState::number));
    let order = format!("AND id < {before}{kind} ORDER BY id DESC LIMIT {limit}");
    let whole = |ids: String| Ok(Some(Search { ids, end: None }));
    if let Some(ip) = filter.ip {
        let Some(host) = host_of(connection, ip).await? else { return Ok(None) };
        return whole(format!("SELECT id FROM job INDEXED BY job_host WHERE host = {host}{state} {order}"));
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
        Some(JobState::Running) => {
            return whole(format!("SELECT id FROM job INDEXED BY job_leased WHERE state = 3 {order}"));
        }
        Some(JobState::Available) => {
            let counts = stats(connection).await?;
            let kinds =
                JobKind::ALL.into_iter().filter(|kind| filter.kind.is_none_or(|wanted| wanted == *kind));
            if kinds.map(|kind| counts.of(kind).waiting()).sum::<u64>() <= SORTED_MOST {
                let index = "INDEXED BY job_ready WHERE state < 3";
                return whole(format!("SELECT id FROM job {index}{state} {order}"));
            }
        }
        Some(JobState::Completed) => {
            let counts = stats(connection).await?;
            if JobKind::ALL.into_iter().map(|kind| counts.of(kind).completed).sum::<u64>() <= SORTED_MOST {
                let index = "INDEXED BY job_finished WHERE state > 3 AND state = 4";
                return whole(format!("SELECT id FROM job {index} {order}"));
            }
        }
        None => {}
    }
    // Job after job by id, and not for ever: a rare kind may have its next job millions of rows away.
    let end: Option<i64> =
        sqlx::query_scalar("SELECT id FROM job WHERE id < ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2 + 0")
            .bind(before)
            .bind(SEARCHED_MOST - 1)
            .fetch_optional(connection)
            .await
            .map_err(engine)?;
    let from = end.map_or_else(String::new, |end| format!(" AND id >= {end}"));
    let ids = format!(
        "SELECT id FROM job NOT INDEXED WHERE id < {before}{from}{kind}{state} ORDER BY id DESC LIMIT {limit}"
    );
    Ok(Some(Search { ids, end }))
}

/// These jobs, in this order.
async fn views(connection: &mut SqliteConnection, now: i64, ids: Vec<i64>) -> Result<Vec<Job>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {} FROM json_each(?1) AS x CROSS JOIN job AS j ON j.id = x.value \
         CROSS JOIN host AS h ON h.id = j.host CROSS JOIN job_kind AS k ON k.kind = j.kind \
         WHERE j.kind < {KINDS} ORDER BY x.key",
        view::COLUMNS
    );
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(id_array(ids)).fetch_all(connection).await.map_err(engine)?;
    rows.iter().map(|row| view::job(row, now)).collect()
}

/// One job.
pub(super) async fn get(connection: &mut SqliteConnection, now: i64, id: JobId) -> Result<Job, StoreError> {
    views(connection, now, vec![id.0]).await?.pop().ok_or(StoreError::UnknownJob(id))
}

/// All counts.
pub(super) async fn stats(connection: &mut SqliteConnection) -> Result<JobStats, StoreError> {
    let counts: Vec<(i64, i64, i64)> =
        sqlx::query_as("SELECT kind, state, n FROM job_count").fetch_all(connection).await.map_err(engine)?;
    let mut stats = JobStats::default();
    for (kind, state, jobs) in counts {
        let Some(kind) = known(kind) else { continue };
        stats.of_mut(kind).add(state_of(state)?, u64::try_from(jobs).unwrap_or(0));
    }
    Ok(stats)
}

/// Each kind. Its longest waiting job is the one whose turn comes first at any of its priorities.
pub(super) async fn kinds(connection: &mut SqliteConnection) -> Result<Vec<KindStatus>, StoreError> {
    /// Kind, since when it is paused, when its longest waiting job was queued, its cap.
    type Row = (i64, Option<i64>, Option<i64>, Option<u32>);
    let counts = stats(connection).await?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT k.kind, k.paused_at, (SELECT min((SELECT created_at FROM job WHERE state < 3 AND kind = k.kind \
         AND priority = p.value ORDER BY run_at, id LIMIT 1)) FROM json_each('[0,1,2,3,4,5,6,7,8,9]') AS p), \
         k.cap FROM job_kind AS k ORDER BY k.kind",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    rows.into_iter()
        .filter_map(|(kind, paused_at, oldest, cap)| Some((known(kind)?, paused_at, oldest, cap)))
        .map(|(kind, paused_at, oldest, cap)| {
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
