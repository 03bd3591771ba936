//! What a database holds that is opened: nothing, one of ours of any version, half of one, one of another program.

use hostatlas_store::{AdminStore, StoreError};
use hostatlas_store_postgres::OpenMode;
use hostatlas_test_postgres::{TestDatabase, psql, server_url};

use crate::support::{self, NEWEST, open, refusal};

const ALL_MODES: [OpenMode; 4] = [OpenMode::Create, OpenMode::Migrate, OpenMode::Existing, OpenMode::Inspect];

fn tables(database: &TestDatabase) -> String {
    database
        .run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
        .expect("names")
}

#[tokio::test]
async fn an_empty_database_is_filled_only_by_those_who_may() {
    let database = TestDatabase::empty().expect("a database");
    let error = refusal(&database.url(), OpenMode::Existing).await;
    assert!(matches!(error, StoreError::SchemaBehind { found: 0, wanted: NEWEST }), "{error:?}");
    let inspected = open(&database.url(), OpenMode::Inspect).await.expect("an empty database");
    let status = inspected.schema_status().await.expect("a status");
    inspected.close().await;
    assert_eq!((status.found, status.wanted), (0, NEWEST));
    assert_eq!(tables(&database), "", "looking changed it");

    open(&database.url(), OpenMode::Migrate).await.expect("a new schema").close().await;

    let store = open(&database.url(), OpenMode::Existing).await.expect("the database");
    let status = store.schema_status().await.expect("a status");
    assert_eq!(status.found, NEWEST);
    assert!(status.engine.starts_with("PostgreSQL 1"), "{}", status.engine);
    assert!(status.bytes.is_some_and(|bytes| bytes > 1_000_000));
    let report = store.check().await.expect("a check");
    assert_eq!(report.findings, []);
}

/// Eight processes want the newest schema at the same time, and each gets it.
async fn assert_all_migrate(database: &TestDatabase) {
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move { open(&url, OpenMode::Migrate).await?.schema_status().await })
        })
        .collect();
    for started in starting {
        let status = started.await.expect("no panic").expect("a migrated database");
        assert_eq!(status.found, NEWEST);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_migrate_at_once() {
    let database = TestDatabase::empty().expect("a database");
    assert_all_migrate(&database).await;
}

/// Where a transaction keeps its first view by default, whoever waited for the others would begin again what they did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_migrate_at_once_whatever_the_defaults_of_the_database_are() {
    let database = TestDatabase::empty().expect("a database");
    for setting in ["default_transaction_isolation = 'serializable'", "default_transaction_read_only = on"] {
        psql(&server_url(), &format!("ALTER DATABASE {} SET {setting}", database.name())).expect("a default");
    }
    assert_all_migrate(&database).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_whatever_is_asked() {
    let database = support::migrated();
    database.run("UPDATE hostatlas_schema SET version = 999").expect("an update");
    for mode in ALL_MODES {
        let error = refusal(&database.url(), mode).await;
        assert!(matches!(error, StoreError::SchemaNewer { found: 999, known: NEWEST }), "{error:?}");
    }
}

#[tokio::test]
async fn an_older_schema_is_opened_only_to_look_or_to_migrate() {
    let database = support::left_at(2);
    let error = refusal(&database.url(), OpenMode::Existing).await;
    assert!(matches!(error, StoreError::SchemaBehind { found: 2, wanted: NEWEST }), "{error:?}");
    let store = open(&database.url(), OpenMode::Inspect).await.expect("the database");
    assert_eq!(store.schema_status().await.expect("a status").found, 2);
    store.close().await;

    open(&database.url(), OpenMode::Migrate).await.expect("a newer schema").close().await;
    assert!(open(&database.url(), OpenMode::Existing).await.is_ok());
}

#[tokio::test]
async fn a_migration_that_was_cut_off_is_refused_and_can_be_begun_again() {
    let database = support::left_at(2);
    database.run("UPDATE hostatlas_schema SET migrating = 3").expect("half a migration");
    let error = refusal(&database.url(), OpenMode::Existing).await;
    assert!(matches!(error, StoreError::SchemaHalf { migration: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("hostatlas db migrate"), "{error}");

    open(&database.url(), OpenMode::Migrate).await.expect("the rest").close().await;
    assert!(open(&database.url(), OpenMode::Existing).await.is_ok());
}

#[tokio::test]
async fn a_backup_that_was_restored_in_part_is_refused() {
    let database = support::migrated();
    database.run("DROP TABLE service").expect("less than all");
    for mode in ALL_MODES {
        let error = refusal(&database.url(), mode).await;
        assert!(matches!(error, StoreError::SchemaHalf { .. }), "{error:?}");
        assert!(error.to_string().contains("`service`"), "{error}");
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_alone() {
    let database = TestDatabase::empty().expect("a database");
    database.run("CREATE TABLE bookmark (url text)").expect("a table");
    for mode in ALL_MODES {
        let error = refusal(&database.url(), mode).await;
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
        assert!(error.to_string().contains("createdb"), "{error}");
    }
    assert_eq!(tables(&database).trim(), "bookmark");
}
