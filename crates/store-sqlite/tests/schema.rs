//! The schema's versions: each is reached from each with all that was there, and nothing of them is forgotten.

use std::{collections::BTreeMap, path::Path};

use hostatlas_store::AdminStore;
use hostatlas_store_sqlite::{OpenMode, OpenOptions, SqliteStore};
use hostatlas_store_testing::schemas::{ROWS, assert_all_is_copied};
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

const MIGRATIONS: [&str; 5] = [
    include_str!("../../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../../migrations/sqlite/0002_providers.sql"),
    include_str!("../../../migrations/sqlite/0003_workers.sql"),
    include_str!("../../../migrations/sqlite/0004_queue_indexes.sql"),
    include_str!("../../../migrations/sqlite/0005_room_for_versions.sql"),
];

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.connect().await.expect("a database")
}

async fn open(path: &Path, mode: OpenMode) -> SqliteStore {
    SqliteStore::open(OpenOptions::new(path.display().to_string(), mode)).await.expect("a store")
}

/// A database as the version with `migrations` left it, with rows in every table.
async fn left_at(migrations: usize, path: &Path) {
    let mut connection = connect(path).await;
    let mut statements = vec!["PRAGMA journal_mode = WAL".to_owned()];
    for (number, migration) in MIGRATIONS[..migrations].iter().enumerate() {
        statements.push((*migration).to_owned());
        statements.extend(ROWS.get(number).map(|rows| (*rows).to_owned()));
    }
    statements.push(format!("PRAGMA application_id = 0x4841544c; PRAGMA user_version = {migrations}"));
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("statements");
    }
}

async fn columns(path: &Path) -> Vec<(String, String)> {
    let asked = "SELECT table_list.name, columns.name FROM pragma_table_list AS table_list \
                 JOIN pragma_table_info(table_list.name) AS columns \
                 WHERE table_list.schema = 'main' AND table_list.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    sqlx::query_as(asked).fetch_all(&mut connect(path).await).await.expect("columns")
}

/// How many rows each table has.
async fn counts(path: &Path) -> BTreeMap<String, i64> {
    let mut connection = connect(path).await;
    let mut counts = BTreeMap::new();
    for (table, _) in columns(path).await {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let rows = sqlx::query_scalar(count).fetch_one(&mut connection).await.expect("a count");
        counts.insert(table, rows);
    }
    counts
}

#[tokio::test]
async fn every_version_is_migrated_with_all_that_it_holds() {
    for version in 1..MIGRATIONS.len() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hostatlas.db");
        left_at(version, &path).await;
        let before = counts(&path).await;
        let empty: Vec<_> = before.iter().filter(|(_, rows)| **rows == 0).map(|(table, _)| table).collect();
        assert!(empty.iter().all(|table| *table == "copying"), "version {version} has no rows in {empty:?}");

        let store = open(&path, OpenMode::Migrate).await;

        let status = store.schema_status().await.expect("a status");
        assert_eq!(status.found, status.wanted, "from version {version}");
        let after = counts(&path).await;
        for (table, rows) in before {
            assert_eq!(after.get(&table), Some(&rows), "`{table}` of version {version}");
        }
        assert_eq!(store.check().await.expect("a check").findings, [], "from version {version}");
        while store.tidy().await.expect("housekeeping") {}
        assert_eq!(store.check().await.expect("a check").findings, [], "from version {version}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_copy_moves_every_column_or_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hostatlas.db");
    open(&path, OpenMode::Create).await.close().await;
    assert_all_is_copied(columns(&path).await, &[]);
}
