//! Putting a backup in the place of a database.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use hostatlas_domain::Timestamp;
use hostatlas_store::{BackupPhase, BackupWatch, OpenMode, StoreError, WorkerRole};
use rustix::fs::{FlockOperation, fcntl_lock};

use crate::{
    backup::{Part, Watching, named, sync_directory, verify},
    error::beside,
    lock::{Locks, WriteLock},
    open::{check_file, path_of},
};

/// Bytes that are copied at once.
const CHUNK_BYTES: usize = 1 << 20;
/// What the name of a database has behind it while a backup is copied into its place; the copy itself is the part of
/// that ([`Part`]).
const UNDER_WAY: &str = ".restore";

/// Which backup goes where.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The backup; it is read and stays as it is.
    pub backup: PathBuf,
    /// The database: a path, `sqlite:PATH` or `sqlite://PATH`.
    pub location: String,
    /// Whether a database that is there may be moved aside.
    pub replace: bool,
    /// The time for the name of what is moved aside.
    pub now: Timestamp,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The database.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its schema version; an older one is migrated when it is next opened for writing.
    pub migration: i64,
    /// Where the database went that was there before; none if there was none.
    pub aside: Option<PathBuf>,
}

/// Verifies a backup and puts a copy of it in the place of the database, which is moved aside with its write-ahead log.
///
/// Nothing changes unless all of the backup is good and nobody has the database open: [`StoreError::NotADatabase`],
/// [`StoreError::WorkerRoleHeld`], [`StoreError::Conflict`] where somebody does, or where a database is there and may
/// not be replaced. The calling process must not have the database open itself: the system's locks do not tell a process
/// from itself.
///
/// Until the database is moved aside `watch` can stop it ([`StoreError::Stopped`]): then nothing is changed or left.
pub async fn restore(request: Restore, watch: BackupWatch) -> Result<Restored, StoreError> {
    let path = path_of(&request.location)?;
    check_source(&request.backup)?;
    check_directory(&path)?;
    let _alone = Alone::with(&path, request.now).await?;
    let is_there = exists(&path)?;
    if is_there && !request.replace {
        return Err(StoreError::Conflict(format!("there is a database at `{}`", path.display())));
    }
    let part = Part::claim(&named(&path, UNDER_WAY))?;
    let bytes = fs::metadata(&request.backup).map_err(|error| beside(&request.backup, &error))?.len();
    let watching = Watching::new(watch, &part, bytes);
    copy(&request.backup, &part, &watching).await?;
    // What is checked is the copy that will be used, and not the backup, beside which the engine would leave files.
    let migration = verify(&part.path, &watching).await.map_err(|error| of_backup(error, &request.backup))?;
    let aside = if is_there { Some(move_aside(&path, request.now)?) } else { None };
    if let Err(error) = part.publish(&path) {
        if let Some(aside) = &aside {
            move_all(aside, &path)?;
        }
        return Err(error);
    }
    Ok(Restored { path, bytes, migration, aside })
}

/// Copies the bytes of a backup and its permissions.
async fn copy(backup: &Path, part: &Part, watching: &Watching) -> Result<(), StoreError> {
    let mut from = File::open(backup).map_err(|error| beside(backup, &error))?;
    let (mut chunk, mut bytes) = (vec![0; CHUNK_BYTES], 0);
    loop {
        watching.at(BackupPhase::Writing, bytes)?;
        let read = from.read(&mut chunk).map_err(|error| beside(backup, &error))?;
        if read == 0 {
            break;
        }
        (&part.file).write_all(&chunk[..read]).map_err(|error| beside(&part.path, &error))?;
        bytes += read as u64;
        // Whoever shows how far it is, or hears that it should stop, may share this thread.
        tokio::task::yield_now().await;
    }
    let permissions = from.metadata().map_err(|error| beside(backup, &error))?.permissions();
    part.file.set_permissions(permissions).map_err(|error| beside(&part.path, &error))
}

/// Refuses to make a database where a restore was cut off, by a loss of power for one: what was there may have been moved
/// aside already, and an empty one in its place would look as if all were lost. Whoever asks has the lock for small
/// operations, which a restore that is under way holds to its end.
pub(crate) fn refuse_half(path: &Path) -> Result<(), StoreError> {
    let part = Part::path_of(&named(path, UNDER_WAY));
    if exists(path)? || !exists(&part)? {
        return Ok(());
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).display();
    Err(StoreError::Unreachable {
        location: path.display().to_string(),
        reason: format!(
            "a restore into its place was cut off: run `hostatlas db restore` again, or remove `{}` and give \
             `{name}.before-restore-TIME` its name back, if there is one",
            part.display()
        ),
    })
}

/// A backup is one whole file: a database that is in use has its last commits in another.
fn check_source(backup: &Path) -> Result<(), StoreError> {
    if let Err(error) = fs::metadata(backup) {
        let reason = if error.kind() == io::ErrorKind::NotFound {
            "no such file".to_owned()
        } else {
            error.to_string()
        };
        return Err(StoreError::Unreachable { location: backup.display().to_string(), reason });
    }
    let absolute = std::path::absolute(backup).map_err(|error| beside(backup, &error))?;
    check_file(&absolute, OpenMode::Existing)?;
    let log = fs::metadata(named(backup, "-wal")).map_or(0, |log| log.len());
    if log > 0 {
        return Err(StoreError::Conflict(format!(
            "`{}` is a database in use and no backup: not all of it is in that file",
            backup.display()
        )));
    }
    Ok(())
}

/// What makes sense as a place for a database; a damaged one may be there.
fn check_directory(path: &Path) -> Result<(), StoreError> {
    let missing = path.with_file_name(".hostatlas-restore-probe");
    check_file(&missing, OpenMode::Create)
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|error| beside(path, &error))
}

/// The backup is what was checked, whatever its copy is named.
fn of_backup(error: StoreError, backup: &Path) -> StoreError {
    match error {
        StoreError::NotADatabase { reason, .. } => {
            StoreError::NotADatabase { location: backup.display().to_string(), reason }
        }
        error => error,
    }
}

/// Nobody else works with the database for as long as this lives.
struct Alone {
    _role: Box<dyn WorkerRole>,
    _write: WriteLock,
    _open: Option<File>,
}

impl Alone {
    async fn with(path: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let locks = Locks::beside(path);
        let role = locks.worker(&now.to_readable())?;
        let write = locks.small().await?;
        Ok(Self { _role: role, _write: write, _open: not_open(path)? })
    }
}

/// Whoever has a database open with a write-ahead log holds the engine's shared lock on the file. The engine's locks
/// are these of the system, so asking for all of the file tells, and works on a damaged file, too.
fn not_open(path: &Path) -> Result<Option<File>, StoreError> {
    let file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(beside(path, &error)),
    };
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
            Err(StoreError::Conflict(format!("another process has `{}` open", path.display())))
        }
        Err(error) => Err(beside(path, &error.into())),
    }
}

/// Gives the database another name, with its log, without which the last commits would be lost.
fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let time: String = now.to_readable().chars().filter(char::is_ascii_alphanumeric).collect();
    let mut aside = named(path, &format!(".before-restore-{time}"));
    let mut number = 1;
    while exists(&aside)? {
        number += 1;
        aside = named(path, &format!(".before-restore-{time}-{number}"));
    }
    move_all(path, &aside)?;
    Ok(aside)
}

fn move_all(from: &Path, to: &Path) -> Result<(), StoreError> {
    // The log first: a database without it looks whole, and is not.
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(named(from, suffix), named(to, suffix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
            Err(error) => return Err(beside(from, &error)),
            Ok(()) => {}
        }
    }
    sync_directory(to)
}
