//! The one way in which this crate reads and writes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use hostatlas_store::{
    StoreError,
    backend::{Caches, Past, Writing},
};
use rand::Rng;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    clock::ClockOffset,
    error::{
        NO_CONNECTION_LEFT, SILENT, beginning, engine, is_passing, is_rolled_back, may_run_again, opening,
        outcome_unknown, since_connected, unreachable,
    },
    location::Location,
    session::{FORGET_STATEMENTS, millis, session_settings, settings},
};

/// How long a transaction may take before we give up on the server: a little more than one slow statement, since a
/// server that is cut off says nothing.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the server may take to say that a transaction is committed. `statement_timeout` does not end a commit that
/// waits for a synchronous standby, so this client has a limit of its own.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for a connection.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that rested may take to say that it lives: several dead ones must not use up the wait for one.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Two cores are kept busy by four; the others are for readers while those write.
const CONNECTIONS: u32 = 8;
/// A connection that rested longer is asked whether it still lives.
const RESTED: Duration = Duration::from_secs(1);
/// How often a transaction that lost a race is run, all in all.
const ATTEMPTS: u32 = 4;

pub(crate) const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// The server's time in milliseconds since 1970, and what tells a database from a copy of it.
const MOMENT: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
    coalesce(pg_relation_filepath(to_regclass('change')), '')";
/// The same for a role that may not ask for it.
const MOMENT_ALONE: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, 0::bigint, ''";

/// Which database it is. A copy of the files takes the place of others only while no server runs on them, and a server
/// that takes over is another one: so the start of the server says more than its system identifier and timeline, which a
/// copy of the files has, too. Within one server, what is restored from a dump has files of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// In microseconds since 1970.
    server_started: i64,
    /// The file of a table, below the folder of its database.
    file: String,
}

/// One database: a pool of connections and how to make another.
#[derive(Clone)]
pub(crate) struct Database {
    pool: PgPool,
    clock: ClockOffset,
    is_pooled: bool,
    /// Whether a session may hold statements of somebody else under the names of ours.
    forgets: bool,
    pub(crate) writing: Arc<Writing>,
    pub(crate) past: Arc<Past<Identity>>,
    /// Whether the role may ask for [`Identity`].
    says_identity: Arc<AtomicBool>,
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
    /// Connects when first asked; for `translates` see [`settings`]. `caches` hold what is known of the database's rows.
    pub(crate) fn new(
        location: &Location,
        direct: Option<&Location>,
        translates: bool,
        caches: Caches,
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
        let (writing, past) = (Arc::default(), Arc::new(Past::new(caches)));
        let says_identity = Arc::default();
        Self { pool, clock, is_pooled, forgets, writing, past, says_identity, location, options, listening }
    }

    /// Says whether the role may ask what tells the database from a copy of it. Where it may not, a copy is noticed by
    /// change numbers that go back alone.
    pub(crate) fn tells_copies(&self, says_identity: bool) {
        self.says_identity.store(says_identity, Ordering::Relaxed);
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

    /// As [`Database::write`], of what `params` say; each run of the operation is lent them.
    pub(crate) async fn write_with<P, T, F>(&self, params: P, operation: F) -> Result<T, StoreError>
    where
        P: Send + Sync,
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64, &'c P) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        self.write_repeatedly(TRANSACTION_TIMEOUT, params, operation).await
    }

    /// As [`Database::write`], for what may take long.
    pub(crate) async fn write_within<T, F>(&self, timeout: Duration, operation: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        self.write_repeatedly(timeout, (), move |connection, now, ()| operation(connection, now)).await
    }

    async fn write_repeatedly<P, T, F>(
        &self,
        timeout: Duration,
        params: P,
        operation: F,
    ) -> Result<T, StoreError>
    where
        P: Send + Sync,
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64, &'c P) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        self.writing.tried(self.write_until_it_wins(timeout, params, operation).await)
    }

    async fn write_until_it_wins<P, T, F>(
        &self,
        timeout: Duration,
        params: P,
        operation: F,
    ) -> Result<T, StoreError>
    where
        P: Send + Sync,
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64, &'c P) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        for attempt in 1..ATTEMPTS {
            match self.transact(WRITE, timeout, &params, &operation).await {
                Err(error) if may_run_again(&error) => {
                    tracing::debug!(attempt, "A transaction lost a race and is run again");
                    let wait = rand::rng().random_range(0..u64::from(attempt) * 20);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                answer => return answer,
            }
        }
        match self.transact(WRITE, timeout, &params, &operation).await {
            Err(error) if may_run_again(&error) => {
                Err(StoreError::TookTooLong { what: "a transaction lost race after race against others" })
            }
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

    /// As [`Database::read`], of what `params` say.
    pub(crate) async fn read_with<P, T, F>(&self, params: P, operation: F) -> Result<T, StoreError>
    where
        P: Send + Sync,
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64, &'c P) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        self.transact(READ, TRANSACTION_TIMEOUT, &params, &operation).await
    }

    /// As [`Database::read`], for what may take long.
    pub(crate) async fn read_within<T, F>(&self, timeout: Duration, operation: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        self.transact(READ, timeout, &(), &|connection, now, ()| operation(connection, now)).await
    }

    async fn transact<P, T, F>(
        &self,
        begin: &'static str,
        timeout: Duration,
        params: &P,
        operation: &F,
    ) -> Result<T, StoreError>
    where
        P: Send + Sync,
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection, i64, &'c P) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        let writes = begin == WRITE;
        let begin = self.begin(begin, timeout);
        let mut lent = self.connection(&begin).await?;
        let running = async {
            self.forget_statements(&mut lent.connection).await?;
            self.run(&mut lent.connection, params, operation).await
        };
        let answer = match tokio::time::timeout(timeout, running).await {
            Ok(Ok(answer)) => {
                let ended = sqlx::raw_sql("COMMIT").execute(&mut *lent.connection);
                let ended = async { ended.await.map(drop) };
                if writes {
                    commit(&self.location, ended).await.map(|()| answer)
                } else {
                    let ended = tokio::time::timeout(COMMIT_TIMEOUT, ended).await;
                    let ended =
                        ended.map_or_else(|_| Err(self.unreachable(SILENT)), |ended| ended.map_err(engine));
                    ended.map(|()| answer)
                }
            }
            Ok(Err(error)) => Err(error),
            // The connection is in the middle of something.
            Err(_) => return Err(self.unreachable(SILENT)),
        };
        // After an error of the engine, or without an answer, the connection may be in any state: it is closed, and the
        // next caller gets a new one. A lost race is the exception, but a rare one.
        lent.is_settled = !matches!(
            &answer,
            Err(StoreError::Engine(_) | StoreError::OutcomeUnknown { .. } | StoreError::Unreachable { .. })
        );
        answer.map_err(|error| since_connected(&self.location, error).error)
    }

    /// A connection in a transaction that was just begun. A dead one is thrown away, since nothing was asked of it yet.
    async fn connection(&self, begin: &str) -> Result<Lent, StoreError> {
        let mut dead = 0;
        loop {
            let mut lent = Lent { connection: self.acquire().await?, is_settled: false };
            let asked = sqlx::raw_sql(AssertSqlSafe(begin.to_owned())).execute(&mut *lent.connection);
            match tokio::time::timeout(ACQUIRE_TIMEOUT, asked).await {
                Ok(Ok(_)) => return Ok(lent),
                Ok(Err(error)) => {
                    let is_refused = error.as_database_error().is_some() && !is_passing(&error);
                    if is_refused || dead == CONNECTIONS {
                        return Err(beginning(&self.location, error));
                    }
                    dead += 1;
                }
                // It lived a moment ago: another one would say nothing, too.
                Err(_) => return Err(self.unreachable(SILENT)),
            }
        }
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        match self.pool.acquire().await {
            Err(sqlx::Error::PoolTimedOut) if self.pool.size() < CONNECTIONS => Err(self.why_none().await),
            Err(sqlx::Error::PoolTimedOut) => Err(NO_CONNECTION_LEFT),
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
        unreachable(&self.location, reason)
    }

    /// Runs the operation in the transaction that was begun; one that fails is rolled back.
    async fn run<P, T, F>(
        &self,
        connection: &mut PgConnection,
        params: &P,
        operation: &F,
    ) -> Result<T, StoreError>
    where
        F: for<'c> Fn(&'c mut PgConnection, i64, &'c P) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync,
    {
        let now = self.begin_in_its_history(connection).await?.saturating_add(self.clock.millis());
        let answer = operation(connection, now, params).await;
        if answer.is_err() {
            sqlx::raw_sql("ROLLBACK").execute(connection).await.map_err(engine)?;
        }
        answer
    }

    /// The server's time in milliseconds since 1970, after it was noted which database this is.
    async fn begin_in_its_history(&self, connection: &mut PgConnection) -> Result<i64, StoreError> {
        let moment = if self.says_identity.load(Ordering::Relaxed) { MOMENT } else { MOMENT_ALONE };
        let (now, server_started, file): (i64, i64, String) =
            sqlx::query_as(moment).fetch_one(connection).await.map_err(engine)?;
        // None before the first migration, or where the role may not ask.
        if !file.is_empty() {
            self.past.is_now(Identity { server_started, file });
        }
        Ok(now)
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

/// Waits for a commit that was asked for: the one place in which a transaction that writes comes to its end.
///
/// [`StoreError::OutcomeUnknown`] if no answer comes or the connection is lost. Then it must not be used any more: an
/// answer that comes late would be taken for that of the next statement.
pub(crate) async fn commit(
    location: &str,
    committing: impl Future<Output = Result<(), sqlx::Error>>,
) -> Result<(), StoreError> {
    match tokio::time::timeout(COMMIT_TIMEOUT, committing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if is_rolled_back(&error) => Err(engine(error)),
        Ok(Err(error)) => Err(outcome_unknown(location, error)),
        Err(_) => Err(StoreError::OutcomeUnknown {
            location: location.to_owned(),
            reason: format!(
                "the server did not confirm the commit within {} s; a synchronous standby that is away is waited for \
                 without end, so see whether one is (`SHOW synchronous_standby_names`)",
                COMMIT_TIMEOUT.as_secs()
            ),
        }),
    }
}

#[cfg(test)]
mod tests;
