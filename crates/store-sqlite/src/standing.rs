//! Which file stands under the name of the database. Somebody may move it away and put another one there while it is
//! open; what is open then is a file without a name, and all that is written to it is lost.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use hostatlas_store::StoreError;
use sqlx::{SqliteConnection, sqlite::SqliteJournalMode};

use crate::{
    backup::named,
    error::{beside, opening},
    open::writing_options,
    schema::{self, Found},
};

/// A file, by whatever name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file at `path`; none if there is none.
    fn find(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(file) => Ok(Some(Self { device: file.dev(), inode: file.ino() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The files of a database that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) file: FileId,
    /// The write-ahead log, which belongs to that file alone.
    log: Option<FileId>,
}

impl Standing {
    /// What stands at `path` now. An open database that is gone is [`StoreError::Unreachable`].
    pub(crate) fn at(path: &Path) -> Result<Self, StoreError> {
        let file = stands_at(path)?;
        let log = named(path, "-wal");
        let log = FileId::find(&log).map_err(|error| beside(&log, &error))?;
        Ok(Self { file, log })
    }
}

/// The file at `path`, which was there.
pub(crate) fn stands_at(path: &Path) -> Result<FileId, StoreError> {
    let found = FileId::find(path).map_err(|error| beside(path, &error))?;
    found.ok_or_else(|| {
        let reason =
            "it was moved away or removed while it was in use: put it, or another one, back in its place";
        StoreError::Unreachable { location: path.display().to_string(), reason: reason.to_owned() }
    })
}

/// Opens the file that took the place of `before`. It has to be a whole database of this version, and the log beside it
/// its own: with that of the file before it would be read as a mixture of both. The write lock is held.
pub(crate) async fn take_up(
    path: &Path,
    before: Standing,
) -> Result<(SqliteConnection, Standing), StoreError> {
    let location = || path.display().to_string();
    let now = Standing::at(path)?;
    if now.log.is_some() && now.log == before.log {
        let (log, index) = (named(path, "-wal"), named(path, "-shm"));
        let reason = format!(
            "another file was put in its place, and the log beside it is that of the file before: move `{}` and `{}` away",
            log.display(),
            index.display()
        );
        return Err(StoreError::Unreachable { location: location(), reason });
    }
    let options = writing_options(path).journal_mode(SqliteJournalMode::Wal);
    let mut connection =
        sqlx::ConnectOptions::connect(&options).await.map_err(|error| opening(path, error))?;
    match schema::inspect(&mut connection, path).await? {
        Found::Version(schema::WANTED) => {}
        Found::Version(found) => return Err(StoreError::SchemaBehind { found, wanted: schema::WANTED }),
        Found::Nothing => return Err(StoreError::SchemaBehind { found: 0, wanted: schema::WANTED }),
    }
    // The log was made by opening it.
    Ok((connection, Standing { file: now.file, ..Standing::at(path)? }))
}
