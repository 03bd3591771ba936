//! Reading what the counters hold: what is added up already, and what is not yet.

use std::time::Duration;

use hostatlas_domain::{CountryCoverage, Coverage, RecentResult};
use hostatlas_store::{
    StoreError,
    backend::{self, PlaceRow, RecentRow, country_coverage, stale_before},
};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::error::engine;

/// The most recent results that are answered.
const RECENT_MOST: u32 = 100;

pub(super) async fn coverage(
    connection: &mut PgConnection,
    now: i64,
    max_age: Duration,
) -> Result<Coverage, StoreError> {
    let counters: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT name, key, sum(n)::bigint FROM (SELECT name, key, n FROM counter \
             UNION ALL SELECT name, key, n FROM counter_delta) AS counted \
             WHERE name <> 'located_hour' GROUP BY name, key",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let stale: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(n), 0)::bigint FROM (SELECT n FROM counter WHERE name = 'located_hour' AND key < $1 \
         UNION ALL SELECT n FROM counter_delta WHERE name = 'located_hour' AND key < $1) AS counted",
    )
    .bind(stale_before(now, max_age))
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    backend::coverage(counters, stale)
}

pub(super) async fn countries(connection: &mut PgConnection) -> Result<Vec<CountryCoverage>, StoreError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT country_code, sum(hosts)::bigint AS n, \
         coalesce(sum(hosts) FILTER (WHERE precision = 0), 0)::bigint \
         FROM (SELECT p.country_code, p.precision, p.hosts + coalesce(d.n, 0) AS hosts FROM place AS p \
         LEFT JOIN (SELECT place, sum(n) AS n FROM place_delta GROUP BY place) AS d ON d.place = p.id) AS counted \
         WHERE hosts > 0 GROUP BY country_code ORDER BY n DESC, country_code",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    Ok(rows.into_iter().map(country_coverage).collect())
}

pub(super) async fn recent(
    connection: &mut PgConnection,
    limit: u32,
) -> Result<Vec<RecentResult>, StoreError> {
    let rows = sqlx::query(
        "SELECT h.address, r.location_state, r.reason, r.provider, r.attempted_at, \
         p.latitude_e5, p.longitude_e5, p.precision, p.city, p.region, p.country_code \
         FROM recent_result AS r JOIN host AS h ON h.id = r.host LEFT JOIN place AS p ON p.id = r.place \
         ORDER BY r.id DESC LIMIT $1",
    )
    .bind(i64::from(limit.min(RECENT_MOST)))
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    rows.iter().map(recent_result).collect()
}

fn recent_result(row: &PgRow) -> Result<RecentResult, StoreError> {
    let number = |index: usize| -> Result<Option<u8>, StoreError> {
        let number: Option<i16> = row.try_get(index).map_err(engine)?;
        Ok(number.and_then(|number| u8::try_from(number).ok()))
    };
    RecentRow {
        address: row.try_get(0).map_err(engine)?,
        state: number(1)?.unwrap_or(u8::MAX),
        reason: number(2)?,
        provider: number(3)?,
        attempted_at: row.try_get(4).map_err(engine)?,
        place: place(row)?,
    }
    .result()
}

fn place(row: &PgRow) -> Result<Option<PlaceRow>, StoreError> {
    let Some(latitude) = row.try_get::<Option<i32>, _>(5).map_err(engine)? else { return Ok(None) };
    let longitude: i32 = row.try_get(6).map_err(engine)?;
    let precision: i16 = row.try_get(7).map_err(engine)?;
    let name = |index: usize| row.try_get(index).map_err(engine);
    Ok(Some(PlaceRow {
        units: (latitude.into(), longitude.into()),
        precision: precision.into(),
        names: [name(8)?, name(9)?, name(10)?],
    }))
}
