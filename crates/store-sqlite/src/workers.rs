//! The registry of the processes that run jobs, and their duties.

use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{Timestamp, WorkerStatus};
use hostatlas_store::{
    Duty, ReportWorker, StoreError, WorkerId, WorkerStore,
    backend::{WorkerTexts, worker_forgotten_at, worker_kinds, worker_running, worker_state},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    SqliteStore,
    database::Size,
    error::{corrupt, engine},
    schema,
};

#[async_trait]
impl WorkerStore for SqliteStore {
    async fn worker_report(&self, worker: ReportWorker) -> Result<(), StoreError> {
        let reported = self
            .database
            .write(Size::Small, move |connection, now| Box::pin(report(connection, now, worker)));
        self.database.writing.wrote(reported.await)
    }

    async fn worker_leave(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.database.write(Size::Small, move |connection, _| Box::pin(leave(connection, worker))).await
    }

    async fn workers_list(&self) -> Result<Vec<WorkerStatus>, StoreError> {
        self.database.read(|connection, now| Box::pin(list(connection, now))).await
    }

    async fn duty_take(&self, duty: Duty, worker: WorkerId, lease: Duration) -> Result<bool, StoreError> {
        self.database
            .write(Size::Small, move |connection, now| Box::pin(take(connection, now, duty, worker, lease)))
            .await
    }

    async fn duty_leave(&self, duty: Duty, worker: WorkerId) -> Result<(), StoreError> {
        self.database
            .write(Size::Small, move |connection, _| Box::pin(let_go(connection, duty, worker)))
            .await
    }
}

async fn report(connection: &mut SqliteConnection, now: i64, report: ReportWorker) -> Result<(), StoreError> {
    let found: i64 = sqlx::query_scalar("SELECT user_version FROM pragma_user_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(engine)?;
    if found > schema::WANTED {
        return Err(StoreError::SchemaNewer { found, known: schema::WANTED });
    }
    let WorkerTexts { host_name, kinds, running } = WorkerTexts::of(&report);
    sqlx::query(
        "INSERT INTO worker (id, command, host_name, process_id, version, kinds, concurrency, running, completed, \
         failed, stopping, started_at, heard_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12) \
         ON CONFLICT (id) DO UPDATE SET command = excluded.command, host_name = excluded.host_name, \
         process_id = excluded.process_id, version = excluded.version, kinds = excluded.kinds, \
         concurrency = excluded.concurrency, running = excluded.running, completed = excluded.completed, \
         failed = excluded.failed, stopping = excluded.stopping, heard_at = excluded.heard_at",
    )
    .bind(report.id.0)
    .bind(&report.command)
    .bind(host_name)
    .bind(report.process_id)
    .bind(&report.version)
    .bind(kinds)
    .bind(report.concurrency)
    .bind(running)
    .bind(stored(report.completed))
    .bind(stored(report.failed))
    .bind(report.stopping)
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    sqlx::query("DELETE FROM worker WHERE heard_at <= ?1")
        .bind(worker_forgotten_at(now))
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

async fn leave(connection: &mut SqliteConnection, worker: WorkerId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM worker WHERE id = ?1")
        .bind(worker.0)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

async fn list(connection: &mut SqliteConnection, now: i64) -> Result<Vec<WorkerStatus>, StoreError> {
    let rows = sqlx::query("SELECT * FROM worker ORDER BY host_name, started_at, id")
        .fetch_all(connection)
        .await
        .map_err(engine)?;
    rows.iter().map(|row| status(row, now)).collect()
}

fn status(row: &SqliteRow, now: i64) -> Result<WorkerStatus, StoreError> {
    let number = |name: &str| row.try_get::<i64, _>(name).map_err(engine);
    let small = |name: &str| u32::try_from(number(name)?).map_err(|_| corrupt("a number of a worker"));
    let count = |name: &str| u64::try_from(number(name)?).map_err(|_| corrupt("a count of a worker"));
    let text = |name: &str| row.try_get::<String, _>(name).map_err(engine);
    let heard_at = number("heard_at")?;
    Ok(WorkerStatus {
        id: number("id")?,
        state: worker_state(now, heard_at, row.try_get("stopping").map_err(engine)?),
        command: text("command")?,
        host_name: text("host_name")?,
        process_id: small("process_id")?,
        version: text("version")?,
        kinds: worker_kinds(&text("kinds")?),
        concurrency: small("concurrency")?,
        running: worker_running(&text("running")?),
        completed: count("completed")?,
        failed: count("failed")?,
        started_at: Timestamp::from_millis(number("started_at")?),
        heard_at: Timestamp::from_millis(heard_at),
    })
}

async fn take(
    connection: &mut SqliteConnection,
    now: i64,
    duty: Duty,
    worker: WorkerId,
    lease: Duration,
) -> Result<bool, StoreError> {
    let taken = sqlx::query(
        "INSERT INTO duty (name, worker, held_until) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE \
         SET worker = excluded.worker, held_until = excluded.held_until \
         WHERE duty.worker = excluded.worker OR duty.held_until <= ?4",
    )
    .bind(duty.slug())
    .bind(worker.0)
    .bind(Timestamp::from_millis(now).plus(lease).as_millis())
    .bind(now)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(taken.rows_affected() == 1)
}

/// Writes a row of a name that no duty has, and removes it: the page that it stood on is written.
pub(crate) async fn try_write(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO duty (name, worker, held_until) VALUES ('try_write', 0, 0) ON CONFLICT (name) DO NOTHING")
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    sqlx::query("DELETE FROM duty WHERE name = 'try_write'").execute(connection).await.map_err(engine)?;
    Ok(())
}

async fn let_go(connection: &mut SqliteConnection, duty: Duty, worker: WorkerId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM duty WHERE name = ?1 AND worker = ?2")
        .bind(duty.slug())
        .bind(worker.0)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
