//! What a worker does when a newer version works beside it.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, sqlite::SqliteConnectOptions};

use crate::support::{Installation, PATIENCE, Running};

/// Does to the database what a newer version would.
fn execute(installation: &Installation, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(installation.path("hostatlas.db"))
            .busy_timeout(Duration::from_secs(10));
        let mut connection = options.connect().await.expect("a database");
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await
            .expect("a statement");
    });
}

#[test]
fn jobs_of_a_kind_that_a_worker_does_not_know_are_left_as_they_are() {
    let installation = Installation::imported();
    execute(
        &installation,
        "INSERT INTO job (kind, host, priority, run_at, created_at) SELECT 9, id, 0, 0, 0 FROM host WHERE id = 1;
         INSERT INTO job_count (kind, state, n) VALUES (9, 0, 1)",
    );

    let drained = installation.run(&["worker", "--drain"]);

    assert_eq!((drained.code, &drained.json()["completed"]), (Some(0), &json!(5)), "{drained:?}");
    let listed = installation.run(&["jobs", "list", "--ndjson"]);
    assert_eq!((listed.code, listed.json_lines().len()), (Some(0), 5), "{listed:?}");
    for arguments in [&["jobs", "stats"][..], &["jobs", "prune"], &["jobs", "cancel", "--all"], &["doctor"]] {
        let done = installation.run(arguments);
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:?}");
    }
    let doctor = installation.run(&["doctor"]);
    let said = "1 jobs of kinds that only a newer version knows wait";
    assert!(doctor.stdout.contains(said), "{doctor:?}");
    execute(&installation, "CREATE TABLE seen (jobs INTEGER CHECK (jobs = 1)) STRICT");
    // The check refuses anything but one job that waits, untouched.
    execute(
        &installation,
        "INSERT INTO seen SELECT count(*) FROM job WHERE kind = 9 AND state = 0 AND lease_token = 0 AND attempt = 0",
    );
}

#[test]
fn a_worker_stops_with_a_clear_error_when_its_database_becomes_newer() {
    let installation = Installation::imported();
    let mut worker = Running::start(installation.command(&["worker"]));
    let deadline = Instant::now() + PATIENCE;
    while installation.run(&["workers", "--json"]).json() == json!([]) {
        assert!(Instant::now() < deadline, "it is not listed");
    }

    execute(&installation, "PRAGMA user_version = 99");

    let (code, said) = worker.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("error: the database is at migration 99, which is newer than this program's"),
        "{said}"
    );
    assert!(said.contains("hint: use the version of hostatlas that wrote it, or a later one"), "{said}");
}
