//! A migrated database for one test.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use hostatlas_store::AdminStore;
use hostatlas_store_postgres::{Mode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::TestDatabase;

pub const MIGRATIONS: [&str; 5] = [
    include_str!("../../../../migrations/postgres/0001_initial.sql"),
    include_str!("../../../../migrations/postgres/0002_providers.sql"),
    include_str!("../../../../migrations/postgres/0003_workers.sql"),
    include_str!("../../../../migrations/postgres/0004_queue_indexes.sql"),
    include_str!("../../../../migrations/postgres/0005_room_for_versions.sql"),
];

/// A database at the newest schema.
pub fn migrated() -> TestDatabase {
    let mut hash = DefaultHasher::new();
    MIGRATIONS.hash(&mut hash);
    let version = format!("{:016x}", hash.finish());
    let made = TestDatabase::migrated(&version, |url| {
        let url = url.to_owned();
        // A runtime of its own: the caller may be in one already.
        let migrating = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let store =
                    PostgresStore::open(OpenOptions::new(url, Mode::Migrate)).await.expect("a schema");
                store.close().await;
            });
        });
        migrating.join().expect("a migrated database");
    });
    made.expect("a database")
}
