//! Reading hosts: lists, one host, its history, selections.

mod facets;
mod filter;
mod plan;
mod row;
mod select;

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{
    Address, Cursor, Host, HostFilter, HostSort, HostSummary, LocationChange, Page, PlaceId, PortNumber,
    Protocol, ProviderName, Service, ServiceChange, Timestamp, escape_control,
};
use hostatlas_store::{
    HostCount, HostFacets, HostHistory, HostStore, LocatedHost, SearchHosts, SelectHosts, SelectedHost,
    StoreError,
};
use sqlx::{AssertSqlSafe, Row, SqliteConnection, sqlite::SqliteRow};

pub(crate) use self::select::select;
use self::{plan::FoundPage, row::HOST_COLUMNS};
use crate::{
    SqliteStore,
    error::{corrupt, engine},
};

/// Most services and changes that one host page shows.
const MOST_ROWS: u32 = 50;
/// Ports that a row of the list shows.
const PORTS_SHOWN: usize = 8;
/// Hosts that counting tests before it gives up being exact.
const COUNT_LIMIT: u64 = 200_000;

#[async_trait]
impl HostStore for SqliteStore {
    async fn hosts_search(&self, params: SearchHosts) -> Result<Page<HostSummary>, StoreError> {
        self.database
            .read(move |connection, now| Box::pin(async move { search(connection, now, params).await }))
            .await
    }

    async fn hosts_count(
        &self,
        filter: HostFilter,
        max_age: Duration,
        cap: u64,
    ) -> Result<HostCount, StoreError> {
        self.database
            .read(move |connection, now| {
                Box::pin(async move { count(connection, now, &filter, max_age, cap).await })
            })
            .await
    }

    async fn hosts_facets(
        &self,
        filter: HostFilter,
        max_age: Duration,
        cap: u32,
    ) -> Result<HostFacets, StoreError> {
        self.database
            .read(move |connection, now| {
                Box::pin(async move { facets::count(connection, now, &filter, max_age, cap).await })
            })
            .await
    }

    async fn host_get(&self, address: Address, max_age: Duration) -> Result<Host, StoreError> {
        self.database
            .read(move |connection, now| {
                Box::pin(async move { get(connection, now, address, max_age).await })
            })
            .await
    }

    async fn host_history(&self, address: Address) -> Result<HostHistory, StoreError> {
        self.database
            .read(move |connection, _| Box::pin(async move { history(connection, address).await }))
            .await
    }

    async fn hosts_select(&self, params: SelectHosts) -> Result<Vec<SelectedHost>, StoreError> {
        self.database
            .read(move |connection, now| {
                Box::pin(async move {
                    select(connection, now, &params.selection, params.after, params.limit).await
                })
            })
            .await
    }

    async fn hosts_located(
        &self,
        after: Option<Address>,
        limit: u32,
    ) -> Result<Vec<LocatedHost>, StoreError> {
        self.database.read(move |connection, _| Box::pin(select::located(connection, after, limit))).await
    }
}

async fn search(
    connection: &mut SqliteConnection,
    now: i64,
    params: SearchHosts,
) -> Result<Page<HostSummary>, StoreError> {
    let sort = if params.filter.is_empty() { params.sort } else { HostSort::Address };
    if sort != HostSort::Address {
        return search_by_time(connection, now, sort, &params).await;
    }
    let after = params.cursor.as_ref().map(|cursor| cursor.key(0)).transpose()?;
    let resolved = filter::resolve(connection, now, &params.filter, params.max_age).await?;
    let FoundPage { hosts, next } = plan::page(connection, &resolved, after, params.limit).await?;
    let ids = hosts.iter().map(|host| host.id.0).collect::<Vec<_>>();
    Ok(Page {
        items: summaries(connection, now, params.max_age, &ids).await?,
        next_cursor: next.map(|key| Cursor::new(vec![key.to_vec()]).to_string()),
    })
}

/// Hosts by a time, latest first. Those that were never located come after all others, by id.
async fn search_by_time(
    connection: &mut SqliteConnection,
    now: i64,
    sort: HostSort,
    params: &SearchHosts,
) -> Result<Page<HostSummary>, StoreError> {
    let column = sort.slug();
    let limit = params.limit as usize;
    let cursor =
        params.cursor.as_ref().map(|cursor| Ok::<_, StoreError>((cursor.number(0)?, cursor.number(1)?)));
    let (time, id) = cursor.transpose()?.unwrap_or((i64::MAX, i64::MAX));
    let mut found: Vec<(i64, i64)> = Vec::new();
    if time >= 0 {
        let sql = format!(
            "SELECT {column}, id FROM host WHERE ({column}, id) < (?, ?) ORDER BY {column} DESC, id DESC LIMIT ?"
        );
        found = time_rows(connection, sql, &[time, id, i64::from(params.limit) + 1]).await?;
    }
    if found.len() <= limit && sort == HostSort::LocatedAt {
        let below = if time < 0 { id } else { i64::MAX };
        let missing = i64::try_from(limit + 1 - found.len()).unwrap_or(i64::MAX);
        let sql =
            "SELECT -1, id FROM host WHERE located_at IS NULL AND id < ? ORDER BY id DESC LIMIT ?".to_owned();
        found.extend(time_rows(connection, sql, &[below, missing]).await?);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|(time, id)| {
        Cursor::new(vec![time.to_be_bytes().to_vec(), id.to_be_bytes().to_vec()]).to_string()
    });
    let ids = found.iter().map(|(_, id)| *id).collect::<Vec<_>>();
    Ok(Page { items: summaries(connection, now, params.max_age, &ids).await?, next_cursor })
}

async fn time_rows(
    connection: &mut SqliteConnection,
    sql: String,
    numbers: &[i64],
) -> Result<Vec<(i64, i64)>, StoreError> {
    let mut query = sqlx::query_as(AssertSqlSafe(sql));
    for number in numbers {
        query = query.bind(*number);
    }
    query.fetch_all(connection).await.map_err(engine)
}

/// The list rows of these hosts, in this order.
async fn summaries(
    connection: &mut SqliteConnection,
    now: i64,
    max_age: Duration,
    ids: &[i64],
) -> Result<Vec<HostSummary>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let list = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let sql = format!("SELECT {HOST_COLUMNS} WHERE host.id IN ({list})");
    let rows = fetch(connection, sql).await?;
    let sql = format!(
        "SELECT host, group_concat(port) AS ports FROM (SELECT host, port FROM service WHERE host IN ({list}) \
         AND state = 1 ORDER BY host, port) GROUP BY host"
    );
    let ports = fetch(connection, sql).await?;
    let mut ports_of: HashMap<i64, String> = HashMap::with_capacity(ports.len());
    for row in &ports {
        ports_of.insert(row.try_get(0).map_err(engine)?, row.try_get(1).map_err(engine)?);
    }
    let mut by_id: HashMap<i64, HostSummary> = HashMap::with_capacity(rows.len());
    for row in &rows {
        let mut summary = row::summary(row, Timestamp::from_millis(now), max_age)?;
        let id: i64 = row.try_get("id").map_err(engine)?;
        if let Some(text) = ports_of.get(&id) {
            let numbers =
                text.split(',').map(|port| port.parse::<PortNumber>().map_err(|_| corrupt("a port")));
            let mut numbers: Vec<PortNumber> = numbers.collect::<Result<_, _>>()?;
            numbers.sort_unstable();
            summary.open_ports = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            numbers.dedup();
            numbers.truncate(PORTS_SHOWN);
            summary.ports = numbers;
        }
        by_id.insert(id, summary);
    }
    Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
}

async fn fetch(connection: &mut SqliteConnection, sql: String) -> Result<Vec<SqliteRow>, StoreError> {
    sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await.map_err(engine)
}

async fn count(
    connection: &mut SqliteConnection,
    now: i64,
    filter: &HostFilter,
    max_age: Duration,
    cap: u64,
) -> Result<HostCount, StoreError> {
    let only_state = HostFilter { state: filter.state, ..HostFilter::default() } == *filter;
    if only_state {
        let state = filter.state.map(|state| i64::from(state.number()));
        let hosts: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(n), 0) FROM counter WHERE name = 'state' AND (?1 IS NULL OR key = ?1)",
        )
        .bind(state)
        .fetch_one(connection)
        .await
        .map_err(engine)?;
        return Ok(HostCount { hosts: u64::try_from(hosts).unwrap_or(0), exact: true });
    }
    let resolved = filter::resolve(connection, now, filter, max_age).await?;
    if resolved.matches_nothing() {
        return Ok(HostCount { hosts: 0, exact: true });
    }
    if resolved.is_places_alone() {
        let hosts = match &resolved.countries {
            Some(countries) => filter::hosts_in(connection, countries).await?,
            None => resolved.place_hosts,
        };
        return Ok(HostCount { hosts, exact: true });
    }
    let conditions = resolved.all_conditions();
    let (first, last) = resolved.range;
    let rows = format!(
        "SELECT 1 FROM (SELECT id FROM host INDEXED BY host_address WHERE address BETWEEN {} AND {} LIMIT {COUNT_LIMIT}) \
         AS walked CROSS JOIN host ON host.id = walked.id WHERE true{conditions}",
        filter::literal(first),
        filter::literal(last),
    );
    let hosts = plan::count_to(connection, &rows, cap + 1).await?;
    let walked = format!(
        "SELECT 1 FROM host INDEXED BY host_address WHERE address BETWEEN {} AND {}",
        filter::literal(first),
        filter::literal(last)
    );
    let walked_all = plan::count_to(connection, &walked, COUNT_LIMIT + 1).await? <= COUNT_LIMIT;
    Ok(HostCount { hosts: hosts.min(cap), exact: hosts <= cap && walked_all })
}

async fn get(
    connection: &mut SqliteConnection,
    now: i64,
    address: Address,
    max_age: Duration,
) -> Result<Host, StoreError> {
    let sql = format!("SELECT {HOST_COLUMNS} WHERE host.address = ?");
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(address.to_key().to_vec())
        .fetch_optional(&mut *connection)
        .await
        .map_err(engine)?
        .ok_or(StoreError::UnknownHost(address))?;
    let id: i64 = found.try_get("id").map_err(engine)?;
    let services = sqlx::query(
        "SELECT port, protocol, state, service, banner, first_seen, last_seen FROM service WHERE host = ? \
         ORDER BY port, protocol",
    )
    .bind(id)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let mut host = row::host(&found, Timestamp::from_millis(now), max_age)?;
    host.services = services.iter().map(service).collect::<Result<_, _>>()?;
    Ok(host)
}

fn service(row: &SqliteRow) -> Result<Service, StoreError> {
    let (port, protocol) = port_of(row)?;
    let banner: Option<Vec<u8>> = row.try_get("banner").map_err(engine)?;
    Ok(Service {
        port,
        protocol,
        state: state_word(row.try_get("state").map_err(engine)?),
        service: row.try_get("service").map_err(engine)?,
        banner: banner.map(|bytes| escape_control(&bytes)),
        first_seen: row::time(row, "first_seen")?,
        last_seen: row::time(row, "last_seen")?,
    })
}

fn service_change(row: &SqliteRow) -> Result<ServiceChange, StoreError> {
    let (port, protocol) = port_of(row)?;
    let state = state_word(row.try_get("state").map_err(engine)?);
    Ok(ServiceChange { at: row::time(row, "at")?, port, protocol, state })
}

fn port_of(row: &SqliteRow) -> Result<(PortNumber, Protocol), StoreError> {
    let protocol: i64 = row.try_get("protocol").map_err(engine)?;
    let protocol = u8::try_from(protocol).ok().and_then(|number| Protocol::try_from(number).ok());
    let port = port_number(row.try_get("port").map_err(engine)?)?;
    Ok((port, protocol.ok_or_else(|| corrupt("a protocol"))?))
}

fn port_number(number: i64) -> Result<PortNumber, StoreError> {
    let port = u16::try_from(number).ok().and_then(|number| PortNumber::try_from(number).ok());
    port.ok_or_else(|| corrupt("a port"))
}

fn state_word(state: i64) -> String {
    if state == 1 { "open".to_owned() } else { "closed".to_owned() }
}

async fn history(connection: &mut SqliteConnection, address: Address) -> Result<HostHistory, StoreError> {
    let id: i64 = sqlx::query_scalar("SELECT id FROM host WHERE address = ?")
        .bind(address.to_key().to_vec())
        .fetch_optional(&mut *connection)
        .await
        .map_err(engine)?
        .ok_or(StoreError::UnknownHost(address))?;
    let locations = sqlx::query(
        "SELECT c.at, c.provider, \
         f.latitude_e5 AS from_latitude, f.longitude_e5 AS from_longitude, f.precision AS from_precision, \
         f.city AS from_city, f.region AS from_region, f.country_code AS from_country, \
         t.latitude_e5 AS to_latitude, t.longitude_e5 AS to_longitude, t.precision AS to_precision, \
         t.city AS to_city, t.region AS to_region, t.country_code AS to_country \
         FROM location_change AS c JOIN place AS f ON f.id = c.from_place JOIN place AS t ON t.id = c.to_place \
         WHERE c.host = ? ORDER BY c.id DESC LIMIT ?",
    )
    .bind(id)
    .bind(MOST_ROWS)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let services = sqlx::query(
        "SELECT port, protocol, state, at FROM service_change WHERE host = ? ORDER BY id DESC LIMIT ?",
    )
    .bind(id)
    .bind(MOST_ROWS)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    Ok(HostHistory {
        locations: locations.iter().map(location_change).collect::<Result<_, _>>()?,
        services: services.iter().map(service_change).collect::<Result<_, _>>()?,
    })
}

fn location_change(row: &SqliteRow) -> Result<LocationChange, StoreError> {
    let place = |prefix| row::place(row, prefix)?.ok_or_else(|| corrupt("a place"));
    let (from, to) = (place("from_")?, place("to_")?);
    let provider: i64 = row.try_get("provider").map_err(engine)?;
    let provider = u8::try_from(provider).ok().and_then(ProviderName::from_number);
    Ok(LocationChange {
        at: row::time(row, "at")?,
        distance_km: from.coordinate.distance_km(to.coordinate),
        from,
        to,
        provider: provider.map_or("unknown", ProviderName::name).to_owned(),
    })
}

/// How many matching hosts stand on each place.
pub(crate) async fn places_matching(
    connection: &mut SqliteConnection,
    now: i64,
    filter: &HostFilter,
    max_age: Duration,
) -> Result<Vec<(PlaceId, u64)>, StoreError> {
    let resolved = filter::resolve(connection, now, filter, max_age).await?;
    let sql = if resolved.is_places_alone() {
        let of_place = match (&resolved.countries, &resolved.places) {
            (Some(countries), _) => format!("country_code IN ({countries})"),
            (None, Some(places)) => format!("id IN ({})", places.list),
            (None, None) => "false".to_owned(),
        };
        format!("SELECT id, hosts FROM place WHERE hosts > 0 AND {of_place}")
    } else {
        let block = if resolved.has_range {
            let (first, last) = resolved.range;
            format!(" AND host.address BETWEEN {} AND {}", filter::literal(first), filter::literal(last))
        } else {
            String::new()
        };
        format!(
            "SELECT place, count(*) FROM host WHERE place IS NOT NULL{block}{} GROUP BY place",
            resolved.all_conditions()
        )
    };
    let rows = fetch(connection, sql).await?;
    rows.iter()
        .map(|row| {
            let hosts: i64 = row.try_get(1).map_err(engine)?;
            Ok((PlaceId(row.try_get(0).map_err(engine)?), u64::try_from(hosts).unwrap_or(0)))
        })
        .collect()
}
