//! When the numbers of a database belong to another history than before, and who may know it.

mod support;

use hostatlas_store::{AdminStore, HistoryId, MapStore};
use hostatlas_store_postgres::{OpenMode, PostgresStore};
use hostatlas_test_postgres::{Cluster, psql};
use support::{migrated, open, until};

async fn history(store: &PostgresStore) -> HistoryId {
    store.changes().await.expect("changes").history
}

/// A server with a database whose owner may do nothing else, and the URL of that.
fn owned() -> (Cluster, String) {
    let cluster = Cluster::start().expect("a server");
    for statement in ["CREATE ROLE me LOGIN", "CREATE DATABASE mine OWNER me"] {
        psql(&cluster.url(), statement).expect("done");
    }
    let url = cluster.url_of("mine").replace("postgres@", "me@");
    (cluster, url)
}

/// The server is back, and one of its answers came.
async fn restarted(cluster: &Cluster, store: &PostgresStore) -> HistoryId {
    cluster.restart_immediate().expect("a server");
    until("it answers again", async || store.changes().await.is_ok()).await;
    // What was noted while the first answer came is known to the second.
    history(store).await
}

#[tokio::test]
async fn an_ordinary_role_notices_another_start_of_the_server() {
    let (cluster, url) = owned();
    let store = open(&url, OpenMode::Migrate).await.expect("a database");
    let before = history(&store).await;
    store.try_write().await.expect("written");
    assert_eq!(history(&store).await, before);
    assert_ne!(restarted(&cluster, &store).await, before);
    store.close().await;
}

#[tokio::test]
async fn a_role_that_may_not_ask_notices_numbers_that_go_back() {
    let (cluster, url) = owned();
    let function = "REVOKE EXECUTE ON FUNCTION pg_postmaster_start_time() FROM public";
    psql(&cluster.url_of("mine"), function).expect("taken away");
    let store = open(&url, OpenMode::Migrate).await.expect("a database all the same");
    psql(&url, "UPDATE change SET number = 9").expect("numbers");
    let before = history(&store).await;
    assert_eq!(restarted(&cluster, &store).await, before);
    psql(&url, "UPDATE change SET number = 8 WHERE topic = 2").expect("numbers");
    let after = history(&store).await;
    assert_ne!(after, before);
    assert_eq!(history(&store).await, after);
    store.close().await;
}

/// As from a dump, within a server that runs on.
#[tokio::test]
async fn tables_that_are_filled_anew_begin_another_history_with_the_same_numbers() {
    let test = migrated();
    let store = open(&test.url(), OpenMode::Existing).await.expect("a database");
    let before = store.changes().await.expect("changes");
    test.run(
        "BEGIN; CREATE TEMPORARY TABLE kept ON COMMIT DROP AS TABLE change; TRUNCATE change;
         INSERT INTO change SELECT * FROM kept; COMMIT",
    )
    .expect("restored");
    history(&store).await;
    let after = store.changes().await.expect("changes");
    assert_eq!(after.topics, before.topics);
    assert_ne!(after.history, before.history);
    store.close().await;
}
