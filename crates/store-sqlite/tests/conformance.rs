//! The conformance suite on `SQLite`.

use std::sync::Arc;

use hostatlas_store::Store;
use hostatlas_store_sqlite::{ClockOffset, OpenMode, OpenOptions, SqliteStore};
use hostatlas_store_testing::TestStore;

async fn open() -> TestStore {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ClockOffset::default();
    let options = OpenOptions {
        clock_offset: clock.clone(),
        ..OpenOptions::new(folder.path().join("test.db").display().to_string(), OpenMode::Create)
    };
    let store = SqliteStore::open(options.clone()).await.expect("an empty store");
    TestStore {
        store: Arc::new(store),
        advance: Box::new(move |duration| clock.advance(duration)),
        again: Box::new(move || {
            let options = options.clone();
            Box::pin(async move {
                let again: Arc<dyn Store> = Arc::new(SqliteStore::open(options).await.expect("the store"));
                again
            })
        }),
        keep: Box::new(folder),
    }
}

hostatlas_store_testing::conformance!(crate::open);
