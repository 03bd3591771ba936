//! What may be opened, and what is said of everything else.

use std::{fs, path::Path, sync::Arc, time::Duration};

use hostatlas_domain::{Limit, LimitUnit, LimitWindow, ProviderName, ScanFormat};
use hostatlas_store::{
    AdminStore, HostStore, ImportStore, LocationStore, PermitsTaken, ProviderStore, RunStore, StartImport,
    StoreError, TakePermits,
};
use hostatlas_store_sqlite::{ClockOffset, OpenMode, OpenOptions, SqliteStore};
use sqlx::{AssertSqlSafe, ConnectOptions, sqlite::SqliteConnectOptions};

/// The newest migration.
const NEWEST: i64 = 5;

async fn open(path: &Path, mode: OpenMode) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(OpenOptions::new(path.display().to_string(), mode)).await
}

async fn refusal(path: &Path, mode: OpenMode) -> StoreError {
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
    for mode in [OpenMode::Existing, OpenMode::Migrate, OpenMode::Inspect] {
        let error = refusal(&path, mode).await;
        assert!(
            matches!(&error, StoreError::Unreachable { location, .. } if Path::new(location) == path),
            "{error}"
        );
    }
    assert!(!path.exists());

    open(&path, OpenMode::Create).await.expect("a new database").close().await;

    let status =
        open(&path, OpenMode::Existing).await.expect("the database").schema_status().await.expect("a status");
    assert_eq!((status.found, status.wanted), (NEWEST, NEWEST));
    assert!(status.engine.starts_with("SQLite 3."), "{}", status.engine);
}

#[tokio::test]
async fn what_is_no_database_is_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("scan.json");
    fs::write(&path, "[{\"ip\":\"198.51.100.7\"}]").expect("a file");
    assert!(matches!(refusal(&path, OpenMode::Create).await, StoreError::NotADatabase { .. }));
    assert_eq!(fs::read(&path).expect("the file"), b"[{\"ip\":\"198.51.100.7\"}]");

    assert!(matches!(refusal(directory.path(), OpenMode::Create).await, StoreError::Unreachable { .. }));
    let nowhere = directory.path().join("missing/hostatlas.db");
    assert!(matches!(refusal(&nowhere, OpenMode::Create).await, StoreError::Unreachable { .. }));
}

#[tokio::test]
async fn a_file_that_is_cut_short_after_its_first_bytes_is_no_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cut.db");
    fs::write(&path, b"SQLite format 3\0and then nothing that makes sense").expect("a file");
    let error = refusal(&path, OpenMode::Create).await;
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("other.db");
    run(&path, "CREATE TABLE bookmark (url TEXT)").await;
    assert!(matches!(refusal(&path, OpenMode::Create).await, StoreError::NotADatabase { .. }));
    run(&path, "DROP TABLE bookmark; PRAGMA application_id = 7").await;
    assert!(matches!(refusal(&path, OpenMode::Create).await, StoreError::NotADatabase { .. }));
}

#[tokio::test]
async fn a_newer_schema_is_refused_whatever_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    open(&path, OpenMode::Create).await.expect("a new database").close().await;
    run(&path, "PRAGMA user_version = 999").await;
    for mode in [OpenMode::Create, OpenMode::Migrate, OpenMode::Existing, OpenMode::Inspect] {
        let error = refusal(&path, mode).await;
        assert!(matches!(error, StoreError::SchemaNewer { found: 999, known: NEWEST }), "{error:?}");
    }
}

#[tokio::test]
async fn an_empty_file_becomes_a_database_only_where_one_may_be_made() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    fs::write(&path, b"").expect("a file");
    let error = refusal(&path, OpenMode::Existing).await;
    assert!(matches!(error, StoreError::SchemaBehind { found: 0, wanted: NEWEST }), "{error:?}");
    assert!(open(&path, OpenMode::Create).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_start_on_a_new_file_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { open(&path, OpenMode::Create).await?.import_start(import()).await })
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
    let store = open(&path, OpenMode::Create).await.expect("a new database");
    let id = store.import_start(import()).await.expect("an import");
    store.import_get(id).await.expect("the import");
    store.close().await;
    assert!(store.import_start(import()).await.is_err());
    assert!(!directory.path().join("hostatlas.db-wal").exists(), "the log was not put into the database");

    let again = open(&path, OpenMode::Existing).await.expect("the database");
    assert_eq!(again.import_get(id).await.expect("the import").source, "scan.json");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    let store = open(&path, OpenMode::Create).await.expect("a new database");
    // A lock file that is a directory is refused to root too, unlike one without permissions.
    fs::remove_file(directory.path().join("hostatlas.db-lock")).expect("the lock file");
    fs::create_dir(directory.path().join("hostatlas.db-lock")).expect("a directory");
    let error = store.import_start(import()).await.expect_err("a refusal");
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}");
}

/// Schema 1 as it was released, with a host that is located, one that is private and a run.
async fn schema_1(path: &Path) {
    run(path, "PRAGMA journal_mode = WAL").await;
    run(path, include_str!("../../../migrations/sqlite/0001_initial.sql")).await;
    run(
        path,
        "PRAGMA application_id = 0x4841544c; PRAGMA user_version = 1;
         INSERT INTO import (source, format, state, started_at, reported_at) VALUES ('scan.json', 'masscan-json', 1, 1, 1);
         INSERT INTO place (latitude_e5, longitude_e5, precision, city, region, country_code, hosts)
         VALUES (5011550, 868420, 0, 'Frankfurt am Main', '', 'DE', 1);
         INSERT INTO host (address, first_seen, last_seen, first_import, last_import, class, location_state, place,
             provider, located_at, attempted_at)
         VALUES (x'00000000000000000000ffff08080808', 1, 2, 1, 1, 0, 1, 1, 0, 7200000, 7200000),
             (x'00000000000000000000ffff0a000001', 1, 2, 1, 1, 1, 3, NULL, NULL, NULL, NULL);
         INSERT INTO counter VALUES ('state', 1, 1), ('state', 3, 1), ('class', 1, 1), ('precision', 0, 1),
             ('provider', 0, 1), ('located_hour', 2, 1);
         INSERT INTO run (mode, state, total, started_at, reported_at, located) VALUES ('async_batch', 1, 1, 1, 1, 1);",
    )
    .await;
}

#[tokio::test]
async fn a_database_of_schema_1_is_migrated_after_a_copy() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    schema_1(&path).await;
    let error = refusal(&path, OpenMode::Existing).await;
    assert!(matches!(error, StoreError::SchemaBehind { found: 1, wanted: NEWEST }), "{error:?}");

    let store = open(&path, OpenMode::Migrate).await.expect("a migrated database");
    assert_eq!(store.check().await.expect("a check").findings, []);
    let address = "8.8.8.8".parse().expect("an address");
    let host = store.host_get(address, hostatlas_domain::DEFAULT_MAX_AGE).await.expect("the host");
    let city = host.location.expect("its location").answer.city;
    assert_eq!((city.as_deref(), host.pinned), (Some("Frankfurt am Main"), false));
    let run = store.run_latest().await.expect("a run").expect("the run");
    assert_eq!((run.summary.located, run.summary.deferred), (1, 0));
    let place = hostatlas_domain::Place {
        coordinate: hostatlas_domain::Coordinate::new(34.6937, 135.5023).expect("on earth"),
        precision: hostatlas_domain::Precision::City,
        city: Some("Osaka".to_owned()),
        region: None,
        country: None,
    };
    store.location_pin(address, place).await.expect("pinned");
    assert_eq!(store.provider_list().await.expect("a list"), []);
    assert_eq!(store.check().await.expect("a check").findings, []);
    store.close().await;

    let copy = directory.path().join(format!("hostatlas.db.before-migration-{NEWEST}"));
    let status =
        open(&copy, OpenMode::Inspect).await.expect("the copy").schema_status().await.expect("a status");
    assert_eq!((status.found, status.wanted), (1, NEWEST));
    let made = fs::metadata(&copy).expect("the copy").modified().expect("a time");
    open(&path, OpenMode::Migrate).await.expect("the database").close().await;
    assert_eq!(fs::metadata(&copy).expect("the copy").modified().expect("a time"), made);
}

#[tokio::test]
async fn a_process_whose_clock_is_behind_takes_no_permits_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostatlas.db");
    let clock_offset = ClockOffset::default();
    clock_offset.advance(Duration::from_mins(20));
    let options =
        OpenOptions { clock_offset, ..OpenOptions::new(path.display().to_string(), OpenMode::Create) };
    let ahead = SqliteStore::open(options).await.expect("a database");
    let behind = open(&path, OpenMode::Existing).await.expect("the database");
    let limit = Limit {
        name: "calls a minute".into(),
        unit: LimitUnit::Calls,
        permits: 4,
        window: LimitWindow::Rolling(Duration::from_mins(1)),
        spacing: Duration::ZERO,
    };
    let limits: Arc<[Limit]> = Arc::from([limit]);
    let take = async |store: &SqliteStore| {
        let params = TakePermits {
            provider: ProviderName::IpApi,
            account: 0,
            limits: Arc::clone(&limits),
            addresses: 1,
        };
        matches!(store.provider_take(params).await.expect("an answer"), PermitsTaken::Granted { .. })
    };
    let mut granted = 0;
    for _ in 0..4 {
        granted += u32::from(take(&ahead).await) + u32::from(take(&behind).await);
    }
    assert_eq!(granted, 4);
}
