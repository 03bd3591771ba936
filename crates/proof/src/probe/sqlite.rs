//! What a proof sees of an `SQLite` file behind the back of the program that owns it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::Space;

/// Each job by the end that it came to, and how often; each host by how often something was written about it.
/// The second end of a job, or the second write for one job about a host, is what must not happen.
const EFFECTS: &str = "
CREATE TABLE job_effect (job INTEGER PRIMARY KEY, times INTEGER NOT NULL) STRICT;
CREATE TRIGGER job_effect_seen AFTER UPDATE OF state ON job WHEN NEW.state = 4
BEGIN
    INSERT INTO job_effect (job, times) VALUES (NEW.id, 1) ON CONFLICT (job) DO UPDATE SET times = times + 1;
END;
CREATE TABLE host_effect (host INTEGER PRIMARY KEY, times INTEGER NOT NULL) STRICT;
CREATE TRIGGER host_effect_seen AFTER UPDATE OF attempted_at ON host WHEN NEW.attempted_at IS NOT NULL
BEGIN
    INSERT INTO host_effect (host, times) VALUES (NEW.id, 1) ON CONFLICT (host) DO UPDATE SET times = times + 1;
END;
";

/// What has to be true of every file at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) hosts: i64,
    pub(crate) jobs: i64,
    pub(crate) completed: i64,
    /// Jobs that came to an end more than once.
    pub(crate) jobs_twice: i64,
    /// Hosts that were written about more than once.
    pub(crate) hosts_twice: i64,
    /// Jobs that are completed without an effect, or have one without being completed.
    pub(crate) disagree: i64,
}

/// A connection of one's own.
pub(crate) struct SqliteProbe {
    path: PathBuf,
    connection: SqliteConnection,
}

impl SqliteProbe {
    /// To read.
    pub(crate) async fn reading(path: &Path) -> anyhow::Result<Self> {
        Self::open(path, true).await
    }

    /// To write, only while nobody else does.
    pub(crate) async fn writing(path: &Path) -> anyhow::Result<Self> {
        Self::open(path, false).await
    }

    async fn open(path: &Path, read_only: bool) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(read_only)
            .busy_timeout(Duration::from_secs(10))
            // A file without its log would be copied and removed by whoever closes it last; the owner does that.
            .pragma("wal_autocheckpoint", "0")
            .disable_statement_logging();
        let connection = options.connect().await.with_context(|| path.display().to_string())?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// Makes the tables that show what is applied twice.
    pub(crate) async fn watch_effects(&mut self) -> anyhow::Result<()> {
        self.run(EFFECTS).await
    }

    /// Runs statements that answer nothing.
    pub(crate) async fn run(&mut self, sql: &'static str) -> anyhow::Result<()> {
        sqlx::raw_sql(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    /// What the engine finds wrong with the whole file; `ok` if nothing.
    pub(crate) async fn integrity(&mut self) -> anyhow::Result<String> {
        Ok(sqlx::query_scalar("PRAGMA integrity_check(5)").fetch_one(&mut self.connection).await?)
    }

    /// Jobs of any kind that are done, by the counter that every finish moves.
    pub(crate) async fn completed(&mut self) -> anyhow::Result<i64> {
        self.number("SELECT coalesce(sum(n), 0) FROM job_count WHERE state = 4").await
    }

    /// Jobs that wait or run, by the counters.
    pub(crate) async fn live(&mut self) -> anyhow::Result<i64> {
        self.number("SELECT coalesce(sum(n), 0) FROM job_count WHERE state < 4").await
    }

    /// Jobs in the table, by the counters.
    pub(super) async fn jobs(&mut self) -> anyhow::Result<i64> {
        self.number("SELECT coalesce(sum(n), 0) FROM job_count").await
    }

    /// What the file and its log take.
    pub(super) fn space(&self) -> Space {
        // A log that is not there has no bytes.
        let bytes = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        let (file, log) = (bytes(&self.path), bytes(&self.path.with_extension("db-wal")));
        Space { file, log, ..Space::default() }
    }

    /// Effects that were applied more than once.
    pub(crate) async fn applied_twice(&mut self) -> anyhow::Result<i64> {
        self.number(
            "SELECT (SELECT count(*) FROM job_effect WHERE times > 1) \
             + (SELECT count(*) FROM host_effect WHERE times > 1)",
        )
        .await
    }

    /// One number.
    pub(crate) async fn number(&mut self, sql: &'static str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.connection).await?)
    }

    /// A column of numbers.
    pub(crate) async fn list(&mut self, sql: &'static str) -> anyhow::Result<Vec<i64>> {
        Ok(sqlx::query_scalar(sql).fetch_all(&mut self.connection).await?)
    }

    /// Counts everything, in full.
    pub(crate) async fn count(&mut self) -> anyhow::Result<Counted> {
        Ok(Counted {
            hosts: self.number("SELECT count(*) FROM host").await?,
            jobs: self.number("SELECT count(*) FROM job").await?,
            completed: self.number("SELECT count(*) FROM job WHERE state = 4").await?,
            jobs_twice: self.number("SELECT count(*) FROM job_effect WHERE times > 1").await?,
            hosts_twice: self.number("SELECT count(*) FROM host_effect WHERE times > 1").await?,
            disagree: self
                .number(
                    "SELECT (SELECT count(*) FROM job WHERE state = 4 AND id NOT IN (SELECT job FROM job_effect)) \
                     + (SELECT count(*) FROM job_effect WHERE job NOT IN (SELECT id FROM job WHERE state = 4)) \
                     + (SELECT count(*) FROM host WHERE location_state = 1 AND id NOT IN (SELECT host FROM host_effect))",
                )
                .await?,
        })
    }

    /// Closes it.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        Ok(self.connection.close().await?)
    }
}
