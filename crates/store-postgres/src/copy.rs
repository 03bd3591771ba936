//! Moving a whole installation.

mod columns;
mod rows;

use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::Topic;
use hostatlas_store::{
    COPY_TABLES, CopyProgress, CopyStore, CopyTable, CopyValue, NEW_WITH_ROWS, StoreError,
    backend::{copy_key, copy_key_text},
};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{
    PostgresStore,
    counters::touch,
    error::{corrupt, engine},
    tidy,
};

/// How long the last step may take: it reads samples of all tables and touches every place.
const END_TIMEOUT: Duration = Duration::from_mins(10);

/// What a person changed in the rows that a new database has.
const CHANGED_BY_A_PERSON: [&str; 2] = [
    "SELECT 'job_kind' WHERE EXISTS (SELECT 1 FROM job_kind WHERE paused_at IS NOT NULL OR cap IS NOT NULL)",
    "SELECT 'schedule' WHERE EXISTS (SELECT 1 FROM schedule WHERE asked_at IS NOT NULL \
     OR (task, rule, paused_at IS NOT NULL) NOT IN (VALUES (0, 'every 1d', false), (1, 'every 1m', false), \
        (2, 'every 1d', false), (3, '0 3 * * *', true)))",
];

#[async_trait]
impl CopyStore for PostgresStore {
    async fn copy_source(&self) -> Result<(), StoreError> {
        tidy::fold_all(&self.database).await
    }

    async fn copy_begin(&self, source: &str) -> Result<Vec<CopyProgress>, StoreError> {
        self.database
            .write_with(source.to_owned(), |connection, _, source| Box::pin(begin(connection, source)))
            .await
    }

    async fn copy_read(
        &self,
        table: &CopyTable,
        after: Option<&[CopyValue]>,
        limit: u32,
    ) -> Result<Vec<Vec<CopyValue>>, StoreError> {
        let wanted = (*table, after.map(<[CopyValue]>::to_vec));
        self.database
            .read_with(wanted, move |connection, _, (table, after)| {
                Box::pin(rows::read(connection, table, after.as_deref(), limit))
            })
            .await
    }

    async fn copy_write(
        &self,
        table: &CopyTable,
        rows: Vec<Vec<CopyValue>>,
        done: bool,
    ) -> Result<(), StoreError> {
        self.database
            .write_with((*table, rows), move |connection, _, (table, rows)| {
                Box::pin(write(connection, table, rows, done))
            })
            .await
    }

    async fn copy_unfinished(&self) -> Result<Option<String>, StoreError> {
        self.database.read(|connection, _| Box::pin(unfinished(connection))).await
    }

    async fn copy_discard(&self) -> Result<(), StoreError> {
        self.database.write_within(END_TIMEOUT, |connection, _| Box::pin(discard(connection))).await
    }

    async fn copy_end(&self) -> Result<(), StoreError> {
        self.database.write_within(END_TIMEOUT, |connection, _| Box::pin(end(connection))).await
    }
}

/// Refuses what should work on the rows of an installation while they still come.
pub(crate) async fn refuse_half(connection: &mut PgConnection) -> Result<(), StoreError> {
    match unfinished(connection).await? {
        None => Ok(()),
        Some(source_location) => Err(StoreError::CopyUnfinished { source_location }),
    }
}

/// From where rows still come.
async fn unfinished(connection: &mut PgConnection) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar("SELECT source FROM copying LIMIT 1").fetch_optional(connection).await.map_err(engine)
}

async fn begin(connection: &mut PgConnection, source: &str) -> Result<Vec<CopyProgress>, StoreError> {
    // Two that begin at once do so one after the other; what else begins, an import for one, is seen, or sees this.
    let tables: Vec<_> = COPY_TABLES.iter().map(|table| table.name).collect();
    let statement = format!("LOCK TABLE copying, {} IN SHARE ROW EXCLUSIVE MODE", tables.join(", "));
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.map_err(engine)?;
    match unfinished(connection).await? {
        Some(begun) if begun == source => return progress(connection).await,
        Some(begun) => {
            return Err(StoreError::Conflict(format!("a copy from `{begun}` is under way into it")));
        }
        None => {}
    }
    refuse_used(connection).await?;
    empty(connection).await?;
    for table in COPY_TABLES {
        sqlx::query("INSERT INTO copying (name, source, after, copied, done) VALUES ($1, $2, '', 0, 0)")
            .bind(table.name)
            .bind(source)
            .execute(&mut *connection)
            .await
            .map_err(engine)?;
    }
    progress(connection).await
}

/// Refuses a database in which anything is that a new one has not. When recurring work ran last is no such thing.
async fn refuse_used(connection: &mut PgConnection) -> Result<(), StoreError> {
    let tables = COPY_TABLES.iter().map(|table| table.name).filter(|name| !NEW_WITH_ROWS.contains(name));
    let with_rows = tables.map(|name| format!("SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})"));
    let statement =
        with_rows.chain(CHANGED_BY_A_PERSON.map(str::to_owned)).collect::<Vec<_>>().join(" UNION ALL ");
    let used: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!("{statement} LIMIT 1")))
        .fetch_optional(connection)
        .await
        .map_err(engine)?;
    match used {
        None => Ok(()),
        Some(table) => {
            let reason = format!("it is not empty: `{table}` is not as a new database has it");
            Err(StoreError::Conflict(reason))
        }
    }
}

/// Removes what migrations made, and what a copy brought.
async fn empty(connection: &mut PgConnection) -> Result<(), StoreError> {
    let tables: Vec<_> = COPY_TABLES.iter().map(|table| table.name).collect();
    let statement = format!("TRUNCATE counter_delta, job_count_delta, place_delta, {}", tables.join(", "));
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map_err(engine)?;
    Ok(())
}

async fn discard(connection: &mut PgConnection) -> Result<(), StoreError> {
    if unfinished(connection).await?.is_none() {
        return Ok(());
    }
    empty(connection).await?;
    sqlx::raw_sql("UPDATE copying SET after = '', copied = 0, done = 0")
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

async fn progress(connection: &mut PgConnection) -> Result<Vec<CopyProgress>, StoreError> {
    let mut progress = Vec::with_capacity(COPY_TABLES.len());
    for table in COPY_TABLES {
        let (after, copied, done): (String, i64, i16) =
            sqlx::query_as("SELECT after, copied, done FROM copying WHERE name = $1")
                .bind(table.name)
                .fetch_one(&mut *connection)
                .await
                .map_err(engine)?;
        progress.push(CopyProgress {
            name: table.name.to_owned(),
            after: copy_key(&after)?,
            copied: u64::try_from(copied).map_err(|_| corrupt("a count of copied rows"))?,
            done: done != 0,
        });
    }
    Ok(progress)
}

/// Takes rows while a copy is under way, and notes how far it is.
async fn write(
    connection: &mut PgConnection,
    table: &CopyTable,
    rows: &[Vec<CopyValue>],
    done: bool,
) -> Result<(), StoreError> {
    let not_begun = || StoreError::Conflict("no copy is under way into the database".to_owned());
    // Asked before as well as afterwards: rows that are there already would be an error of the engine.
    if unfinished(connection).await?.is_none() {
        return Err(not_begun());
    }
    rows::write(connection, table, rows).await?;
    let after = rows.last().map(|row| copy_key_text(&row[..table.key]));
    let written = sqlx::query(
        "UPDATE copying SET after = coalesce($2, after), copied = copied + $3, done = $4 WHERE name = $1",
    )
    .bind(table.name)
    .bind(after)
    .bind(i64::try_from(rows.len()).unwrap_or(i64::MAX))
    .bind(i16::from(done))
    .execute(connection)
    .await
    .map_err(engine)?;
    if written.rows_affected() == 1 { Ok(()) } else { Err(not_begun()) }
}

async fn end(connection: &mut PgConnection) -> Result<(), StoreError> {
    for table in COPY_TABLES.iter().filter(|table| table.columns.first() == Some(&"id")) {
        // Identity columns do not notice numbers that were given to them.
        let statement = format!(
            "SELECT setval(pg_get_serial_sequence('{0}', 'id'), greatest(max(id), 1), max(id) IS NOT NULL) FROM {0}",
            table.name
        );
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await.map_err(engine)?;
    }
    sqlx::raw_sql(
        "UPDATE place SET changed = pg_current_xact_id()::text::bigint;
         DELETE FROM copying",
    )
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    for table in COPY_TABLES {
        // The planner knows nothing yet of what came, and would read whole tables.
        let statement = format!("ANALYZE {}", table.name);
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.map_err(engine)?;
    }
    touch(connection, &Topic::ALL).await
}
