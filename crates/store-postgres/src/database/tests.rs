use hostatlas_test_postgres::TestDatabase;

use super::*;

/// Waits until the server has ended a session.
async fn gone(beside: &mut PgConnection, session: i32) {
    let lives = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
    while sqlx::query_scalar::<_, bool>(lives).bind(session).fetch_one(&mut *beside).await.expect("an answer")
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_transaction_that_is_left_idle_is_ended_by_the_server_and_nothing_of_it_is_written() {
    let test = TestDatabase::empty().expect("a database");
    let location: Location = test.url().parse().expect("a URL");
    let database = Database::new(&location, None, false, Caches::default(), ClockOffset::default());
    let told = database.read(|connection, _| {
        Box::pin(async move {
            let shown = sqlx::query_scalar("SHOW idle_in_transaction_session_timeout");
            shown.fetch_one(connection).await.map_err(engine)
        })
    });
    let told: String = told.await.expect("a setting");
    assert_eq!(told, "10s");

    let url = test.url();
    let left = database.write(|connection, _| {
        let url = url.clone();
        Box::pin(async move {
            // The same, sooner.
            let begun = "CREATE TABLE begun (n integer); SET LOCAL idle_in_transaction_session_timeout = 50";
            sqlx::raw_sql(begun).execute(&mut *connection).await.map_err(engine)?;
            let session: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
                .fetch_one(&mut *connection)
                .await
                .map_err(engine)?;
            gone(&mut PgConnection::connect(&url).await.expect("a connection"), session).await;
            Ok(())
        })
    });
    let left = left.await;
    assert!(matches!(left, Err(StoreError::Unreachable { .. })), "{left:?}");

    let there = database.read(|connection, _| {
        Box::pin(async move {
            let there = sqlx::query_scalar("SELECT to_regclass('begun') IS NOT NULL");
            there.fetch_one(connection).await.map_err(engine)
        })
    });
    let there: bool = there.await.expect("it goes on");
    assert!(!there, "it was written");
    database.close().await;
}
