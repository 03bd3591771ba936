//! From which side a page of a filtered list is read.
//!
//! Every page is in address order. Walking the addresses and testing each host is quick when many match; when few do, it
//! is quicker to start from the place, network or port that makes them few. Either way a page reads a bounded number of
//! rows: a walk that finds too little ends early and says where to go on.

use std::fmt::Write as _;

use hostatlas_domain::HostId;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use hostatlas_store::StoreError;

use super::filter::{Resolved, literal};
use crate::error::{corrupt, engine};

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

/// The next `limit` hosts after the key `after`.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    filter: &Resolved,
    after: Option<[u8; 16]>,
    limit: u32,
) -> Result<FoundPage, StoreError> {
    let bounds = bounds(filter, after);
    let side = choose(connection, filter, limit).await?;
    let conditions = filter.all_conditions();
    let order = format!("ORDER BY host.address LIMIT {}", limit + 1);
    let source = match side {
        Side::Walk => return walk(connection, filter, &bounds, limit).await,
        Side::EachPlace => {
            let places = filter.places.as_ref().map_or("", |places| places.list.as_str());
            let seeks: Vec<_> = places
                .split(',')
                .map(|place| {
                    format!(
                        "SELECT * FROM (SELECT id, address FROM host INDEXED BY host_place \
                         WHERE place = {place}{bounds}{} {order})",
                        filter.conditions_without_places()
                    )
                })
                .collect();
            format!("SELECT id, address FROM ({}) AS host {order}", seeks.join(" UNION ALL "))
        }
        Side::Places => {
            format!(
                "SELECT id, address FROM host INDEXED BY host_place WHERE true{bounds}{conditions} {order}"
            )
        }
        Side::Networks => {
            format!(
                "SELECT id, address FROM host INDEXED BY host_network WHERE true{bounds}{conditions} {order}"
            )
        }
        Side::Ports => {
            let ports = filter.ports.as_deref().unwrap_or("");
            format!(
                "SELECT host.id, host.address FROM (SELECT DISTINCT host FROM service INDEXED BY service_port \
                 WHERE port IN ({ports})) AS open CROSS JOIN host ON host.id = open.host \
                 WHERE true{bounds}{conditions} {order}"
            )
        }
    };
    let hosts = fetch(connection, source).await?;
    Ok(cut(hosts, limit))
}

impl Resolved {
    /// All conditions but places and block: for a seek that has its place already.
    fn conditions_without_places(&self) -> String {
        let mut text = self.all_conditions();
        if let Some(places) = &self.places {
            text = text.replacen(&format!(" AND host.place IN ({})", places.list), "", 1);
        }
        text
    }
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

async fn choose(
    connection: &mut SqliteConnection,
    filter: &Resolved,
    limit: u32,
) -> Result<Side, StoreError> {
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
        let sql = format!("SELECT 1 FROM host INDEXED BY host_network WHERE network IN ({})", networks.list);
        let matching = count_to(connection, &sql, FEW + 1).await?;
        if matching <= FEW {
            consider(Side::Networks, matching, matching);
        }
    }
    if let Some(ports) = filter.ports.as_ref().filter(|_| indexes.contains("service_port")) {
        let sql = format!("SELECT 1 FROM service INDEXED BY service_port WHERE port IN ({ports})");
        let matching = count_to(connection, &sql, FEW + 1).await?;
        if matching <= FEW {
            consider(Side::Ports, matching, matching * 2);
        }
    }
    Ok(best.0)
}

/// The list indexes that are there: housekeeping makes them once bulk work is over.
async fn indexes(connection: &mut SqliteConnection) -> Result<String, StoreError> {
    sqlx::query_scalar(
        "SELECT coalesce(group_concat(name), '') FROM sqlite_schema \
         WHERE type = 'index' AND name IN ('host_place', 'host_network', 'service_port')",
    )
    .fetch_one(connection)
    .await
    .map_err(engine)
}

async fn total_hosts(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let total: i64 = sqlx::query_scalar("SELECT coalesce(sum(n), 0) FROM counter WHERE name = 'state'")
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    Ok(u64::try_from(total).unwrap_or(0))
}

/// Counts the rows of `rows`, to `cap` at most.
pub(super) async fn count_to(
    connection: &mut SqliteConnection,
    rows: &str,
    cap: u64,
) -> Result<u64, StoreError> {
    let sql = format!("SELECT count(*) FROM ({rows} LIMIT {cap})");
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Tests up to [`WALK_LIMIT`] hosts in address order.
async fn walk(
    connection: &mut SqliteConnection,
    filter: &Resolved,
    bounds: &str,
    limit: u32,
) -> Result<FoundPage, StoreError> {
    let conditions = filter.all_conditions();
    if conditions.is_empty() {
        let sql = format!(
            "SELECT id, address FROM host WHERE true{bounds} ORDER BY host.address LIMIT {}",
            limit + 1
        );
        return Ok(cut(fetch(connection, sql).await?, limit));
    }
    let sql = format!(
        "SELECT address FROM host WHERE true{bounds} ORDER BY host.address LIMIT 1 OFFSET {}",
        WALK_LIMIT - 1
    );
    let edge: Option<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_optional(&mut *connection)
        .await
        .map_err(engine)?;
    let key_of = |key: Vec<u8>| <[u8; 16]>::try_from(key).map_err(|_| corrupt("an address"));
    let edge = edge.map(key_of).transpose()?;
    let stop = edge.map(|key| format!(" AND host.address <= {}", literal(key))).unwrap_or_default();
    let sql = format!(
        "SELECT id, address FROM host INDEXED BY host_address WHERE true{bounds}{stop}{conditions} \
         ORDER BY host.address LIMIT {}",
        limit + 1
    );
    let mut page = cut(fetch(connection, sql).await?, limit);
    page.next = page.next.or(edge);
    Ok(page)
}

async fn fetch(connection: &mut SqliteConnection, sql: String) -> Result<Vec<Found>, StoreError> {
    let rows =
        sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await.map_err(engine)?;
    rows.iter()
        .map(|row| {
            let key: &[u8] = row.try_get(1).map_err(engine)?;
            let key = key.try_into().map_err(|_| corrupt("an address"))?;
            Ok(Found { id: HostId(row.try_get(0).map_err(engine)?), key })
        })
        .collect()
}

/// Turns `limit + 1` rows into a page: the extra row tells that there is a next one.
fn cut(mut hosts: Vec<Found>, limit: u32) -> FoundPage {
    let limit = limit as usize;
    let more = hosts.len() > limit;
    hosts.truncate(limit);
    let next = if more { hosts.last().map(|host| host.key) } else { None };
    FoundPage { hosts, next }
}
