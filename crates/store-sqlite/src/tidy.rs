//! Housekeeping between batches.

use std::{ffi::OsString, fs, path::Path};

use hostatlas_store::StoreError;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::{
    database::{Database, Size},
    error::engine,
    lock::PATIENCE,
};

/// An index that lists read and bulk work pays for.
struct ListIndex {
    name: &'static str,
    make: &'static str,
    drop: &'static str,
    /// Whether locating a host moves an entry of it.
    moves: bool,
}

const INDEXES: [ListIndex; 6] = [
    ListIndex {
        name: "service_port",
        make: "CREATE INDEX IF NOT EXISTS service_port ON service (port, host)",
        drop: "DROP INDEX IF EXISTS service_port",
        moves: false,
    },
    ListIndex {
        name: "host_first_seen",
        make: "CREATE INDEX IF NOT EXISTS host_first_seen ON host (first_seen, id)",
        drop: "DROP INDEX IF EXISTS host_first_seen",
        moves: false,
    },
    ListIndex {
        name: "host_last_seen",
        make: "CREATE INDEX IF NOT EXISTS host_last_seen ON host (last_seen, id)",
        drop: "DROP INDEX IF EXISTS host_last_seen",
        moves: false,
    },
    ListIndex {
        name: "host_place",
        make: "CREATE INDEX IF NOT EXISTS host_place ON host (place, address)",
        drop: "DROP INDEX IF EXISTS host_place",
        moves: true,
    },
    ListIndex {
        name: "host_network",
        make: "CREATE INDEX IF NOT EXISTS host_network ON host (network, address)",
        drop: "DROP INDEX IF EXISTS host_network",
        moves: true,
    },
    ListIndex {
        name: "host_located_at",
        make: "CREATE INDEX IF NOT EXISTS host_located_at ON host (located_at, id)",
        drop: "DROP INDEX IF EXISTS host_located_at",
        moves: true,
    },
];

/// Hosts waiting to be located from which dropping and rebuilding three indexes is cheaper than keeping them.
const BULK: i64 = 100_000;
/// An import that has recorded nothing for so long is over, or its process died.
const QUIET_MILLIS: i64 = 60_000;
/// Bytes of write-ahead log that are cut even though the engine keeps the file: readers held it open while it grew.
const LONG_LOG: u64 = 96 << 20;

/// What decides about indexes.
struct Load {
    present: Vec<String>,
    located: i64,
    pending_live: i64,
    is_importing: bool,
}

impl Load {
    /// Whether most of a large database is about to be located.
    fn is_bulk_locating(&self) -> bool {
        self.pending_live > BULK && self.pending_live > self.located
    }

    fn has(&self, index: &ListIndex) -> bool {
        self.present.iter().any(|name| name == index.name)
    }

    /// The next index to make. One at a time: each holds the write lock for up to a second per million rows.
    fn missing(&self) -> Option<&'static ListIndex> {
        let may = |index: &&ListIndex| !(self.is_importing || index.moves && self.pending_live > BULK);
        INDEXES.iter().filter(may).find(|index| !self.has(index))
    }
}

/// See [`hostatlas_store::AdminStore::tidy`].
pub(crate) async fn tidy(database: &Database) -> Result<bool, StoreError> {
    let mut did = shorten_log(database).await?;
    let load = database.read(|connection, now| Box::pin(load(connection, now))).await?;
    if load.is_bulk_locating() {
        let in_the_way: Vec<_> = INDEXES.iter().filter(|index| index.moves && load.has(index)).collect();
        for index in in_the_way {
            run(database, index.drop).await?;
            did = true;
        }
    }
    if let Some(index) = load.missing() {
        run(database, index.make).await?;
        // The planner knows an index by its statistics; they are bounded in time by `analysis_limit`.
        run(database, "PRAGMA analysis_limit = 400; PRAGMA optimize").await?;
        did = true;
    }
    Ok(did)
}

async fn load(connection: &mut SqliteConnection, now: i64) -> Result<Load, StoreError> {
    let present = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'index'")
        .fetch_all(&mut *connection)
        .await
        .map_err(engine)?;
    let (located, pending_live, is_importing): (i64, i64, bool) = sqlx::query_as(
        "SELECT coalesce((SELECT n FROM counter WHERE name = 'state' AND key = 1), 0),
                coalesce((SELECT n FROM counter WHERE name = 'pending_live' AND key = 0), 0),
                EXISTS (SELECT 1 FROM import WHERE state = 0 AND reported_at > ?1)",
    )
    .bind(now - QUIET_MILLIS)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    Ok(Load { present, located, pending_live, is_importing })
}

async fn run(database: &Database, statement: &'static str) -> Result<(), StoreError> {
    database
        .write(Size::Bulk, move |connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(statement).execute(connection).await.map_err(engine)?;
                Ok(())
            })
        })
        .await
}

/// Cuts the write-ahead log where it has grown past its limit.
async fn shorten_log(database: &Database) -> Result<bool, StoreError> {
    if log_bytes(&database.path) < LONG_LOG {
        return Ok(false);
    }
    database
        .outside(|connection, _| {
            Box::pin(async move {
                // It waits for readers with the lock held, so not for long; the next housekeeping tries again.
                sqlx::raw_sql("PRAGMA busy_timeout = 100").execute(&mut *connection).await.map_err(engine)?;
                let cut = sqlx::query_as::<_, (i64, i64, i64)>("PRAGMA wal_checkpoint(TRUNCATE)");
                let cut = cut.fetch_one(&mut *connection).await.map_err(engine);
                let patience = format!("PRAGMA busy_timeout = {}", PATIENCE.as_millis());
                sqlx::raw_sql(AssertSqlSafe(patience)).execute(&mut *connection).await.map_err(engine)?;
                let (busy, _, _) = cut?;
                Ok(busy == 0)
            })
        })
        .await
}

fn log_bytes(path: &Path) -> u64 {
    let mut name = OsString::from(path);
    name.push("-wal");
    fs::metadata(name).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(located: i64, pending_live: i64, is_importing: bool) -> Load {
        Load { present: vec!["service_port".to_owned()], located, pending_live, is_importing }
    }

    #[test]
    fn indexes_that_locating_moves_are_made_once_it_is_over() {
        let next = |load: Load| load.missing().map(|index| index.name);
        assert_eq!(next(load(0, 1_000_000, false)), Some("host_first_seen"));
        assert_eq!(next(load(1_000_000, 0, true)), None);
        let mut located = load(1_000_000, 0, false);
        located.present.extend(["host_first_seen", "host_last_seen"].map(str::to_owned));
        assert_eq!(located.missing().map(|index| index.name), Some("host_place"));
    }

    #[test]
    fn bulk_locating_is_most_of_a_large_database() {
        let bulk = [(0, 100_001), (200_000, 100_001), (0, 100_000)]
            .map(|(located, pending)| load(located, pending, false).is_bulk_locating());
        assert_eq!(bulk, [true, false, false]);
    }
}
