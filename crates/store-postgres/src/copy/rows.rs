//! Rows of any table, out of it and into it.

use hostatlas_store::{CopyTable, CopyValue, StoreError};
use sqlx::{
    AssertSqlSafe, PgConnection, Postgres, Row, TypeInfo, ValueRef,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::columns::{ColumnType, types};
use crate::{
    error::{corrupt, engine},
    rows::storable,
};

type Insert<'q> = Query<'q, Postgres, PgArguments>;

/// The next rows of a table by key.
pub(super) async fn read(
    connection: &mut PgConnection,
    table: &CopyTable,
    after: Option<&[CopyValue]>,
    limit: u32,
) -> Result<Vec<Vec<CopyValue>>, StoreError> {
    let keys = table.columns[..table.key].join(", ");
    let types = types(&mut *connection, table).await?;
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

/// Writes rows in one statement, each column as an array.
pub(super) async fn write(
    connection: &mut PgConnection,
    table: &CopyTable,
    rows: &[Vec<CopyValue>],
) -> Result<(), StoreError> {
    if rows.iter().any(|row| row.len() != table.columns.len()) {
        return Err(corrupt("a row with more or fewer values than its table has columns"));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let types = types(&mut *connection, table).await?;
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
    query.execute(connection).await.map_err(engine)?;
    Ok(())
}

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
