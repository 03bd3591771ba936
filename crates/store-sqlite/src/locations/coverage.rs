//! Reading what the counters hold.

use std::time::Duration;

use hostatlas_domain::{CountryCoverage, Coverage, RecentResult};
use hostatlas_store::{
    StoreError,
    backend::{self, PlaceRow, RecentRow, country_coverage, stale_before},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::error::engine;

/// The most recent results that are answered.
const RECENT_MOST: u32 = 100;

pub(super) async fn coverage(
    connection: &mut SqliteConnection,
    now: i64,
    max_age: Duration,
) -> Result<Coverage, StoreError> {
    let counters: Vec<(String, i64, i64)> =
        sqlx::query_as("SELECT name, key, n FROM counter WHERE name <> 'located_hour'")
            .fetch_all(&mut *connection)
            .await
            .map_err(engine)?;
    let stale: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(n), 0) FROM counter WHERE name = 'located_hour' AND key < ?1",
    )
    .bind(stale_before(now, max_age))
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    backend::coverage(counters, stale)
}

pub(super) async fn countries(connection: &mut SqliteConnection) -> Result<Vec<CountryCoverage>, StoreError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT country_code, sum(hosts) AS n, sum(iif(precision = 0, hosts, 0)) FROM place NOT INDEXED WHERE hosts > 0 \
         GROUP BY country_code ORDER BY n DESC, country_code",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    Ok(rows.into_iter().map(country_coverage).collect())
}

pub(super) async fn recent(
    connection: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<RecentResult>, StoreError> {
    let rows = sqlx::query(
        "SELECT h.address, r.location_state, r.reason, r.provider, r.attempted_at, \
         p.latitude_e5, p.longitude_e5, p.precision, p.city, p.region, p.country_code \
         FROM recent_result AS r CROSS JOIN host AS h ON h.id = r.host LEFT JOIN place AS p ON p.id = r.place \
         ORDER BY r.id DESC LIMIT ?1 + 0",
    )
    .bind(limit.min(RECENT_MOST))
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    rows.iter().map(recent_result).collect()
}

fn recent_result(row: &SqliteRow) -> Result<RecentResult, StoreError> {
    RecentRow {
        address: row.try_get(0).map_err(engine)?,
        state: row.try_get(1).map_err(engine)?,
        reason: row.try_get(2).map_err(engine)?,
        provider: row.try_get(3).map_err(engine)?,
        attempted_at: row.try_get(4).map_err(engine)?,
        place: place(row)?,
    }
    .result()
}

fn place(row: &SqliteRow) -> Result<Option<PlaceRow>, StoreError> {
    let Some(latitude) = row.try_get::<Option<i64>, _>(5).map_err(engine)? else { return Ok(None) };
    let longitude: i64 = row.try_get(6).map_err(engine)?;
    let name = |index: usize| row.try_get(index).map_err(engine);
    Ok(Some(PlaceRow {
        units: (latitude, longitude),
        precision: row.try_get(7).map_err(engine)?,
        names: [name(8)?, name(9)?, name(10)?],
    }))
}
