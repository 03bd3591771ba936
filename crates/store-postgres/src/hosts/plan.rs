//! From which side a page of a filtered list is read.
//!
//! Every page is in address order. Walking the addresses and testing each host is quick when many match; when few do, it
//! is quicker to start from the place, network or port that makes them few. Either way a page reads a bounded number of
//! rows: a walk that finds too little ends early and says where to go on.
//!
//! The planner chooses by statistics, which lag behind bulk work, so each side is written such that there is only one
//! way to run it: limits, `OFFSET 0` and `MATERIALIZED` are walls that it does not look behind.

use std::fmt::Write as _;

use hostatlas_domain::{HostId, LocationState};
use sqlx::{AssertSqlSafe, PgConnection};

use hostatlas_store::StoreError;

use super::filter::{Resolved, Shape, literal};
use crate::{
    error::{corrupt, engine},
    rows::count,
};

/// Hosts that a walk tests at most for one page: about 10 ms.
const WALK_LIMIT: u64 = 10_000;
/// Beyond this, starting from a port or network reads more than a walk does.
const FEW: u64 = 4_000;

/// A host of a page: its row and its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) id: HostId,
    pub(super) key: [u8; 16],
}

/// What a page found, and after which key the next one starts.
pub(super) struct FoundPage {
    pub(super) hosts: Vec<Found>,
    pub(super) next: Option<[u8; 16]>,
}

/// Where a page is read from.
#[derive(Debug, PartialEq, Eq)]
enum Side {
    /// Addresses, tested one by one.
    Walk,
    /// One seek for each place.
    EachPlace,
    /// All hosts of the places.
    Places,
    /// All hosts of the networks.
    Networks,
    /// All services of the ports.
    Ports,
}

/// Keeps this transaction from reading whole tables where an index is there, and from compiling what takes a millisecond.
pub(crate) async fn walk_by_index(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::raw_sql("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

/// The next `limit` hosts after the key `after`.
pub(super) async fn page(
    connection: &mut PgConnection,
    filter: &Resolved,
    after: Option<[u8; 16]>,
    limit: u32,
) -> Result<FoundPage, StoreError> {
    walk_by_index(connection).await?;
    let bounds = bounds(filter, after);
    let side = choose(connection, filter, limit).await?;
    let conditions = filter.all_conditions(Shape::EachHost);
    let order = format!("ORDER BY host.address LIMIT {}", limit + 1);
    let few = |rows: String| {
        format!(
            "WITH host AS MATERIALIZED ({rows}) SELECT id, address FROM host WHERE true{bounds}{conditions} {order}"
        )
    };
    let source = match side {
        Side::Walk => return walk(connection, filter, &bounds, limit).await,
        Side::EachPlace => {
            let places = filter.places.as_ref().map_or("'{}'::bigint[]", |places| places.list.as_str());
            let rest = filter.conditions_without_places(Shape::EachHost);
            format!(
                "SELECT host.id, host.address FROM unnest({places}) AS wanted (place) CROSS JOIN LATERAL \
                 (SELECT id, address FROM host WHERE host.place = wanted.place{bounds}{rest} {order}) AS host {order}"
            )
        }
        Side::Places => {
            let places = filter.places.as_ref().map_or("'{}'::bigint[]", |places| places.list.as_str());
            few(format!("SELECT * FROM host WHERE place = ANY({places})"))
        }
        Side::Networks => {
            let networks = filter.networks.as_ref().map_or("'{}'::bigint[]", |ids| ids.list.as_str());
            few(format!("SELECT * FROM host WHERE network = ANY({networks})"))
        }
        Side::Ports => {
            let ports = filter.ports.as_deref().unwrap_or("NULL");
            few(format!(
                "SELECT host.* FROM (SELECT DISTINCT host FROM service WHERE port IN ({ports}) OFFSET 0) AS open \
                 CROSS JOIN LATERAL (SELECT * FROM host WHERE host.id = open.host OFFSET 0) AS host"
            ))
        }
    };
    let hosts = fetch(connection, source).await?;
    Ok(cut(hosts, limit))
}

fn bounds(filter: &Resolved, after: Option<[u8; 16]>) -> String {
    let (first, last) = filter.range;
    let mut text = String::new();
    match after {
        Some(after) if after >= first => {
            let _ = write!(text, " AND host.address > {}", literal(after));
        }
        _ if filter.has_range => {
            let _ = write!(text, " AND host.address >= {}", literal(first));
        }
        _ => {}
    }
    if filter.has_range {
        let _ = write!(text, " AND host.address <= {}", literal(last));
    }
    text
}

async fn choose(connection: &mut PgConnection, filter: &Resolved, limit: u32) -> Result<Side, StoreError> {
    // Inside a block there is little to walk through, and the bounded walk covers the rest.
    let indexes = indexes(connection).await?;
    let total = total_hosts(connection).await?;
    let mut best = (Side::Walk, u64::MAX);
    let mut consider = |side: Side, matching: u64, cost: u64| {
        let walk = (total / matching.max(1)).saturating_mul(u64::from(limit));
        if matching == 0 || cost < walk.min(best.1) {
            best = (side, cost);
        }
    };
    if let Some(places) = filter.places.as_ref().filter(|_| indexes.contains("host_place")) {
        let seeks = places.len.saturating_mul(u64::from(limit) + 10);
        if places.len > 0 && places.len <= 256 && seeks < filter.place_hosts {
            consider(Side::EachPlace, filter.place_hosts, seeks);
        } else {
            consider(Side::Places, filter.place_hosts, filter.place_hosts);
        }
    }
    if let Some(networks) = filter.networks.as_ref().filter(|_| indexes.contains("host_network")) {
        let sql = format!("SELECT FROM host WHERE network = ANY({})", networks.list);
        let matching = count_to(connection, &sql, FEW + 1).await?;
        if matching <= FEW {
            consider(Side::Networks, matching, matching);
        }
    }
    if let Some(ports) = filter.ports.as_ref().filter(|_| indexes.contains("service_port")) {
        let sql = format!("SELECT FROM service WHERE port IN ({ports})");
        let matching = count_to(connection, &sql, FEW + 1).await?;
        if matching <= FEW {
            consider(Side::Ports, matching, matching * 2);
        }
    }
    Ok(best.0)
}

/// The list indexes that are there: housekeeping makes them once bulk work is over.
async fn indexes(connection: &mut PgConnection) -> Result<String, StoreError> {
    sqlx::query_scalar(
        "SELECT coalesce(string_agg(indexrelid::regclass::text, ','), '') FROM pg_index \
         WHERE indrelid IN ('host'::regclass, 'service'::regclass) AND indisvalid",
    )
    .fetch_one(connection)
    .await
    .map_err(engine)
}

/// Hosts in one state, by their counter.
pub(super) async fn hosts_in_state(
    connection: &mut PgConnection,
    state: LocationState,
) -> Result<u64, StoreError> {
    let hosts: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(n), 0)::bigint FROM (SELECT n FROM counter WHERE name = 'state' AND key = $1 \
         UNION ALL SELECT n FROM counter_delta WHERE name = 'state' AND key = $1) AS counted",
    )
    .bind(i64::from(state.number()))
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    Ok(count(hosts))
}

/// All hosts, by their counters.
pub(super) async fn total_hosts(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let total: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(n), 0)::bigint FROM (SELECT n FROM counter WHERE name = 'state' \
         UNION ALL SELECT n FROM counter_delta WHERE name = 'state') AS counted",
    )
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    Ok(count(total))
}

/// Counts the rows of `rows`, to `cap` at most.
pub(super) async fn count_to(connection: &mut PgConnection, rows: &str, cap: u64) -> Result<u64, StoreError> {
    let sql = format!("SELECT count(*) FROM ({rows} LIMIT {cap}) AS counted");
    let counted: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    Ok(count(counted))
}

/// Tests up to [`WALK_LIMIT`] hosts in address order.
async fn walk(
    connection: &mut PgConnection,
    filter: &Resolved,
    bounds: &str,
    limit: u32,
) -> Result<FoundPage, StoreError> {
    let conditions = filter.all_conditions(Shape::EachHost);
    if conditions.is_empty() {
        let sql = format!(
            "SELECT id, address FROM host WHERE true{bounds} ORDER BY host.address LIMIT {}",
            limit + 1
        );
        return Ok(cut(fetch(connection, sql).await?, limit));
    }
    let sql = format!(
        "SELECT id, address FROM \
         (SELECT * FROM host WHERE true{bounds} ORDER BY host.address LIMIT {WALK_LIMIT}) AS host \
         WHERE true{conditions} ORDER BY host.address LIMIT {}",
        limit + 1
    );
    let mut page = cut(fetch(connection, sql).await?, limit);
    if page.next.is_none() {
        page.next = edge(connection, bounds).await?;
    }
    Ok(page)
}

/// The last key that a walk from these bounds tests, unless it ends before.
async fn edge(connection: &mut PgConnection, bounds: &str) -> Result<Option<[u8; 16]>, StoreError> {
    let sql = format!(
        "SELECT address FROM host WHERE true{bounds} ORDER BY host.address LIMIT 1 OFFSET {}",
        WALK_LIMIT - 1
    );
    let edge: Option<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_optional(connection)
        .await
        .map_err(engine)?;
    edge.map(|key| key.try_into().map_err(|_| corrupt("an address"))).transpose()
}

/// Runs a statement whose columns are id and address. They come as one row: thousands cost more to send than to find.
pub(super) async fn fetch(connection: &mut PgConnection, sql: String) -> Result<Vec<Found>, StoreError> {
    let packed = format!("SELECT array_agg(id), string_agg(address, ''::bytea) FROM ({sql}) AS found");
    let (ids, keys): (Option<Vec<i64>>, Option<Vec<u8>>) = sqlx::query_as(AssertSqlSafe(packed))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    let (ids, keys) = (ids.unwrap_or_default(), keys.unwrap_or_default());
    let (keys, rest) = keys.as_chunks::<16>();
    if !rest.is_empty() || keys.len() != ids.len() {
        return Err(corrupt("an address"));
    }
    Ok(ids.into_iter().zip(keys).map(|(id, key)| Found { id: HostId(id), key: *key }).collect())
}

/// Turns `limit + 1` rows into a page: the extra row tells that there is a next one.
fn cut(mut hosts: Vec<Found>, limit: u32) -> FoundPage {
    let limit = limit as usize;
    let more = hosts.len() > limit;
    hosts.truncate(limit);
    let next = if more { hosts.last().map(|host| host.key) } else { None };
    FoundPage { hosts, next }
}
