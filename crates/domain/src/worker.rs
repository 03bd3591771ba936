//! The processes that run jobs, as pages and commands show them.

use serde::{Deserialize, Serialize};

use crate::{JobKind, Timestamp};

/// A process that runs jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerStatus {
    /// Its id: unique per process start.
    pub id: i64,
    /// Whether it still reports.
    pub state: WorkerState,
    /// The command that it was started with: `serve` or `worker`.
    pub command: String,
    /// The machine that it runs on, by its own word.
    pub host_name: String,
    /// Its process id there.
    pub process_id: u32,
    /// The version of hostatlas that it runs.
    pub version: String,
    /// The kinds that it serves; those that this build does not know are left out.
    pub kinds: Vec<JobKind>,
    /// How many batches of a kind it works on at once.
    pub concurrency: u32,
    /// What it is running now.
    pub running: Vec<RunningJobs>,
    /// Jobs that it has done.
    pub completed: u64,
    /// Attempts of it that failed or were given up.
    pub failed: u64,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last reported.
    pub heard_at: Timestamp,
}

impl WorkerStatus {
    /// Whether it takes up jobs of this kind, as far as anybody has heard.
    pub fn takes(&self, kind: JobKind) -> bool {
        self.state == WorkerState::Alive && self.kinds.contains(&kind)
    }
}

/// Jobs of one kind that a process is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunningJobs {
    /// The kind.
    pub kind: JobKind,
    /// How many.
    pub jobs: u64,
}

/// Whether a process still reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WorkerState {
    /// It does.
    Alive,
    /// It does, and was told to stop: it claims nothing more.
    Stopping,
    /// It has not reported for as long as a lease lasts: its jobs are taken back.
    Silent,
}

impl WorkerState {
    /// The word in text outputs.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Stopping => "stopping",
            Self::Silent => "silent",
        }
    }
}
