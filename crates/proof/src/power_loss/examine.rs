//! Opens a database as the machine would after it came back, and reads all of it.

use std::{hash::Hasher, path::Path};

use anyhow::{Context, bail};
use hostatlas_store::AdminStore;
use hostatlas_store_sqlite::{OpenMode, OpenOptions, SqliteStore};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};

/// Stands for everything that a database holds, every column of every row of every table.
pub(super) type Digest = u64;

/// What an image holds.
pub(super) struct Examined {
    /// What the engine's own check says; `ok` if all is well.
    pub(super) integrity: String,
    /// What it holds.
    pub(super) digest: Digest,
    /// The ids of its jobs.
    pub(super) jobs: Vec<i64>,
    /// How many counts of jobs are not what the jobs say.
    pub(super) wrong_counts: i64,
}

async fn connect(path: &Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
    Ok(options.synchronous(SqliteSynchronous::Full).pragma("wal_autocheckpoint", "0").connect().await?)
}

/// Runs one statement.
pub(super) async fn execute(path: &Path, statement: &'static str) -> anyhow::Result<()> {
    let mut connection = connect(path).await?;
    sqlx::query(statement).fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// What a database holds that others may have open.
pub(super) async fn digest(path: &Path) -> anyhow::Result<Digest> {
    let mut connection = connect(path).await?;
    let digest = digest_of(&mut connection).await?;
    connection.close().await?;
    Ok(digest)
}

async fn digest_of(connection: &mut SqliteConnection) -> anyhow::Result<Digest> {
    let tables: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT s.name, group_concat('quote(\"' || c.name || '\")', ',' ORDER BY c.cid), iif(count(*) > 2, '1, 2, 3', '1') \
         FROM sqlite_schema AS s \
         JOIN pragma_table_info(s.name) AS c WHERE s.type = 'table' GROUP BY s.name ORDER BY s.name",
    )
    .fetch_all(&mut *connection)
    .await?;
    // The first columns are a key in every table, so the order is the same whatever the file's layout.
    let of_table = |(name, columns, key): &(String, String, String)| {
        let rows = format!("SELECT * FROM \"{name}\" ORDER BY {key}");
        format!("(SELECT group_concat(concat_ws(',', {columns}), ';') FROM ({rows}))")
    };
    let columns: Vec<String> = tables.iter().map(of_table).collect();
    let statement = format!("SELECT {}", columns.join(", "));
    let row = sqlx::query(AssertSqlSafe(statement)).fetch_one(&mut *connection).await?;
    let mut hasher = std::hash::DefaultHasher::new();
    for (at, (name, ..)) in tables.iter().enumerate() {
        let rows: Option<&str> = row.try_get(at)?;
        hasher.write(name.as_bytes());
        hasher.write(rows.unwrap_or_default().as_bytes());
        hasher.write_u8(0);
    }
    Ok(hasher.finish())
}

/// Reads all of an image. An error is what a person would see: the database could not be opened or read.
pub(super) async fn examine(path: &Path) -> anyhow::Result<Examined> {
    let mut connection = connect(path).await.context("opening")?;
    let integrity: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check(3)").fetch_all(&mut connection).await?;
    let digest = digest_of(&mut connection).await?;
    let jobs = sqlx::query_scalar("SELECT id FROM job").fetch_all(&mut connection).await?;
    let wrong_counts = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT sum(n) AS off FROM (SELECT kind, state, n FROM job_count \
         UNION ALL SELECT kind, state, -1 FROM job) GROUP BY kind, state) WHERE off <> 0",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok(Examined { integrity: integrity.join("; "), digest, jobs, wrong_counts })
}

/// Opens an image as a program that is started again does, and lets it compare itself with itself. An error is what that
/// program or `db check` would say.
pub(super) async fn open_by_store(path: &Path) -> anyhow::Result<()> {
    let options = OpenOptions::new(path.display().to_string(), OpenMode::Existing);
    let store = SqliteStore::open(options).await.context("opening")?;
    let checked = store.check().await;
    store.close().await;
    let report = checked.context("comparing")?;
    match report.findings.first() {
        Some(found) => bail!("{}: {} ({} findings)", found.check, found.detail, report.findings.len()),
        None => Ok(()),
    }
}
