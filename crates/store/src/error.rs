use hostatlas_domain::{Address, ImportId, JobId, RunId};

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database file or server cannot be reached or opened.
    #[error("cannot open the database `{location}`: {reason}")]
    Unreachable {
        /// The file, or the URL without its password.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is no database of ours.
    #[error("`{location}` is not a hostatlas database: {reason}")]
    NotADatabase {
        /// The file.
        location: String,
        /// How we know.
        reason: String,
    },
    /// The database was made by a newer version of hostatlas.
    #[error("the database is at migration {found}, which is newer than this program's {known}")]
    SchemaNewer {
        /// What the database says.
        found: i64,
        /// The newest migration this build knows.
        known: i64,
    },
    /// The database is older, and this command does not migrate.
    #[error("the database is at migration {found}, this program needs {wanted}")]
    SchemaBehind {
        /// What the database says.
        found: i64,
        /// What this build needs.
        wanted: i64,
    },
    /// The engine lacks what this program relies on: an SQLite before 3.51.3 can lose committed writes.
    #[error("{found} is too old: {wanted} or later is needed")]
    EngineTooOld {
        /// Its name and version: `SQLite 3.40.1`.
        found: String,
        /// The oldest version that is good.
        wanted: &'static str,
    },
    /// A migration was begun and not ended.
    #[error("the database is in the middle of migration {migration}: {reason}")]
    SchemaHalf {
        /// Which.
        migration: i64,
        /// How we know, and what to do.
        reason: String,
    },
    /// A copy into the database was begun and has not ended.
    #[error(
        "a copy from `{source_location}` into this database is under way or was broken off: not all of it is there"
    )]
    CopyUnfinished {
        /// From where, without any password.
        source_location: String,
    },
    /// This backend cannot do that.
    #[error("{what}")]
    NotSupported {
        /// What, and why.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// The disk is full, the file read-only, the server a standby, or the user may do less than is needed. Nothing that
    /// was acknowledged is lost.
    #[error("the database cannot be written: {reason}")]
    NotWritable {
        /// What the engine says.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// Somebody else did not let go of a lock in time. The same may succeed in a moment.
    #[error("the database stayed locked for too long")]
    Busy,
    /// It took longer than it may, and was given up. The same may succeed once less goes on.
    #[error("the database took too long: {what}")]
    TookTooLong {
        /// What did not come to its end.
        what: &'static str,
    },
    /// The server was asked to commit a change, and it is not known whether it did: its answer was lost, or did not come
    /// in time. Asking again is safe: what was done already is not done twice.
    #[error("it is not known whether the change was written to `{location}`: {reason}")]
    OutcomeUnknown {
        /// The URL without its password.
        location: String,
        /// Why no answer came.
        reason: String,
    },
    /// Whoever asked for it ended it before it was done; nothing of it is left.
    #[error("it was stopped before it was done")]
    Stopped,
    /// Another living process is the worker.
    #[error("another process is the worker: {holder}")]
    WorkerRoleHeld {
        /// Its process id and when it began.
        holder: String,
    },
    /// No host has this address.
    #[error("there is no host `{0}`")]
    UnknownHost(Address),
    /// No job has this id.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// No import has this id.
    #[error("there is no import {}", .0.0)]
    UnknownImport(ImportId),
    /// No run has this id.
    #[error("there is no run {}", .0.0)]
    UnknownRun(RunId),
    /// A run is going on; there is one at a time.
    #[error("run {} has not ended yet", .0.0)]
    RunInProgress(RunId),
    /// A schedule of another worker's, or one that ended: its lease is lost.
    #[error("the lease was lost")]
    LeaseLost,
    /// What was asked for contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// A cursor that this list did not make.
    #[error("the cursor was not made by this list")]
    InvalidCursor,
    /// Anything else the engine says.
    #[error("the database failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<hostatlas_domain::InvalidCursor> for StoreError {
    fn from(_: hostatlas_domain::InvalidCursor) -> Self {
        Self::InvalidCursor
    }
}
