//! What is said, and what goes on, when a server is lost, full, silent or only read.

mod support;

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::ScanFormat;
use hostatlas_store::{AdminStore, ImportStore, StartImport, StoreError};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::{Cluster, TestDatabase, psql};
use support::until;

async fn open(url: &str, mode: OpenMode) -> PostgresStore {
    PostgresStore::open(OpenOptions::new(url, mode)).await.expect("a store")
}

fn scan() -> StartImport {
    StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson }
}

/// Why the server is of no use at the moment.
fn unreachable<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(error @ StoreError::Unreachable { .. }) => error.to_string(),
        answer => panic!("{answer:?}"),
    }
}

/// Why nobody knows whether a change was written.
fn unknown<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(error @ StoreError::OutcomeUnknown { .. }) => error.to_string(),
        answer => panic!("{answer:?}"),
    }
}

/// Ends the one session of `database` that waits as `condition` says, once there is one.
async fn end_session(database: &TestDatabase, condition: &str) {
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND {condition}"
    );
    until("a session is ended", async || database.run(&end).expect("a count").trim() != "0").await;
}

#[tokio::test]
async fn a_standby_is_read_and_says_where_to_write() {
    let cluster = Cluster::start().expect("a server");
    open(&cluster.url(), OpenMode::Migrate).await.close().await;
    cluster.stop_immediately().expect("a crash");
    cluster.start_as_standby().expect("a standby");

    let store = open(&cluster.url(), OpenMode::Existing).await;
    assert_eq!(store.imports_list(None, 10).await.expect("a list").items, []);
    let refused = store.import_start(scan()).await;
    let Err(StoreError::NotWritable { reason, remedy }) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("only lets it be read") && remedy.contains("primary"), "{reason}: {remedy}");
    let migrating = PostgresStore::open(OpenOptions::new(cluster.url(), OpenMode::Migrate)).await.err();
    assert!(
        matches!(&migrating, Some(StoreError::NotWritable { remedy, .. }) if remedy.contains("primary")),
        "{migrating:?}"
    );

    psql(&cluster.url(), "SELECT pg_promote()").expect("promoted");
    store.import_start(scan()).await.expect("it is the primary");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_no_room_says_so_and_is_waited_for() {
    let cluster = Cluster::start().expect("a server");
    for statement in ["CREATE ROLE me LOGIN", "CREATE DATABASE mine OWNER me"] {
        psql(&cluster.url(), statement).expect("done");
    }
    let url = cluster.url_of("mine").replace("postgres@", "me@");
    let store = open(&url, OpenMode::Migrate).await;
    psql(&cluster.url(), "ALTER ROLE me CONNECTION LIMIT 0").expect("a limit");
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'me'";
    assert_ne!(psql(&cluster.url(), end).expect("ended").trim(), "0");

    // The pool asks again and again, and does not say what it hears.
    let said = unreachable(store.schema_status().await);
    assert!(said.contains("too many connections for role \"me\""), "{said}");
    assert!(said.contains("CONNECTION LIMIT"), "{said}");

    let seen = cluster.log().matches("too many connections for role").count();
    let mut options = OpenOptions::new(url, OpenMode::Existing);
    options.patience = Duration::from_mins(1);
    let opening = tokio::spawn(PostgresStore::open(options));
    let refused = async || cluster.log().matches("too many connections for role").count() > seen;
    until("who opens is refused", refused).await;
    psql(&cluster.url(), "ALTER ROLE me CONNECTION LIMIT -1").expect("room");
    opening.await.expect("no panic").expect("it waited").close().await;
    store.schema_status().await.expect("a status");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_connection_is_lost_says_whether_it_may_be_written() {
    let database = support::migrated();
    let store = Arc::new(open(&database.url(), OpenMode::Existing).await);
    let start = || {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.import_start(scan()).await })
    };
    database
        .run(
            "CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
             CREATE TRIGGER doze AFTER INSERT ON import FOR EACH ROW EXECUTE FUNCTION doze()",
        )
        .expect("a slow statement");
    let starting = start();
    end_session(&database, "wait_event = 'PgSleep' AND query LIKE 'INSERT%'").await;
    let said = unreachable(starting.await.expect("no panic"));
    assert!(said.contains("in a moment"), "{said}");

    database
        .run(
            "DROP TRIGGER doze ON import;
             CREATE CONSTRAINT TRIGGER doze AFTER INSERT ON import DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION doze()",
        )
        .expect("a slow commit");
    let starting = start();
    end_session(&database, "wait_event = 'PgSleep' AND query = 'COMMIT'").await;
    let said = unknown(starting.await.expect("no panic"));
    assert!(said.contains("in a moment"), "{said}");

    database.run("DROP TRIGGER doze ON import").expect("as it was");
    store.import_start(scan()).await.expect("it goes on");
    assert_eq!(database.run("SELECT count(*) FROM import").expect("a count").trim(), "1");
    store.close().await;
}

/// A server that lets everybody in and then says nothing; its URL.
fn silent_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 1024]);
            // Who hangs up first does not matter.
            let _ = stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
            open.push(stream);
        }
    });
    format!("postgres://me@127.0.0.1:{port}/atlas?sslmode=disable")
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up_on() {
    let direct = silent_server();
    let pooled = format!("{}&pooler=transaction", silent_server());
    let migrating = OpenOptions::new(&direct, OpenMode::Migrate);
    for options in [
        OpenOptions::new(&direct, OpenMode::Existing),
        OpenOptions::new(pooled, OpenMode::Existing),
        migrating,
    ] {
        let began = Instant::now();
        let said = unreachable(PostgresStore::open(options).await.map(|_| ()));
        assert!(said.contains("did not answer in time"), "{said}");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
