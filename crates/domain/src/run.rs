use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The row of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct RunId(pub i64);

/// How `geolocate` goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Queues a job for each host; a worker does the rest.
    QueueJobs,
    /// Looks up concurrently and writes directly.
    AsyncBatch,
    /// One after the other.
    Sequential,
    /// One address.
    Single,
}

/// A mode that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode `{0}`: use queue_jobs or async_batch")]
pub struct UnknownMode(String);

impl Mode {
    /// The word in JSON.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::QueueJobs => "queue_jobs",
            Self::AsyncBatch => "async_batch",
            Self::Sequential => "sequential",
            Self::Single => "single",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.slug())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::QueueJobs, Self::AsyncBatch, Self::Sequential, Self::Single]
            .into_iter()
            .find(|mode| mode.slug() == text)
            .ok_or_else(|| UnknownMode(crate::sanitize(text, 64)))
    }
}

/// What a `geolocate` did, as `--json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GeolocateSummary {
    /// How it went about it.
    pub mode: Mode,
    /// Hosts that were selected.
    pub considered: u64,
    /// Hosts that were put on a place.
    pub located: u64,
    /// Hosts that no provider knows.
    pub unlocated: u64,
    /// Hosts whose lookup failed.
    pub failed: u64,
    /// Hosts that stay due, because whoever could know may not be asked yet.
    #[serde(default)]
    pub deferred: u64,
    /// Addresses that have no place (private, special).
    pub skipped: u64,
    /// Jobs that were queued.
    pub queued: u64,
    /// Jobs that were already live.
    pub duplicate: u64,
    /// How long it took.
    pub seconds: f64,
}

impl GeolocateSummary {
    /// Nothing done yet.
    pub const fn new(mode: Mode) -> Self {
        Self {
            mode,
            considered: 0,
            located: 0,
            unlocated: 0,
            failed: 0,
            deferred: 0,
            skipped: 0,
            queued: 0,
            duplicate: 0,
            seconds: 0.0,
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Going on.
    Running,
    /// Came to its end.
    Done,
    /// Stopped by a person.
    Cancelled,
    /// Its process died.
    Interrupted,
    /// An error ended it.
    Failed,
}

impl RunState {
    /// All of them; the position is the number that is stored.
    pub const ALL: [Self; 5] = [Self::Running, Self::Done, Self::Cancelled, Self::Interrupted, Self::Failed];

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads [`RunState::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Done => "Done",
            Self::Cancelled => "Cancelled",
            Self::Interrupted => "Interrupted",
            Self::Failed => "Failed",
        }
    }
}

/// A direct batch run from the web.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// How far it is.
    pub state: RunState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Hosts it set out to look up.
    pub total: u64,
    /// What it did so far.
    #[serde(flatten)]
    pub summary: GeolocateSummary,
    /// Hosts a second.
    pub rate: f64,
    /// Seconds left at that rate; null while it is not known, or at the end.
    pub seconds_left: Option<f64>,
    /// What ended it, if an error did.
    pub error: Option<String>,
}
