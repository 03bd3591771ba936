//! What the row of a run says of it.

use hostatlas_domain::{GeolocateSummary, Run, RunId, RunState, Timestamp};

use super::{corrupt, interrupted_before};
use crate::StoreError;

/// The columns of a run. Times are in ms since 1970.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its id.
    pub id: i64,
    /// How it goes about it, by its word.
    pub mode: String,
    /// How far it is, by its number.
    pub state: u8,
    /// Hosts it set out to look up.
    pub total: i64,
    /// When it began.
    pub started_at: i64,
    /// When it was last heard of.
    pub reported_at: i64,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// Hosts that were selected.
    pub considered: i64,
    /// Hosts that were put on a place.
    pub located: i64,
    /// Hosts that no provider knows.
    pub unlocated: i64,
    /// Hosts whose lookup failed.
    pub failed: i64,
    /// Hosts that stay due.
    pub deferred: i64,
    /// Addresses that have no place.
    pub skipped: i64,
    /// Jobs that were queued.
    pub queued: i64,
    /// Jobs that were already live.
    pub duplicate: i64,
    /// What ended it, if an error did.
    pub error: Option<String>,
}

impl RunRow {
    /// As people see it at `now`: interrupted, if its process has been silent for too long.
    ///
    /// # Errors
    ///
    /// A mode or a state that no version of ours writes.
    pub fn run(self, now: i64) -> Result<Run, StoreError> {
        let (state, finished_at) = self.ended(now)?;
        let lasted = Timestamp::from_millis(finished_at.unwrap_or(self.reported_at))
            .since(Timestamp::from_millis(self.started_at));
        let summary = GeolocateSummary {
            mode: self.mode.parse().map_err(|_| corrupt("a mode of a run"))?,
            considered: count(self.considered),
            located: count(self.located),
            unlocated: count(self.unlocated),
            failed: count(self.failed),
            deferred: count(self.deferred),
            skipped: count(self.skipped),
            queued: count(self.queued),
            duplicate: count(self.duplicate),
            seconds: lasted.as_secs_f64(),
        };
        let total = count(self.total);
        let rate = if summary.seconds > 0.0 { float(summary.considered) / summary.seconds } else { 0.0 };
        let going_on = state == RunState::Running && rate > 0.0;
        let seconds_left = going_on.then(|| float(total.saturating_sub(summary.considered)) / rate);
        Ok(Run {
            id: RunId(self.id),
            state,
            started_at: Timestamp::from_millis(self.started_at),
            finished_at: finished_at.map(Timestamp::from_millis),
            total,
            summary,
            rate,
            seconds_left,
            error: self.error,
        })
    }

    /// Its state at `now`, and when it ended. Nobody writes the end of a run whose process died: it is the last report.
    fn ended(&self, now: i64) -> Result<(RunState, Option<i64>), StoreError> {
        let state = RunState::from_number(self.state).ok_or_else(|| corrupt("a state of a run"))?;
        if state == RunState::Running && self.reported_at < interrupted_before(now) {
            Ok((RunState::Interrupted, Some(self.reported_at)))
        } else {
            Ok((state, self.finished_at))
        }
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "host counts stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten of a hundred hosts after five seconds.
    fn row() -> RunRow {
        RunRow {
            id: 7,
            mode: "async_batch".to_owned(),
            state: RunState::Running.number(),
            total: 100,
            started_at: 1_000,
            reported_at: 6_000,
            finished_at: None,
            considered: 10,
            located: 8,
            unlocated: 1,
            failed: 1,
            deferred: 0,
            skipped: 0,
            queued: 0,
            duplicate: 0,
            error: None,
        }
    }

    #[test]
    fn a_run_that_goes_on_says_how_long_it_will() {
        let run = row().run(16_000).expect("a run");
        assert_eq!((run.state, run.finished_at), (RunState::Running, None));
        assert_eq!((run.summary.seconds, run.rate, run.seconds_left), (5.0, 2.0, Some(45.0)));
    }

    #[test]
    fn a_run_that_has_just_begun_does_not_know_how_long_it_will() {
        let run = RunRow { reported_at: 1_000, considered: 0, ..row() }.run(1_000).expect("a run");
        assert_eq!((run.summary.seconds, run.rate, run.seconds_left), (0.0, 0.0, None));
    }

    #[test]
    fn a_silent_run_ended_with_its_last_report() {
        let run = row().run(16_001).expect("a run");
        assert_eq!(
            (run.state, run.finished_at),
            (RunState::Interrupted, Some(Timestamp::from_millis(6_000)))
        );
        assert_eq!((run.summary.seconds, run.rate, run.seconds_left), (5.0, 2.0, None));
    }

    #[test]
    fn a_run_that_ended_stays_as_it_was() {
        let row = RunRow { state: RunState::Done.number(), finished_at: Some(11_000), ..row() };
        let run = row.run(1_000_000).expect("a run");
        assert_eq!((run.state, run.finished_at), (RunState::Done, Some(Timestamp::from_millis(11_000))));
        assert_eq!((run.summary.seconds, run.rate, run.seconds_left), (10.0, 1.0, None));
    }

    #[test]
    fn what_no_version_writes_is_no_run() {
        assert!(RunRow { state: 9, ..row() }.run(6_000).is_err());
        assert!(RunRow { mode: "leisurely".to_owned(), ..row() }.run(6_000).is_err());
    }
}
