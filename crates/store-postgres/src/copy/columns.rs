//! What the columns of a table hold, as the server's catalogue says.

use hostatlas_store::{CopyTable, StoreError};
use sqlx::PgConnection;

use crate::error::{corrupt, engine};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
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
    pub(super) fn wide(self) -> &'static str {
        match self {
            Self::Number(_) => "bigint",
            Self::Text => "text",
            Self::Bytes => "bytea",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Number(name) => name,
            Self::Text => "text",
            Self::Bytes => "bytea",
        }
    }
}

/// The types of a table's columns, in their order.
pub(super) async fn types(
    connection: &mut PgConnection,
    table: &CopyTable,
) -> Result<Vec<ColumnType>, StoreError> {
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
