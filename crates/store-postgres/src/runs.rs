//! Direct batch runs from the web.

use async_trait::async_trait;
use hostatlas_domain::{Mode, Run, RunId, RunState, Topic};
use hostatlas_store::{
    RunProgress, RunStore, StoreError,
    backend::{RunRow, interrupted_before},
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    PostgresStore, copy,
    counters::touch,
    error::engine,
    rows::{byte, small, storable},
};

#[async_trait]
impl RunStore for PostgresStore {
    async fn run_start(&self, mode: Mode, total: u64) -> Result<RunId, StoreError> {
        self.database.write(move |connection, now| Box::pin(start(connection, now, mode, total))).await
    }

    async fn run_report(&self, progress: RunProgress) -> Result<bool, StoreError> {
        self.database
            .write_with(progress, |connection, now, progress| Box::pin(report(connection, now, progress)))
            .await
    }

    async fn run_cancel(&self, id: RunId) -> Result<Run, StoreError> {
        self.database.write(move |connection, now| Box::pin(cancel(connection, now, id))).await
    }

    async fn run_get(&self, id: RunId) -> Result<Run, StoreError> {
        self.database.read(move |connection, now| Box::pin(get(connection, now, id))).await
    }

    async fn run_latest(&self) -> Result<Option<Run>, StoreError> {
        self.database.read(|connection, now| Box::pin(latest(connection, now))).await
    }
}

async fn start(connection: &mut PgConnection, now: i64, mode: Mode, total: u64) -> Result<RunId, StoreError> {
    // Two processes that begin at once must not both find that nothing runs; a copy that begins waits, too, or is seen.
    sqlx::query("LOCK TABLE run IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    copy::refuse_half(connection).await?;
    sqlx::query("UPDATE run SET state = 3, finished_at = reported_at WHERE state = 0 AND reported_at < $1")
        .bind(interrupted_before(now))
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    let running: Option<i64> = sqlx::query_scalar("SELECT id FROM run WHERE state = 0 LIMIT 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(engine)?;
    if let Some(id) = running {
        return Err(StoreError::RunInProgress(RunId(id)));
    }
    let id = sqlx::query_scalar(
        "INSERT INTO run (mode, total, started_at, reported_at) VALUES ($1, $2, $3, $3) RETURNING id",
    )
    .bind(mode.slug())
    .bind(stored(total))
    .bind(now)
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    touch(connection, &[Topic::Coverage]).await?;
    Ok(RunId(id))
}

async fn report(connection: &mut PgConnection, now: i64, progress: &RunProgress) -> Result<bool, StoreError> {
    let RunProgress { id, summary, state, error } = progress;
    let going_on: Option<(i16, i16)> =
        sqlx::query_as("SELECT state, cancel_requested FROM run WHERE id = $1 FOR UPDATE")
            .bind(id.0)
            .fetch_optional(&mut *connection)
            .await
            .map_err(engine)?;
    let (stored_state, cancelled) = going_on.ok_or(StoreError::UnknownRun(*id))?;
    // A process that was taken for dead and comes back must stop: another run may have begun.
    if stored_state != small(RunState::Running.number()) {
        return Ok(true);
    }
    sqlx::query(
        "UPDATE run SET state = $2, reported_at = $3, finished_at = CASE WHEN $2 = 0 THEN NULL ELSE $3 END, considered = $4, \
         located = $5, unlocated = $6, failed = $7, skipped = $8, queued = $9, duplicate = $10, deferred = $11, error = $12 \
         WHERE id = $1",
    )
    .bind(id.0)
    .bind(small(state.number()))
    .bind(now)
    .bind(stored(summary.considered))
    .bind(stored(summary.located))
    .bind(stored(summary.unlocated))
    .bind(stored(summary.failed))
    .bind(stored(summary.skipped))
    .bind(stored(summary.queued))
    .bind(stored(summary.duplicate))
    .bind(stored(summary.deferred))
    .bind(error.as_deref().map(|error| storable(error).into_owned()))
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    touch(connection, &[Topic::Coverage]).await?;
    Ok(cancelled != 0)
}

async fn cancel(connection: &mut PgConnection, now: i64, id: RunId) -> Result<Run, StoreError> {
    sqlx::query("UPDATE run SET cancel_requested = 1 WHERE id = $1 AND state = 0")
        .bind(id.0)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    touch(connection, &[Topic::Coverage]).await?;
    get(connection, now, id).await
}

async fn get(connection: &mut PgConnection, now: i64, id: RunId) -> Result<Run, StoreError> {
    let row = sqlx::query("SELECT * FROM run WHERE id = $1")
        .bind(id.0)
        .fetch_optional(connection)
        .await
        .map_err(engine)?;
    view(&row.ok_or(StoreError::UnknownRun(id))?, now)
}

async fn latest(connection: &mut PgConnection, now: i64) -> Result<Option<Run>, StoreError> {
    let row = sqlx::query("SELECT * FROM run ORDER BY id DESC LIMIT 1")
        .fetch_optional(connection)
        .await
        .map_err(engine)?;
    row.map(|row| view(&row, now)).transpose()
}

fn view(row: &PgRow, now: i64) -> Result<Run, StoreError> {
    let number = |name: &str| row.try_get::<i64, _>(name).map_err(engine);
    let columns = RunRow {
        id: number("id")?,
        mode: row.try_get("mode").map_err(engine)?,
        state: byte(row.try_get("state").map_err(engine)?, "a state of a run")?,
        total: number("total")?,
        started_at: number("started_at")?,
        reported_at: number("reported_at")?,
        finished_at: row.try_get("finished_at").map_err(engine)?,
        considered: number("considered")?,
        located: number("located")?,
        unlocated: number("unlocated")?,
        failed: number("failed")?,
        deferred: number("deferred")?,
        skipped: number("skipped")?,
        queued: number("queued")?,
        duplicate: number("duplicate")?,
        error: row.try_get("error").map_err(engine)?,
    };
    columns.run(now)
}

fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
