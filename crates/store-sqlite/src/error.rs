use std::{error::Error, io, path::Path};

use hostatlas_store::StoreError;
pub(crate) use hostatlas_store::backend::corrupt;

/// `SQLite`'s primary result codes that mean something to us; the extended code has them in its low byte.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
    /// Reading failed, or fewer bytes were there than must be: nothing is said about writing.
    pub(super) const IOERR_READ: i32 = IOERR | (1 << 8);
    pub(super) const IOERR_SHORT_READ: i32 = IOERR | (2 << 8);
    pub(super) const IOERR_FSYNC: i32 = IOERR | (4 << 8);
    pub(super) const IOERR_DIR_FSYNC: i32 = IOERR | (5 << 8);
}

/// A failure of the engine that can be told to every command of a group.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    NotWritable(String),
    Busy,
    Engine(String),
}

impl Failure {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match (extended_code(error), error) {
            (Some(code::IOERR_READ | code::IOERR_SHORT_READ), _) => Self::Engine(error.to_string()),
            (Some(extended), _) => match extended & 0xff {
                code::BUSY | code::LOCKED => Self::Busy,
                code::READONLY | code::IOERR | code::FULL => Self::NotWritable(error.to_string()),
                _ => Self::Engine(error.to_string()),
            },
            (None, sqlx::Error::PoolTimedOut) => Self::Busy,
            _ => Self::Engine(error.to_string()),
        }
    }

    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::NotWritable(reason) => not_writable(reason),
            Self::Busy => StoreError::Busy,
            Self::Engine(reason) => other(reason),
        }
    }
}

/// What an error of the engine means to callers.
pub(crate) fn engine(error: sqlx::Error) -> StoreError {
    match Failure::of(&error) {
        Failure::Engine(_) => StoreError::Engine(Box::new(error)),
        failure => failure.into_error(),
    }
}

fn not_writable(reason: String) -> StoreError {
    let remedy = "free space, or let hostatlas write there; what was acknowledged is safe".to_owned();
    StoreError::NotWritable { reason, remedy }
}

/// An error that is no one else's.
pub(crate) fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Engine(error.into())
}

/// What an error at opening means.
pub(crate) fn opening(path: &Path, error: sqlx::Error) -> StoreError {
    let location = path.display().to_string();
    match extended_code(&error).map(|extended| extended & 0xff) {
        Some(code::NOTADB | code::CORRUPT) => {
            StoreError::NotADatabase { location, reason: error.to_string() }
        }
        Some(code::CANTOPEN) => StoreError::Unreachable { location, reason: error.to_string() },
        _ => engine(error),
    }
}

/// A file beside the database that could not be made or locked.
pub(crate) fn beside(path: &Path, error: &io::Error) -> StoreError {
    not_writable(format!("`{}`: {error}", path.display()))
}

/// Whether the disk did not confirm what was written. The kernel may have dropped those pages, so a later
/// confirmation proves nothing.
pub(crate) fn is_sync_failure(error: &sqlx::Error) -> bool {
    matches!(extended_code(error), Some(code::IOERR_FSYNC | code::IOERR_DIR_FSYNC))
}

fn extended_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}
