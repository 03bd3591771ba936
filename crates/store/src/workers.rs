use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{JobKind, RunningJobs, WorkerStatus};

use crate::{StoreError, WorkerId};

/// Bytes that are kept of a machine's name: the longest name that DNS knows.
pub const HOST_NAME_BYTES: usize = 255;
/// After so long without a report a process is taken for dead: longer than its leases last.
pub const WORKER_SILENT_AFTER: Duration = Duration::from_secs(30);
/// After so long without a report it is forgotten.
pub const WORKER_FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// What a process that runs jobs says of itself.
#[derive(Clone, Debug)]
pub struct ReportWorker {
    /// Who.
    pub id: WorkerId,
    /// The command that it was started with.
    pub command: String,
    /// The machine's name, at most [`HOST_NAME_BYTES`].
    pub host_name: String,
    /// Its process id.
    pub process_id: u32,
    /// Its version.
    pub version: String,
    /// The kinds that it serves.
    pub kinds: Vec<JobKind>,
    /// How many batches of a kind it works on at once.
    pub concurrency: u32,
    /// What it is running.
    pub running: Vec<RunningJobs>,
    /// Jobs that it has done.
    pub completed: u64,
    /// Attempts that failed or were given up.
    pub failed: u64,
    /// Whether it was told to stop.
    pub stopping: bool,
}

/// What only one process does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Taking back jobs whose lease ran out, folding counters, keeping indexes and statistics in shape.
    Maintenance,
}

impl Duty {
    /// Its name in the database.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
        }
    }
}

/// What a worker learns by its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionNews {
    /// The session of another worker ended: its process did, or it lost its connection. [`crate::Rescue::Ended`] takes its
    /// jobs back without waiting for their leases; it may be said several times of one session.
    Ended {
        /// Whose.
        worker: WorkerId,
        /// How long ago it was gone.
        ago: Duration,
    },
    /// This worker's own session was lost, and it has another one. The others may have taken its jobs back meanwhile.
    Regained,
}

/// A session at the server by which other workers see that this one lives. It is a hint: a worker without one works as
/// well, and one that is taken for dead finds its leases lost.
#[async_trait]
pub trait WorkerSession: Send + Sync {
    /// The next news; waits where there is none. Dropping the future is free.
    async fn news(&self) -> SessionNews;
}

/// The registry of the processes that run jobs, and who of them does what only one should.
#[async_trait]
pub trait WorkerStore: Send + Sync {
    /// Notes that a process lives and what it does; the first report is its start. Rows without a report for
    /// [`WORKER_FORGOTTEN_AFTER`] are removed. [`StoreError::SchemaNewer`] if the database was migrated under it by a
    /// newer version: it has to stop.
    async fn worker_report(&self, report: ReportWorker) -> Result<(), StoreError>;

    /// Removes a process that ends.
    async fn worker_leave(&self, worker: WorkerId) -> Result<(), StoreError>;

    /// Holds a session for a worker for as long as the answer lives. `None` where a session tells nobody anything: on
    /// SQLite, which has one worker, and behind a pooler.
    fn worker_session(&self, _worker: WorkerId) -> Option<Box<dyn WorkerSession>> {
        None
    }

    /// All processes, by host name and start. One that has not reported for [`WORKER_SILENT_AFTER`] is silent.
    async fn workers_list(&self) -> Result<Vec<WorkerStatus>, StoreError>;

    /// Takes or keeps a duty until `lease` has passed; answers whether the caller has it. Nobody has it twice at once.
    async fn duty_take(&self, duty: Duty, worker: WorkerId, lease: Duration) -> Result<bool, StoreError>;

    /// Lets a duty go, so that the next need not wait; nothing happens if the caller does not have it.
    async fn duty_leave(&self, duty: Duty, worker: WorkerId) -> Result<(), StoreError>;
}
