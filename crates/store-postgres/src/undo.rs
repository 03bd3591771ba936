//! Undoing an import, in bounded transactions. The import is marked first, so that it records nothing more; whoever
//! dies in the middle is continued by undoing again.
//!
//! The search walks over the tables in windows of their keys: an import's rows have no index of their own, and no
//! statement reads more than a window.

mod hosts;
mod orphans;
mod services;

use hostatlas_domain::{ImportId, Topic, Undone};
use hostatlas_store::StoreError;
use sqlx::PgConnection;

use crate::{counters::touch, database::Database, error::engine};

/// Rows that one search reads.
const WINDOW: i64 = 20_000;
/// Hosts a transaction: with their services, jobs and history some ten thousand rows.
const HOSTS_AT_ONCE: usize = 2_000;
/// Services a transaction.
const SERVICES_AT_ONCE: usize = 5_000;

/// See [`hostatlas_store::ImportStore::import_undo`].
pub(crate) async fn undo(database: &Database, id: ImportId) -> Result<Undone, StoreError> {
    database.write(move |connection, now| Box::pin(mark(connection, now, id))).await?;
    let mut undone = Undone::default();
    let mut after = 0;
    while let Some((last, hosts)) =
        database.read(move |connection, _| Box::pin(hosts::next(connection, id.0, after))).await?
    {
        for hosts in hosts.chunks(HOSTS_AT_ONCE) {
            let removed =
                database.write(move |connection, _| Box::pin(hosts::take(connection, id.0, hosts.to_vec())));
            let removed = removed.await?;
            undone.hosts += removed.hosts;
            undone.services += removed.services;
            undone.jobs += removed.jobs;
        }
        after = last;
    }
    let mut after = (0, 0, 0);
    while let Some((last, services)) =
        database.read(move |connection, _| Box::pin(services::next(connection, id.0, after))).await?
    {
        for services in services.chunks(SERVICES_AT_ONCE) {
            let removed = database
                .write(move |connection, _| Box::pin(services::take(connection, id.0, services.to_vec())));
            undone.services += removed.await?;
        }
        after = last;
    }
    undone.jobs += orphans::sweep(database).await?;
    Ok(undone)
}

async fn mark(connection: &mut PgConnection, now: i64, id: ImportId) -> Result<(), StoreError> {
    let marked =
        sqlx::query("UPDATE import SET state = 2, finished_at = coalesce(finished_at, $2) WHERE id = $1")
            .bind(id.0)
            .bind(now)
            .execute(&mut *connection)
            .await
            .map_err(engine)?;
    if marked.rows_affected() == 0 {
        return Err(StoreError::UnknownImport(id));
    }
    touch(connection, &[Topic::Imports]).await
}
