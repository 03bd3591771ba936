//! Adding up differences.

use hostatlas_store::StoreError;
use sqlx::PgConnection;

use crate::{database::Database, error::engine};

/// The number of the lock under which differences are added up: `HATL` and 2.
const LOCK: i64 = 0x4841_544c_0000_0002;
/// Differences that one transaction adds up: some 0.2 s, so that nobody waits long for the rows it holds.
const FOLDED_AT_ONCE: i64 = 50_000;

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

/// Adds up some differences, unless somebody else does; answers whether there may be more.
pub(super) async fn fold(database: &Database) -> Result<bool, StoreError> {
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
