//! The one way in which this crate reads and writes.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use hostatlas_domain::Topic;
use hostatlas_store::StoreError;
use rand::Rng;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    clock::ClockOffset,
    error::{MAY_BE_WRITTEN, SILENT, beginning, engine, is_passing, may_run_again, opening, since_connected},
    location::Location,
};

/// How long one statement may take before the server ends it.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a statement waits for a row that another transaction holds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a transaction may wait for us before the server ends it and frees what it holds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transaction may take before we give up on the server: a little more than one slow statement, since a
/// server that is cut off says nothing.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// How long to wait for a connection.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that rested may take to say that it lives: several dead ones must not use up the wait for one.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Two cores are kept busy by four; the others are for readers while those write.
const CONNECTIONS: u32 = 8;
/// A connection that rested longer is asked whether it still lives.
const RESTED: Duration = Duration::from_secs(1);
/// Statements that a session keeps prepared.
const STATEMENTS_KEPT: usize = 256;
/// How often a transaction that lost a race is run, all in all.
const ATTEMPTS: u32 = 4;

const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Forgets the statements that somebody prepared in this session under the names that our client gives them, as a pooler
/// of sessions leaves them. `DEALLOCATE ALL` alone would take those away, too, that a pooler from 1.21 on prepares under
/// names of its own and believes to be there.
pub(crate) const FORGET_STATEMENTS: &str = "DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_prepared_statements WHERE starts_with(name, 'sqlx_s_')) THEN
        DEALLOCATE ALL;
    END IF;
END $$";

/// One database: a pool of connections and how to make another.
#[derive(Clone)]
pub(crate) struct Database {
    pool: PgPool,
    clock: ClockOffset,
    is_pooled: bool,
    /// Whether a session may hold statements of somebody else under the names of ours.
    forgets: bool,
    /// For people, without the password.
    pub(crate) location: Arc<str>,
    /// For a session of our own behind the pool's back; behind a pooler it is one without settings.
    pub(crate) options: PgConnectOptions,
    /// Where to listen: `None` where a pooler would not let us.
    pub(crate) listening: Option<PgConnectOptions>,
}

/// A connection out of the pool. Unless its transaction came to an end it does not go back there: whoever waits for an
/// operation may stop waiting in the middle, and the next one would go on, and commit, in what was begun.
struct Lent {
    connection: PoolConnection<Postgres>,
    is_settled: bool,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_settled {
            self.connection.close_on_drop();
        }
    }
}

impl Database {
    /// Connects when first asked. `translates` is what [`translates_statements`] found.
    pub(crate) fn new(
        location: &Location,
        direct: Option<&Location>,
        translates: bool,
        clock: ClockOffset,
    ) -> Self {
        let options = settings(location, translates);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, metadata| {
                Box::pin(async move {
                    let lives = async {
                        tokio::time::timeout(PING_TIMEOUT, connection.ping())
                            .await
                            .is_ok_and(|answer| answer.is_ok())
                    };
                    Ok(metadata.idle_for < RESTED || lives.await)
                })
            })
            .connect_lazy_with(options.clone());
        let listening = direct.or((!location.is_pooled).then_some(location));
        let listening = listening.map(|listening| settings(listening, false));
        let is_pooled = location.is_pooled;
        let (forgets, location) = (is_pooled && !translates, Arc::from(location.text.as_str()));
        Self { pool, clock, is_pooled, forgets, location, options, listening }
    }

    /// Runs `operation` in a write transaction: all of it or nothing, durable once this returns.
    ///
    /// One that loses a race against another transaction is rolled back and run again. One whose connection is lost is
    /// not: it may have been committed. The operation must neither begin nor end a transaction of its own.
    pub(crate) async fn write<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        self.write_within(TRANSACTION_TIMEOUT, operation).await
    }

    /// As [`Database::write`], for what may take long.
    pub(crate) async fn write_within<T, F>(&self, timeout: Duration, operation: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        for attempt in 1..ATTEMPTS {
            match self.transact(WRITE, timeout, &operation).await {
                Err(error) if may_run_again(&error) => {
                    tracing::debug!(attempt, "A transaction lost a race and is run again");
                    let wait = rand::rng().random_range(0..u64::from(attempt) * 20);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                answer => return answer,
            }
        }
        match self.transact(WRITE, timeout, &operation).await {
            Err(error) if may_run_again(&error) => Err(StoreError::Busy),
            answer => answer,
        }
    }

    /// Runs `operation` on one consistent view of the database.
    pub(crate) async fn read<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        self.read_within(TRANSACTION_TIMEOUT, operation).await
    }

    /// As [`Database::read`], for what may take long.
    pub(crate) async fn read_within<T, F>(&self, timeout: Duration, operation: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        self.transact(READ, timeout, &operation).await
    }

    async fn transact<T, F>(
        &self,
        begin: &'static str,
        timeout: Duration,
        operation: &F,
    ) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        let writes = begin == WRITE;
        let begin = self.begin(begin, timeout);
        let mut lent = self.connection(&begin).await?;
        let mut is_ending = false;
        let running = async {
            self.forget_statements(&mut lent.connection).await?;
            self.run(&mut lent.connection, operation, &mut is_ending).await
        };
        let answer = match tokio::time::timeout(timeout, running).await {
            Ok(answer) => {
                // Whatever state it is in after an error of the engine, the next one gets a fresh connection. A lost race
                // is the exception, but a rare one.
                lent.is_settled = !matches!(&answer, Err(StoreError::Engine(_)));
                answer
            }
            Err(_) => Err(self.unreachable(SILENT)),
        };
        answer.map_err(|error| self.lost(error, writes && is_ending))
    }

    /// What an error means once the server had let us in: where it was lost, whoever asked is told, and whether what they
    /// asked for may have been done.
    fn lost(&self, error: StoreError, may_be_written: bool) -> StoreError {
        match since_connected(&self.location, error).0 {
            StoreError::Unreachable { location, reason } if may_be_written => {
                StoreError::Unreachable { location, reason: format!("{reason}; {MAY_BE_WRITTEN}") }
            }
            error => error,
        }
    }

    /// A connection in a transaction that was just begun. A dead one is thrown away, since nothing was asked of it yet.
    async fn connection(&self, begin: &str) -> Result<Lent, StoreError> {
        let mut dead = sqlx::Error::WorkerCrashed;
        for _ in 0..=CONNECTIONS {
            let mut lent = Lent { connection: self.acquire().await?, is_settled: false };
            let asked = sqlx::raw_sql(AssertSqlSafe(begin.to_owned())).execute(&mut *lent.connection);
            match tokio::time::timeout(ACQUIRE_TIMEOUT, asked).await {
                Ok(Ok(_)) => return Ok(lent),
                Ok(Err(error)) if error.as_database_error().is_some() && !is_passing(&error) => {
                    return Err(beginning(&self.location, error));
                }
                Ok(Err(error)) => dead = error,
                // It lived a moment ago: another one would say nothing, too.
                Err(_) => return Err(self.unreachable(SILENT)),
            }
        }
        Err(beginning(&self.location, dead))
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        match self.pool.acquire().await {
            Err(sqlx::Error::PoolTimedOut) if self.pool.size() < CONNECTIONS => Err(self.why_none().await),
            // All are at work for others in this process.
            Err(sqlx::Error::PoolTimedOut) => Err(StoreError::Busy),
            Err(error) => Err(opening(&self.location, error)),
            Ok(connection) => Ok(connection),
        }
    }

    /// Why the pool could make no connection: it asks until its time is over, and does not say.
    async fn why_none(&self) -> StoreError {
        match tokio::time::timeout(ACQUIRE_TIMEOUT, self.options.connect()).await {
            Ok(Err(error)) => opening(&self.location, error),
            Ok(Ok(_)) | Err(_) => self.unreachable(SILENT),
        }
    }

    pub(crate) fn unreachable(&self, reason: &str) -> StoreError {
        StoreError::Unreachable { location: self.location.to_string(), reason: reason.to_owned() }
    }

    /// `is_ending` says afterwards whether the server was asked to commit.
    async fn run<T, F>(
        &self,
        connection: &mut PgConnection,
        operation: &F,
        is_ending: &mut bool,
    ) -> Result<T, StoreError>
    where
        F: for<'c> Fn(&'c mut PgConnection, i64) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        let now = now(connection).await?.saturating_add(self.clock.millis());
        match operation(connection, now).await {
            Ok(answer) => {
                *is_ending = true;
                sqlx::raw_sql("COMMIT").execute(connection).await.map_err(engine)?;
                Ok(answer)
            }
            Err(error) => {
                sqlx::raw_sql("ROLLBACK").execute(connection).await.map_err(engine)?;
                Err(error)
            }
        }
    }

    /// The engine's client prepares every statement under a name that counts from one. Behind a pooler somebody else's
    /// may be there already, left by whoever had the session before.
    async fn forget_statements(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        if self.forgets {
            sqlx::raw_sql(FORGET_STATEMENTS).execute(connection).await.map_err(engine)?;
        }
        Ok(())
    }

    /// What begins a transaction: behind a pooler it also says what a session of our own is told once.
    fn begin(&self, begin: &'static str, timeout: Duration) -> String {
        let mut statements = begin.to_owned();
        let is_long = timeout > TRANSACTION_TIMEOUT;
        if !self.is_pooled && !is_long {
            return statements;
        }
        for (name, value) in session_settings() {
            let value = if is_long && name == "statement_timeout" { millis(timeout) } else { value };
            statements = format!("{statements}; SET LOCAL {name} = {value}");
        }
        statements
    }

    /// Closes every connection; those that are at work for long end with the process.
    pub(crate) async fn close(&self) {
        if tokio::time::timeout(TRANSACTION_TIMEOUT, self.pool.close()).await.is_err() {
            tracing::debug!("A connection to the database did not end and is not waited for");
        }
    }
}

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

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// The server's time in milliseconds since 1970.
async fn now(connection: &mut PgConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        .fetch_one(connection)
        .await
        .map_err(engine)
}

/// Moves the change numbers of `topics`; the last statement of whatever changes what they show.
pub(crate) async fn touch(connection: &mut PgConnection, topics: &[Topic]) -> Result<(), StoreError> {
    let topics: Vec<i16> = topics.iter().map(|topic| i16::from(topic.number())).collect();
    sqlx::query("INSERT INTO change_delta (topic) SELECT DISTINCT unnest($1::smallint[])")
        .bind(topics)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use hostatlas_test_postgres::TestDatabase;

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

    /// Waits until the server has ended a session.
    async fn gone(beside: &mut PgConnection, session: i32) {
        let lives = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
        while sqlx::query_scalar::<_, bool>(lives)
            .bind(session)
            .fetch_one(&mut *beside)
            .await
            .expect("an answer")
        {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_transaction_that_is_left_idle_is_ended_by_the_server_and_nothing_of_it_is_written() {
        let test = TestDatabase::empty().expect("a database");
        let location: Location = test.url().parse().expect("a URL");
        let database = Database::new(&location, None, false, ClockOffset::default());
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
                let begun =
                    "CREATE TABLE begun (n integer); SET LOCAL idle_in_transaction_session_timeout = 50";
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
