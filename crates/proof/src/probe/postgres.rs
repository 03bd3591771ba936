//! What a proof sees of a database of a `PostgreSQL` server behind the back of who works in it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use super::Space;

/// How long the server may take to come back.
const COMES_BACK: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// As for `SQLite`: the second end of a job, or the second write for one job about a host, is what must not happen.
const EFFECTS: &str = "
CREATE TABLE job_effect (job bigint PRIMARY KEY, times integer NOT NULL);
CREATE FUNCTION job_effect_seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_effect (job, times) VALUES (NEW.id, 1)
    ON CONFLICT (job) DO UPDATE SET times = job_effect.times + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER job_effect_seen AFTER UPDATE OF state ON job FOR EACH ROW
WHEN (NEW.state = 4) EXECUTE FUNCTION job_effect_seen();
CREATE TABLE host_effect (host bigint PRIMARY KEY, times integer NOT NULL);
CREATE FUNCTION host_effect_seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO host_effect (host, times) VALUES (NEW.id, 1)
    ON CONFLICT (host) DO UPDATE SET times = host_effect.times + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER host_effect_seen AFTER UPDATE OF attempted_at ON host FOR EACH ROW
WHEN (NEW.attempted_at IS NOT NULL) EXECUTE FUNCTION host_effect_seen();
";

/// A connection of one's own, which comes back after the server did.
pub(crate) struct PostgresProbe {
    url: String,
    connection: Option<PgConnection>,
}

impl PostgresProbe {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), connection: None }
    }

    /// Makes the tables that show what is applied twice.
    pub(crate) async fn watch_effects(&mut self) -> anyhow::Result<()> {
        self.run(EFFECTS).await
    }

    /// Runs statements that answer nothing.
    pub(crate) async fn run(&mut self, sql: &'static str) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let connection = self.connection().await?;
            match sqlx::raw_sql(sql).execute(connection).await {
                Ok(_) => return Ok(()),
                Err(error) => self.again(error, began).await?,
            }
        }
    }

    /// One number.
    pub(crate) async fn number(&mut self, sql: &'static str) -> anyhow::Result<i64> {
        let began = Instant::now();
        loop {
            let connection = self.connection().await?;
            match sqlx::query_scalar(sql).fetch_one(connection).await {
                Ok(number) => return Ok(number),
                Err(error) => self.again(error, began).await?,
            }
        }
    }

    /// Rows of two numbers, asked for with a list of numbers.
    pub(crate) async fn pairs(&mut self, sql: &'static str, with: &[i64]) -> anyhow::Result<Vec<(i64, i64)>> {
        let began = Instant::now();
        loop {
            let connection = self.connection().await?;
            match sqlx::query_as(sql).bind(with).fetch_all(connection).await {
                Ok(rows) => return Ok(rows),
                Err(error) => self.again(error, began).await?,
            }
        }
    }

    /// What each table takes with its indexes.
    pub(super) async fn space(&mut self) -> anyhow::Result<Space> {
        let sql = "SELECT relname::text, pg_total_relation_size(oid) FROM pg_class \
                   WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace";
        let connection = self.connection().await?;
        let sizes: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(connection).await?;
        let sizes = sizes.into_iter().map(|(table, bytes)| (table, u64::try_from(bytes).unwrap_or(0)));
        let tables: BTreeMap<String, u64> = sizes.collect();
        Ok(Space { file: tables.values().sum(), tables, ..Space::default() })
    }

    /// Jobs that are done.
    pub(crate) async fn completed(&mut self) -> anyhow::Result<i64> {
        self.number(
            "SELECT (coalesce((SELECT sum(n) FROM job_count WHERE state = 4), 0)
                   + coalesce((SELECT sum(n) FROM job_count_delta WHERE state = 4), 0))::bigint",
        )
        .await
    }

    /// Jobs that wait or run.
    pub(crate) async fn live(&mut self) -> anyhow::Result<i64> {
        self.number(
            "SELECT (coalesce((SELECT sum(n) FROM job_count WHERE state < 4), 0)
                   + coalesce((SELECT sum(n) FROM job_count_delta WHERE state < 4), 0))::bigint",
        )
        .await
    }

    /// Jobs in the table, by the counters.
    pub(super) async fn jobs(&mut self) -> anyhow::Result<i64> {
        let sql = "SELECT (coalesce((SELECT sum(n) FROM job_count), 0)
                                 + coalesce((SELECT sum(n) FROM job_count_delta), 0))::bigint";
        self.number(sql).await
    }

    /// Effects that were applied more than once.
    pub(crate) async fn applied_twice(&mut self) -> anyhow::Result<i64> {
        self.number(
            "SELECT (SELECT count(*) FROM job_effect WHERE times > 1)
                  + (SELECT count(*) FROM host_effect WHERE times > 1)",
        )
        .await
    }

    async fn connection(&mut self) -> anyhow::Result<&mut PgConnection> {
        if self.connection.is_none() {
            let options: PgConnectOptions = self.url.parse()?;
            let options = options.application_name("proof").disable_statement_logging();
            let began = Instant::now();
            self.connection = loop {
                match options.connect().await {
                    Ok(connection) => break Some(connection),
                    Err(error) if began.elapsed() > COMES_BACK => return Err(error.into()),
                    Err(_) => tokio::time::sleep(LOOK).await,
                }
            };
        }
        self.connection.as_mut().context("a connection was just made")
    }

    /// After an error: a lost connection is made again, for a while.
    async fn again(&mut self, error: sqlx::Error, began: Instant) -> anyhow::Result<()> {
        let refused = matches!(&error, sqlx::Error::Database(refusal) if !refusal.code().is_some_and(|code| code.starts_with("57")));
        if refused || began.elapsed() > COMES_BACK {
            return Err(error.into());
        }
        self.connection = None;
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.connection {
            Some(connection) => Ok(connection.close().await?),
            None => Ok(()),
        }
    }
}
