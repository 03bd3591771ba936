//! Housekeeping: adding up differences, and the list indexes.

use std::{future::Future, pin::pin, time::Duration};

use hostatlas_store::StoreError;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::{
    database::{ACQUIRE_TIMEOUT, Database},
    error::{SILENT, code, code_of, engine, opening, since_connected},
};

/// The number of the lock under which differences are added up: `HATL` and 2.
const LOCK: i64 = 0x4841_544c_0000_0002;
/// The number of the lock of whoever makes or drops indexes: `HATL` and 3.
const INDEX_LOCK: i64 = 0x4841_544c_0000_0003;
/// Differences that one transaction adds up: some 0.2 s, so that nobody waits long for the rows it holds.
const FOLDED_AT_ONCE: i64 = 50_000;
/// How often differences are added up while an index is in the making.
const FOLD_EVERY: Duration = Duration::from_secs(1);
/// How long an index may be in the making. It hinders nobody, but a server that is cut off must be given up on.
const INDEX_TIMEOUT: Duration = Duration::from_hours(1);

/// Each moves up to `$1` differences into what they are differences of, and answers how many rows that were.
const FOLDS: [&str; 4] = [
    "WITH gone AS (
         DELETE FROM counter_delta WHERE ctid = ANY (ARRAY(SELECT ctid FROM counter_delta LIMIT $1))
         RETURNING name, key, n
     ), folded AS (
         INSERT INTO counter (name, key, n)
         SELECT name, key, sum(n)::bigint FROM gone GROUP BY name, key ORDER BY name, key
         ON CONFLICT (name, key) DO UPDATE SET n = counter.n + excluded.n
     ) SELECT count(*) FROM gone",
    "WITH gone AS (
         DELETE FROM job_count_delta WHERE ctid = ANY (ARRAY(SELECT ctid FROM job_count_delta LIMIT $1))
         RETURNING kind, state, n
     ), folded AS (
         INSERT INTO job_count (kind, state, n)
         SELECT kind, state, sum(n)::bigint FROM gone GROUP BY kind, state ORDER BY kind, state
         ON CONFLICT (kind, state) DO UPDATE SET n = job_count.n + excluded.n
     ) SELECT count(*) FROM gone",
    // The number of a place stays that of the last transaction whose difference was added up: adding it up changes
    // nothing that anybody sees, so whoever was told of the difference is not told again. It moves also where the
    // differences cancel out: somebody may have read the place between the two. Differences are taken in any order, so
    // it never falls; but a number ahead of this server's came with a copy from another one, would be told of to nobody,
    // and gives way.
    "WITH present AS MATERIALIZED (
         SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next
     ), gone AS (
         DELETE FROM place_delta WHERE ctid = ANY (ARRAY(SELECT ctid FROM place_delta LIMIT $1))
         RETURNING place, n, xact::text::bigint AS number
     ), sums AS (
         SELECT place, sum(n)::bigint AS n, max(number) FILTER (WHERE number < next) AS number
         FROM gone CROSS JOIN present GROUP BY place
     ), held AS MATERIALIZED (
         SELECT place.id, sums.n, sums.number FROM place JOIN sums ON sums.place = place.id ORDER BY place.id
         FOR NO KEY UPDATE OF place
     ), folded AS (
         UPDATE place SET hosts = hosts + held.n,
             changed = greatest(held.number, CASE WHEN place.changed < present.next THEN place.changed ELSE 0 END)
         FROM held CROSS JOIN present WHERE place.id = held.id
     ) SELECT count(*) FROM gone",
    "WITH gone AS (
         DELETE FROM change_delta WHERE ctid = ANY (ARRAY(SELECT ctid FROM change_delta LIMIT $1))
         RETURNING topic
     ), folded AS (
         UPDATE change SET number = number + sums.n
         FROM (SELECT topic, count(*) AS n FROM gone GROUP BY topic) AS sums WHERE change.topic = sums.topic
     ) SELECT count(*) FROM gone",
];

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

/// An index as it is found.
struct Present {
    name: String,
    is_valid: bool,
    is_being_built: bool,
}

/// What decides about indexes.
struct Load {
    present: Vec<Present>,
    located: i64,
    pending_live: i64,
    is_importing: bool,
}

impl Load {
    /// Whether most of a large database is about to be located.
    fn is_bulk_locating(&self) -> bool {
        self.pending_live > BULK && self.pending_live > self.located
    }

    fn find(&self, index: &ListIndex) -> Option<&Present> {
        self.present.iter().find(|present| present.name == index.name)
    }

    /// What is left of a build that was cut off.
    fn torso(&self) -> Option<&'static ListIndex> {
        let is_torso = |present: &Present| !present.is_valid && !present.is_being_built;
        INDEXES.iter().find(|index| self.find(index).is_some_and(is_torso))
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
}

/// See [`hostatlas_store::AdminStore::tidy`]. Any number of processes may call it; those that come second do nothing.
pub(crate) async fn tidy(database: &Database) -> Result<bool, StoreError> {
    let is_more = fold(database).await?;
    let load = database.read(|connection, now| Box::pin(load(connection, now))).await?;
    let statements = match (load.torso(), load.in_the_way(), load.missing()) {
        (Some(index), _, _) | (None, Some(index), _) => vec![index.drop],
        (None, None, Some(index)) => {
            let table = if index.name.starts_with("service") { "ANALYZE service" } else { "ANALYZE host" };
            vec![index.make, table]
        }
        (None, None, None) => return Ok(is_more),
    };
    Ok(while_folding(database, alone(database, &statements)).await? || is_more)
}

/// Adds up differences while an index is in the making: that takes as long as the longest transaction of anybody.
async fn while_folding(
    database: &Database,
    making: impl Future<Output = Result<bool, StoreError>>,
) -> Result<bool, StoreError> {
    let mut making = pin!(making);
    loop {
        tokio::select! {
            made = &mut making => return made,
            () = tokio::time::sleep(FOLD_EVERY) => {
                // To give the index up for that would be no help.
                if let Err(error) = fold(database).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "Differences could not be added up yet");
                }
            }
        }
    }
}

/// Adds up some differences, unless somebody else does; answers whether there may be more.
async fn fold(database: &Database) -> Result<bool, StoreError> {
    let mut is_more = false;
    for statement in FOLDS {
        is_more |= database
            .write(move |connection, _| {
                Box::pin(async move {
                    // It ends with the transaction, so it does not outlive us behind a pooler.
                    let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
                        .bind(LOCK)
                        .fetch_one(&mut *connection)
                        .await
                        .map_err(engine)?;
                    if is_ours { add_up(connection, statement).await } else { Ok(false) }
                })
            })
            .await?;
    }
    Ok(is_more)
}

/// Answers whether there may be more to add up. Whoever calls it has the lock.
async fn add_up(connection: &mut PgConnection, statement: &'static str) -> Result<bool, StoreError> {
    let folded: i64 =
        sqlx::query_scalar(statement).bind(FOLDED_AT_ONCE).fetch_one(connection).await.map_err(engine)?;
    Ok(folded >= FOLDED_AT_ONCE)
}

/// Adds up every difference that was committed before. Only for a database on which nobody works: what others write
/// meanwhile stays a difference. Somebody else who adds up is waited for: what they hold is not in its place yet.
pub(crate) async fn fold_all(database: &Database) -> Result<(), StoreError> {
    let add_up_some = |statement| {
        database.write(move |connection, _| {
            Box::pin(async move {
                sqlx::query("SELECT pg_advisory_xact_lock($1)")
                    .bind(LOCK)
                    .execute(&mut *connection)
                    .await
                    .map_err(engine)?;
                add_up(connection, statement).await
            })
        })
    };
    for statement in FOLDS {
        while add_up_some(statement).await? {}
    }
    Ok(())
}

async fn load(connection: &mut PgConnection, now: i64) -> Result<Load, StoreError> {
    let present: Vec<(String, bool, bool)> = sqlx::query_as(
        "SELECT class.relname::text, index.indisvalid,
                EXISTS (SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid = index.indexrelid)
         FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indexrelid
         WHERE class.relnamespace = current_schema()::regnamespace",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let present = present.into_iter();
    let present =
        present.map(|(name, is_valid, is_being_built)| Present { name, is_valid, is_being_built }).collect();
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
async fn alone(database: &Database, statements: &[&'static str]) -> Result<bool, StoreError> {
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
                    Err(since_connected(&database.location, engine(error)).0)
                };
            }
        }
        // What was asked for is done, however the session ends.
        let _ = tokio::time::timeout(ACQUIRE_TIMEOUT, connection.close()).await;
        Ok(true)
    };
    tokio::time::timeout(INDEX_TIMEOUT, work).await.map_err(|_| StoreError::Busy)?
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
        let present = names.iter().map(|name| Present {
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
