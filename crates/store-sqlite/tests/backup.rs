//! Copies that are made while work goes on, and putting them back.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use hostatlas_domain::{ScanFormat, Timestamp};
use hostatlas_store::{AdminStore, BackupPhase, BackupWatch, ImportStore, MapStore, StartImport, StoreError};
use hostatlas_store_sqlite::{OpenMode, OpenOptions, Restore, Restored, SqliteStore, restore};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

async fn open(path: &Path, mode: OpenMode) -> SqliteStore {
    SqliteStore::open(OpenOptions::new(path.display().to_string(), mode)).await.expect("a store")
}

async fn import(store: &SqliteStore) -> i64 {
    let params = StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson };
    store.import_start(params).await.expect("an import").0
}

async fn imports(path: &Path) -> usize {
    let store = open(path, OpenMode::Existing).await;
    let imports = store.imports_list(None, 1000).await.expect("a list").items.len();
    assert_eq!(store.check().await.expect("a check").findings, []);
    store.close().await;
    imports
}

async fn back(backup: &Path, path: &Path, replace: bool) -> Result<Restored, StoreError> {
    restore(request(backup, path, replace), to_the_end()).await
}

fn request(backup: &Path, path: &Path, replace: bool) -> Restore {
    let (location, now) = (path.display().to_string(), Timestamp::from_secs(1_795_434_087));
    Restore { backup: backup.to_owned(), location, replace, now }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| !["-lock", "-small", "-bulk", "-worker"].iter().any(|suffix| name.ends_with(suffix)))
        .collect();
    names.sort();
    names
}

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
    backup: PathBuf,
    directory: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().expect("a directory");
    let folder = directory.path().to_owned();
    Place {
        path: folder.join("hostatlas.db"),
        backup: folder.join("backup.db"),
        directory: folder,
        _directory: directory,
    }
}

/// Lets a copy come to its end.
fn to_the_end() -> BackupWatch {
    Arc::new(|_| true)
}

/// Stops a copy once it is so far.
fn stopping_at(phase: BackupPhase, bytes: u64) -> BackupWatch {
    Arc::new(move |step| !(step.phase == phase && step.bytes >= bytes))
}

/// A database of some megabytes, which takes a while to copy.
async fn large(path: &Path) -> SqliteStore {
    let store = open(path, OpenMode::Create).await;
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.expect("a connection");
    sqlx::query(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 400000)
         INSERT INTO network (asn, organization, isp) SELECT n, hex(randomblob(40)), '' FROM n",
    )
    .execute(&mut connection)
    .await
    .expect("rows");
    connection.close().await.expect("closed");
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_stopped_leaves_nothing_and_can_be_made_afterwards() {
    let place = place();
    let store = large(&place.path).await;
    let before = names(&place.directory);
    for (phase, bytes) in [(BackupPhase::Writing, 0), (BackupPhase::Writing, 1), (BackupPhase::Verifying, 1)]
    {
        let stopped = store.backup(&place.backup, stopping_at(phase, bytes)).await;
        assert!(matches!(stopped, Err(StoreError::Stopped)), "{phase:?}: {stopped:?}");
        assert_eq!(names(&place.directory), before, "{phase:?}");
    }
    // As recurring work that was given to somebody else: nobody waits for the answer any more.
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let watch: BackupWatch = Arc::new(move |step| {
        if step.bytes > 0
            && let Some(begun) = begun.lock().expect("no panic").take()
        {
            let _ = begun.send(());
        }
        true
    });
    tokio::select! {
        ended = store.backup(&place.backup, watch) => panic!("{ended:?}"),
        _ = has_begun => {}
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while names(&place.directory) != before {
        assert!(std::time::Instant::now() < deadline, "{:?}", names(&place.directory));
        tokio::task::yield_now().await;
    }
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    store.close().await;
    assert_eq!(names(&place.directory), ["backup.db", "hostatlas.db"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_stopped_changes_nothing_and_leaves_nothing() {
    let place = place();
    let store = large(&place.path).await;
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    store.close().await;
    let database = fs::read(&place.path).expect("the database");
    for phase in [BackupPhase::Writing, BackupPhase::Verifying] {
        let stopped = restore(request(&place.backup, &place.path, true), stopping_at(phase, 2 << 20)).await;
        assert!(matches!(stopped, Err(StoreError::Stopped)), "{phase:?}: {stopped:?}");
        assert_eq!(names(&place.directory), ["backup.db", "hostatlas.db"], "{phase:?}");
    }
    assert_eq!(fs::read(&place.path).expect("the database"), database);
    back(&place.backup, &place.path, true).await.expect("restored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_one_moment_of_a_database_that_is_written() {
    let place = place();
    let store = Arc::new(open(&place.path, OpenMode::Create).await);
    for _ in 0..10 {
        import(&store).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        async move {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                import(&store).await;
                written += 1;
            }
            written
        }
    });
    let backup = store.backup(&place.backup, to_the_end()).await.expect("a backup");
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.expect("the writer");
    assert_eq!(backup.path, place.backup);
    assert_eq!(backup.bytes, fs::metadata(&place.backup).expect("the backup").len());
    assert!((10..=10 + written).contains(&imports(&place.backup).await));
    assert_eq!(
        names(&place.directory),
        ["backup.db", "hostatlas.db", "hostatlas.db-shm", "hostatlas.db-wal"]
    );
    store.close().await;
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_a_failure_leaves_nothing() {
    let place = place();
    let store = open(&place.path, OpenMode::Create).await;
    fs::write(&place.backup, "precious").expect("a file");
    let refused = store.backup(&place.backup, to_the_end()).await.expect_err("a refusal");
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused:?}");
    assert_eq!(fs::read(&place.backup).expect("the file"), b"precious");
    let nowhere = place.directory.join("missing/backup.db");
    assert!(matches!(store.backup(&nowhere, to_the_end()).await, Err(StoreError::NotWritable { .. })));
    fs::remove_file(&place.backup).expect("removed");
    // What an attempt left behind that was killed is taken over.
    fs::write(place.directory.join("backup.db.part"), "half").expect("a file");
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    store.close().await;
    assert_eq!(names(&place.directory), ["backup.db", "hostatlas.db"]);
}

#[tokio::test]
async fn a_restore_moves_the_database_aside_with_its_log() {
    let place = place();
    let store = open(&place.path, OpenMode::Create).await;
    import(&store).await;
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    import(&store).await;
    // As after a kill: the last commit stands in the log alone.
    let killed = place.directory.join("killed.db");
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", place.path.display());
        fs::copy(from, format!("{}{suffix}", killed.display())).expect("a copy");
    }
    store.close().await;

    let refused = back(&place.backup, &killed, false).await.expect_err("a refusal");
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused:?}");
    let before = fs::read(&place.backup).expect("the backup");
    let restored = back(&place.backup, &killed, true).await.expect("restored");
    assert_eq!((restored.path.as_path(), restored.migration), (killed.as_path(), 5));
    assert_eq!(imports(&killed).await, 1);
    assert_eq!(fs::read(&place.backup).expect("the backup"), before);
    let aside = restored.aside.expect("the database before");
    assert_eq!(aside, place.directory.join("killed.db.before-restore-20261123114127UTC"));
    assert_eq!(imports(&aside).await, 2);

    // A second one in the same second loses nothing either; into an empty place nothing has to be moved.
    let again = back(&place.backup, &killed, true).await.expect("restored").aside.expect("the one before");
    assert_ne!(again, aside);
    let fresh = back(&place.backup, &place.directory.join("fresh.db"), false).await.expect("restored");
    assert_eq!(fresh.aside, None);
}

/// The power failed between moving the database aside and giving the copy its name.
#[tokio::test]
async fn no_database_is_made_where_a_restore_was_cut_off() {
    let place = place();
    let store = open(&place.path, OpenMode::Create).await;
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    import(&store).await;
    store.close().await;
    fs::rename(&place.path, place.directory.join("hostatlas.db.before-restore-1")).expect("moved aside");
    fs::write(place.directory.join("hostatlas.db.restore.part"), "half").expect("a file");

    let create = OpenOptions::new(place.path.display().to_string(), OpenMode::Create);
    let Err(refused) = SqliteStore::open(create).await else { panic!("it was opened") };
    let said = refused.to_string();
    assert!(said.contains("run `hostatlas db restore` again"), "{said}");
    assert!(said.contains("`hostatlas.db.before-restore-TIME`"), "{said}");
    assert!(!place.path.exists(), "one was made");

    // What it says helps.
    back(&place.backup, &place.path, false).await.expect("restored");
    open(&place.path, OpenMode::Create).await.close().await;
    assert_eq!(names(&place.directory), ["backup.db", "hostatlas.db", "hostatlas.db.before-restore-1"]);
}

#[tokio::test]
async fn a_restored_database_is_shared_as_any_other() {
    let place = place();
    let store = open(&place.path, OpenMode::Create).await;
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    store.close().await;
    back(&place.backup, &place.path, true).await.expect("restored");
    let store = open(&place.path, OpenMode::Existing).await;
    import(&store).await;
    assert!(names(&place.directory).contains(&"hostatlas.db-wal".to_owned()), "it writes a log again");
    store.close().await;
}

#[tokio::test]
async fn what_is_damaged_or_no_backup_is_refused_and_nothing_changes() {
    let place = place();
    let store = open(&place.path, OpenMode::Create).await;
    for _ in 0..500 {
        import(&store).await;
    }
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    let live = back(&place.path, &place.directory.join("other.db"), false).await.expect_err("a refusal");
    assert!(matches!(live, StoreError::Conflict(_)), "{live:?}");
    store.close().await;
    let before = fs::read(&place.path).expect("the database");

    let good = fs::read(&place.backup).expect("the backup");
    let mut damaged = good.clone();
    let middle = good.len() / 4096 / 2 * 4096;
    damaged[middle..middle + 4096].fill(0x5a);
    let cases: [(&str, &[u8]); 4] =
        [("damaged", &damaged), ("cut", &good[..good.len() / 2]), ("empty", b""), ("text", b"[{\"ip\":1}]")];
    for (name, bytes) in cases {
        let bad = place.directory.join(name);
        fs::write(&bad, bytes).expect("a file");
        let error = back(&bad, &place.path, true).await.expect_err("a refusal");
        let of_it = matches!(&error, StoreError::NotADatabase { location, .. } if location.ends_with(name));
        assert!(of_it, "{name}: {error:?}");
    }
    let missing = back(&place.directory.join("missing"), &place.path, true).await;
    assert!(matches!(missing, Err(StoreError::Unreachable { .. })), "{missing:?}");
    assert_eq!(fs::read(&place.path).expect("the database"), before);
    assert!(!names(&place.directory).iter().any(|name| name.contains("restore")));
}

#[tokio::test]
async fn nothing_is_restored_under_a_worker() {
    let place = place();
    let store = open(&place.path, OpenMode::Create).await;
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    let role = store.worker_role().await.expect("the role");
    let refused = back(&place.backup, &place.path, true).await.expect_err("a refusal");
    assert!(matches!(refused, StoreError::WorkerRoleHeld { .. }), "{refused:?}");
    drop(role);
    store.close().await;
}

/// Moves the files of a database that is open away: `suffixes` of its name.
fn move_away(path: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        let named = |name: &str| PathBuf::from(format!("{}{suffix}", path.with_file_name(name).display()));
        fs::rename(named("hostatlas.db"), named("aside.db")).expect("moved away");
    }
}

async fn sources(store: &SqliteStore) -> Vec<i64> {
    let listed = store.imports_list(None, 1000).await.expect("a list").items;
    listed.iter().map(|import| import.report.id.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_takes_the_place_of_an_open_one_is_taken_up() {
    let place = place();
    let store = open(&place.path, OpenMode::Create).await;
    import(&store).await;
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    import(&store).await;
    let before = store.changes().await.expect("changes").history;
    move_away(&place.path, &["-wal", "-shm", ""]);
    let gone = store.imports_list(None, 10).await.expect_err("nothing is there");
    assert!(matches!(gone, StoreError::Unreachable { .. }), "{gone:?}");
    fs::copy(&place.backup, &place.path).expect("a copy");

    // Asked for while nobody had looked: of which of the two files it is cannot be known.
    let refused = store.try_write().await.expect_err("a refusal");
    assert!(matches!(&refused, StoreError::Conflict(why) if why.contains("look before")), "{refused:?}");

    assert_eq!(sources(&store).await, [1]);
    assert_eq!(import(&store).await, 2, "what is written goes there");
    assert_ne!(store.changes().await.expect("changes").history, before);
    store.close().await;
    assert_eq!(imports(&place.path).await, 2);
    assert_eq!(
        imports(&place.path.with_file_name("aside.db")).await,
        2,
        "the one that was moved away is whole"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_beside_the_log_of_the_one_before_is_not_read() {
    let place = place();
    let store = open(&place.path, OpenMode::Create).await;
    import(&store).await;
    store.backup(&place.backup, to_the_end()).await.expect("a backup");
    import(&store).await;
    move_away(&place.path, &[""]);
    fs::copy(&place.backup, &place.path).expect("a copy");

    let refused = store.imports_list(None, 10).await.expect_err("a refusal");
    let StoreError::Unreachable { reason, .. } = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("hostatlas.db-wal") && reason.contains("hostatlas.db-shm"), "{reason}");

    move_away(&place.path, &["-wal", "-shm"]);
    assert_eq!(sources(&store).await, [1]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_does_not_take_the_place_of_one() {
    let place = place();
    let store = open(&place.path, OpenMode::Create).await;
    import(&store).await;
    move_away(&place.path, &["-wal", "-shm", ""]);
    fs::write(&place.path, b"something else").expect("a file");
    let refused = store.imports_list(None, 10).await.expect_err("a refusal");
    assert!(matches!(refused, StoreError::NotADatabase { .. }), "{refused:?}");

    for suffix in ["", "-wal", "-shm"] {
        let named =
            |name: &str| PathBuf::from(format!("{}{suffix}", place.path.with_file_name(name).display()));
        fs::rename(named("aside.db"), named("hostatlas.db")).expect("moved back");
    }
    assert_eq!(sources(&store).await, [1], "as if nothing had been");
    store.try_write().await.expect("written");
    store.close().await;
}
