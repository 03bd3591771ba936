//! Behind Debian's pgbouncer 1.18, which hands each transaction to another session and knows no prepared statements.

mod support;

use std::{sync::Arc, time::Duration};

use hostatlas_domain::ScanFormat;
use hostatlas_store::{AdminStore, ImportStore, JobStore, StartImport, Store, StoreError};
use hostatlas_store_postgres::{ClockOffset, OpenMode, OpenOptions, PostgresStore};
use hostatlas_store_testing::TestStore;
use hostatlas_test_postgres::{Pooler, TestDatabase, server_url};
use support::{NEWEST, refusal, tidy, until};

/// How long a hint may take on a busy machine; it takes milliseconds.
const HEARD_WITHIN: Duration = Duration::from_secs(10);
/// After so long without a hint none is under way.
const QUIET: Duration = Duration::from_millis(300);

fn scan() -> StartImport {
    StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson }
}

fn pooler(settings: &str) -> Pooler {
    Pooler::start(&server_url(), settings).expect("a pooler")
}

#[tokio::test]
async fn a_pooler_that_nobody_spoke_of_is_recognized() {
    let (pooler, database) = (pooler(""), support::migrated());
    let said = refusal(&pooler.url_of(database.name()), OpenMode::Existing).await.to_string();
    assert!(said.contains("pooler=transaction"), "{said}");
}

#[tokio::test]
async fn a_pooler_that_swallows_settings_is_recognized() {
    let pooler = pooler("ignore_startup_parameters = extra_float_digits, options");
    let database = support::migrated();
    let said = refusal(&pooler.url_of(database.name()), OpenMode::Existing).await.to_string();
    assert!(said.contains("pooler=transaction"), "{said}");
}

/// Statement translation came with 1.21; what is said here holds from Debian's on.
#[test]
fn the_pooler_is_debians_or_a_later_one() {
    let version = Pooler::version().expect("a version");
    println!("PgBouncer {version}");
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().expect("a number")).collect();
    assert!(numbers >= vec![1, 18], "PgBouncer {version}");
}

/// It refuses what a session is told at its start in session mode, too; there the same parameter helps.
#[tokio::test]
async fn a_pooler_in_session_mode_is_recognized_and_used_like_the_other() {
    let (pooler, database) = (pooler("pool_mode = session"), support::migrated());
    let said = refusal(&pooler.url_of(database.name()), OpenMode::Existing).await.to_string();
    assert!(said.contains("startup parameter") && said.contains("pooler=transaction"), "{said}");

    let url = format!("{}?pooler=transaction", pooler.url_of(database.name()));
    let store = PostgresStore::open(OpenOptions::new(url, OpenMode::Existing)).await.expect("a store");
    store.import_start(scan()).await.expect("an import");
    assert_eq!(store.check().await.expect("a check").findings, []);
    store.close().await;
}

#[tokio::test]
async fn who_works_through_a_pooler_hears_past_it() {
    let (pooler, database) = (pooler(""), support::migrated());
    let url = format!("{}?pooler=transaction", pooler.url_of(database.name()));
    let options =
        OpenOptions { direct_url: Some(database.url()), ..OpenOptions::new(url, OpenMode::Existing) };
    let store = PostgresStore::open(options).await.expect("a store");
    // The first hint says that listening has begun.
    tokio::time::timeout(HEARD_WITHIN, store.jobs_heard()).await.expect("it listens");
    let quiet = async || tokio::time::timeout(QUIET, store.jobs_heard()).await.is_err();
    until("no hint is under way", quiet).await;
    database.run("SELECT pg_notify('hostatlas_jobs', '')").expect("announced");
    tokio::time::timeout(HEARD_WITHIN, store.jobs_heard()).await.expect("heard");
    let listens =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(database.run(listens).expect("a count").trim(), "1");
    store.close().await;
}

#[tokio::test]
async fn a_schema_can_be_made_through_a_pooler() {
    let (pooler, database) = (pooler(""), TestDatabase::empty().expect("a database"));
    let url = format!("{}?pooler=transaction", pooler.url_of(database.name()));
    let store = PostgresStore::open(OpenOptions::new(url, OpenMode::Migrate)).await.expect("a schema");
    assert_eq!(store.schema_status().await.expect("a status").found, NEWEST);
    tidy(&store).await;
    assert_eq!(store.check().await.expect("a check").findings, []);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_transactions_share_the_sessions_of_a_pooler() {
    let (pooler, database) = (pooler(""), support::migrated());
    let url = format!("{}?pooler=transaction", pooler.url_of(database.name()));
    let store = PostgresStore::open(OpenOptions::new(url, OpenMode::Existing)).await.expect("a store");
    let store = Arc::new(store);
    let working: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..10 {
                    store.import_start(scan()).await?;
                    store.schema_status().await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .collect();
    for worked in working {
        worked.await.expect("no panic").expect("every transaction");
    }
    let imports = database.run("SELECT count(*) FROM import").expect("a count");
    assert_eq!(imports.trim(), "160");
    let left = database
        .run("SELECT count(*) FROM pg_settings WHERE name = 'statement_timeout' AND setting <> '0'")
        .expect("settings");
    assert_eq!(left.trim(), "0", "a setting was left for others");
}

async fn open() -> TestStore {
    let database = support::migrated();
    let pooler = pooler("");
    let clock = ClockOffset::default();
    let url = format!("{}?pooler=transaction", pooler.url_of(database.name()));
    let options = OpenOptions { clock_offset: clock.clone(), ..OpenOptions::new(url, OpenMode::Existing) };
    let store = PostgresStore::open(options.clone()).await.expect("a store");
    TestStore {
        store: Arc::new(store),
        advance: Box::new(move |duration| clock.advance(duration)),
        again: Box::new(move || {
            let options = options.clone();
            Box::pin(async move {
                let again: Arc<dyn Store> = Arc::new(PostgresStore::open(options).await.expect("the store"));
                again
            })
        }),
        keep: Box::new((pooler, database)),
    }
}

hostatlas_store_testing::conformance!(crate::open);
