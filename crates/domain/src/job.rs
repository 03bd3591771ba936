mod counts;
mod kind;
mod refusal;
mod state;
mod targets;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use counts::{JobCounts, JobStats, KindStats, KindStatus, QueueStats};
pub use kind::{JobKind, UnknownJobKind};
pub use refusal::{AddressRefusal, JobRefusal, RefusedAddress, RefusedJob};
pub use state::{JobState, UnknownJobState};
pub use targets::{InvalidJobTargets, JobConditions, JobTargets};

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
    /// The process that runs it, by its id in the list of workers; null while none does. A process that has the whole
    /// queue to itself marks only what it does not finish at once.
    pub worker: Option<i64>,
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
