//! Which of the indexes that only lists need are made or dropped, and when.

use std::time::Duration;

use hostatlas_store::StoreError;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::{
    database::{ACQUIRE_TIMEOUT, Database},
    error::{SILENT, code, code_of, engine, opening, since_connected},
    indexes::{Index, indexes},
};

/// The number of the lock of whoever makes or drops indexes: `HATL` and 3.
const INDEX_LOCK: i64 = 0x4841_544c_0000_0003;
/// How long an index may be in the making. It hinders nobody, but a server that is cut off must be given up on.
const INDEX_TIMEOUT: Duration = Duration::from_hours(1);

/// An index that lists read and bulk work pays for.
struct ListIndex {
    name: &'static str,
    make: &'static str,
    drop: &'static str,
    /// Whether locating a host moves an entry of it.
    moves: bool,
}

macro_rules! list_index {
    ($name:literal, $on:literal, $moves:literal) => {
        ListIndex {
            name: $name,
            make: concat!("CREATE INDEX CONCURRENTLY IF NOT EXISTS ", $name, " ON ", $on),
            drop: concat!("DROP INDEX CONCURRENTLY IF EXISTS ", $name),
            moves: $moves,
        }
    };
}

const INDEXES: [ListIndex; 6] = [
    list_index!("service_port", "service (port, host)", false),
    list_index!("host_first_seen", "host (first_seen, id)", false),
    list_index!("host_last_seen", "host (last_seen, id)", false),
    list_index!("host_place", "host (place, address)", true),
    list_index!("host_network", "host (network, address)", true),
    list_index!("host_located_at", "host (located_at, id)", true),
];

/// Hosts waiting to be located from which dropping and rebuilding three indexes is cheaper than keeping them.
const BULK: i64 = 100_000;
/// An import that has recorded nothing for so long is over, or its process died.
const QUIET_MILLIS: i64 = 60_000;

/// What decides about indexes.
struct Load {
    present: Vec<Index>,
    located: i64,
    pending_live: i64,
    is_importing: bool,
}

impl Load {
    /// Whether most of a large database is about to be located.
    fn is_bulk_locating(&self) -> bool {
        self.pending_live > BULK && self.pending_live > self.located
    }

    fn find(&self, index: &ListIndex) -> Option<&Index> {
        self.present.iter().find(|present| present.name == index.name)
    }

    /// What is left of a build that was cut off.
    fn torso(&self) -> Option<&'static ListIndex> {
        INDEXES.iter().find(|index| self.find(index).is_some_and(Index::is_torso))
    }

    fn in_the_way(&self) -> Option<&'static ListIndex> {
        let is_in_the_way =
            |index: &&ListIndex| index.moves && self.find(index).is_some_and(|it| it.is_valid);
        if self.is_bulk_locating() { INDEXES.iter().find(is_in_the_way) } else { None }
    }

    /// The next index to make.
    fn missing(&self) -> Option<&'static ListIndex> {
        let may = |index: &&ListIndex| !(self.is_importing || index.moves && self.pending_live > BULK);
        INDEXES.iter().filter(may).find(|index| self.find(index).is_none())
    }

    /// What is to be done next; nothing where all is as it should be.
    fn statements(&self) -> Vec<&'static str> {
        match (self.torso(), self.in_the_way(), self.missing()) {
            (Some(index), _, _) | (None, Some(index), _) => vec![index.drop],
            (None, None, Some(index)) => {
                let table =
                    if index.name.starts_with("service") { "ANALYZE service" } else { "ANALYZE host" };
                vec![index.make, table]
            }
            (None, None, None) => Vec::new(),
        }
    }
}

/// The statements that the indexes need next, for [`alone`]; none where they are as they should be.
pub(super) async fn due(database: &Database) -> Result<Vec<&'static str>, StoreError> {
    let load = database.read(|connection, now| Box::pin(load(connection, now))).await?;
    Ok(load.statements())
}

async fn load(connection: &mut PgConnection, now: i64) -> Result<Load, StoreError> {
    let present = indexes(connection).await?;
    let (located, pending_live, is_importing): (i64, i64, bool) = sqlx::query_as(
        "WITH counted AS (SELECT name, key, n FROM counter UNION ALL SELECT name, key, n FROM counter_delta)
         SELECT coalesce((SELECT sum(n)::bigint FROM counted WHERE name = 'state' AND key = 1), 0),
                coalesce((SELECT sum(n)::bigint FROM counted WHERE name = 'pending_live' AND key = 0), 0),
                EXISTS (SELECT 1 FROM import WHERE state = 0 AND reported_at > $1)",
    )
    .bind(now - QUIET_MILLIS)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    Ok(Load { present, located, pending_live, is_importing })
}

/// Runs statements that may not stand in a transaction, in a session of their own: they take as long as they take.
/// Answers whether they could be run; two processes that want that do not wait for each other.
pub(super) async fn alone(database: &Database, statements: &[&'static str]) -> Result<bool, StoreError> {
    let work = async {
        let begun = tokio::time::timeout(ACQUIRE_TIMEOUT, session(database)).await;
        let Some(mut connection) = begun.map_err(|_| database.unreachable(SILENT))?? else {
            return Ok(false);
        };
        for statement in statements {
            if let Err(error) = sqlx::raw_sql(*statement).execute(&mut connection).await {
                let is_hindered = matches!(code_of(&error), Some(code::LOCK_TIMEOUT | code::DEADLOCK));
                return if is_hindered {
                    Ok(false)
                } else {
                    Err(since_connected(&database.location, engine(error)).error)
                };
            }
        }
        // What was asked for is done, however the session ends.
        let _ = tokio::time::timeout(ACQUIRE_TIMEOUT, connection.close()).await;
        Ok(true)
    };
    let too_long = StoreError::TookTooLong { what: "an index was not made in its time" };
    tokio::time::timeout(INDEX_TIMEOUT, work).await.map_err(|_| too_long)?
}

/// A session for indexes; none while another process has one.
async fn session(database: &Database) -> Result<Option<PgConnection>, StoreError> {
    let options = database.listening.as_ref().unwrap_or(&database.options);
    let mut connection = options.connect().await.map_err(|error| opening(&database.location, error))?;
    if database.listening.is_none() {
        // What is told to a pooler's session, and what is held in it, stays for the next who gets it.
        return Ok(Some(connection));
    }
    let patience = INDEX_TIMEOUT.as_millis().to_string();
    // An index that is made while others work waits for each of their transactions. The locks of the session, too, end
    // with it.
    let is_ours: bool = sqlx::query_scalar(
        "SELECT pg_try_advisory_lock($1) FROM set_config('statement_timeout', $2, false) AS statements, \
         set_config('lock_timeout', $2, false) AS locks",
    )
    .bind(INDEX_LOCK)
    .bind(patience)
    .fetch_one(&mut connection)
    .await
    .map_err(engine)?;
    Ok(is_ours.then_some(connection))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(located: i64, pending_live: i64, is_importing: bool, names: &[&str]) -> Load {
        let present = (1..).zip(names).map(|(id, name)| Index {
            id,
            name: (*name).to_owned(),
            is_valid: true,
            is_being_built: false,
        });
        Load { present: present.collect(), located, pending_live, is_importing }
    }

    #[test]
    fn indexes_that_locating_moves_are_made_once_it_is_over() {
        let next = |load: Load| load.missing().map(|index| index.name);
        assert_eq!(next(load(0, 1_000_000, false, &["service_port"])), Some("host_first_seen"));
        assert_eq!(next(load(1_000_000, 0, true, &[])), None);
        let others = ["service_port", "host_first_seen", "host_last_seen"];
        assert_eq!(next(load(1_000_000, 0, false, &others)), Some("host_place"));
        assert_eq!(next(load(0, 1_000_000, false, &others)), None);
    }

    #[test]
    fn bulk_locating_drops_what_it_would_move() {
        let next = |load: Load| load.in_the_way().map(|index| index.name);
        assert_eq!(next(load(0, 100_001, false, &["service_port", "host_place"])), Some("host_place"));
        assert_eq!(next(load(200_000, 100_001, false, &["host_place"])), None);
        assert_eq!(next(load(0, 100_000, false, &["host_place"])), None);
    }

    #[test]
    fn an_index_that_was_cut_off_is_dropped_and_one_in_the_making_is_left_alone() {
        let mut found = load(0, 0, false, &["host_place"]);
        found.present[0].is_valid = false;
        assert_eq!(found.torso().map(|index| index.name), Some("host_place"));
        found.present[0].is_being_built = true;
        assert!(found.torso().is_none());
    }
}
