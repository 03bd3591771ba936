//! What the hosts that match are.

use std::time::Duration;

use hostatlas_domain::HostFilter;
use hostatlas_store::{
    HostFacets, StoreError,
    backend::{FacetGroup, FacetWalk},
};
use sqlx::{AssertSqlSafe, Row, SqliteConnection, sqlite::SqliteRow};

use super::{filter, plan};
use crate::error::engine;

pub(super) async fn count(
    connection: &mut SqliteConnection,
    now: i64,
    filter: &HostFilter,
    max_age: Duration,
    cap: u32,
) -> Result<HostFacets, StoreError> {
    let resolved = filter::resolve(connection, now, filter, max_age).await?;
    let mut walk = FacetWalk::new(cap);
    if resolved.matches_nothing() {
        walk.add([], true);
    }
    let mut after = None;
    while let Some(limit) = walk.next_limit() {
        let page = plan::page(connection, &resolved, after, limit).await?;
        after = page.next;
        walk.add(page.hosts.iter().map(|host| host.id.0), after.is_none());
    }
    let ids = walk.hosts().iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let sql = format!(
        "SELECT location_state, {} AS stale, reason, provider, country_code, count(*) AS hosts \
         FROM host LEFT JOIN place ON place.id = host.place WHERE host.id IN ({ids}) GROUP BY 1, 2, 3, 4, 5",
        filter::stale_condition(now, max_age)
    );
    let rows =
        sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await.map_err(engine)?;
    walk.facets(rows.iter().map(group).collect::<Result<_, _>>()?)
}

fn group(row: &SqliteRow) -> Result<FacetGroup, StoreError> {
    // Of a host that was never located the time is null, and so is the comparison with it.
    let stale: Option<i64> = row.try_get("stale").map_err(engine)?;
    Ok(FacetGroup {
        state: row.try_get("location_state").map_err(engine)?,
        stale: stale == Some(1),
        reason: row.try_get("reason").map_err(engine)?,
        provider: row.try_get("provider").map_err(engine)?,
        country: row.try_get("country_code").map_err(engine)?,
        hosts: row.try_get("hosts").map_err(engine)?,
    })
}
