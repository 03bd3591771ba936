//! A job as people see it.

use hostatlas_domain::{Address, Job, JobId, JobState, Priority, Timestamp};
use hostatlas_store::{StoreError, backend::Wait};
use sqlx::{Row, postgres::PgRow};

use super::{claim::port, kind_of, state_of};
use crate::error::{corrupt, engine};

/// The columns that [`job`] reads, of `job AS j`, `host AS h` and `job_kind AS k`.
pub(super) const COLUMNS: &str = "j.id, j.kind, h.address, j.port, j.protocol, j.state, j.priority, j.attempt, \
    j.max_attempts, j.run_at, j.created_at, j.started_at, j.finished_at, j.force <> 0 AS force, j.last_error, \
    j.result, j.claimed_by, k.paused_at IS NOT NULL AS paused";

/// Reads a row of [`COLUMNS`].
pub(super) fn job(row: &PgRow, now: i64) -> Result<Job, StoreError> {
    let number = |name: &str| row.try_get::<i64, _>(name).map_err(engine);
    let byte = |name: &str| row.try_get::<i16, _>(name).map_err(engine);
    let small = |name: &str| {
        let number: i32 = row.try_get(name).map_err(engine)?;
        u32::try_from(number).map_err(|_| corrupt("a count of a job"))
    };
    let text = |name: &str| row.try_get::<Option<String>, _>(name).map_err(engine);
    let moment = |name: &str| -> Result<Option<Timestamp>, StoreError> {
        Ok(row.try_get::<Option<i64>, _>(name).map_err(engine)?.map(Timestamp::from_millis))
    };
    let address: &[u8] = row.try_get("address").map_err(engine)?;
    let address = address.try_into().map_err(|_| corrupt("an address"))?;
    let port = port(row.try_get("port").map_err(engine)?, byte("protocol")?)?;
    let (kind, state) = (kind_of(byte("kind")?)?, state_of(byte("state")?)?);
    let run_at = Timestamp::from_millis(number("run_at")?);
    let (last_error, result) = (text("last_error")?, text("result")?);
    let paused: bool = row.try_get("paused").map_err(engine)?;
    let wait = Wait { kind, state, run_at, now: Timestamp::from_millis(now), paused };
    Ok(Job {
        id: JobId(number("id")?),
        kind,
        ip: Address::from_key(address),
        port: port.map(|(port, _)| port.get()),
        protocol: port.map(|(_, protocol)| protocol),
        state,
        priority: Priority::new(u8::try_from(byte("priority")?).unwrap_or(u8::MAX)),
        attempt: small("attempt")?,
        max_attempts: small("max_attempts")?,
        run_at,
        created_at: Timestamp::from_millis(number("created_at")?),
        started_at: moment("started_at")?,
        finished_at: moment("finished_at")?,
        force: row.try_get("force").map_err(engine)?,
        waiting_because: wait.because(result.as_deref(), last_error.as_deref()),
        last_error,
        // A waiting job has found nothing yet: the column says why it waits.
        result: result.filter(|_| !state.is_live()),
        worker: row
            .try_get::<Option<i64>, _>("claimed_by")
            .map_err(engine)?
            .filter(|_| state == JobState::Running),
    })
}
