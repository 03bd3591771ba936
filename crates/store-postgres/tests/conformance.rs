//! The conformance suite on `PostgreSQL`.

mod support;

use std::sync::Arc;

use hostatlas_store::Store;
use hostatlas_store_postgres::{ClockOffset, OpenMode, OpenOptions, PostgresStore};
use hostatlas_store_testing::TestStore;

async fn open() -> TestStore {
    let database = support::migrated();
    let clock = ClockOffset::default();
    let options =
        OpenOptions { clock_offset: clock.clone(), ..OpenOptions::new(database.url(), OpenMode::Existing) };
    let store = PostgresStore::open(options.clone()).await.expect("an empty store");
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
        keep: Box::new(database),
    }
}

hostatlas_store_testing::conformance!(crate::open);
