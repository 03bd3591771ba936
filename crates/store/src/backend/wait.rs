use hostatlas_domain::{JobKind, JobState, Timestamp};

/// What tells why a job waits.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// The job's kind.
    pub kind: JobKind,
    /// Its state.
    pub state: JobState,
    /// When it may run.
    pub run_at: Timestamp,
    /// The present.
    pub now: Timestamp,
    /// Whether its kind is paused.
    pub paused: bool,
}

impl Wait {
    /// Why; none where nothing is known to be in its way. `snoozed` is what it said when it put itself off.
    #[must_use]
    pub fn because(&self, snoozed: Option<&str>, last_error: Option<&str>) -> Option<String> {
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
