//! What may be opened, and what is said of everything else.

use std::{fs, path::Path};

use hostatlas_domain::ScanFormat;
use hostatlas_store::{AdminStore, ImportStore, StartImport, StoreError};
use hostatlas_store_sqlite::{Mode, OpenOptions, SqliteStore};
use sqlx::{AssertSqlSafe, ConnectOptions, sqlite::SqliteConnectOptions};

async fn open(path: &Path, mode: Mode) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(OpenOptions::new(path.display().to_string(), mode)).await
}

async fn refusal(path: &Path, mode: Mode) -> StoreError {
    open(path, mode).await.err().expect("a refusal")
}

async fn run(path: &Path, statements: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.expect("a database");
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.expect("statements");
}

fn import() -> StartImport {
    StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson }
}

#[tokio::test]
async fn a_missing_file_is_made_only_by_those_who_may() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    for mode in [Mode::Existing, Mode::Migrate, Mode::Inspect] {
        let error = refusal(&path, mode).await;
        assert!(
            matches!(&error, StoreError::Unreachable { location, .. } if Path::new(location) == path),
            "{error}"
        );
    }
    assert!(!path.exists());

    open(&path, Mode::Create).await.expect("a new database").close().await;

    let status =
        open(&path, Mode::Existing).await.expect("the database").schema_status().await.expect("a status");
    assert_eq!((status.found, status.wanted), (1, 1));
    assert!(status.engine.starts_with("SQLite 3."), "{}", status.engine);
}

#[tokio::test]
async fn what_is_no_database_is_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("scan.json");
    fs::write(&path, "[{\"ip\":\"198.51.100.7\"}]").expect("a file");
    assert!(matches!(refusal(&path, Mode::Create).await, StoreError::NotADatabase { .. }));
    assert_eq!(fs::read(&path).expect("the file"), b"[{\"ip\":\"198.51.100.7\"}]");

    assert!(matches!(refusal(directory.path(), Mode::Create).await, StoreError::Unreachable { .. }));
    let nowhere = directory.path().join("missing/hostatlas.db");
    assert!(matches!(refusal(&nowhere, Mode::Create).await, StoreError::Unreachable { .. }));
}

#[tokio::test]
async fn a_file_that_is_cut_short_after_its_first_bytes_is_no_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cut.db");
    fs::write(&path, b"SQLite format 3\0and then nothing that makes sense").expect("a file");
    let error = refusal(&path, Mode::Create).await;
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("other.db");
    run(&path, "CREATE TABLE bookmark (url TEXT)").await;
    assert!(matches!(refusal(&path, Mode::Create).await, StoreError::NotADatabase { .. }));
    run(&path, "DROP TABLE bookmark; PRAGMA application_id = 7").await;
    assert!(matches!(refusal(&path, Mode::Create).await, StoreError::NotADatabase { .. }));
}

#[tokio::test]
async fn a_newer_schema_is_refused_whatever_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    open(&path, Mode::Create).await.expect("a new database").close().await;
    run(&path, "PRAGMA user_version = 999").await;
    for mode in [Mode::Create, Mode::Migrate, Mode::Existing, Mode::Inspect] {
        let error = refusal(&path, mode).await;
        assert!(matches!(error, StoreError::SchemaNewer { found: 999, known: 1 }), "{error:?}");
    }
}

#[tokio::test]
async fn an_empty_file_becomes_a_database_only_where_one_may_be_made() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    fs::write(&path, b"").expect("a file");
    let error = refusal(&path, Mode::Existing).await;
    assert!(matches!(error, StoreError::SchemaBehind { found: 0, wanted: 1 }), "{error:?}");
    assert!(open(&path, Mode::Create).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_start_on_a_new_file_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { open(&path, Mode::Create).await?.import_start(import()).await })
        })
        .collect();
    let mut imports = Vec::new();
    for started in starting {
        imports.push(started.await.expect("no panic").expect("an import").0);
    }
    imports.sort_unstable();
    assert_eq!(imports, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn what_was_acknowledged_survives_closing_and_a_closed_store_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    let store = open(&path, Mode::Create).await.expect("a new database");
    let id = store.import_start(import()).await.expect("an import");
    store.import_get(id).await.expect("the import");
    store.close().await;
    assert!(store.import_start(import()).await.is_err());
    assert!(!directory.path().join("hostatlas.db-wal").exists(), "the log was not put into the database");

    let again = open(&path, Mode::Existing).await.expect("the database");
    assert_eq!(again.import_get(id).await.expect("the import").source, "scan.json");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    let store = open(&path, Mode::Create).await.expect("a new database");
    // A lock file that is a directory is refused to root too, unlike one without permissions.
    fs::remove_file(directory.path().join("hostatlas.db-lock")).expect("the lock file");
    fs::create_dir(directory.path().join("hostatlas.db-lock")).expect("a directory");
    let error = store.import_start(import()).await.expect_err("a refusal");
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}");
}
