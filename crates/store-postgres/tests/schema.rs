//! The schema's versions: each is reached from each with all that was there, and nothing of them is forgotten.

mod support;

use std::{collections::BTreeMap, fs, path::Path};

use hostatlas_store::AdminStore;
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_store_testing::schemas::assert_all_is_copied;
use hostatlas_test_postgres::TestDatabase;
use support::{MIGRATIONS, left_at, tidy};

/// What the backend alone has, and no copy moves.
const OWN_TABLES: [&str; 5] =
    ["change_delta", "counter_delta", "hostatlas_schema", "job_count_delta", "place_delta"];

fn columns(database: &TestDatabase) -> Vec<(String, String)> {
    let asked = "SELECT table_name || ' ' || column_name FROM information_schema.columns WHERE table_schema = 'public'";
    let rows = database.run(asked).expect("columns");
    let pair = |row: &str| row.split_once(' ').map(|(table, column)| (table.to_owned(), column.to_owned()));
    rows.lines().filter_map(pair).collect()
}

/// How many rows each table has.
fn counts(database: &TestDatabase) -> BTreeMap<String, i64> {
    let mut tables: Vec<String> = columns(database).into_iter().map(|(table, _)| table).collect();
    tables.dedup();
    let count = |table: &String| {
        let rows = database.run(&format!("SELECT count(*) FROM {table}")).expect("a count");
        rows.trim().parse().expect("a number")
    };
    tables.iter().map(|table| (table.clone(), count(table))).collect()
}

#[tokio::test]
async fn every_version_is_migrated_with_all_that_it_holds() {
    for version in 1..MIGRATIONS.len() {
        let database = left_at(version);
        let before = counts(&database);
        let empty: Vec<_> = before.iter().filter(|(_, rows)| **rows == 0).map(|(table, _)| table).collect();
        assert!(empty.iter().all(|table| *table == "copying"), "version {version} has no rows in {empty:?}");

        let store =
            PostgresStore::open(OpenOptions::new(database.url(), OpenMode::Migrate)).await.expect("migrated");

        let status = store.schema_status().await.expect("a status");
        assert_eq!(status.found, status.wanted, "from version {version}");
        let after = counts(&database);
        for (table, rows) in before {
            assert_eq!(after.get(&table), Some(&rows), "`{table}` of version {version}");
        }
        assert_eq!(store.check().await.expect("a check").findings, [], "from version {version}");
        tidy(&store).await;
        assert_eq!(store.check().await.expect("a check").findings, [], "from version {version}");
        store.close().await;
    }
}

#[test]
fn a_copy_moves_every_column_or_names_it() {
    assert_all_is_copied(columns(&support::migrated()), &OWN_TABLES);
}

#[tokio::test]
async fn both_backends_have_the_same_migrations_and_this_one_applies_them_all() {
    let names = |backend: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(backend);
        let files = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> = files.map(|file| file.expect("a file").file_name()).collect();
        names.sort();
        names
    };
    let here = names("postgres");
    assert_eq!(here, names("sqlite"));
    let database = support::migrated();
    let store =
        PostgresStore::open(OpenOptions::new(database.url(), OpenMode::Inspect)).await.expect("a store");
    let wanted = store.schema_status().await.expect("a status").wanted;
    assert_eq!(i64::try_from(here.len()).ok(), Some(wanted));
    for (name, number) in here.iter().zip(1..=wanted) {
        assert!(name.to_string_lossy().starts_with(&format!("{number:04}_")), "{name:?}");
    }
}
