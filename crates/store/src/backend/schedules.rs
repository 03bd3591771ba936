//! What the row of a schedule says of it.

use hostatlas_domain::{Schedule, ScheduleOutcome, ScheduleState, ScheduleTask, Timestamp};

use super::corrupt;
use crate::StoreError;

/// The columns of a schedule. Times are in ms since 1970.
#[derive(Clone, Debug)]
pub struct ScheduleRow {
    /// What is done, by its number.
    pub task: i64,
    /// When, as text.
    pub rule: String,
    /// When next.
    pub next_at: i64,
    /// Since when it is paused.
    pub paused_at: Option<i64>,
    /// Since when somebody asks for it.
    pub asked_at: Option<i64>,
    /// Until when a worker has it.
    pub leased_until: Option<i64>,
    /// When the latest occurrence began.
    pub started_at: Option<i64>,
    /// When the latest that ended did.
    pub finished_at: Option<i64>,
    /// How that went: 0 failed, 1 done.
    pub outcome: Option<i64>,
    /// What it did, or what went wrong.
    pub detail: Option<String>,
}

impl ScheduleRow {
    /// As people see it at `now`; none for a task that a newer version made.
    ///
    /// # Errors
    ///
    /// A rule or an outcome that no version of ours writes.
    pub fn schedule(self, now: i64) -> Result<Option<Schedule>, StoreError> {
        let Some(task) = ScheduleTask::from_code(self.task) else { return Ok(None) };
        let state = self.state(now);
        let outcome = match self.outcome {
            None => None,
            Some(0) => Some(ScheduleOutcome::Failed),
            Some(1) => Some(ScheduleOutcome::Done),
            Some(_) => return Err(corrupt("an outcome of a schedule")),
        };
        Ok(Some(Schedule {
            task,
            rule: self.rule.parse().map_err(|_| corrupt("a rule of a schedule"))?,
            next_at: Timestamp::from_millis(self.next_at),
            paused_at: self.paused_at.map(Timestamp::from_millis),
            state,
            started_at: self.started_at.map(Timestamp::from_millis),
            finished_at: self.finished_at.map(Timestamp::from_millis),
            outcome,
            detail: self.detail,
        }))
    }

    /// A lease that ran out is an occurrence that did not end: it is due, paused or not. The claims of the backends say
    /// the same in SQL.
    fn state(&self, now: i64) -> ScheduleState {
        match (self.leased_until, self.asked_at) {
            (Some(until), _) if until > now => ScheduleState::Running,
            (Some(_), _) | (None, Some(_)) => ScheduleState::Due,
            (None, None) if self.paused_at.is_some() => ScheduleState::Paused,
            (None, None) if self.next_at <= now => ScheduleState::Due,
            (None, None) => ScheduleState::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000;

    /// What waits for its time.
    fn row() -> ScheduleRow {
        ScheduleRow {
            task: ScheduleTask::Check.code(),
            rule: "every 1d".to_owned(),
            next_at: NOW + 1,
            paused_at: None,
            asked_at: None,
            leased_until: None,
            started_at: None,
            finished_at: None,
            outcome: None,
            detail: None,
        }
    }

    #[test]
    fn a_lease_counts_for_more_than_a_request_and_that_for_more_than_a_pause() {
        let (paused_at, asked_at, leased_until) = (Some(NOW - 9), Some(NOW - 1), Some(NOW + 1));
        let cases = [
            (row(), ScheduleState::Waiting),
            (ScheduleRow { next_at: NOW, ..row() }, ScheduleState::Due),
            (ScheduleRow { next_at: NOW, paused_at, ..row() }, ScheduleState::Paused),
            (ScheduleRow { paused_at, asked_at, ..row() }, ScheduleState::Due),
            (ScheduleRow { paused_at, asked_at, leased_until, ..row() }, ScheduleState::Running),
            (ScheduleRow { paused_at, leased_until: Some(NOW), ..row() }, ScheduleState::Due),
        ];
        for (row, state) in cases {
            let said = format!("{row:?}");
            let schedule = row.schedule(NOW).expect("a schedule");
            assert_eq!(schedule.map(|schedule| schedule.state), Some(state), "{said}");
        }
    }

    #[test]
    fn what_a_newer_version_made_is_left_out_and_what_none_writes_is_an_error() {
        let newer = ScheduleRow { task: 4, rule: "at low tide".to_owned(), ..row() };
        assert_eq!(newer.schedule(NOW).expect("no schedule"), None);
        assert!(ScheduleRow { rule: "at low tide".to_owned(), ..row() }.schedule(NOW).is_err());
        assert!(ScheduleRow { outcome: Some(2), ..row() }.schedule(NOW).is_err());
    }
}
