use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Address, Protocol, Timestamp};

/// The row of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The number that fences late finishes: it grows by one at every claim, and nothing else touches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseToken(pub i64);

/// What a job does about its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Connects to a port and reads what it says.
    BannerGrab,
    /// Finds the host's names.
    DomainEnum,
    /// Looks up where the host is.
    Geolocation,
    /// Fetches the TLS certificate of a port.
    SslCert,
}

/// A kind that is none of the four.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown job kind `{0}`: use banner_grab, domain_enum, geolocation or ssl_cert")]
pub struct UnknownJobKind(String);

impl JobKind {
    /// All four; the position is the number that is stored.
    pub const ALL: [Self; 4] = [Self::BannerGrab, Self::DomainEnum, Self::Geolocation, Self::SslCert];

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads [`JobKind::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The name in JSON, URLs, commands and on pages.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::BannerGrab => "banner_grab",
            Self::DomainEnum => "domain_enum",
            Self::Geolocation => "geolocation",
            Self::SslCert => "ssl_cert",
        }
    }

    /// The priority that an import gives it.
    pub const fn default_priority(self) -> Priority {
        Priority(self.number())
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.slug())
    }
}

impl FromStr for JobKind {
    type Err = UnknownJobKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.slug() == text)
            .ok_or_else(|| UnknownJobKind(crate::sanitize(text, 64)))
    }
}

/// 0 to 9; 0 runs first. What a person asks for has 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// Runs first: what a person asked for.
    pub const FIRST: Self = Self(0);
    /// The last one.
    pub const LAST: Self = Self(9);

    /// `level`, 9 at most.
    pub const fn new(level: u8) -> Self {
        Self(if level > 9 { 9 } else { level })
    }

    /// 0 to 9.
    pub const fn get(self) -> u8 {
        self.0
    }
}

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
#[error("unknown job state `{0}`")]
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

/// A job as pages, REST and the command line show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// About which host.
    pub ip: Address,
    /// On which port, where that applies.
    pub port: Option<u16>,
    /// Over which protocol, where that applies.
    pub protocol: Option<Protocol>,
    /// Where it is in its life.
    pub state: JobState,
    /// 0 runs first.
    pub priority: Priority,
    /// Attempts begun.
    pub attempt: u32,
    /// Attempts allowed.
    pub max_attempts: u32,
    /// Not before this.
    pub run_at: Timestamp,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When its last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it was finished.
    pub finished_at: Option<Timestamp>,
    /// Whether age and cache are bypassed.
    pub force: bool,
    /// What the last attempt failed with.
    pub last_error: Option<String>,
    /// What it found, in a few words.
    pub result: Option<String>,
    /// Why it waits, in words; null when it does not.
    pub waiting_because: Option<String>,
}

/// The answer to a request for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnqueuedJob {
    /// The job that will do it.
    pub job: JobId,
    /// Whether that job was already live, and took this request in.
    pub duplicate: bool,
}

/// How many jobs of a kind there are, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "each field is the state of its name")]
pub struct JobCounts {
    pub available: u64,
    pub scheduled: u64,
    pub retryable: u64,
    pub running: u64,
    pub completed: u64,
    pub cancelled: u64,
    pub discarded: u64,
    pub total: u64,
}

impl JobCounts {
    /// The count of one state.
    pub const fn of(&self, state: JobState) -> u64 {
        match state {
            JobState::Available => self.available,
            JobState::Scheduled => self.scheduled,
            JobState::Retryable => self.retryable,
            JobState::Running => self.running,
            JobState::Completed => self.completed,
            JobState::Cancelled => self.cancelled,
            JobState::Discarded => self.discarded,
        }
    }

    /// Adds `count` jobs of `state`.
    pub fn add(&mut self, state: JobState, count: u64) {
        let field = match state {
            JobState::Available => &mut self.available,
            JobState::Scheduled => &mut self.scheduled,
            JobState::Retryable => &mut self.retryable,
            JobState::Running => &mut self.running,
            JobState::Completed => &mut self.completed,
            JobState::Cancelled => &mut self.cancelled,
            JobState::Discarded => &mut self.discarded,
        };
        *field += count;
        self.total += count;
    }

    /// How many wait.
    pub const fn waiting(&self) -> u64 {
        self.available + self.scheduled + self.retryable
    }
}

/// All job counts, as `stats jobs --json` prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "each field is the kind of its name")]
pub struct JobStats {
    pub banner_grab: JobCounts,
    pub domain_enum: JobCounts,
    pub geolocation: JobCounts,
    pub ssl_cert: JobCounts,
}

impl JobStats {
    /// The counts of one kind.
    pub const fn of(&self, kind: JobKind) -> &JobCounts {
        match kind {
            JobKind::BannerGrab => &self.banner_grab,
            JobKind::DomainEnum => &self.domain_enum,
            JobKind::Geolocation => &self.geolocation,
            JobKind::SslCert => &self.ssl_cert,
        }
    }

    /// The counts of one kind, to be filled.
    pub const fn of_mut(&mut self, kind: JobKind) -> &mut JobCounts {
        match kind {
            JobKind::BannerGrab => &mut self.banner_grab,
            JobKind::DomainEnum => &mut self.domain_enum,
            JobKind::Geolocation => &mut self.geolocation,
            JobKind::SslCert => &mut self.ssl_cert,
        }
    }
}

/// A kind as the jobs page heads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KindStatus {
    /// The kind.
    pub kind: JobKind,
    /// Its counts.
    pub counts: JobCounts,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// Whether any worker of this build has a handler for it.
    pub served: bool,
    /// When the longest waiting job of it was queued.
    pub oldest_waiting: Option<Timestamp>,
    /// How many of it may run at once, over all processes; none for as many as they like.
    pub cap: Option<u32>,
}

/// Which jobs a list shows or a bulk action touches; all given parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFilter {
    /// One state.
    pub state: Option<JobState>,
    /// One kind.
    pub kind: Option<JobKind>,
    /// One host.
    pub ip: Option<Address>,
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

    #[test]
    fn imports_give_the_four_kinds_priorities_0_to_3() {
        assert_eq!(JobKind::ALL.map(|kind| kind.default_priority().get()), [0, 1, 2, 3]);
    }
}
