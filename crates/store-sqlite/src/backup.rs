//! Copies of the database that are made while work goes on.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hostatlas_store::{Backup, BackupPhase, BackupStep, BackupWatch, StoreError};
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use crate::{
    database::Database,
    error::{beside, engine, opening, other},
    open::connect_options,
    schema::{self, Found},
};

/// How often whoever watches is asked, at most.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Steps of the engine between two looks at the clock: some microseconds.
const STEPS: i32 = 1_000;

/// See [`hostatlas_store::AdminStore::backup`].
///
/// It reads on a connection of its own, so that writers go on. While it reads, the write-ahead log keeps all that they
/// write: it grows by that, and is cut to its usual size afterwards.
pub(crate) async fn backup(database: &Database, to: &Path, watch: BackupWatch) -> Result<Backup, StoreError> {
    let to = std::path::absolute(to).map_err(|error| beside(to, &error))?;
    refuse_existing(&to)?;
    let part = Part::claim(&to)?;
    let watching = Watching::new(watch, &part, fs::metadata(&database.path).map_or(0, |file| file.len()));
    let reading = SqliteConnectOptions::clone(&database.readers().await?.connect_options());
    // In a task of its own: if whoever waits goes away, the file is given up only once the engine has ended with it.
    // Else the engine would remove files beside it that are already those of the next backup.
    let _stopping = StopsOnDrop(Arc::clone(&watching.is_stopped));
    let copying = tokio::spawn(async move {
        write(&reading, &part, &watching).await?;
        verify(&part.path, &watching).await?;
        let bytes = part.file.metadata().map_err(|error| beside(&part.path, &error))?.len();
        refuse_existing(&to)?;
        part.publish(&to)?;
        Ok(Backup { path: to, bytes })
    });
    copying.await.map_err(other)?
}

/// Stops a copy for which nobody waits any more.
struct StopsOnDrop(Arc<AtomicBool>);

impl Drop for StopsOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes the copy, on a connection of its own: one of the pool would have to be freed of who watches.
async fn write(reading: &SqliteConnectOptions, part: &Part, watching: &Watching) -> Result<(), StoreError> {
    let mut reader = reading.connect().await.map_err(engine)?;
    watching.over(&mut reader, BackupPhase::Writing).await?;
    let written =
        sqlx::query("VACUUM INTO ?1").bind(part.path.display().to_string()).execute(&mut reader).await;
    // What the engine has beside the file goes before the file does.
    let closed = reader.close().await;
    watching.unless_stopped(written.map(drop).and(closed).map_err(|error| about(&part.path, error)))
}

/// Checks a whole database file that nobody else has open, and turns on its write-ahead log, which a fresh copy lacks.
/// Answers its schema version.
pub(crate) async fn verify(path: &Path, watching: &Watching) -> Result<i64, StoreError> {
    let options = connect_options(path).create_if_missing(false).journal_mode(SqliteJournalMode::Wal);
    let mut connection = options.connect().await.map_err(|error| opening(path, error))?;
    watching.over(&mut connection, BackupPhase::Verifying).await?;
    let verified = verified(&mut connection, path).await;
    connection.close().await.map_err(|error| opening(path, error))?;
    watching.unless_stopped(verified)
}

/// Asks whoever watches a copy again and again whether it should go on, also in the middle of a statement of the engine.
pub(crate) struct Watching {
    watch: BackupWatch,
    path: PathBuf,
    total: u64,
    is_stopped: Arc<AtomicBool>,
}

impl Watching {
    pub(crate) fn new(watch: BackupWatch, part: &Part, total: u64) -> Self {
        Self { watch, path: part.path.clone(), total, is_stopped: Arc::default() }
    }

    /// Says how far it is; [`StoreError::Stopped`] if it should not go on.
    pub(crate) fn at(&self, phase: BackupPhase, bytes: u64) -> Result<(), StoreError> {
        if !(self.watch)(BackupStep { phase, bytes, total: self.total }) {
            self.is_stopped.store(true, Ordering::Relaxed);
        }
        self.unless_stopped(Ok(()))
    }

    /// Watches all that the connection does from now on.
    async fn over(&self, connection: &mut SqliteConnection, phase: BackupPhase) -> Result<(), StoreError> {
        self.at(phase, written(&self.path))?;
        let (watch, path, total) = (self.watch.clone(), self.path.clone(), self.total);
        let is_stopped = Arc::clone(&self.is_stopped);
        let mut asked = Instant::now();
        let asking = move || {
            if asked.elapsed() >= ASK_EVERY {
                asked = Instant::now();
                let goes_on = watch(BackupStep { phase, bytes: written(&path), total });
                is_stopped.fetch_or(!goes_on, Ordering::Relaxed);
            }
            !is_stopped.load(Ordering::Relaxed)
        };
        connection.lock_handle().await.map_err(engine)?.set_progress_handler(STEPS, asking);
        Ok(())
    }

    /// What came of it: whatever the engine says of a statement that was stopped, it was stopped.
    fn unless_stopped<T>(&self, ended: Result<T, StoreError>) -> Result<T, StoreError> {
        if self.is_stopped.load(Ordering::Relaxed) { Err(StoreError::Stopped) } else { ended }
    }
}

/// Bytes that are in a file by now.
fn written(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
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
    pub(crate) file: File,
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
