//! Moving a whole installation.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::Topic;
use hostatlas_store::{
    COPY_TABLES, CopyProgress, CopyStore, CopyTable, CopyValue, NEW_WITH_ROWS, StoreError,
};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, PgConnection, Postgres, Row, TypeInfo, ValueRef,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use crate::{
    PostgresStore,
    database::touch,
    error::{corrupt, engine},
    rows::storable,
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
        let source: Arc<str> = source.into();
        self.database
            .write(move |connection, _| {
                let source = Arc::clone(&source);
                Box::pin(async move { begin(connection, &source).await })
            })
            .await
    }

    async fn copy_read(
        &self,
        table: &CopyTable,
        after: Option<&[CopyValue]>,
        limit: u32,
    ) -> Result<Vec<Vec<CopyValue>>, StoreError> {
        let (table, after) = (*table, after.map(Arc::<[CopyValue]>::from));
        self.database
            .read(move |connection, _| {
                let after = after.clone();
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
        let (table, rows) = (*table, Arc::new(rows));
        self.database
            .write(move |connection, _| {
                let rows = Arc::clone(&rows);
                Box::pin(async move { write(connection, &table, &rows, done).await })
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
            after: key_of(&after)?,
            copied: u64::try_from(copied).map_err(|_| corrupt("a count of copied rows"))?,
            done: done != 0,
        });
    }
    Ok(progress)
}

async fn read(
    connection: &mut PgConnection,
    table: &CopyTable,
    after: Option<&[CopyValue]>,
    limit: u32,
) -> Result<Vec<Vec<CopyValue>>, StoreError> {
    let keys = table.columns[..table.key].join(", ");
    let types = types(connection, table).await?;
    let condition = match after {
        None => String::new(),
        Some(after) if after.len() == table.key => {
            let parameters: Vec<_> = types[..table.key]
                .iter()
                .zip(1..)
                .map(|(kind, at)| format!("${at}::{}", kind.wide()))
                .collect();
            format!("WHERE ({keys}) > ({})", parameters.join(", "))
        }
        Some(_) => return Err(corrupt("a key of a copy")),
    };
    let statement = format!(
        "SELECT {} FROM {} {condition} ORDER BY {keys} LIMIT {limit}",
        table.columns.join(", "),
        table.name
    );
    // Planned for this key: how much of the table lies behind it decides which way is short.
    let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    let query = after.into_iter().flatten().fold(query, bind);
    let rows = query.fetch_all(connection).await.map_err(engine)?;
    rows.iter().map(|row| (0..table.columns.len()).map(|column| value(row, column)).collect()).collect()
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnType {
    /// A whole number, in this type.
    Number(&'static str),
    Text,
    Bytes,
}

impl ColumnType {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "int2" => Self::Number("smallint"),
            "int4" => Self::Number("integer"),
            "int8" => Self::Number("bigint"),
            "text" => Self::Text,
            "bytea" => Self::Bytes,
            _ => return None,
        })
    }

    /// The type of its parameters: numbers travel as the widest.
    fn wide(self) -> &'static str {
        match self {
            Self::Number(_) => "bigint",
            Self::Text => "text",
            Self::Bytes => "bytea",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Number(name) => name,
            Self::Text => "text",
            Self::Bytes => "bytea",
        }
    }
}

/// The types of a table's columns, in their order.
async fn types(connection: &mut PgConnection, table: &CopyTable) -> Result<Vec<ColumnType>, StoreError> {
    let names: Vec<Option<String>> = sqlx::query_scalar(
        "SELECT t.typname::text FROM unnest($2::text[]) WITH ORDINALITY AS wanted (name, place) \
         LEFT JOIN pg_attribute AS a ON a.attrelid = to_regclass($1) AND a.attname = wanted.name \
         LEFT JOIN pg_type AS t ON t.oid = a.atttypid ORDER BY wanted.place",
    )
    .bind(table.name)
    .bind(table.columns)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let known = |name: Option<String>| name.as_deref().and_then(ColumnType::of);
    names.into_iter().map(|name| known(name).ok_or_else(|| corrupt("a type of column"))).collect()
}

async fn write(
    connection: &mut PgConnection,
    table: &CopyTable,
    rows: &[Vec<CopyValue>],
    done: bool,
) -> Result<(), StoreError> {
    if rows.iter().any(|row| row.len() != table.columns.len()) {
        return Err(corrupt("a row with more or fewer values than its table has columns"));
    }
    if !rows.is_empty() {
        let types = types(connection, table).await?;
        let arrays: Vec<_> = types
            .iter()
            .zip(1..)
            .map(|(kind, at)| match kind {
                ColumnType::Number("bigint") | ColumnType::Text | ColumnType::Bytes => {
                    format!("${at}::{}[]", kind.name())
                }
                ColumnType::Number(narrow) => format!("${at}::bigint[]::{narrow}[]"),
            })
            .collect();
        let statement = format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({})",
            table.name,
            table.columns.join(", "),
            arrays.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for (column, kind) in types.iter().enumerate() {
            query = bind_column(query, rows, column, *kind)?;
        }
        query.execute(&mut *connection).await.map_err(engine)?;
    }
    let after = rows.last().map(|row| key_text(&row[..table.key]));
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
    if written.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Conflict("no copy is under way into the database".to_owned()))
    }
}

type Insert<'q> = Query<'q, Postgres, PgArguments>;

/// Binds one column of `rows` as an array.
fn bind_column<'q>(
    query: Insert<'q>,
    rows: &[Vec<CopyValue>],
    column: usize,
    kind: ColumnType,
) -> Result<Insert<'q>, StoreError> {
    let wrong = || corrupt("a value of another type than its column's");
    let values = rows.iter().map(|row| &row[column]);
    Ok(match kind {
        ColumnType::Number(_) => {
            let number = |value: &CopyValue| match value {
                CopyValue::Null => Ok(None),
                CopyValue::Integer(number) => Ok(Some(*number)),
                CopyValue::Text(_) | CopyValue::Bytes(_) => Err(wrong()),
            };
            query.bind(values.map(number).collect::<Result<Vec<Option<i64>>, _>>()?)
        }
        ColumnType::Text => {
            let text = |value: &CopyValue| match value {
                CopyValue::Null => Ok(None),
                CopyValue::Text(text) => Ok(Some(storable(text).into_owned())),
                CopyValue::Integer(_) | CopyValue::Bytes(_) => Err(wrong()),
            };
            query.bind(values.map(text).collect::<Result<Vec<Option<String>>, _>>()?)
        }
        ColumnType::Bytes => {
            let bytes = |value: &CopyValue| match value {
                CopyValue::Null => Ok(None),
                CopyValue::Bytes(bytes) => Ok(Some(bytes.clone())),
                CopyValue::Integer(_) | CopyValue::Text(_) => Err(wrong()),
            };
            query.bind(values.map(bytes).collect::<Result<Vec<Option<Vec<u8>>>, _>>()?)
        }
    })
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

fn bind<'q>(query: Insert<'q>, value: &CopyValue) -> Insert<'q> {
    match value {
        CopyValue::Null => query.bind(None::<i64>),
        CopyValue::Integer(number) => query.bind(*number),
        CopyValue::Text(text) => query.bind(text.clone()),
        CopyValue::Bytes(bytes) => query.bind(bytes.clone()),
    }
}

fn value(row: &PgRow, column: usize) -> Result<CopyValue, StoreError> {
    let raw = row.try_get_raw(column).map_err(engine)?;
    if raw.is_null() {
        return Ok(CopyValue::Null);
    }
    let kind = raw.type_info();
    Ok(match kind.name() {
        "INT2" => CopyValue::Integer(row.try_get::<i16, _>(column).map_err(engine)?.into()),
        "INT4" => CopyValue::Integer(row.try_get::<i32, _>(column).map_err(engine)?.into()),
        "INT8" => CopyValue::Integer(row.try_get(column).map_err(engine)?),
        "TEXT" => CopyValue::Text(row.try_get(column).map_err(engine)?),
        "BYTEA" => CopyValue::Bytes(row.try_get(column).map_err(engine)?),
        _ => return Err(corrupt("a type of value")),
    })
}

/// A key as JSON: bytes are an array of numbers, which nothing else is.
fn key_text(key: &[CopyValue]) -> String {
    let value = |value: &CopyValue| match value {
        CopyValue::Null => Value::Null,
        CopyValue::Integer(number) => json!(number),
        CopyValue::Text(text) => json!(text),
        CopyValue::Bytes(bytes) => json!(bytes),
    };
    Value::Array(key.iter().map(value).collect()).to_string()
}

fn key_of(text: &str) -> Result<Option<Vec<CopyValue>>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    let unknown = || corrupt("a key of a copy");
    let values: Vec<Value> = serde_json::from_str(text).map_err(|_| unknown())?;
    let value = |value: Value| match value {
        Value::Null => Ok(CopyValue::Null),
        Value::Number(number) => number.as_i64().map(CopyValue::Integer).ok_or_else(unknown),
        Value::String(text) => Ok(CopyValue::Text(text)),
        bytes @ Value::Array(_) => serde_json::from_value(bytes).map(CopyValue::Bytes).map_err(|_| unknown()),
        _ => Err(unknown()),
    };
    values.into_iter().map(value).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_as_it_was() {
        let key = vec![
            CopyValue::Integer(i64::MIN),
            CopyValue::Text("a \"name\"".to_owned()),
            CopyValue::Bytes(vec![0, 255]),
            CopyValue::Null,
        ];
        assert_eq!(key_of(&key_text(&key)).expect("a key"), Some(key));
        assert_eq!(key_of("").expect("no key"), None);
        assert!(key_of("{}").is_err() && key_of("[1.5]").is_err());
    }
}
