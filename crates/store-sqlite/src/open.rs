use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hostatlas_store::{OpenMode, StoreError, backend::Past};
use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    SqliteStore,
    clock::{Clock, ClockOffset},
    database::{Database, Parts, Readers},
    error::opening,
    filesystem::{follow, mounts, network_file_system},
    locations,
    lock::{Locks, PATIENCE},
    providers, restore,
    schema::{self, Found},
    standing::Standing,
    writer::Writer,
};

/// The first `SQLite` whose checkpoints cannot lose a write that is committed at the same time.
const OLDEST_ENGINE: [u32; 3] = [3, 51, 3];
/// What every `SQLite` file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Four readers keep two cores busy and each costs a cache and a thread.
const READERS: u32 = 4;
/// Page caches in KiB. A list reads some dozen pages; an import in address order rewrites each leaf of the address
/// index once, and a larger cache did not make it faster.
const READER_CACHE_KIB: u32 = 2 * 1024;
const WRITER_CACHE_KIB: u32 = 16 * 1024;
/// What the write-ahead log is cut to once it has been copied.
const JOURNAL_LIMIT: u32 = 64 << 20;
/// Operations that may wait before callers do.
const SMALL_QUEUE: usize = 512;
const BULK_QUEUE: usize = 4;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The file: a path, `sqlite:PATH` or `sqlite://PATH`.
    pub location: String,
    /// What may be done to it.
    pub mode: OpenMode,
    /// How far the store's clock runs ahead; only tests move it.
    pub clock_offset: ClockOffset,
}

impl OpenOptions {
    /// Opens `location` in `mode`, by the system's clock.
    pub fn new(location: impl Into<String>, mode: OpenMode) -> Self {
        Self { location: location.into(), mode, clock_offset: ClockOffset::default() }
    }
}

impl SqliteStore {
    /// Opens a database file and starts its writer.
    pub async fn open(options: OpenOptions) -> Result<Self, StoreError> {
        let path = path_of(&options.location)?;
        check_file(&path, options.mode)?;
        let locks = Locks::beside(&path);
        let mut connection = connect_writer(&path, options.mode, &locks).await?;
        check_engine(&mut connection).await?;
        prepare(&mut connection, &path, &locks, options.mode).await?;

        let standing = Standing::at(&path)?;
        let caches = locations::Caches::default();
        let past = Arc::new(Past::new(caches.clone()));
        past.is_now(standing.file);
        let readers = Readers { pool: readers(&path), file: standing.file };
        let clock = Arc::new(Clock::new(options.clock_offset));
        let (small, small_commands) = mpsc::channel(SMALL_QUEUE);
        let (bulk, bulk_commands) = mpsc::channel(BULK_QUEUE);
        let (stop, stopped) = oneshot::channel();
        let writer = Writer {
            connection,
            path: path.clone(),
            standing,
            past: Arc::clone(&past),
            locks: locks.clone(),
            clock: Arc::clone(&clock),
            small: small_commands,
            bulk: bulk_commands,
            broken: None,
            unlooked: 0,
        };
        let writer = tokio::spawn(writer.run(stopped));
        let database = Database::new(Parts { path, locks, readers, past, clock, small, bulk, writer, stop });
        Ok(Self { database, caches, walk: providers::Walk::default() })
    }
}

/// The file that a location names, also by a link.
pub fn path_of(location: &str) -> Result<PathBuf, StoreError> {
    let unreachable =
        |reason: &str| StoreError::Unreachable { location: location.to_owned(), reason: reason.to_owned() };
    let name =
        location.strip_prefix("sqlite:").map_or(location, |rest| rest.strip_prefix("//").unwrap_or(rest));
    if name.is_empty() {
        return Err(unreachable("it names no file: use sqlite://hostatlas.db"));
    }
    if name.contains(":memory:") {
        return Err(unreachable("a database in memory cannot be shared or kept: name a file"));
    }
    // Absolute, so that the name cannot be read as a URI and a later change of directory does not matter.
    std::path::absolute(name).map(follow).map_err(|error| unreachable(&error.to_string()))
}

/// Refuses what is certainly not a database before the engine touches it.
pub(crate) fn check_file(path: &Path, mode: OpenMode) -> Result<(), StoreError> {
    check_file_on(path, mode, &mounts())
}

fn check_file_on(path: &Path, mode: OpenMode, mounts: &str) -> Result<(), StoreError> {
    let location = || path.display().to_string();
    let unreachable = |reason: String| StoreError::Unreachable { location: location(), reason };
    let directory = path.parent().filter(|directory| directory.is_dir());
    let Some(directory) = directory else {
        return Err(unreachable("its directory does not exist".to_owned()));
    };
    if let Some(kind) = network_file_system(directory, mounts) {
        let remedy = "SQLite cannot share a file over a network: use a local disk or a PostgreSQL server";
        return Err(unreachable(format!("it is on a network file system ({kind}); {remedy}")));
    }
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && mode == OpenMode::Create => {
            return Ok(());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(unreachable("no such file: `hostatlas import` makes one".to_owned()));
        }
        Err(error) => return Err(unreachable(error.to_string())),
        Ok(metadata) if !metadata.is_file() => return Err(unreachable("it is not a file".to_owned())),
        Ok(metadata) if metadata.len() == 0 => return Ok(()),
        Ok(_) => {}
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut head));
    read.map_err(|error| unreachable(error.to_string()))?;
    if head != MAGIC {
        return Err(StoreError::NotADatabase {
            location: location(),
            reason: "it does not begin as an SQLite file".to_owned(),
        });
    }
    Ok(())
}

pub(crate) fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(PATIENCE)
        // Rows are deleted by their owners alone, in the same transaction; checking each costs what it finds: nothing.
        .foreign_keys(false)
        .pragma("trusted_schema", "OFF")
        .pragma("mmap_size", "0")
        .row_buffer_size(1000)
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// How the connection is opened that writes.
pub(crate) fn writing_options(path: &Path) -> SqliteConnectOptions {
    connect_options(path)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", JOURNAL_LIMIT.to_string())
        // The writer task does that, outside its transactions.
        .pragma("wal_autocheckpoint", "0")
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
}

/// Connections that read, each made when it is first needed.
pub(crate) fn readers(path: &Path) -> SqlitePool {
    let reading = connect_options(path).read_only(true).pragma("cache_size", format!("-{READER_CACHE_KIB}"));
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(reading)
}

async fn connect_writer(path: &Path, mode: OpenMode, locks: &Locks) -> Result<SqliteConnection, StoreError> {
    let writing = writing_options(path).create_if_missing(mode == OpenMode::Create);
    if mode != OpenMode::Create {
        return writing.connect().await.map_err(|error| opening(path, error));
    }
    // Turning the log on needs the file for itself, and `SQLite` does not wait for that: processes that start at
    // once on a new file would fail. An operating system lock does wait.
    let _lock = locks.small().await?;
    restore::refuse_half(path)?;
    let writing = writing.journal_mode(SqliteJournalMode::Wal);
    writing.connect().await.map_err(|error| opening(path, error))
}

async fn check_engine(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(crate::error::engine)?;
    if is_old(&found) {
        Err(StoreError::EngineTooOld { found: format!("SQLite {found}"), wanted: "3.51.3" })
    } else {
        Ok(())
    }
}

/// Whether a version such as `3.51.3` is before [`OLDEST_ENGINE`].
fn is_old(version: &str) -> bool {
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().unwrap_or(0)).collect();
    numbers.as_slice() < OLDEST_ENGINE.as_slice()
}

async fn prepare(
    connection: &mut SqliteConnection,
    path: &Path,
    locks: &Locks,
    mode: OpenMode,
) -> Result<(), StoreError> {
    if matches!(mode, OpenMode::Create | OpenMode::Migrate) {
        return schema::migrate(connection, path, locks).await;
    }
    let found = match schema::inspect(connection, path).await? {
        Found::Version(version) => version,
        Found::Nothing => 0,
    };
    if mode == OpenMode::Existing && found < schema::WANTED {
        return Err(StoreError::SchemaBehind { found, wanted: schema::WANTED });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hostatlas_store::AdminStore;

    use super::*;

    #[test]
    fn a_location_is_a_path_with_or_without_its_scheme() {
        for location in ["sqlite:///srv/a.db", "sqlite:/srv/a.db", "/srv/a.db"] {
            assert_eq!(path_of(location).expect("a path"), Path::new("/srv/a.db"));
        }
        assert!(path_of("sqlite://relative.db").expect("a path").is_absolute());
        assert!(path_of("sqlite::memory:").is_err());
    }

    #[test]
    fn a_file_on_a_network_file_system_is_refused_also_through_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("a folder");
        let (here, there) = (folder.join("here"), folder.join("there"));
        for directory in [&here, &there] {
            fs::create_dir(directory).expect("a directory");
        }
        let mounts =
            format!("1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / {} rw - nfs4 s:/ rw", there.display());
        let checked =
            |path: &Path| check_file_on(&path_of(&path.display().to_string())?, OpenMode::Create, &mounts);
        assert!(checked(&here.join("own.db")).is_ok());

        let (known, lost, twice) = (here.join("known.db"), here.join("lost.db"), here.join("twice.db"));
        fs::write(there.join("known.db"), b"").expect("a file");
        std::os::unix::fs::symlink(there.join("known.db"), &known).expect("a link");
        std::os::unix::fs::symlink("../there/new.db", &lost).expect("a link that leads to no file yet");
        std::os::unix::fs::symlink("known.db", &twice).expect("a link to a link");
        for path in [there.join("new.db"), known, lost, twice] {
            let error = checked(&path).expect_err("a refusal").to_string();
            assert!(error.contains("network file system (nfs4)"), "{}: {error}", path.display());
        }
    }

    #[tokio::test]
    async fn a_database_has_one_set_of_locks_by_whatever_name_it_is_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let (real, link) = (folder.path().join("real.db"), folder.path().join("link.db"));
        let open =
            |path: &Path| SqliteStore::open(OpenOptions::new(path.display().to_string(), OpenMode::Create));
        let store = open(&real).await.expect("a database");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        let again = open(&link).await.expect("the same");
        let role = store.worker_role().await.expect("the role");
        let held = again.worker_role().await.map(|_| ());
        assert!(matches!(held, Err(StoreError::WorkerRoleHeld { .. })), "{held:?}");
        drop(role);
        again.close().await;
        store.close().await;
    }

    #[test]
    fn engines_before_3_51_3_are_too_old() {
        let old = ["3.40.1", "3.51.2", "3.51.3", "3.51.10", "3.52.0", "4.0.0"].map(is_old);
        assert_eq!(old, [true, true, false, false, false, false]);
    }
}
