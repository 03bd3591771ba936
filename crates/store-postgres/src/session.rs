//! What a session of ours is told, and what a pooler between leaves of that.

use std::time::Duration;

use hostatlas_store::StoreError;
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};

use crate::{database::READ, error::engine, location::Location};

/// How long one statement may take before the server ends it.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a statement waits for a row that another transaction holds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a transaction may wait for us before the server ends it and frees what it holds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Statements that a session keeps prepared.
const STATEMENTS_KEPT: usize = 256;

/// Forgets the statements that somebody prepared in this session under the names that our client gives them, as a pooler
/// of sessions leaves them. `DEALLOCATE ALL` alone would take those away, too, that a pooler from 1.21 on prepares under
/// names of its own and believes to be there.
pub(crate) const FORGET_STATEMENTS: &str = "DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_prepared_statements WHERE starts_with(name, 'sqlx_s_')) THEN
        DEALLOCATE ALL;
    END IF;
END $$";

/// How to connect. A pooler refuses to be told settings at the start, and what is prepared in one of its sessions is
/// not there in the next, unless it `translates` (see [`translates_statements`]).
pub(crate) fn settings(location: &Location, translates: bool) -> PgConnectOptions {
    let options = location.options.clone().application_name("hostatlas").disable_statement_logging();
    if !location.is_pooled {
        return options.statement_cache_capacity(STATEMENTS_KEPT).options(session_settings());
    }
    // Without a cache each statement would stay in such a pooler under a name of its own for as long as we are connected.
    options.statement_cache_capacity(if translates { STATEMENTS_KEPT } else { 0 }).extra_float_digits(None)
}

/// Whether a pooler keeps the statements of its clients apart, as `PgBouncer` from 1.21 on does with
/// `max_prepared_statements`: in the session a statement of ours then has a name that the pooler gave it.
pub(crate) async fn translates_statements(connection: &mut PgConnection) -> Result<bool, StoreError> {
    sqlx::raw_sql(READ).execute(&mut *connection).await.map_err(engine)?;
    sqlx::raw_sql(FORGET_STATEMENTS).execute(&mut *connection).await.map_err(engine)?;
    // It is prepared, and so it sees itself.
    let translates: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT FROM pg_prepared_statements WHERE starts_with(name, 'sqlx_s_'))",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    sqlx::raw_sql("ROLLBACK").execute(connection).await.map_err(engine)?;
    Ok(translates)
}

/// What each of our sessions is told.
pub(crate) fn session_settings() -> [(&'static str, String); 4] {
    [
        ("statement_timeout", millis(STATEMENT_TIMEOUT)),
        ("lock_timeout", millis(LOCK_TIMEOUT)),
        ("idle_in_transaction_session_timeout", millis(IDLE_TIMEOUT)),
        // The queue's indexes are in memory; by the default the planner reads whole tables instead.
        ("random_page_cost", "1.1".to_owned()),
    ]
}

/// As the settings of a session want it.
pub(crate) fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use hostatlas_test_postgres::TestDatabase;
    use sqlx::{AssertSqlSafe, Connection};

    use super::*;

    #[tokio::test]
    async fn what_a_pooler_prepared_is_left_to_it_and_ours_is_forgotten() {
        let database = TestDatabase::empty().expect("a database");
        let mut connection = PgConnection::connect(&database.url()).await.expect("a connection");
        let names = "SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM pg_prepared_statements";
        for (prepared, left) in [
            ("PREPARE \"PGBOUNCER_1\" AS SELECT 1", "PGBOUNCER_1"),
            ("PREPARE \"PGBOUNCER_2\" AS SELECT 1", "PGBOUNCER_1 PGBOUNCER_2"),
            ("PREPARE sqlx_s_1 AS SELECT 1", ""),
        ] {
            sqlx::raw_sql(AssertSqlSafe(format!("{READ}; {prepared}")))
                .execute(&mut connection)
                .await
                .expect("prepared");
            sqlx::raw_sql(FORGET_STATEMENTS).execute(&mut connection).await.expect("forgotten");
            let found: String =
                sqlx::query_scalar(names).persistent(false).fetch_one(&mut connection).await.expect("names");
            sqlx::raw_sql("COMMIT").execute(&mut connection).await.expect("an end");
            assert_eq!(found, left, "after {prepared}");
        }
    }

    #[tokio::test]
    async fn a_session_in_which_our_names_are_seen_is_not_translated() {
        let database = TestDatabase::empty().expect("a database");
        let mut connection = PgConnection::connect(&database.url()).await.expect("a connection");
        sqlx::raw_sql("PREPARE sqlx_s_1 AS SELECT 1")
            .execute(&mut connection)
            .await
            .expect("somebody else's");
        assert!(!translates_statements(&mut connection).await.expect("an answer"));
    }
}
