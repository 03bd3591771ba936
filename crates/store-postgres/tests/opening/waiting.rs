//! Servers that are gone for a moment, and who waits for them.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use hostatlas_store::{AdminStore, StoreError};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::{Cluster, server_url};

use crate::{
    address,
    support::{open, server_that_says},
    why_unreachable,
};

/// A test that waits for chance to bring several cases waits no longer.
const AT_MOST: Duration = Duration::from_mins(1);

#[tokio::test]
async fn work_goes_on_by_itself_after_the_server_crashed() {
    let cluster = Cluster::start().expect("a server");
    let store = open(&cluster.url(), OpenMode::Migrate).await.expect("a store");
    store.schema_status().await.expect("a status");
    cluster.stop_immediately().expect("a crash");
    let error = store.schema_status().await.expect_err("nobody is there");
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    cluster.start_again().expect("a server");
    store.schema_status().await.expect("a status");
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_asked_again_in_a_moment() {
    let states: [(&'static [u8], &str); 4] = [
        (b"E\0\0\0\x2eSFATAL\0C57P03\0Mthe system is starting up\0\0", "starting up"),
        (b"E\0\0\0\x2eSFATAL\0C57P01\0Mterminated by a command..\0\0", "terminated"),
        (b"E\0\0\0\x2eSFATAL\0C57P02\0Mterminated after a crash.\0\0", "after a crash"),
        (b"", "was cut"),
    ];
    for (answer, says) in states {
        let said = why_unreachable(&server_that_says(answer)).await;
        assert!(said.contains(says) && said.contains("in a moment"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_server_that_comes_back_gets_it() {
    let cluster = Cluster::start().expect("a server");
    open(&cluster.url(), OpenMode::Migrate).await.expect("a schema").close().await;
    cluster.stop_immediately().expect("a crash");
    let mut options = OpenOptions::new(cluster.url(), OpenMode::Existing);
    options.patience = Duration::from_mins(1);
    let opening = tokio::spawn(PostgresStore::open(options));
    let started = tokio::task::spawn_blocking(move || cluster.start_again().map(|()| cluster)).await;
    let _cluster = started.expect("no panic").expect("a server");
    let store = opening.await.expect("no panic").expect("it waited");
    store.schema_status().await.expect("a status");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_opens_while_the_server_crashes_is_told_so() {
    let cluster = Cluster::start().expect("a server");
    let url = cluster.url();
    open(&url, OpenMode::Migrate).await.expect("a schema").close().await;
    let (open_again, opened_again) = mpsc::channel();
    let crashing = tokio::task::spawn_blocking(move || {
        loop {
            cluster.restart_immediate()?;
            // What was opened before it crashed says nothing.
            opened_again.try_iter().for_each(drop);
            if opened_again.recv().is_err() {
                return Ok::<_, std::io::Error>(cluster);
            }
        }
    });
    let (mut opened, mut refused, began) = (0, 0, Instant::now());
    while (opened < 5 || refused < 5) && began.elapsed() < AT_MOST {
        match open(&url, OpenMode::Existing).await {
            Ok(store) => {
                store.close().await;
                opened += 1;
                if open_again.send(()).is_err() {
                    break;
                }
            }
            Err(StoreError::Unreachable { .. }) => refused += 1,
            Err(error) => panic!("{error}: {error:?}"),
        }
    }
    drop(open_again);
    crashing.await.expect("no panic").expect("a server");
    assert!(opened >= 5 && refused >= 5, "{opened} opened, {refused} refused");
}

#[tokio::test]
async fn what_does_not_pass_is_not_waited_for() {
    let url = format!("postgres://postgres@{}/hostatlas_never_made", address(&server_url()));
    let mut options = OpenOptions::new(url, OpenMode::Existing);
    options.patience = Duration::from_hours(1);
    let error = PostgresStore::open(options).await.err().expect("a refusal");
    assert!(error.to_string().contains("createdb"), "{error}");
}
