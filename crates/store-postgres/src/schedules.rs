//! Recurring work.

use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{LeaseToken, Schedule, ScheduleRule, ScheduleTask, Timestamp, truncate_bytes};
use hostatlas_store::{
    ClaimedSchedule, ERROR_BYTES, FinishSchedule, ScheduleStore, StoreError, WorkerId, backend::ScheduleRow,
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    PostgresStore,
    error::{corrupt, engine},
    rows::storable,
};

/// A row whose turn it is at $1, and which is no newer version's. A lease that ran out is an occurrence that did not
/// end: it is done again whatever its time, and also if the task was paused meanwhile.
macro_rules! is_due {
    () => {
        "task BETWEEN 0 AND 3 AND CASE WHEN leased_until IS NULL \
         THEN asked_at IS NOT NULL OR paused_at IS NULL AND next_at <= $1 ELSE leased_until <= $1 END"
    };
}

#[async_trait]
impl ScheduleStore for PostgresStore {
    async fn schedules_list(&self) -> Result<Vec<Schedule>, StoreError> {
        self.database.read(|connection, now| Box::pin(list(connection, now))).await
    }

    async fn schedule_change(
        &self,
        task: ScheduleTask,
        rule: ScheduleRule,
        next_in: Duration,
    ) -> Result<(), StoreError> {
        self.database
            .write_with(rule, move |connection, now, rule| {
                Box::pin(change(connection, now, task, rule, next_in))
            })
            .await
    }

    async fn schedule_pause(&self, task: ScheduleTask) -> Result<(), StoreError> {
        self.database.write(move |connection, now| Box::pin(pause(connection, now, task))).await
    }

    async fn schedule_resume(
        &self,
        task: ScheduleTask,
        rule: ScheduleRule,
        next_in: Option<Duration>,
    ) -> Result<(), StoreError> {
        self.database
            .write_with(rule, move |connection, now, rule| {
                Box::pin(resume(connection, now, task, rule, next_in))
            })
            .await
    }

    async fn schedule_ask(&self, task: ScheduleTask) -> Result<(), StoreError> {
        self.database.write(move |connection, now| Box::pin(ask(connection, now, task))).await
    }

    async fn schedule_claim(
        &self,
        worker: WorkerId,
        lease: Duration,
    ) -> Result<Option<ClaimedSchedule>, StoreError> {
        // Workers ask every second, and nearly always in vain: that costs no write.
        if !self.database.read(|connection, now| Box::pin(is_any_due(connection, now))).await? {
            return Ok(None);
        }
        self.database.write(move |connection, now| Box::pin(claim(connection, now, worker, lease))).await
    }

    async fn schedule_renew(
        &self,
        task: ScheduleTask,
        token: LeaseToken,
        lease: Duration,
    ) -> Result<(), StoreError> {
        self.database.write(move |connection, now| Box::pin(renew(connection, now, task, token, lease))).await
    }

    async fn schedule_finish(&self, end: FinishSchedule) -> Result<Option<ScheduleRule>, StoreError> {
        self.database.write_with(end, |connection, now, end| Box::pin(finish(connection, now, end))).await
    }
}

fn later(now: i64, duration: Duration) -> i64 {
    Timestamp::from_millis(now).plus(duration).as_millis()
}

fn code(task: ScheduleTask) -> i16 {
    i16::try_from(task.code()).unwrap_or(i16::MAX)
}

async fn list(connection: &mut PgConnection, now: i64) -> Result<Vec<Schedule>, StoreError> {
    let rows =
        sqlx::query("SELECT * FROM schedule ORDER BY task").fetch_all(connection).await.map_err(engine)?;
    rows.iter().filter_map(|row| schedule(row, now).transpose()).collect()
}

/// None for a task that a newer version made.
fn schedule(row: &PgRow, now: i64) -> Result<Option<Schedule>, StoreError> {
    let number = |name: &str| row.try_get::<Option<i64>, _>(name).map_err(engine);
    let columns = ScheduleRow {
        task: row.try_get::<i16, _>("task").map_err(engine)?.into(),
        rule: row.try_get("rule").map_err(engine)?,
        next_at: row.try_get("next_at").map_err(engine)?,
        paused_at: number("paused_at")?,
        asked_at: number("asked_at")?,
        leased_until: number("leased_until")?,
        started_at: number("started_at")?,
        finished_at: number("finished_at")?,
        outcome: row.try_get::<Option<i16>, _>("outcome").map_err(engine)?.map(i64::from),
        detail: row.try_get("detail").map_err(engine)?,
    };
    columns.schedule(now)
}

async fn change(
    connection: &mut PgConnection,
    now: i64,
    task: ScheduleTask,
    rule: &ScheduleRule,
    next_in: Duration,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE schedule SET rule = $2, next_at = $3 WHERE task = $1")
        .bind(code(task))
        .bind(rule.to_string())
        .bind(later(now, next_in))
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

async fn pause(connection: &mut PgConnection, now: i64, task: ScheduleTask) -> Result<(), StoreError> {
    sqlx::query("UPDATE schedule SET paused_at = coalesce(paused_at, $2) WHERE task = $1")
        .bind(code(task))
        .bind(now)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

async fn resume(
    connection: &mut PgConnection,
    now: i64,
    task: ScheduleTask,
    rule: &ScheduleRule,
    next_in: Option<Duration>,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE schedule SET next_at = CASE WHEN paused_at IS NOT NULL AND next_at > $2 AND rule = $3 \
         THEN coalesce($4, next_at) ELSE next_at END, paused_at = NULL WHERE task = $1",
    )
    .bind(code(task))
    .bind(now)
    .bind(rule.to_string())
    .bind(next_in.map(|next_in| later(now, next_in)))
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

async fn ask(connection: &mut PgConnection, now: i64, task: ScheduleTask) -> Result<(), StoreError> {
    sqlx::query("UPDATE schedule SET asked_at = coalesce(asked_at, $2) WHERE task = $1")
        .bind(code(task))
        .bind(now)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

async fn is_any_due(connection: &mut PgConnection, now: i64) -> Result<bool, StoreError> {
    sqlx::query_scalar(concat!("SELECT EXISTS (SELECT 1 FROM schedule WHERE ", is_due!(), ")"))
        .bind(now)
        .fetch_one(connection)
        .await
        .map_err(engine)
}

/// Of several that ask at once, each skips what another is just taking.
async fn claim(
    connection: &mut PgConnection,
    now: i64,
    worker: WorkerId,
    lease: Duration,
) -> Result<Option<ClaimedSchedule>, StoreError> {
    let claimed: Option<(i16, String, i64)> = sqlx::query_as(concat!(
        "WITH due AS MATERIALIZED (SELECT task FROM schedule WHERE ",
        is_due!(),
        " ORDER BY coalesce(asked_at, next_at), task LIMIT 1 FOR UPDATE SKIP LOCKED) \
         UPDATE schedule SET lease_token = lease_token + 1, leased_until = $2, worker = $3, started_at = $1, \
         asked_at = NULL WHERE task = (SELECT task FROM due) RETURNING task, rule, lease_token"
    ))
    .bind(now)
    .bind(later(now, lease))
    .bind(worker.0)
    .fetch_optional(connection)
    .await
    .map_err(engine)?;
    let Some((task, rule, token)) = claimed else { return Ok(None) };
    Ok(Some(ClaimedSchedule {
        task: ScheduleTask::from_code(task.into()).ok_or_else(|| corrupt("a schedule"))?,
        rule: rule.parse().map_err(|_| corrupt("a rule of a schedule"))?,
        token: LeaseToken(token),
        now: Timestamp::from_millis(now),
    }))
}

async fn renew(
    connection: &mut PgConnection,
    now: i64,
    task: ScheduleTask,
    token: LeaseToken,
    lease: Duration,
) -> Result<(), StoreError> {
    let renewed = sqlx::query(
        "UPDATE schedule SET leased_until = $3 WHERE task = $1 AND lease_token = $2 AND leased_until IS NOT NULL",
    )
    .bind(code(task))
    .bind(token.0)
    .bind(later(now, lease))
    .execute(connection)
    .await
    .map_err(engine)?;
    held(renewed.rows_affected())
}

async fn finish(
    connection: &mut PgConnection,
    now: i64,
    end: &FinishSchedule,
) -> Result<Option<ScheduleRule>, StoreError> {
    // Compared as rules and not as text, of which one rule has several; and held until the end is written.
    let rule: Option<String> = sqlx::query_scalar(
        "SELECT rule FROM schedule WHERE task = $1 AND lease_token = $2 AND leased_until IS NOT NULL FOR UPDATE",
    )
    .bind(code(end.task))
    .bind(end.token.0)
    .fetch_optional(&mut *connection)
    .await
    .map_err(engine)?;
    let rule: ScheduleRule =
        rule.ok_or(StoreError::LeaseLost)?.parse().map_err(|_| corrupt("a rule of a schedule"))?;
    if rule != end.rule {
        return Ok(Some(rule));
    }
    let is_done = end.outcome.is_ok();
    let (Ok(detail) | Err(detail)) = &end.outcome;
    let finished = sqlx::query(
        "UPDATE schedule SET leased_until = NULL, worker = NULL, finished_at = $3, outcome = $4, detail = $5, \
         next_at = $6 WHERE task = $1 AND lease_token = $2 AND leased_until IS NOT NULL",
    )
    .bind(code(end.task))
    .bind(end.token.0)
    .bind(now)
    .bind(i16::from(is_done))
    .bind(storable(truncate_bytes(detail, ERROR_BYTES)))
    .bind(later(now, end.next_in))
    .execute(connection)
    .await
    .map_err(engine)?;
    held(finished.rows_affected()).map(|()| None)
}

fn held(rows: u64) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
}
