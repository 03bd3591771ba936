use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use hostatlas_domain::Timestamp;

use crate::StoreError;

/// The right to run jobs, held for as long as this value lives. On SQLite one process of a machine has it: an operating
/// system lock that is freed by any death. On PostgreSQL every process has it.
pub trait WorkerRole: Send + Sync {
    /// Whether nobody else has it. Only then may running jobs be taken back without waiting for their leases
    /// ([`crate::Rescue::All`]), and jobs be read without being marked running ([`crate::ClaimMode::Peek`]).
    fn is_exclusive(&self) -> bool;
}

/// What a copy of a database is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupPhase {
    /// It is being written.
    Writing,
    /// The engine reads all of it and looks for damage.
    Verifying,
}

/// How far a copy of a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupStep {
    /// What it does.
    pub phase: BackupPhase,
    /// Bytes that are written.
    pub bytes: u64,
    /// How many there will be at most.
    pub total: u64,
}

/// Watches a copy of a database: called many times a second. `false` ends it.
pub type BackupWatch = Arc<dyn Fn(BackupStep) -> bool + Send + Sync>;

/// A copy of a database that was written and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Where the schema stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The file or server, without any password.
    pub location: String,
    /// The backend and its version.
    pub engine: String,
    /// The migration that the database is at; 0 for none.
    pub found: i64,
    /// The migration that this build needs.
    pub wanted: i64,
    /// Bytes that it takes, where that is known.
    pub bytes: Option<u64>,
}

/// One thing that a check found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was checked: `integrity`, `counter`, `queue`.
    pub check: String,
    /// What is wrong.
    pub detail: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// How many things were compared.
    pub checked: u64,
    /// What is wrong; empty when all is well.
    pub findings: Vec<Finding>,
}

/// Running the database.
#[async_trait]
pub trait AdminStore: Send + Sync {
    /// Takes the worker role. [`StoreError::WorkerRoleHeld`] names who has it.
    async fn worker_role(&self) -> Result<Box<dyn WorkerRole>, StoreError>;

    /// Where the schema stands.
    async fn schema_status(&self) -> Result<SchemaStatus, StoreError>;

    /// The store's time, by which every moment in it was written. The clocks of other machines may differ: how long ago
    /// such a moment was, and when a rule of the calendar comes next, is counted from this one.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// Writes something, as durably as everything else, and takes it away again: whether a write works is known only
    /// once one was tried.
    async fn try_write(&self) -> Result<(), StoreError>;

    /// How many jobs wait whose kind only a newer version knows. Nobody else counts or lists them.
    async fn jobs_of_newer_kinds(&self) -> Result<u64, StoreError>;

    /// Compares the database with itself: the engine's integrity check, every counter with a full count, the laws of
    /// the queue. A counter and its count are of one moment, two of them need not be.
    async fn check(&self) -> Result<CheckReport, StoreError>;

    /// Housekeeping between batches: makes the list indexes once bulk work is over, drops them before it where that
    /// pays, keeps the write-ahead log short, updates statistics, forgets old answers about addresses that are no host.
    /// Answers whether it did anything.
    async fn tidy(&self) -> Result<bool, StoreError>;

    /// Whether [`AdminStore::backup`] can work here: [`StoreError::NotSupported`] on PostgreSQL, which has better tools of
    /// its own.
    fn can_back_up(&self) -> Result<(), StoreError>;

    /// Writes a copy of the database, as it is at one moment, to a file that does not exist, while work goes on. The copy
    /// is verified by the engine before it gets its name. A failure leaves no file behind, and so does a stop by `watch`
    /// ([`StoreError::Stopped`]).
    async fn backup(&self, to: &Path, watch: BackupWatch) -> Result<Backup, StoreError>;

    /// Writes what is buffered and closes; later calls fail. A reading that is under way, and that nobody waits for any
    /// more, is not waited for either.
    async fn close(&self);
}
