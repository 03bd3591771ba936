//! How many more jobs of each kind may run.

use hostatlas_domain::{JobId, JobKind, JobState};
use hostatlas_store::StoreError;
use sqlx::SqliteConnection;

use super::{KINDS, claim::Kinds, kind_of};
use crate::{
    error::{corrupt, engine},
    packed::id_array,
};

/// Room for each kind: none where it is paused or at its cap.
pub(super) struct Rooms([u32; JobKind::ALL.len()]);

impl Rooms {
    /// Room for one kind.
    pub(super) fn of(&self, kind: JobKind) -> u32 {
        self.0[usize::from(kind.number())]
    }

    /// The kinds that have any.
    pub(super) fn open(&self) -> Kinds {
        JobKind::ALL
            .into_iter()
            .filter(|kind| self.of(*kind) > 0)
            .fold(0, |mask, kind| mask | (1 << kind.number()))
    }

    /// Whether a kind of these has room for fewer than `limit`.
    pub(super) fn bind(&self, kinds: Kinds, limit: u32) -> bool {
        JobKind::ALL.into_iter().any(|kind| kinds & (1 << kind.number()) != 0 && self.of(kind) < limit)
    }
}

/// The kinds of which none may run.
pub(super) async fn paused(connection: &mut SqliteConnection) -> Result<Kinds, StoreError> {
    let mask: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(1 << kind), 0) FROM job_kind WHERE (paused_at IS NOT NULL OR cap = 0) AND kind < ?1",
    )
    .bind(KINDS)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    Kinds::try_from(mask).map_err(|_| corrupt("a kind of job"))
}

/// Looks at pauses, caps and what runs; jobs in `except` run, too.
///
/// It is a statement of its own: as a condition of the others it would be asked for every waiting job of such a kind.
pub(super) async fn rooms(connection: &mut SqliteConnection, except: &[JobId]) -> Result<Rooms, StoreError> {
    let mut rooms = Rooms([u32::MAX; JobKind::ALL.len()]);
    let bound: Vec<(i64, bool, Option<i64>, i64)> = sqlx::query_as(
        "SELECT kind, paused_at IS NOT NULL, cap, \
         coalesce((SELECT n FROM job_count WHERE job_count.kind = job_kind.kind AND state = ?1), 0) \
         FROM job_kind WHERE (paused_at IS NOT NULL OR cap IS NOT NULL) AND kind < ?2",
    )
    .bind(JobState::Running.number())
    .bind(KINDS)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let mut capped = false;
    for (kind, paused, cap, running) in bound {
        let room = &mut rooms.0[usize::from(kind_of(kind)?.number())];
        *room = match cap {
            _ if paused => 0,
            Some(cap) => u32::try_from((cap - running).max(0)).unwrap_or(u32::MAX),
            None => u32::MAX,
        };
        capped |= cap.is_some();
    }
    if capped && !except.is_empty() {
        let in_flight: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT kind, count(*) FROM job WHERE id IN (SELECT value FROM json_each(?1)) AND state < 3 GROUP BY kind",
        )
        .bind(id_array(except.iter().map(|job| job.0)))
        .fetch_all(connection)
        .await
        .map_err(engine)?;
        for (kind, jobs) in in_flight {
            let room = &mut rooms.0[usize::from(kind_of(kind)?.number())];
            if *room < u32::MAX {
                *room = room.saturating_sub(u32::try_from(jobs).unwrap_or(u32::MAX));
            }
        }
    }
    Ok(rooms)
}
