//! The indexes that the database has, as the server's catalogue says.

use hostatlas_store::StoreError;
use sqlx::PgConnection;

use crate::error::engine;

/// An index as it is found.
pub(crate) struct Index {
    /// Its number in the catalogue.
    pub(crate) id: i64,
    pub(crate) name: String,
    /// Whether it is complete.
    pub(crate) is_valid: bool,
    pub(crate) is_being_built: bool,
}

impl Index {
    /// Whether it is what is left of a build that was cut off.
    pub(crate) fn is_torso(&self) -> bool {
        !self.is_valid && !self.is_being_built
    }
}

/// The indexes of our schema, by name.
pub(crate) async fn indexes(connection: &mut PgConnection) -> Result<Vec<Index>, StoreError> {
    let rows: Vec<(i64, String, bool, bool)> = sqlx::query_as(
        "SELECT index.indexrelid::bigint, class.relname::text, index.indisvalid, \
                EXISTS (SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid = index.indexrelid)
         FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indexrelid
         WHERE class.relnamespace = current_schema()::regnamespace ORDER BY class.relname",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let index = |(id, name, is_valid, is_being_built)| Index { id, name, is_valid, is_being_built };
    Ok(rows.into_iter().map(index).collect())
}
