//! A job as people see it.

use hostatlas_domain::{Address, Job, JobId, JobKind, JobState, Priority, Timestamp};
use hostatlas_store::StoreError;
use sqlx::{Row, postgres::PgRow};

use super::{claim::port, kind_of, state_of};
use crate::error::{corrupt, engine};

/// The columns that [`job`] reads, of `job AS j`, `host AS h` and `job_kind AS k`.
pub(super) const COLUMNS: &str = "j.id, j.kind, h.address, j.port, j.protocol, j.state, j.priority, j.attempt, \
    j.max_attempts, j.run_at, j.created_at, j.started_at, j.finished_at, j.force <> 0 AS force, j.last_error, \
    j.result, k.paused_at IS NOT NULL AS paused";

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
    })
}

/// What tells why a job waits.
struct Wait {
    kind: JobKind,
    state: JobState,
    run_at: Timestamp,
    now: Timestamp,
    paused: bool,
}

impl Wait {
    /// None where nothing is known to be in its way.
    fn because(&self, snoozed: Option<&str>, last_error: Option<&str>) -> Option<String> {
        if !self.state.is_waiting() {
            return None;
        }
        if self.paused {
            return Some(format!("{} jobs are paused", self.kind));
        }
        if self.run_at <= self.now {
            return None;
        }
        let at = self.run_at.to_readable();
        Some(match (self.state, snoozed, last_error) {
            (_, Some(reason), _) => format!("{reason}; next try at {at}"),
            (JobState::Retryable, None, Some(error)) => format!("next try at {at} after: {error}"),
            (JobState::Retryable, None, None) => format!("next try at {at}"),
            _ => format!("scheduled for {at}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_says_why_it_waits() {
        let now = Timestamp::from_secs(1_800_000_000);
        let wait = |state, seconds: u64, paused| Wait {
            kind: JobKind::Geolocation,
            state,
            run_at: now.plus(std::time::Duration::from_secs(seconds)),
            now,
            paused,
        };
        let cases = [
            (wait(JobState::Available, 0, true), Some("geolocation jobs are paused")),
            (wait(JobState::Available, 0, false), None),
            (wait(JobState::Running, 0, true), None),
            (
                wait(JobState::Retryable, 60, false),
                Some("next try at 2027-01-15 08:01:00 UTC after: connection refused"),
            ),
        ];
        for (wait, because) in cases {
            assert_eq!(wait.because(None, Some("connection refused")).as_deref(), because);
        }
        let scheduled = wait(JobState::Scheduled, 60, false);
        assert_eq!(scheduled.because(None, None).as_deref(), Some("scheduled for 2027-01-15 08:01:00 UTC"));
        assert_eq!(
            scheduled.because(Some("`ip-api` is at its limit"), None).as_deref(),
            Some("`ip-api` is at its limit; next try at 2027-01-15 08:01:00 UTC")
        );
    }
}
