//! Copies of the database that are made while work goes on.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use hostatlas_store::{Backup, StoreError};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteJournalMode};

use crate::{
    database::Database,
    error::{beside, engine, opening, other},
    open::connect_options,
    schema::{self, Found},
};

/// See [`hostatlas_store::AdminStore::backup`].
///
/// It reads on a connection of its own, so that writers go on. While it reads, the write-ahead log keeps all that they
/// write: it grows by that, and is cut to its usual size afterwards.
pub(crate) async fn backup(database: &Database, to: &Path) -> Result<Backup, StoreError> {
    let to = std::path::absolute(to).map_err(|error| beside(to, &error))?;
    refuse_existing(&to)?;
    let part = Part::claim(&to)?;
    let mut reader = database.readers.acquire().await.map_err(engine)?;
    sqlx::query("VACUUM INTO ?1")
        .bind(part.path.display().to_string())
        .execute(&mut *reader)
        .await
        .map_err(|error| about(&part.path, error))?;
    drop(reader);
    verify(&part.path).await?;
    let bytes = part.file.metadata().map_err(|error| beside(&part.path, &error))?.len();
    refuse_existing(&to)?;
    part.publish(&to)?;
    Ok(Backup { path: to, bytes })
}

/// Checks a whole database file that nobody else has open, and turns on its write-ahead log, which a fresh copy lacks.
/// Answers its schema version.
pub(crate) async fn verify(path: &Path) -> Result<i64, StoreError> {
    let options = connect_options(path).create_if_missing(false).journal_mode(SqliteJournalMode::Wal);
    let mut connection = options.connect().await.map_err(|error| opening(path, error))?;
    let verified = verified(&mut connection, path).await;
    connection.close().await.map_err(|error| opening(path, error))?;
    verified
}

async fn verified(connection: &mut SqliteConnection, path: &Path) -> Result<i64, StoreError> {
    let not_ours = |reason: String| StoreError::NotADatabase { location: path.display().to_string(), reason };
    let Found::Version(version) = schema::inspect(connection, path).await? else {
        return Err(not_ours("it is empty".to_owned()));
    };
    let wrong: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_all(connection)
        .await
        .map_err(|error| opening(path, error))?;
    match wrong.into_iter().find(|row| row != "ok") {
        None => Ok(version),
        Some(wrong) => Err(not_ours(format!("it is damaged: {wrong}"))),
    }
}

fn refuse_existing(to: &Path) -> Result<(), StoreError> {
    // A link that leads nowhere is something, too.
    match fs::symlink_metadata(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(beside(to, &error)),
        Ok(_) => Err(StoreError::Conflict(format!("`{}` exists already", to.display()))),
    }
}

/// What the engine says about a file that is not the database.
fn about(path: &Path, error: sqlx::Error) -> StoreError {
    match engine(error) {
        StoreError::NotWritable { reason, remedy } => {
            StoreError::NotWritable { reason: format!("`{}`: {reason}", path.display()), remedy }
        }
        StoreError::Engine(error) => {
            other(format!("the copy `{}` could not be written: {error}", path.display()))
        }
        error => error,
    }
}

/// A file that is being written under a name of its own, and is gone unless it is published.
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    file: File,
    published: bool,
}

impl Part {
    /// Takes `X.part`, also if a process that died left one there.
    pub(crate) fn claim(to: &Path) -> Result<Self, StoreError> {
        let path = Self::path_of(to);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| beside(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Conflict(format!("`{}` is being written", to.display())));
            }
            Err(TryLockError::Error(error)) => return Err(beside(&path, &error)),
        }
        let part = Self { path, file, published: false };
        part.file.set_len(0).map_err(|error| beside(&part.path, &error))?;
        Ok(part)
    }

    /// What the file for `to` is called until it is whole.
    pub(crate) fn path_of(to: &Path) -> PathBuf {
        named(to, ".part")
    }

    /// Gives it its name once its bytes are on the disk.
    pub(crate) fn publish(mut self, to: &Path) -> Result<(), StoreError> {
        let synced = self.file.sync_all().and_then(|()| fs::rename(&self.path, to));
        synced.map_err(|error| beside(to, &error))?;
        self.published = true;
        sync_directory(to)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.published {
            for suffix in ["", "-wal", "-shm", "-journal"] {
                // What is not there need not be removed, and what cannot be is taken over by the next attempt.
                let _ = fs::remove_file(named(&self.path, suffix));
            }
        }
    }
}

/// `path` with something behind its name.
pub(crate) fn named(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the names in the directory of `path` survive a power failure.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let Some(directory) = path.parent() else { return Ok(()) };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| beside(directory, &error))
}
