//! What checks do to a database whose rows are known.

use hostatlas_store::AdminStore;
use hostatlas_store_sqlite::{OpenMode, OpenOptions, SqliteStore};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

/// What no operation of ours leaves behind.
const DAMAGE: &str = "
    INSERT INTO counter (name, key, n) VALUES ('state', 1, 2), ('rumour', 5, 6);
    INSERT INTO job_count (kind, state, n) VALUES (2, 0, -1)
        ON CONFLICT (kind, state) DO UPDATE SET n = excluded.n;
    INSERT INTO place (latitude_e5, longitude_e5, precision, city, region, country_code, hosts)
        VALUES (0, 0, 0, '', '', '', 3);
    INSERT INTO job (kind, host, priority, state, run_at, created_at) VALUES (2, 7, 1, 3, 0, 0);
    INSERT INTO job (kind, host, priority, state, run_at, created_at, leased_until, claimed_by)
        VALUES (2, 8, 1, 3, 0, 0, 9, 1);
    INSERT INTO job (kind, host, priority, state, run_at, created_at, claimed_by, attempt)
        VALUES (2, 9, 1, 0, 0, 0, 1, 9);";

#[tokio::test]
async fn what_contradicts_itself_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hostatlas.db");
    let options = OpenOptions::new(path.display().to_string(), OpenMode::Create);
    let store = SqliteStore::open(options).await.expect("a store");
    assert_eq!(store.check().await.expect("a check").findings, []);
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.expect("a connection");
    sqlx::raw_sql(DAMAGE).execute(&mut connection).await.expect("damage");

    let report = store.check().await.expect("a check");

    let found: Vec<_> = report.findings.iter().map(|it| format!("{}: {}", it.check, it.detail)).collect();
    let found = found.join("\n");
    for expected in [
        "counter: `state` 1 is counted as 2 and is 0",
        "counter: `rumour` 5 is counted as 6 and is 0",
        "counter: jobs of kind 2 in state 0 are counted as -1 and are 1",
        "counter: jobs of kind 2 in state 3 are counted as 0 and are 2",
        "is counted as 3 hosts and has 0",
        "queue: 2 jobs are running without a lease",
        "queue: 1 jobs hold a lease without running",
        "queue: 1 jobs were attempted more often than they may be",
        "queue: 3 jobs are about a host that is gone",
    ] {
        assert!(found.contains(expected), "{expected} is not in {found}");
    }
    store.close().await;
}
