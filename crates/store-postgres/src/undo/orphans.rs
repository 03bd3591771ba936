//! Jobs whose host went away.

use hostatlas_domain::Topic;
use hostatlas_store::StoreError;
use sqlx::PgConnection;

use super::WINDOW;
use crate::{
    counters::{JobDelta, touch},
    database::Database,
    error::engine,
    jobs::state_of,
};

/// Removes jobs that were asked for while their host went away.
pub(super) async fn sweep(database: &Database) -> Result<u64, StoreError> {
    let mut removed = 0;
    let mut after = Some(0);
    while let Some(from) = after {
        let (jobs, next) = database.write(move |connection, _| Box::pin(take(connection, from))).await?;
        removed += jobs;
        after = next;
    }
    Ok(removed)
}

/// Removes jobs whose host is gone, among the next jobs after `from`; answers how many, and where to go on.
async fn take(connection: &mut PgConnection, from: i64) -> Result<(u64, Option<i64>), StoreError> {
    let (last, orphans): (Option<i64>, Option<Vec<i64>>) = sqlx::query_as(
        "SELECT max(id), array_agg(id ORDER BY id)
             FILTER (WHERE NOT EXISTS (SELECT FROM host WHERE host.id = job.host))
         FROM (SELECT id, host FROM job WHERE id > $1 ORDER BY id LIMIT $2) AS job",
    )
    .bind(from)
    .bind(WINDOW)
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    let Some(last) = last else { return Ok((0, None)) };
    let Some(orphans) = orphans else { return Ok((0, Some(last))) };
    let removed: Vec<(i16, i16)> = sqlx::query_as(
        "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE id = ANY($1) ORDER BY id FOR UPDATE)
         RETURNING kind, state",
    )
    .bind(orphans)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let mut jobs = JobDelta::default();
    for (kind, state) in &removed {
        jobs.add_stored(*kind, state_of(*state)?, -1);
    }
    jobs.write(connection).await?;
    touch(connection, &[Topic::Jobs]).await?;
    Ok((removed.len() as u64, Some(last)))
}
