//! Databases to test on, servers that are none, and waiting for what was promised.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    io::{Read, Write},
    net::TcpListener,
    time::Duration,
};

use hostatlas_store::{AdminStore, StoreError};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_store_testing::schemas::rows_for_postgres;
use hostatlas_test_postgres::TestDatabase;

/// Every migration, its number and its statements.
pub const MIGRATIONS: [(i64, &str); 5] = [
    (1, include_str!("../../../../migrations/postgres/0001_initial.sql")),
    (2, include_str!("../../../../migrations/postgres/0002_providers.sql")),
    (3, include_str!("../../../../migrations/postgres/0003_workers.sql")),
    (4, include_str!("../../../../migrations/postgres/0004_queue_indexes.sql")),
    (5, include_str!("../../../../migrations/postgres/0005_room_for_versions.sql")),
];
/// The newest migration.
pub const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What this backend alone has, by the migration that made it: differences that cancel out.
const DIFFERENCES: &str = "
    INSERT INTO counter_delta (name, key, n) VALUES ('state', 1, 1), ('state', 1, -1);
    INSERT INTO job_count_delta (kind, state, n) VALUES (2, 0, 1), (2, 0, -1);
    INSERT INTO place_delta (place, n) VALUES (1, 1), (1, -1);
    INSERT INTO change_delta (topic) VALUES (0), (1)";

/// No promise takes longer to be kept, on the slowest machine.
const AT_MOST: Duration = Duration::from_mins(2);

/// Opens a database.
pub async fn open(url: &str, mode: OpenMode) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(OpenOptions::new(url, mode)).await
}

/// Why a database is not opened.
pub async fn refusal(url: &str, mode: OpenMode) -> StoreError {
    open(url, mode).await.err().expect("a refusal")
}

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
                let store = open(&url, OpenMode::Migrate).await.expect("a schema");
                store.close().await;
            });
        });
        migrating.join().expect("a migrated database");
    });
    made.expect("a database")
}

/// A database as the version with `migrations` left it, with rows in every table.
pub fn left_at(migrations: usize) -> TestDatabase {
    let database = TestDatabase::empty().expect("a database");
    let run = |statements: &str| database.run(statements).expect("statements");
    run("CREATE TABLE hostatlas_schema (
             id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
             version bigint NOT NULL,
             migrating bigint
         )");
    let rows = rows_for_postgres();
    for (index, (_, migration)) in MIGRATIONS[..migrations].iter().enumerate() {
        run(migration);
        if let Some(rows) = rows.get(index) {
            run(rows);
        }
        if index == 0 {
            run(DIFFERENCES);
        }
    }
    run(&format!("INSERT INTO hostatlas_schema (version) VALUES ({migrations})"));
    database
}

/// Looks again and again until it holds. A promise that is broken fails its test, which else would never end.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            // It may be kept by others of this thread.
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(AT_MOST, looking).await.is_ok(),
        "after {AT_MOST:?} it does not hold: {what}"
    );
}

/// Does all housekeeping that there is.
pub async fn tidy(store: &PostgresStore) {
    until("housekeeping comes to an end", async || !store.tidy().await.expect("housekeeping")).await;
}

/// A server of one moment: it says this to whoever connects, and hangs up. Its URL.
pub fn server_that_says(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // What is unread when it is closed would cut the answer off.
            let _ = stream.read(&mut [0; 1024]);
            // Who hangs up first does not matter.
            let _ = stream.write_all(answer);
        }
    });
    format!("postgres://me@127.0.0.1:{port}/atlas?sslmode=disable")
}
