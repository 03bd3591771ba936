//! Moving a whole installation.

use async_trait::async_trait;
use hostatlas_domain::Topic;
use hostatlas_store::{
    COPY_TABLES, CopyProgress, CopyStore, CopyTable, CopyValue, NEW_WITH_ROWS, StoreError,
    backend::{copy_key, copy_key_text},
};
use sqlx::{
    AssertSqlSafe, Row, Sqlite, SqliteConnection, TypeInfo, ValueRef, query::Query, sqlite::SqliteArguments,
    sqlite::SqliteRow,
};

use crate::{
    SqliteStore,
    database::{Size, next_map_number, touch},
    error::{corrupt, engine},
    rows,
};

/// What a person changed in the rows that a new database has.
const CHANGED_BY_A_PERSON: [&str; 2] = [
    "SELECT 'job_kind' WHERE EXISTS (SELECT 1 FROM job_kind WHERE paused_at IS NOT NULL OR cap IS NOT NULL)",
    "SELECT 'schedule' WHERE EXISTS (SELECT 1 FROM schedule WHERE asked_at IS NOT NULL \
     OR (task, rule, paused_at IS NOT NULL) NOT IN (VALUES (0, 'every 1d', false), (1, 'every 1m', false), \
        (2, 'every 1d', false), (3, '0 3 * * *', true)))",
];

#[async_trait]
impl CopyStore for SqliteStore {
    // Every counter is in its place: each transaction puts it there.
    async fn copy_source(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn copy_begin(&self, source: &str) -> Result<Vec<CopyProgress>, StoreError> {
        let source = source.to_owned();
        self.database.write(Size::Bulk, move |connection, _| Box::pin(begin(connection, source))).await
    }

    async fn copy_read(
        &self,
        table: &CopyTable,
        after: Option<&[CopyValue]>,
        limit: u32,
    ) -> Result<Vec<Vec<CopyValue>>, StoreError> {
        let (table, after) = (*table, after.map(<[CopyValue]>::to_vec));
        self.database
            .read(move |connection, _| {
                Box::pin(async move { read(connection, &table, after.as_deref(), limit).await })
            })
            .await
    }

    async fn copy_write(
        &self,
        table: &CopyTable,
        rows: Vec<Vec<CopyValue>>,
        done: bool,
    ) -> Result<(), StoreError> {
        let table = *table;
        self.database
            .write(Size::Bulk, move |connection, _| {
                Box::pin(async move { write(connection, &table, &rows, done).await })
            })
            .await
    }

    async fn copy_unfinished(&self) -> Result<Option<String>, StoreError> {
        self.database.read(|connection, _| Box::pin(unfinished(connection))).await
    }

    async fn copy_discard(&self) -> Result<(), StoreError> {
        self.database.write(Size::Bulk, |connection, _| Box::pin(discard(connection))).await
    }

    async fn copy_end(&self) -> Result<(), StoreError> {
        self.database.write(Size::Bulk, |connection, _| Box::pin(end(connection))).await
    }
}

/// Refuses what should work on the rows of an installation while they still come.
pub(crate) async fn refuse_half(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    match unfinished(connection).await? {
        None => Ok(()),
        Some(source_location) => Err(StoreError::CopyUnfinished { source_location }),
    }
}

/// From where rows still come.
async fn unfinished(connection: &mut SqliteConnection) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar("SELECT source FROM copying LIMIT 1").fetch_optional(connection).await.map_err(engine)
}

async fn begin(connection: &mut SqliteConnection, source: String) -> Result<Vec<CopyProgress>, StoreError> {
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
        sqlx::query("INSERT INTO copying (name, source, after, copied, done) VALUES (?1, ?2, '', 0, 0)")
            .bind(table.name)
            .bind(&source)
            .execute(&mut *connection)
            .await
            .map_err(engine)?;
    }
    progress(connection).await
}

/// Refuses a database in which anything is that a new one has not. When recurring work ran last is no such thing.
async fn refuse_used(connection: &mut SqliteConnection) -> Result<(), StoreError> {
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
async fn empty(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    for table in COPY_TABLES {
        let statement = format!("DELETE FROM {}", table.name);
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.map_err(engine)?;
    }
    Ok(())
}

async fn discard(connection: &mut SqliteConnection) -> Result<(), StoreError> {
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

async fn progress(connection: &mut SqliteConnection) -> Result<Vec<CopyProgress>, StoreError> {
    let mut progress = Vec::with_capacity(COPY_TABLES.len());
    for table in COPY_TABLES {
        let (after, copied, done): (String, i64, bool) =
            sqlx::query_as("SELECT after, copied, done FROM copying WHERE name = ?1")
                .bind(table.name)
                .fetch_one(&mut *connection)
                .await
                .map_err(engine)?;
        progress.push(CopyProgress {
            name: table.name.to_owned(),
            after: copy_key(&after)?,
            copied: u64::try_from(copied).map_err(|_| corrupt("a count of copied rows"))?,
            done,
        });
    }
    Ok(progress)
}

async fn read(
    connection: &mut SqliteConnection,
    table: &CopyTable,
    after: Option<&[CopyValue]>,
    limit: u32,
) -> Result<Vec<Vec<CopyValue>>, StoreError> {
    let keys = table.columns.iter().take(table.key).copied().collect::<Vec<_>>().join(", ");
    let condition = if after.is_some() {
        let parameters = vec!["?"; table.key].join(", ");
        format!("WHERE ({keys}) > ({parameters})")
    } else {
        String::new()
    };
    let statement = format!(
        "SELECT {} FROM {} {condition} ORDER BY {keys} LIMIT ?",
        table.columns.join(", "),
        table.name
    );
    let query = after.into_iter().flatten().fold(sqlx::query(AssertSqlSafe(statement)), bind);
    let rows = query.bind(limit).fetch_all(connection).await.map_err(engine)?;
    rows.iter().map(|row| (0..table.columns.len()).map(|column| value(row, column)).collect()).collect()
}

async fn write(
    connection: &mut SqliteConnection,
    table: &CopyTable,
    rows: &[Vec<CopyValue>],
    done: bool,
) -> Result<(), StoreError> {
    if unfinished(connection).await?.is_none() {
        return Err(StoreError::Conflict("no copy is under way into the database".to_owned()));
    }
    let columns = table.columns.len();
    if rows.iter().any(|row| row.len() != columns) {
        return Err(corrupt("a row with more or fewer values than its table has columns"));
    }
    let head = format!("INSERT INTO {} ({}) VALUES", table.name, table.columns.join(", "));
    let row = format!("({})", vec!["?"; columns].join(","));
    rows::insert(connection, [&head, &row, ""], rows, |query, row| row.iter().fold(query, bind)).await?;
    let after = rows.last().map(|row| copy_key_text(&row[..table.key]));
    sqlx::query(
        "UPDATE copying SET after = coalesce(?2, after), copied = copied + ?3, done = ?4 WHERE name = ?1",
    )
    .bind(table.name)
    .bind(after)
    .bind(i64::try_from(rows.len()).unwrap_or(i64::MAX))
    .bind(done)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

async fn end(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    // New hosts and jobs are numbered after the copied ones: the engine notes the highest number of each table itself.
    let number = next_map_number(connection).await?;
    sqlx::query("UPDATE place SET changed = ?1")
        .bind(number)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    sqlx::query("DELETE FROM copying").execute(&mut *connection).await.map_err(engine)?;
    touch(connection, &Topic::ALL).await
}

fn bind<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    value: &CopyValue,
) -> Query<'q, Sqlite, SqliteArguments> {
    match value {
        CopyValue::Null => query.bind(None::<i64>),
        CopyValue::Integer(number) => query.bind(*number),
        CopyValue::Text(text) => query.bind(text.clone()),
        CopyValue::Bytes(bytes) => query.bind(bytes.clone()),
    }
}

fn value(row: &SqliteRow, column: usize) -> Result<CopyValue, StoreError> {
    let raw = row.try_get_raw(column).map_err(engine)?;
    if raw.is_null() {
        return Ok(CopyValue::Null);
    }
    let kind = raw.type_info();
    Ok(match kind.name() {
        "INTEGER" => CopyValue::Integer(row.try_get(column).map_err(engine)?),
        "TEXT" => CopyValue::Text(row.try_get(column).map_err(engine)?),
        "BLOB" => CopyValue::Bytes(row.try_get(column).map_err(engine)?),
        _ => return Err(corrupt("a type of value")),
    })
}
