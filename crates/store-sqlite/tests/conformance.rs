//! The conformance suite on `SQLite`.

use std::sync::Arc;

use hostatlas_store_sqlite::{ClockOffset, Mode, OpenOptions, SqliteStore};
use hostatlas_store_testing::TestStore;

async fn open() -> TestStore {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ClockOffset::default();
    let options = OpenOptions {
        clock_offset: clock.clone(),
        ..OpenOptions::new(folder.path().join("test.db").display().to_string(), Mode::Create)
    };
    let store = SqliteStore::open(options).await.expect("an empty store");
    TestStore {
        store: Arc::new(store),
        advance: Box::new(move |duration| clock.advance(duration)),
        keep: Box::new(folder),
    }
}

hostatlas_store_testing::conformance!(crate::open);
