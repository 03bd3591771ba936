//! Behind Debian's pgbouncer 1.18, which hands each transaction to another session and knows no prepared statements.

mod support;

use std::sync::Arc;

use hostatlas_domain::ScanFormat;
use hostatlas_store::{AdminStore, ImportStore, StartImport, Store, StoreError};
use hostatlas_store_postgres::{ClockOffset, Mode, OpenOptions, PostgresStore};
use hostatlas_store_testing::TestStore;
use hostatlas_test_postgres::{Pooler, TestDatabase, server_url};

fn pooler(settings: &str) -> Pooler {
    Pooler::start(&server_url(), settings).expect("a pooler")
}

async fn refusal(url: String) -> StoreError {
    PostgresStore::open(OpenOptions::new(url, Mode::Existing)).await.err().expect("a refusal")
}

#[tokio::test]
async fn a_pooler_that_nobody_spoke_of_is_recognized() {
    let (pooler, database) = (pooler(""), support::migrated());
    let said = refusal(pooler.url_of(database.name())).await.to_string();
    assert!(said.contains("pooler=transaction"), "{said}");
}

#[tokio::test]
async fn a_pooler_that_swallows_settings_is_recognized() {
    let pooler = pooler("ignore_startup_parameters = extra_float_digits, options");
    let database = support::migrated();
    let said = refusal(pooler.url_of(database.name())).await.to_string();
    assert!(said.contains("pooler=transaction"), "{said}");
}

#[tokio::test]
async fn a_schema_can_be_made_through_a_pooler() {
    let (pooler, database) = (pooler(""), TestDatabase::empty().expect("a database"));
    let url = format!("{}?pooler=transaction", pooler.url_of(database.name()));
    let store = PostgresStore::open(OpenOptions::new(url, Mode::Migrate)).await.expect("a schema");
    assert_eq!(store.schema_status().await.expect("a status").found, 4);
    while store.tidy().await.expect("housekeeping") {}
    assert_eq!(store.check().await.expect("a check").findings, []);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_transactions_share_the_sessions_of_a_pooler() {
    let (pooler, database) = (pooler(""), support::migrated());
    let url = format!("{}?pooler=transaction", pooler.url_of(database.name()));
    let store = PostgresStore::open(OpenOptions::new(url, Mode::Existing)).await.expect("a store");
    let store = Arc::new(store);
    let working: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..10 {
                    let params =
                        StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson };
                    store.import_start(params).await?;
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
    let options = OpenOptions { clock_offset: clock.clone(), ..OpenOptions::new(url, Mode::Existing) };
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
