//! Moving an installation, from one database to another and back.

mod support;

use std::{fs, process::Command, sync::Arc};

use hostatlas_services::{CopyPhase, CopyRequest, CopySource};
use hostatlas_store::{AdminStore, COPY_TABLES, CopyStore, Store};
use hostatlas_store_sqlite::{OpenMode, OpenOptions, SqliteStore};
use hostatlas_test_postgres::{TestDatabase, bin_folder};
use support::{Ended, Installation};
use tokio_util::sync::CancellationToken;

fn ok(ended: Ended) -> Ended {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

fn on(installation: &Installation, url: &str, arguments: &[&str]) -> Ended {
    installation.run(&[&["--database-url", url], arguments].concat())
}

fn exported(installation: &Installation, url: &str) -> String {
    let hosts = ok(on(installation, url, &["hosts", "export", "--format", "ndjson"])).stdout;
    let jobs = ok(on(installation, url, &["jobs", "list", "--ndjson"])).stdout;
    let imports = ok(on(installation, url, &["import", "list", "--ndjson"])).stdout;
    format!("{hosts}{jobs}{imports}")
}

fn copy(installation: &Installation, from: &str, to: &str) -> Ended {
    installation.run(&["--json", "db", "copy", "--from", from, "--to", to])
}

fn check(installation: &Installation, url: &str) {
    let checked = ok(on(installation, url, &["--table", "db", "check"]));
    assert!(checked.stdout.contains("0 wrong"), "{checked:?}");
}

const SQLITE: &str = "sqlite://hostatlas.db";

#[test]
fn an_installation_moves_to_a_new_file_with_all_it_has() {
    let installation = Installation::located();
    let before = exported(&installation, SQLITE);
    let report = ok(copy(&installation, SQLITE, "sqlite://other.db")).json();
    assert_eq!(report["tables"].as_array().map(Vec::len), Some(17), "{report}");
    assert!(report["tables"][0]["sha256"].as_str().is_some_and(|digest| digest.len() == 64), "{report}");
    assert_eq!(exported(&installation, "sqlite://other.db"), before);
    check(&installation, "sqlite://other.db");

    // A second time there is something, and it stays.
    let refused = copy(&installation, SQLITE, "sqlite://other.db");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("not empty: `import`"), "{refused:?}");
    assert!(refused.stderr.contains("nothing was changed"), "{refused:?}");
    assert_eq!(exported(&installation, "sqlite://other.db"), before);
    ok(on(&installation, "sqlite://other.db", &["worker", "--drain"]));
}

#[test]
fn a_copy_that_makes_no_sense_is_refused_with_the_remedy() {
    let installation = Installation::located();
    let same = copy(&installation, SQLITE, "hostatlas.db");
    assert_eq!(same.code, Some(2), "{same:?}");
    let missing = copy(&installation, "sqlite://missing.db", "sqlite://other.db");
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("--from"), "{missing:?}");
    assert!(!installation.path("other.db").exists(), "a target is made for a source alone");
    let unknown = copy(&installation, SQLITE, "mysql://server/hostatlas");
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    let server = installation.serve();
    let busy = copy(&installation, SQLITE, "sqlite://other.db");
    assert_eq!(busy.code, Some(1), "{busy:?}");
    assert!(busy.stderr.contains("another process is the worker"), "{busy:?}");
    assert!(!installation.path("other.db").exists(), "a target is made for a source that is refused");
    drop(server);
}

/// A copy that was killed in the middle, as a store leaves it.
async fn half_copied(installation: &Installation, target: &str) {
    let open = async |name: &str, mode| {
        let path = installation.path(name).display().to_string();
        SqliteStore::open(OpenOptions::new(path, mode)).await.expect("a store")
    };
    let source = open("hostatlas.db", OpenMode::Existing).await;
    let target = open(target, OpenMode::Create).await;
    let location = source.schema_status().await.expect("a status").location;
    target.copy_begin(&location).await.expect("begun");
    for table in &COPY_TABLES[..3] {
        let rows = source.copy_read(table, None, 1_000).await.expect("rows");
        target.copy_write(table, rows, true).await.expect("written");
    }
    let hosts = source.copy_read(&COPY_TABLES[3], None, 2).await.expect("rows");
    target.copy_write(&COPY_TABLES[3], hosts, false).await.expect("written");
    source.close().await;
    target.close().await;
}

#[test]
fn an_interrupted_copy_is_gone_on_with_and_nobody_works_on_half_of_it() {
    let installation = Installation::located();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(half_copied(&installation, "other.db"));
    let before = fs::read(installation.path("other.db")).expect("a file");
    for arguments in [
        &["worker", "--drain"][..],
        &["serve", "--no-worker", "--listen", "127.0.0.1:0"],
        &["import", "scan.json"],
        &["geolocate"],
        &["jobs", "enqueue", "--all"],
    ] {
        let refused = on(&installation, "sqlite://other.db", arguments);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("under way or was broken off"), "{refused:?}");
        assert!(refused.stderr.contains("hostatlas db copy --from"), "{refused:?}");
    }
    assert_eq!(fs::read(installation.path("other.db")).expect("a file"), before);
    let checked = on(&installation, "sqlite://other.db", &["--table", "db", "check"]);
    assert!(checked.stdout.contains("things compared"), "{checked:?}");
    let report = ok(copy(&installation, SQLITE, "sqlite://other.db")).json();
    assert_eq!(report["resumed"], true);
    assert_eq!(exported(&installation, "sqlite://other.db"), exported(&installation, SQLITE));
    check(&installation, "sqlite://other.db");
    ok(on(&installation, "sqlite://other.db", &["worker", "--drain"]));
}

#[test]
fn a_source_that_changes_meanwhile_is_noticed_and_copied_anew() {
    let installation = Installation::located();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(half_copied(&installation, "other.db"));
    // What is copied already is not looked at again before the end.
    let scan = installation.write("more.txt", "193.61.200.1\n");
    ok(on(&installation, SQLITE, &["import", &scan]));

    let refused = copy(&installation, SQLITE, "sqlite://other.db");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("was written to while it was copied"), "{refused:?}");
    assert!(refused.stderr.contains("stop everything that writes to the source"), "{refused:?}");
    let refused = on(&installation, "sqlite://other.db", &["worker", "--drain"]);
    assert!(refused.stderr.contains("under way or was broken off"), "{refused:?}");

    // What it says to do helps.
    ok(copy(&installation, SQLITE, "sqlite://other.db"));
    assert_eq!(exported(&installation, "sqlite://other.db"), exported(&installation, SQLITE));
    check(&installation, "sqlite://other.db");
}

/// What is queued on `PostgreSQL` after its differences were added up, and before its jobs are read, is copied without its
/// difference.
#[test]
fn a_postgresql_source_that_changes_meanwhile_is_noticed_and_copied_anew() {
    let installation = Installation::located();
    let live = TestDatabase::empty().expect("a database");
    ok(on(&installation, &live.url(), &["db", "migrate"]));
    ok(copy(&installation, SQLITE, &live.url()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let refused = runtime.block_on(async {
        let options = hostatlas_store_postgres::OpenOptions::new(live.url(), OpenMode::Existing);
        let source: Arc<dyn Store> =
            Arc::new(hostatlas_store_postgres::PostgresStore::open(options).await.expect("a source"));
        let path = installation.path("other.db").display().to_string();
        let target: Arc<dyn Store> =
            Arc::new(SqliteStore::open(OpenOptions::new(path, OpenMode::Create)).await.expect("a target"));
        let request = CopyRequest {
            source: CopySource::new(Arc::clone(&source)).await.expect("nobody works"),
            target: Arc::clone(&target),
            cancel: CancellationToken::new(),
        };
        let refused = hostatlas_services::copy(request, |step| {
            if (step.phase, step.table) == (CopyPhase::Writing, "location_change") {
                ok(on(&installation, &live.url(), &["jobs", "enqueue", "8.8.8.8"]));
            }
        })
        .await;
        target.close().await;
        source.close().await;
        refused
    });
    let error = refused.expect_err("the copy is not what the source was at any moment");
    assert!(error.to_string().contains("its table `job_count`"), "{error}");

    // What it says to do helps.
    ok(copy(&installation, &live.url(), "sqlite://other.db"));
    assert_eq!(exported(&installation, "sqlite://other.db"), exported(&installation, &live.url()));
    check(&installation, "sqlite://other.db");
}

#[test]
fn an_installation_moves_to_postgresql_and_back() {
    let installation = Installation::located();
    let before = exported(&installation, SQLITE);
    let target = TestDatabase::empty().expect("a database");
    let unprepared = copy(&installation, SQLITE, &target.url());
    assert_eq!(unprepared.code, Some(1), "{unprepared:?}");
    assert!(unprepared.stderr.contains("db migrate"), "{unprepared:?}");
    ok(on(&installation, &target.url(), &["db", "migrate"]));

    let there = ok(copy(&installation, SQLITE, &target.url())).json();
    assert_eq!(exported(&installation, &target.url()), before);
    check(&installation, &target.url());

    // It is worked with there, and what was done comes back along.
    let scan = installation.write("more.txt", "193.61.200.1\n8.8.8.9\n");
    ok(on(&installation, &target.url(), &["import", &scan]));
    ok(on(&installation, &target.url(), &["worker", "--drain"]));
    let after = exported(&installation, &target.url());
    assert_ne!(after, before);
    let back = ok(copy(&installation, &target.url(), "sqlite://back.db")).json();
    assert_eq!(there["tables"].as_array().map(Vec::len), back["tables"].as_array().map(Vec::len));
    assert_eq!(exported(&installation, "sqlite://back.db"), after);
    check(&installation, "sqlite://back.db");
}

fn run_tool(name: &str, arguments: &[&str]) {
    let program = bin_folder().expect("the programs of PostgreSQL").join(name);
    let output = Command::new(program).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What `docs/OPERATIONS.md` says about backups of PostgreSQL, done.
#[test]
fn a_dump_of_postgresql_is_restored_and_complete() {
    let installation = Installation::located();
    let (live, restored) =
        (TestDatabase::empty().expect("a database"), TestDatabase::empty().expect("another"));
    ok(on(&installation, &live.url(), &["db", "migrate"]));
    ok(copy(&installation, SQLITE, &live.url()));
    let before = exported(&installation, &live.url());
    let refused = on(&installation, &live.url(), &["db", "backup", "backup.db"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("pg_dump"), "{refused:?}");
    assert!(!installation.path("backup.db").exists());
    let refused = on(&installation, &live.url(), &["db", "restore", "backup.dump"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("pg_restore"), "{refused:?}");

    let file = installation.path("backup.dump").display().to_string();
    run_tool("pg_dump", &["--format=custom", "--file", &file, "--dbname", &live.url()]);
    assert!(fs::metadata(&file).expect("the dump").len() > 0);
    run_tool("pg_restore", &["--no-owner", "--exit-on-error", "--dbname", &restored.url(), &file]);
    check(&installation, &restored.url());
    assert_eq!(exported(&installation, &restored.url()), before);
    let scan = installation.write("more.txt", "193.61.200.1\n");
    ok(on(&installation, &restored.url(), &["import", &scan]));
    ok(on(&installation, &restored.url(), &["worker", "--drain"]));
    check(&installation, &restored.url());
}
