//! Recurring work, as pages and commands show it.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ScheduleTask {
    /// Queues the hosts that are due: stale locations, and attempts that are worth repeating.
    Refresh,
    /// Deletes finished jobs that are old enough.
    Prune,
    /// Compares every counter with a full count, and the queue with its laws.
    Check,
    /// Writes a verified copy of the database into the backup folder.
    Backup,
}

impl ScheduleTask {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Refresh, Self::Prune, Self::Check, Self::Backup];

    /// The word in commands, addresses and JSON.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Prune => "prune",
            Self::Check => "check",
            Self::Backup => "backup",
        }
    }

    /// The number in the database.
    pub const fn code(self) -> i64 {
        self as i64
    }

    /// The task of a number; none for one that a newer version made.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|index| Self::ALL.get(index)).copied()
    }
}

impl fmt::Display for ScheduleTask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.slug())
    }
}

/// No task has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no schedule `{0}`: use refresh, prune, check or backup")]
pub struct UnknownScheduleTask(pub String);

impl FromStr for ScheduleTask {
    type Err = UnknownScheduleTask;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|task| task.slug() == text)
            .ok_or_else(|| UnknownScheduleTask(text.to_owned()))
    }
}

/// When something is done again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ScheduleRule {
    /// So long after it last ended: `every 15m`. At least 10 seconds, at most 366 days.
    Every(Duration),
    /// At these times, in UTC: five cron fields, `30 3 * * 1`. Not checked here.
    Cron(String),
}

/// A text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a schedule rule: write `every 15m` (s, m, h or d; 10 seconds to 366 days) or five cron fields as `30 3 * * *`"
)]
pub struct InvalidScheduleRule(pub String);

const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_hours(366 * 24);

impl FromStr for ScheduleRule {
    type Err = InvalidScheduleRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidScheduleRule(crate::sanitize(text, 100));
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("every ") {
            let rest = rest.trim();
            let unit = rest.chars().last().ok_or_else(invalid)?;
            let seconds = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return Err(invalid()),
            };
            let number: u64 = rest[..rest.len() - unit.len_utf8()].trim().parse().map_err(|_| invalid())?;
            let every = Duration::from_secs(number.checked_mul(seconds).ok_or_else(invalid)?);
            return if (SHORTEST..=LONGEST).contains(&every) {
                Ok(Self::Every(every))
            } else {
                Err(invalid())
            };
        }
        if text.len() <= 100 && text.split_ascii_whitespace().count() == 5 {
            return Ok(Self::Cron(text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")));
        }
        Err(invalid())
    }
}

impl fmt::Display for ScheduleRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => {
                let seconds = every.as_secs();
                let (unit, word) = [(86_400, "d"), (3_600, "h"), (60, "m")]
                    .into_iter()
                    .find(|(unit, _)| seconds.is_multiple_of(*unit))
                    .unwrap_or((1, "s"));
                write!(formatter, "every {}{word}", seconds / unit)
            }
            Self::Cron(fields) => formatter.write_str(fields),
        }
    }
}

impl From<ScheduleRule> for String {
    fn from(rule: ScheduleRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for ScheduleRule {
    type Error = InvalidScheduleRule;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Recurring work and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedule {
    /// What is done.
    pub task: ScheduleTask,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub rule: ScheduleRule,
    /// When next, unless it is paused.
    pub next_at: Timestamp,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// Whether it is being done now, or is to be done at once.
    pub state: ScheduleState,
    /// When the latest occurrence began.
    pub started_at: Option<Timestamp>,
    /// When the latest that ended did.
    pub finished_at: Option<Timestamp>,
    /// How that went.
    pub outcome: Option<ScheduleOutcome>,
    /// What it did, or what went wrong.
    pub detail: Option<String>,
}

/// Whether recurring work is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ScheduleState {
    /// It waits for its time.
    Waiting,
    /// Its time has come or somebody asked for it, and the next worker takes it up.
    Due,
    /// A worker is at it.
    Running,
    /// It is paused.
    Paused,
}

/// How recurring work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ScheduleOutcome {
    /// Done.
    Done,
    /// It failed.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_what_it_writes() {
        for text in ["every 10s", "every 15m", "every 36h", "every 1d", "30 3 * * 1", "*/5 0-6 1,15 * *"] {
            let rule: ScheduleRule = text.parse().expect(text);
            assert_eq!(rule.to_string(), text);
        }
        assert_eq!("every 120s".parse(), Ok(ScheduleRule::Every(Duration::from_mins(2))));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            "every",
            "every ",
            "every 5",
            "every 5s",
            "every 367d",
            "every -1h",
            "every 99999999999999999d",
            "daily",
            "* * * *",
            "every 1é",
        ] {
            assert!(text.parse::<ScheduleRule>().is_err(), "{text}");
        }
    }

    #[test]
    fn tasks_keep_their_numbers() {
        for (number, task) in (0..).zip(ScheduleTask::ALL) {
            assert_eq!(ScheduleTask::from_code(number), Some(task));
            assert_eq!(task.slug().parse(), Ok(task));
        }
        assert_eq!(ScheduleTask::from_code(4), None);
    }
}
