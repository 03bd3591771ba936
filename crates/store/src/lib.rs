//! What storage can do: the traits that every backend implements, their parameters and their errors.
//!
//! A method is one whole operation and one transaction; its comment is its contract, and `store-testing` holds each
//! backend to it. Methods take durations, never instants: a backend reads its clock once per operation, and every time
//! that it compares comes from that clock.

mod admin;
pub mod backend;
mod copy;
mod error;
mod hosts;
mod imports;
mod jobs;
mod locations;
mod map;
mod open;
pub mod permits;
mod providers;
mod runs;
mod schedules;
mod workers;

pub use admin::{
    AdminStore, Backup, BackupPhase, BackupStep, BackupWatch, CheckReport, Finding, SchemaStatus, WorkerRole,
};
pub use copy::{COPY_TABLES, CopyProgress, CopyStore, CopyTable, CopyValue, NEW_WITH_ROWS};
pub use error::StoreError;
pub use hosts::{
    HostCount, HostFacets, HostHistory, HostSelection, HostStore, LocatedHost, SearchHosts, SelectHosts,
    SelectedHost,
};
pub use imports::{
    FinishImport, ImportStore, Observation, ObservedBanner, ObservedPort, RecordSightings, Recorded,
    StartImport,
};
pub use jobs::{
    ChangedJobs, ClaimJobs, ClaimMode, ClaimedJob, ERROR_BYTES, EnqueueJob, EnqueueJobs, EnqueuedJobs, Fence,
    FinishJobs, Finished, JobSelection, JobStore, PrunePolicy, RESULT_BYTES, RenewJobs, Rescue, Rescued,
    Settled, WorkerId,
};
pub use locations::{AppliedLocations, ApplyLocations, Attempt, LocationStore, LocationWrite};
pub use map::{Changes, HistoryId, MapStore, PlaceHosts, Version};
pub use open::OpenMode;
pub use providers::{
    NewAnswer, PermitsTaken, ProviderRow, ProviderStore, SettleCall, StoredAnswer, TakePermits,
};
pub use runs::{RunProgress, RunStore};
pub use schedules::{ClaimedSchedule, FinishSchedule, ScheduleStore};
pub use workers::{
    Duty, HOST_NAME_BYTES, ReportWorker, SessionNews, WORKER_FORGOTTEN_AFTER, WORKER_SILENT_AFTER,
    WorkerSession, WorkerStore,
};

/// Everything that a backend can do.
pub trait Store:
    ImportStore
    + HostStore
    + LocationStore
    + JobStore
    + RunStore
    + MapStore
    + ProviderStore
    + WorkerStore
    + ScheduleStore
    + CopyStore
    + AdminStore
    + Send
    + Sync
    + 'static
{
}

impl<T> Store for T where
    T: ImportStore
        + HostStore
        + LocationStore
        + JobStore
        + RunStore
        + MapStore
        + ProviderStore
        + WorkerStore
        + ScheduleStore
        + CopyStore
        + AdminStore
        + Send
        + Sync
        + 'static
{
}
