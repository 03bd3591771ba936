use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a job is in its life. The order of the first three tells only why a job waits: all three can be claimed
/// once `run_at` has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits, ready.
    Available,
    /// Waits for a time that was asked for.
    Scheduled,
    /// Waits after a failed attempt.
    Retryable,
    /// A worker holds its lease.
    Running,
    /// Done.
    Completed,
    /// Stopped by a person.
    Cancelled,
    /// Given up.
    Discarded,
}

/// A state that is none of the seven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown job state `{0}`: use available, scheduled, retryable, running, completed, cancelled or discarded"
)]
pub struct UnknownJobState(String);

impl JobState {
    /// All seven; the position is the number that is stored, so waiting is `< 3`, live `< 4`, finished `>= 4`.
    pub const ALL: [Self; 7] = [
        Self::Available,
        Self::Scheduled,
        Self::Retryable,
        Self::Running,
        Self::Completed,
        Self::Cancelled,
        Self::Discarded,
    ];

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads [`JobState::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word in JSON, URLs and style names.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Scheduled => "scheduled",
            Self::Retryable => "retryable",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
        }
    }

    /// The word on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Scheduled => "Scheduled",
            Self::Retryable => "Retryable",
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Cancelled => "Cancelled",
            Self::Discarded => "Discarded",
        }
    }

    /// Whether it can be claimed once its time has come.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Available | Self::Scheduled | Self::Retryable)
    }

    /// Whether it still will or does run: at most one live job exists per host, kind, port and protocol.
    pub const fn is_live(self) -> bool {
        self.is_waiting() || matches!(self, Self::Running)
    }

    /// Whether a job may move straight from `self` to `next`.
    ///
    /// This table is the only place that knows. The backends' SQL is tested against it, pair by pair.
    #[expect(
        clippy::unnested_or_patterns,
        reason = "a row for each state it leaves reads as the table it is"
    )]
    pub const fn may_become(self, next: Self) -> bool {
        use JobState::{Available, Cancelled, Completed, Discarded, Retryable, Running, Scheduled};
        matches!(
            (self, next),
            (Scheduled | Available | Retryable, Running | Completed | Cancelled | Discarded)
                | (Scheduled | Retryable, Available)
                | (Running, Available | Completed | Retryable | Scheduled | Discarded | Cancelled)
                | (Completed | Cancelled | Discarded, Available)
        )
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.slug())
    }
}

impl FromStr for JobState {
    type Err = UnknownJobState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.slug() == text)
            .ok_or_else(|| UnknownJobState(crate::sanitize(text, 64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_finished_job_runs_again_without_becoming_available() {
        for state in [JobState::Completed, JobState::Cancelled, JobState::Discarded] {
            let next: Vec<_> = JobState::ALL.into_iter().filter(|next| state.may_become(*next)).collect();
            assert_eq!(next, [JobState::Available]);
        }
    }
}
