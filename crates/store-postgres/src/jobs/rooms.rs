//! How many more jobs of each kind may run.

use hostatlas_domain::JobKind;
use hostatlas_store::StoreError;
use sqlx::PgConnection;

use super::{kind_of, numbers};
use crate::error::engine;

/// The kinds of these that are not paused, in the order of their numbers, with the room that each has, at most `limit`.
///
/// The row of a kind with a cap is locked until the transaction ends: who claims such jobs does so one after the other,
/// and sees what the one before took.
pub(super) async fn rooms(
    connection: &mut PgConnection,
    kinds: &[JobKind],
    limit: u32,
) -> Result<Vec<(JobKind, u32)>, StoreError> {
    let mut rooms = read(connection, UNLOCKED, &numbers(kinds)).await?;
    let capped = rooms.iter().filter(|(_, cap)| cap.is_some()).map(|(kind, _)| *kind).collect::<Vec<_>>();
    if !capped.is_empty() {
        let capped = numbers(&capped);
        let locked = read(connection, LOCKED, &capped).await?;
        // A statement of its own: it sees what those that held the lock before committed.
        let running: Vec<(i16, i64)> =
            sqlx::query_as("SELECT kind, count(*) FROM job WHERE state = 3 AND kind = ANY($1) GROUP BY kind")
                .bind(&capped)
                .fetch_all(connection)
                .await
                .map_err(engine)?;
        rooms.retain(|(_, cap)| cap.is_none());
        for (kind, cap) in locked {
            let running = running.iter().find(|(number, _)| *number == i16::from(kind.number()));
            let running = running.map_or(0, |(_, jobs)| *jobs);
            rooms.push((kind, cap.map(|cap| (cap - running).max(0))));
        }
        rooms.sort_unstable_by_key(|(kind, _)| kind.number());
    }
    let room = |(kind, room): (JobKind, Option<i64>)| {
        let room = room.and_then(|room| u32::try_from(room).ok()).map_or(limit, |room| room.min(limit));
        (kind, room)
    };
    Ok(rooms.into_iter().map(room).filter(|(_, room)| *room > 0).collect())
}

const UNLOCKED: &str =
    "SELECT kind, cap::bigint FROM job_kind WHERE kind = ANY($1) AND paused_at IS NULL ORDER BY kind";
const LOCKED: &str = "SELECT kind, cap::bigint FROM job_kind WHERE kind = ANY($1) AND paused_at IS NULL \
    ORDER BY kind FOR UPDATE";

/// Kinds that are not paused, with their caps.
async fn read(
    connection: &mut PgConnection,
    statement: &'static str,
    kinds: &[i16],
) -> Result<Vec<(JobKind, Option<i64>)>, StoreError> {
    let rows: Vec<(i16, Option<i64>)> =
        sqlx::query_as(statement).bind(kinds).fetch_all(connection).await.map_err(engine)?;
    rows.into_iter().map(|(kind, cap)| Ok((kind_of(kind)?, cap))).collect()
}
