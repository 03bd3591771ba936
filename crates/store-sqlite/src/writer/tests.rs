use hostatlas_store::AdminStore;

use super::*;
use crate::{OpenMode, OpenOptions, SqliteStore, database::Size, error::engine};

async fn store() -> (tempfile::TempDir, Arc<SqliteStore>) {
    let directory = tempfile::tempdir().expect("a directory");
    let location = directory.path().join("hostatlas.db").display().to_string();
    let store =
        SqliteStore::open(OpenOptions::new(location, OpenMode::Create)).await.expect("a new database");
    (directory, Arc::new(store))
}

/// What an operation does after it has written its row.
#[derive(Clone, Copy)]
enum Then {
    Succeed,
    Fail,
    Panic,
}

fn insert(
    connection: &mut SqliteConnection,
    number: i64,
    then: Then,
) -> BoxFuture<'_, Result<(), StoreError>> {
    Box::pin(async move {
        sqlx::query("INSERT INTO network (asn, organization, isp) VALUES (?1, '', '')")
            .bind(number)
            .execute(connection)
            .await
            .map_err(engine)?;
        match then {
            Then::Succeed => Ok(()),
            Then::Fail => Err(StoreError::Conflict("as asked".to_owned())),
            Then::Panic => panic!("as asked"),
        }
    })
}

/// What was inserted, in the order in which it was.
async fn numbers(store: &SqliteStore) -> Vec<i64> {
    let read = store.database.read(|connection, _| {
        Box::pin(async move {
            sqlx::query_scalar("SELECT asn FROM network ORDER BY id")
                .fetch_all(connection)
                .await
                .map_err(engine)
        })
    });
    read.await.expect("rows")
}

#[tokio::test]
async fn an_operation_that_fails_takes_nothing_of_its_group_with_it() {
    let (_directory, store) = store().await;
    // Holds the writer until all others wait, so that they share a group.
    let (release, released) = oneshot::channel::<()>();
    let holding = Arc::clone(&store);
    let holder = tokio::spawn(async move {
        let hold = holding.database.write(Size::Small, move |_, _| {
            Box::pin(async move {
                released.await.expect("a release");
                Ok(())
            })
        });
        hold.await
    });
    let waiting: Vec<_> = [(1, Then::Succeed), (2, Then::Fail), (3, Then::Panic), (4, Then::Succeed)]
        .map(|(number, then)| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let database = &store.database;
                database
                    .write(Size::Small, move |connection, _| insert(connection, number, then))
                    .await
                    .is_ok()
            })
        })
        .into();
    while store.database.waiting() < 4 {
        tokio::task::yield_now().await;
    }
    release.send(()).expect("a holder");

    let mut succeeded = Vec::new();
    for task in waiting {
        succeeded.push(task.await.expect("no panic"));
    }
    holder.await.expect("no panic").expect("an empty operation");
    assert_eq!(succeeded, [true, false, false, true]);
    assert_eq!(numbers(&store).await, [1, 4]);
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing_that_was_acknowledged() {
    let (_directory, store) = store().await;
    let write = |number| {
        let store = Arc::clone(&store);
        async move {
            store
                .database
                .write(Size::Small, move |connection, _| insert(connection, number, Then::Succeed))
                .await
        }
    };
    let limit = |statement: &'static str| {
        store.database.outside(move |connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(statement).execute(connection).await.map_err(engine)?;
                Ok(())
            })
        })
    };
    write(1).await.expect("a row");
    // The engine answers a file that may not grow as it answers a full disk.
    limit("PRAGMA max_page_count = 1").await.expect("a limit");
    let flooded = store.database.write(Size::Bulk, |connection, _| {
        Box::pin(async move {
            sqlx::query(
                "INSERT INTO import (source, format, started_at, reported_at)
                 VALUES (hex(zeroblob(99999)), 'plain', 0, 0)",
            )
            .execute(connection)
            .await
            .map_err(engine)?;
            Ok(())
        })
    });
    let error = flooded.await.expect_err("a full disk");
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}");

    limit("PRAGMA max_page_count = 1000000").await.expect("a limit");
    write(2).await.expect("a row");
    assert_eq!(numbers(&store).await, [1, 2]);
    assert_eq!(store.check().await.expect("a check").findings, []);
}

#[tokio::test]
async fn a_small_operation_passes_a_bulk_one_that_waits_for_another_process() {
    let (_directory, store) = store().await;
    let other_process = store.database.locks.bulk().await.expect("a free lock");
    let write = |size, number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let database = &store.database;
            database.write(size, move |connection, _| insert(connection, number, Then::Succeed)).await
        })
    };
    let bulk = write(Size::Bulk, 1);
    while store.database.locks.nobody_is_next().expect("a lock file") {
        tokio::task::yield_now().await;
    }
    let small = write(Size::Small, 2);
    while store.database.waiting() > 0 || store.database.locks.no_small_waits().expect("a lock file") {
        tokio::task::yield_now().await;
    }
    drop(other_process);

    small.await.expect("no panic").expect("a row");
    bulk.await.expect("no panic").expect("a row");
    assert_eq!(numbers(&store).await, [2, 1]);
}

#[tokio::test]
async fn what_was_handed_in_before_closing_is_written() {
    let (_directory, store) = store().await;
    let bulk = Arc::clone(&store);
    let mut late = Box::pin(async move {
        bulk.database.write(Size::Bulk, |connection, _| insert(connection, 7, Then::Succeed)).await
    });
    assert!(futures::poll!(late.as_mut()).is_pending());

    store.close().await;

    assert!(late.await.is_ok());
}
