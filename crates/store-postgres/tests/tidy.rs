//! What housekeeping and checks do to a database whose rows are known.

mod support;

use hostatlas_store::{AdminStore, CopyStore, StoreError};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::TestDatabase;
use support::{tidy, until};

/// More than one transaction adds up.
const MANY: i64 = 60_000;
/// The number of the lock under which differences are added up: `HATL` and 2.
const LOCK: i64 = 0x4841_544c_0000_0002;

async fn open(database: &TestDatabase) -> PostgresStore {
    PostgresStore::open(OpenOptions::new(database.url(), OpenMode::Existing)).await.expect("a store")
}

async fn findings(store: &PostgresStore) -> Vec<String> {
    let report = store.check().await.expect("a check");
    report.findings.into_iter().map(|finding| format!("{}: {}", finding.check, finding.detail)).collect()
}

fn number(database: &TestDatabase, query: &str) -> i64 {
    database.run(query).expect("a number").trim().parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn differences_are_added_up_once_whoever_tidies() {
    let database = support::migrated();
    let made = "INSERT INTO place (latitude_e5, longitude_e5, precision, city, region, country_code) \
                SELECT n, n, 0, '', '', '' FROM generate_series(1, 100) AS n";
    database.run(made).expect("places");
    for differences in [
        "INSERT INTO counter_delta SELECT 'state', n % 3, 1 FROM generate_series(1, 60000) AS n",
        "INSERT INTO job_count_delta SELECT n % 4, n % 7, 1 FROM generate_series(1, 60000) AS n",
        "INSERT INTO place_delta (place, n) SELECT 1 + n % 99, 1 FROM generate_series(1, 60000) AS n",
        "INSERT INTO change_delta SELECT n % 4 FROM generate_series(1, 60000) AS n",
    ] {
        database.run(differences).expect("differences");
    }
    let (one, other) = (open(&database).await, open(&database).await);
    tokio::join!(tidy(&one), tidy(&other));

    for (table, column) in [("counter", "n"), ("job_count", "n"), ("place", "hosts"), ("change", "number")] {
        let sum = number(&database, &format!("SELECT sum({column}) FROM {table}"));
        let left = number(&database, &format!("SELECT count(*) FROM {table}_delta"));
        assert_eq!((sum, left), (MANY, 0), "{table}");
    }
    let touched = number(&database, "SELECT count(*) FROM place WHERE changed > 0");
    assert_eq!(touched, 99, "a place without differences was touched");
}

/// Readers ask for what changed since a transaction, and a place whose number is older is not told of.
#[tokio::test]
async fn a_place_has_the_number_of_the_last_difference_that_was_added_up() {
    const ELSEWHERE: i64 = 1 << 60;
    let database = support::migrated();
    // What its number was, those of its differences, and what it becomes.
    let cases: [(i64, &[i64], i64); 6] = [
        (0, &[100, 60], 100),
        (100, &[60, 50], 100),
        (60, &[50, 100], 100),
        (ELSEWHERE, &[100], 100),
        (70, &[ELSEWHERE], 70),
        (ELSEWHERE, &[ELSEWHERE], 0),
    ];
    for (index, (number, differences, _)) in cases.iter().enumerate() {
        let place = format!(
            "INSERT INTO place (id, latitude_e5, longitude_e5, precision, city, region, country_code, changed) \
             OVERRIDING SYSTEM VALUE VALUES ({index} + 1, {index}, 0, 0, '', '', '', {number})"
        );
        database.run(&place).expect("a place");
        for (way, difference) in differences.iter().enumerate() {
            // They cancel out where there are two.
            let n = if way == 0 { 1 } else { -1 };
            let made =
                format!("INSERT INTO place_delta (place, n, xact) VALUES ({index} + 1, {n}, '{difference}')");
            database.run(&made).expect("a difference");
        }
    }
    tidy(&open(&database).await).await;
    let numbers = database.run("SELECT changed FROM place ORDER BY id").expect("numbers");
    let numbers: Vec<i64> = numbers.lines().filter_map(|line| line.trim().parse().ok()).collect();
    assert_eq!(numbers, cases.map(|(_, _, becomes)| becomes));
}

#[tokio::test]
async fn list_indexes_are_made_once_and_a_torso_is_made_again() {
    let database = support::migrated();
    let store = open(&database).await;
    tidy(&store).await;
    let valid = "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid::regclass::text IN \
                 ('service_port', 'host_first_seen', 'host_last_seen', 'host_place', 'host_network', 'host_located_at')";
    assert_eq!(number(&database, valid), 6);
    assert!(!store.tidy().await.expect("housekeeping"), "there was nothing to do");

    database
        .run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'host_place'::regclass")
        .expect("a torso");
    assert_eq!(
        findings(&store).await,
        ["integrity: the index `host_place` is not complete: housekeeping makes it again"]
    );
    tidy(&store).await;
    assert_eq!(number(&database, valid), 6);
    assert_eq!(findings(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_contradicts_itself_is_found() {
    let database = support::migrated();
    let store = open(&database).await;
    for statement in [
        "INSERT INTO counter_delta VALUES ('state', 1, 2)",
        "INSERT INTO job_count_delta VALUES (2, 0, -1)",
        "INSERT INTO place (latitude_e5, longitude_e5, precision, city, region, country_code, hosts) \
         VALUES (0, 0, 0, '', '', '', 3)",
        "INSERT INTO counter VALUES ('rumour', 5, 6)",
        "INSERT INTO job (kind, host, priority, state, run_at, created_at) VALUES (2, 7, 1, 3, 0, 0)",
        "INSERT INTO job (kind, host, priority, state, run_at, created_at, leased_until, claimed_by) \
         VALUES (2, 8, 1, 3, 0, 0, 9, 1)",
        "INSERT INTO job (kind, host, priority, state, run_at, created_at, claimed_by, attempt) \
         VALUES (2, 9, 1, 0, 0, 0, 1, 9)",
    ] {
        database.run(statement).expect("damage");
    }
    let found = findings(&store).await.join("\n");
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
}

/// Whoever compares everything in one transaction keeps all dead rows for as long as that takes, and every table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_lets_go_of_what_it_has_compared() {
    let database = support::migrated();
    let store = std::sync::Arc::new(open(&database).await);
    let url = database.url();
    let holder = std::thread::spawn(move || {
        hostatlas_test_postgres::psql(&url, "BEGIN; LOCK TABLE service; SELECT pg_sleep(30)")
    });
    // Databases that were made of one template number their tables alike.
    let locks = |which: &str| {
        let here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        number(&database, &format!("SELECT count(*) FROM pg_locks WHERE {here} AND {which}"))
    };
    until("the table is locked", async || locks("relation = 'service'::regclass AND granted") > 0).await;
    let checking = tokio::spawn({
        let store = std::sync::Arc::clone(&store);
        async move { store.check().await }
    });

    // Its last comparison waits, and those before are over.
    let waits = async || locks("relation = 'service'::regclass AND NOT granted") > 0;
    until("the check waits for the table", waits).await;
    let before = "mode = 'AccessShareLock' AND relation IN \
                  ('counter_delta'::regclass, 'job_count'::regclass, 'place_delta'::regclass)";
    assert_eq!(locks(before), 0, "what it read before is held");
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)' \
                 AND datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(number(&database, ended), 1);
    let report = checking.await.expect("no panic").expect("a check");
    assert_eq!(report.findings, []);
    assert!(holder.join().expect("no panic").is_err());
}

#[tokio::test]
async fn trees_are_verified_where_the_server_can() {
    let database = support::migrated();
    database.run("CREATE EXTENSION amcheck").expect("Debian's server has it");
    let store = open(&database).await;
    let before = store.check().await.expect("a check");
    assert_eq!(before.findings, []);
    let store = open(&database).await;
    database.run("DROP EXTENSION amcheck").expect("without it");
    let after = store.check().await.expect("a check");
    assert!(before.checked > after.checked, "no tree was verified");
}

#[tokio::test]
async fn a_row_that_another_holds_is_busy_and_not_waited_for_without_end() {
    let database = support::migrated();
    let store = open(&database).await;
    let job = "INSERT INTO job (kind, host, priority, run_at, created_at) VALUES (2, 7, 1, 0, 0)";
    database.run(job).expect("a job");
    let url = database.url();
    let holder = std::thread::spawn(move || {
        hostatlas_test_postgres::psql(&url, "BEGIN; LOCK TABLE counter_delta; SELECT pg_sleep(30)")
    });
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 'counter_delta'::regclass AND mode = 'AccessExclusiveLock'";
    until("the table is locked", async || number(&database, held) > 0).await;
    database.run("SELECT 1").expect("a database");
    let outcome = store.tidy().await;
    assert!(matches!(outcome, Err(StoreError::Busy)), "{outcome:?}");
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)' \
                 AND datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(number(&database, ended), 1);
    assert!(holder.join().expect("no panic").is_err());
}

/// An index that is made while others work waits for the transactions that were there before, also for a long one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_waits_for_a_long_reader_and_differences_are_added_up_meanwhile() {
    let database = support::migrated();
    let store = std::sync::Arc::new(open(&database).await);
    let url = database.url();
    let reader = std::thread::spawn(move || {
        let read = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM service; SELECT pg_sleep(60)";
        hostatlas_test_postgres::psql(&url, read)
    });
    let here = "datname = current_database() AND pid <> pg_backend_pid()";
    let count = |which: &str| {
        number(&database, &format!("SELECT count(*) FROM pg_stat_activity WHERE {here} AND {which}"))
    };
    until("the reader has read", async || count("wait_event = 'PgSleep'") > 0).await;
    let tidying = tokio::spawn({
        let store = std::sync::Arc::clone(&store);
        async move { store.tidy().await }
    });

    // Longer than a session waits for a lock in its daily work.
    let waiting = "wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX%' \
                   AND query_start < clock_timestamp() - interval '3 s'";
    let waits = async || {
        let waits = count(waiting) > 0;
        assert!(waits || !tidying.is_finished(), "it did not wait");
        waits
    };
    until("the index waits for the reader", waits).await;
    database.run("INSERT INTO change_delta VALUES (0)").expect("a difference");
    let added_up = async || number(&database, "SELECT count(*) FROM change_delta") == 0;
    until("differences are added up meanwhile", added_up).await;
    assert!(!open(&database).await.tidy().await.expect("housekeeping"), "a second one waits, too");

    assert_eq!(
        number(
            &database,
            &format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {here} AND wait_event = 'PgSleep'"
            )
        ),
        1
    );
    assert!(tidying.await.expect("no panic").expect("housekeeping"), "there is more to do");
    let valid = "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid = to_regclass('service_port')";
    assert_eq!(number(&database, valid), 1);
    assert!(reader.join().expect("no panic").is_err());
}

#[tokio::test]
async fn a_damaged_index_is_named_and_the_rest_is_compared() {
    let database = support::migrated();
    // An index whose order is no order any more.
    for statement in [
        "CREATE EXTENSION amcheck",
        "CREATE FUNCTION compared(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($1, $2)'",
        "CREATE OPERATOR CLASS odd FOR TYPE integer USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, \
         OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 compared(integer, integer)",
        "CREATE TABLE riddle AS SELECT generate_series(1, 1000) AS n",
        "CREATE INDEX riddle_n ON riddle (n odd)",
        "CREATE OR REPLACE FUNCTION compared(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE \
         AS 'SELECT btint4cmp($2, $1)'",
        "INSERT INTO counter_delta VALUES ('state', 1, 2)",
    ] {
        database.run(statement).expect("damage");
    }
    let found = findings(&open(&database).await).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("integrity: the index `riddle_n` is damaged"), "{found:?}");
    assert_eq!(found[1], "counter: `state` 1 is counted as 2 and is 0");
}

/// Half of what somebody else adds up is in no place yet.
#[tokio::test]
async fn a_source_of_a_copy_is_not_ready_while_somebody_else_adds_up() {
    let database = support::migrated();
    let store = open(&database).await;
    database.run("INSERT INTO job_count_delta VALUES (2, 0, 3)").expect("a difference");
    let url = database.url();
    let holder = std::thread::spawn(move || {
        let hold = format!("SELECT pg_advisory_lock({LOCK}), pg_sleep(60)");
        hostatlas_test_postgres::psql(&url, &hold)
    });
    let here = "datname = current_database() AND wait_event = 'PgSleep'";
    let sleeping = format!("SELECT count(*) FROM pg_stat_activity WHERE {here}");
    until("the lock is held", async || number(&database, &sleeping) > 0).await;

    let outcome = store.copy_source().await;

    assert!(matches!(outcome, Err(StoreError::Busy)), "{outcome:?}");
    database
        .run(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {here}"))
        .expect("ended");
    assert!(holder.join().expect("no panic").is_err());
    store.copy_source().await.expect("all is in its place");
    assert_eq!(number(&database, "SELECT count(*) FROM job_count_delta"), 0);
}
