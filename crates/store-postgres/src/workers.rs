//! The registry of the processes that run jobs, and their duties.

use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{Timestamp, WorkerStatus};
use hostatlas_store::{
    Duty, ReportWorker, StoreError, WorkerId, WorkerSession, WorkerStore,
    backend::{WorkerTexts, worker_forgotten_at, worker_kinds, worker_running, worker_state},
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    PostgresStore,
    error::{corrupt, engine},
    presence::Presence,
    rows::storable,
    schema,
};

#[async_trait]
impl WorkerStore for PostgresStore {
    async fn worker_report(&self, worker: ReportWorker) -> Result<(), StoreError> {
        let reported = self
            .database
            .write_with(worker, |connection, now, worker| Box::pin(report(connection, now, worker)));
        self.database.writing.wrote(reported.await)
    }

    async fn worker_leave(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.database.write(move |connection, _| Box::pin(leave(connection, worker))).await
    }

    fn worker_session(&self, worker: WorkerId) -> Option<Box<dyn WorkerSession>> {
        let options = self.database.listening.clone()?;
        Some(Box::new(Presence::start(options, worker)))
    }

    async fn workers_list(&self) -> Result<Vec<WorkerStatus>, StoreError> {
        self.database.read(|connection, now| Box::pin(list(connection, now))).await
    }

    async fn duty_take(&self, duty: Duty, worker: WorkerId, lease: Duration) -> Result<bool, StoreError> {
        self.database.write(move |connection, now| Box::pin(take(connection, now, duty, worker, lease))).await
    }

    async fn duty_leave(&self, duty: Duty, worker: WorkerId) -> Result<(), StoreError> {
        self.database.write(move |connection, _| Box::pin(let_go(connection, duty, worker))).await
    }
}

async fn report(connection: &mut PgConnection, now: i64, report: &ReportWorker) -> Result<(), StoreError> {
    let found: i64 = sqlx::query_scalar("SELECT version FROM hostatlas_schema")
        .fetch_one(&mut *connection)
        .await
        .map_err(engine)?;
    if found > schema::WANTED {
        return Err(StoreError::SchemaNewer { found, known: schema::WANTED });
    }
    let WorkerTexts { host_name, kinds, running } = WorkerTexts::of(report);
    sqlx::query(
        "INSERT INTO worker (id, command, host_name, process_id, version, kinds, concurrency, running, completed, \
         failed, stopping, started_at, heard_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) \
         ON CONFLICT (id) DO UPDATE SET command = excluded.command, host_name = excluded.host_name, \
         process_id = excluded.process_id, version = excluded.version, kinds = excluded.kinds, \
         concurrency = excluded.concurrency, running = excluded.running, completed = excluded.completed, \
         failed = excluded.failed, stopping = excluded.stopping, heard_at = excluded.heard_at",
    )
    .bind(report.id.0)
    .bind(storable(&report.command))
    .bind(storable(host_name))
    .bind(i64::from(report.process_id))
    .bind(storable(&report.version))
    .bind(kinds)
    .bind(i32::try_from(report.concurrency).unwrap_or(i32::MAX))
    .bind(running)
    .bind(stored(report.completed))
    .bind(stored(report.failed))
    .bind(i16::from(report.stopping))
    .bind(now)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    // Several processes report at once: whoever is being removed by another is left to it.
    sqlx::query(
        "DELETE FROM worker WHERE id = ANY(ARRAY( \
         SELECT id FROM worker WHERE heard_at <= $1 ORDER BY id FOR UPDATE SKIP LOCKED))",
    )
    .bind(worker_forgotten_at(now))
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

async fn leave(connection: &mut PgConnection, worker: WorkerId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM worker WHERE id = $1")
        .bind(worker.0)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

async fn list(connection: &mut PgConnection, now: i64) -> Result<Vec<WorkerStatus>, StoreError> {
    let rows = sqlx::query("SELECT * FROM worker ORDER BY host_name COLLATE \"C\", started_at, id")
        .fetch_all(connection)
        .await
        .map_err(engine)?;
    rows.iter().map(|row| status(row, now)).collect()
}

fn status(row: &PgRow, now: i64) -> Result<WorkerStatus, StoreError> {
    let number = |name: &str| row.try_get::<i64, _>(name).map_err(engine);
    let count = |name: &str| u64::try_from(number(name)?).map_err(|_| corrupt("a count of a worker"));
    let text = |name: &str| row.try_get::<String, _>(name).map_err(engine);
    let heard_at = number("heard_at")?;
    let stopping: i16 = row.try_get("stopping").map_err(engine)?;
    let concurrency: i32 = row.try_get("concurrency").map_err(engine)?;
    Ok(WorkerStatus {
        id: number("id")?,
        state: worker_state(now, heard_at, stopping != 0),
        command: text("command")?,
        host_name: text("host_name")?,
        process_id: u32::try_from(number("process_id")?).map_err(|_| corrupt("a number of a worker"))?,
        version: text("version")?,
        kinds: worker_kinds(&text("kinds")?),
        concurrency: u32::try_from(concurrency).map_err(|_| corrupt("a number of a worker"))?,
        running: worker_running(&text("running")?),
        completed: count("completed")?,
        failed: count("failed")?,
        started_at: Timestamp::from_millis(number("started_at")?),
        heard_at: Timestamp::from_millis(heard_at),
    })
}

/// Two that ask at once wait for each other at the row, and the second has the condition asked again.
async fn take(
    connection: &mut PgConnection,
    now: i64,
    duty: Duty,
    worker: WorkerId,
    lease: Duration,
) -> Result<bool, StoreError> {
    let taken = sqlx::query(
        "INSERT INTO duty (name, worker, held_until) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE \
         SET worker = excluded.worker, held_until = excluded.held_until \
         WHERE duty.worker = excluded.worker OR duty.held_until <= $4",
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
pub(crate) async fn try_write(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO duty (name, worker, held_until) VALUES ('try_write', 0, 0) ON CONFLICT (name) DO NOTHING")
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    sqlx::query("DELETE FROM duty WHERE name = 'try_write'").execute(connection).await.map_err(engine)?;
    Ok(())
}

async fn let_go(connection: &mut PgConnection, duty: Duty, worker: WorkerId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM duty WHERE name = $1 AND worker = $2")
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
