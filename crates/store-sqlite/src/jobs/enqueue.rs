//! Asking for work.

use hostatlas_domain::{EnqueuedJob, JobId, JobKind, JobState, Topic};
use hostatlas_store::{EnqueueJob, EnqueueJobs, EnqueuedJobs, StoreError};
use sqlx::SqliteConnection;

use super::{claim::later, state_of};
use crate::{
    counters::{CoverageDelta, JobDelta},
    database::touch,
    error::engine,
    hosts,
    packed::{id_array, rows},
};

/// One job for one host.
pub(super) async fn one(
    connection: &mut SqliteConnection,
    now: i64,
    params: EnqueueJob,
) -> Result<EnqueuedJob, StoreError> {
    let key = params.address.to_key();
    let host: Option<(i64, bool)> =
        sqlx::query_as("SELECT id, location_state = 0 FROM host WHERE address = ?1")
            .bind(key.as_slice())
            .fetch_optional(&mut *connection)
            .await
            .map_err(engine)?;
    let (host, is_pending) = host.ok_or(StoreError::UnknownHost(params.address))?;
    let (port, protocol) = params.port.map_or((0, 0), |(port, protocol)| (port.get(), protocol.number()));
    let live: Option<(i64, i64)> = sqlx::query_as(
        "SELECT id, state FROM job WHERE host = ?1 AND kind = ?2 AND port = ?3 AND protocol = ?4 AND state < 4",
    )
    .bind(host)
    .bind(params.kind.number())
    .bind(port)
    .bind(protocol)
    .fetch_optional(&mut *connection)
    .await
    .map_err(engine)?;
    let run_at = later(now, params.delay);
    if let Some((id, _)) = live {
        let request = Request { run_at, priority: params.priority.get(), force: params.force };
        merge(connection, now, params.kind, &[id], request).await?;
        return Ok(EnqueuedJob { job: JobId(id), duplicate: true });
    }

    let state = if params.delay.is_zero() { JobState::Available } else { JobState::Scheduled };
    let id = sqlx::query(
        "INSERT INTO job (kind, host, port, protocol, priority, state, run_at, force, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .bind(params.kind.number())
    .bind(host)
    .bind(port)
    .bind(protocol)
    .bind(params.priority.get())
    .bind(state.number())
    .bind(run_at)
    .bind(params.force)
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?
    .last_insert_rowid();
    let pending = i64::from(is_pending && params.kind == JobKind::Geolocation && port == 0);
    count_new(connection, params.kind, state, 1, pending).await?;
    Ok(EnqueuedJob { job: JobId(id), duplicate: false })
}

/// What a request asks of a job that is already live.
#[derive(Clone, Copy)]
struct Request {
    run_at: i64,
    priority: u8,
    force: bool,
}

/// Takes a request into live jobs of a kind.
///
/// A waiting job that is asked for now is available, whatever it waited for. A running one is left alone, unless it is
/// forced: then it runs again.
async fn merge(
    connection: &mut SqliteConnection,
    now: i64,
    kind: JobKind,
    jobs: &[i64],
    request: Request,
) -> Result<(), StoreError> {
    let jobs = id_array(jobs.iter().copied());
    let before: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT state, count(*) FROM job WHERE id IN (SELECT value FROM json_each(?1)) AND state IN (1, 2) \
         AND min(run_at, ?2) <= ?3 GROUP BY state",
    )
    .bind(&jobs)
    .bind(request.run_at)
    .bind(now)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    sqlx::query(
        "UPDATE job SET priority = min(priority, ?3), run_at = min(run_at, ?2), \
         result = iif(?2 < run_at, NULL, result), force = max(force, ?4), \
         state = iif(min(run_at, ?2) <= ?5, 0, state) \
         WHERE id IN (SELECT value FROM json_each(?1)) AND state < 3",
    )
    .bind(&jobs)
    .bind(request.run_at)
    .bind(request.priority)
    .bind(request.force)
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    if request.force {
        sqlx::query(
            "UPDATE job SET rerun = 1, force = 1, priority = min(priority, ?2) \
             WHERE id IN (SELECT value FROM json_each(?1)) AND state = 3",
        )
        .bind(jobs)
        .bind(request.priority)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    }
    let mut counts = JobDelta::default();
    for (state, jobs) in before {
        counts.add(kind, state_of(state)?, -jobs);
        counts.add(kind, JobState::Available, jobs);
    }
    counts.write(connection).await?;
    touch(connection, &[Topic::Jobs]).await
}

/// Counts jobs that were made, and how many pending hosts have a geolocation job by them.
async fn count_new(
    connection: &mut SqliteConnection,
    kind: JobKind,
    state: JobState,
    jobs: i64,
    pending: i64,
) -> Result<(), StoreError> {
    let mut counts = JobDelta::default();
    counts.add(kind, state, jobs);
    counts.write(connection).await?;
    let mut coverage = CoverageDelta::default();
    coverage.pending_live(pending);
    if coverage.write(connection).await? {
        touch(connection, &[Topic::Jobs, Topic::Coverage]).await
    } else {
        touch(connection, &[Topic::Jobs]).await
    }
}

/// A geolocation job for each of the next hosts of a selection.
pub(super) async fn many(
    connection: &mut SqliteConnection,
    now: i64,
    params: EnqueueJobs,
) -> Result<EnqueuedJobs, StoreError> {
    let limit = params.limit.max(1);
    let selected = hosts::select(connection, now, &params.selection, params.after, limit).await?;
    let full = selected.len() >= limit as usize;
    let next = selected.last().map(|host| host.address).filter(|_| full);
    let considered = selected.len() as u64;
    if selected.is_empty() {
        return Ok(EnqueuedJobs::default());
    }
    let mut ids: Vec<i64> = selected.iter().map(|host| host.id.0).collect();
    ids.sort_unstable();
    let asked = ask(connection, ids).await?;
    let live = asked.live()?;
    if !live.is_empty() {
        let request = Request { run_at: now, priority: params.priority.get(), force: params.force };
        merge(connection, now, JobKind::Geolocation, &live, request).await?;
    }
    insert(connection, now, &asked, &params).await?;
    Ok(EnqueuedJobs { considered, queued: asked.jobs.unsigned_abs(), duplicate: live.len() as u64, next })
}

/// What hosts for which a job is asked already have.
#[derive(sqlx::FromRow)]
struct Asked {
    /// Those without a live job: the inside of a JSON array.
    missing: Option<String>,
    /// How many these are.
    jobs: i64,
    /// How many of these have never been looked up.
    pending: i64,
    /// The live jobs of the others, packed.
    live: Option<String>,
}

impl Asked {
    fn live(&self) -> Result<Vec<i64>, StoreError> {
        rows(self.live.as_deref()).map(|mut row| row.number()).collect()
    }
}

/// Each host and its live job are read once, since that is most of what the insertion does not cost.
async fn ask(connection: &mut SqliteConnection, hosts: Vec<i64>) -> Result<Asked, StoreError> {
    sqlx::query_as(
        "SELECT group_concat(iif(j.id IS NULL, h.id, NULL)) AS missing, \
             count(*) FILTER (WHERE j.id IS NULL) AS jobs, \
             count(*) FILTER (WHERE j.id IS NULL AND h.location_state = 0) AS pending, \
             group_concat(j.id, ';') AS live \
         FROM json_each(?1) AS x CROSS JOIN host AS h ON h.id = x.value \
         LEFT JOIN job AS j INDEXED BY job_live \
             ON j.host = h.id AND j.kind = 2 AND j.port = 0 AND j.protocol = 0 AND j.state < 4 \
         WHERE h.class = 0",
    )
    .bind(id_array(hosts))
    .fetch_one(connection)
    .await
    .map_err(engine)
}

/// Makes a job for each host that has no live one. None can have got one since they were asked: this is one transaction
/// of the only writer.
async fn insert(
    connection: &mut SqliteConnection,
    now: i64,
    asked: &Asked,
    params: &EnqueueJobs,
) -> Result<(), StoreError> {
    let Some(missing) = &asked.missing else { return Ok(()) };
    sqlx::query(
        "INSERT INTO job (kind, host, priority, run_at, force, created_at) \
         SELECT 2, value, ?2, ?3, ?4, ?3 FROM json_each(?1)",
    )
    .bind(format!("[{missing}]"))
    .bind(params.priority.get())
    .bind(now)
    .bind(params.force)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    count_new(connection, JobKind::Geolocation, JobState::Available, asked.jobs, asked.pending).await
}
