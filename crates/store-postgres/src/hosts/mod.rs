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
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};

pub(crate) use self::select::select;
use self::{filter::Shape, plan::FoundPage, row::HOST_COLUMNS};
use crate::{
    PostgresStore,
    error::{corrupt, engine},
    rows,
};

/// Most services and changes that one host page shows.
const MOST_ROWS: i64 = 50;
/// Ports that a row of the list shows.
const PORTS_SHOWN: usize = 8;
/// Hosts that counting tests before it gives up being exact.
const COUNT_LIMIT: u64 = 200_000;

#[async_trait]
impl HostStore for PostgresStore {
    async fn hosts_search(&self, params: SearchHosts) -> Result<Page<HostSummary>, StoreError> {
        self.database
            .read_with(params, |connection, now, params| Box::pin(search(connection, now, params)))
            .await
    }

    async fn hosts_count(
        &self,
        filter: HostFilter,
        max_age: Duration,
        cap: u64,
    ) -> Result<HostCount, StoreError> {
        self.database
            .read_with(filter, move |connection, now, filter| {
                Box::pin(count(connection, now, filter, max_age, cap))
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
            .read_with(filter, move |connection, now, filter| {
                Box::pin(facets::count(connection, now, filter, max_age, cap))
            })
            .await
    }

    async fn host_get(&self, address: Address, max_age: Duration) -> Result<Host, StoreError> {
        self.database.read(move |connection, now| Box::pin(get(connection, now, address, max_age))).await
    }

    async fn host_history(&self, address: Address) -> Result<HostHistory, StoreError> {
        self.database.read(move |connection, _| Box::pin(history(connection, address))).await
    }

    async fn hosts_select(&self, params: SelectHosts) -> Result<Vec<SelectedHost>, StoreError> {
        self.database
            .read_with(params, |connection, now, params| {
                Box::pin(select(connection, now, &params.selection, params.after, params.limit))
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
    connection: &mut PgConnection,
    now: i64,
    params: &SearchHosts,
) -> Result<Page<HostSummary>, StoreError> {
    let sort = if params.filter.is_empty() { params.sort } else { HostSort::Address };
    if sort != HostSort::Address {
        return search_by_time(connection, now, sort, params).await;
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
    connection: &mut PgConnection,
    now: i64,
    sort: HostSort,
    params: &SearchHosts,
) -> Result<Page<HostSummary>, StoreError> {
    plan::walk_by_index(connection).await?;
    let column = sort.slug();
    let limit = params.limit as usize;
    let cursor =
        params.cursor.as_ref().map(|cursor| Ok::<_, StoreError>((cursor.number(0)?, cursor.number(1)?)));
    let (time, id) = cursor.transpose()?.unwrap_or((i64::MAX, i64::MAX));
    let mut found: Vec<(i64, i64)> = Vec::new();
    if time >= 0 {
        let sql = format!(
            "SELECT {column}, id FROM host WHERE ({column}, id) < ($1, $2) ORDER BY {column} DESC, id DESC LIMIT $3"
        );
        found = time_rows(connection, sql, &[time, id, i64::from(params.limit) + 1]).await?;
    }
    if found.len() <= limit && sort == HostSort::LocatedAt {
        let below = if time < 0 { id } else { i64::MAX };
        let missing = i64::try_from(limit + 1 - found.len()).unwrap_or(i64::MAX);
        let sql = "SELECT -1::bigint, id FROM host WHERE located_at IS NULL AND id < $1 \
                   ORDER BY located_at DESC, id DESC LIMIT $2"
            .to_owned();
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
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
    now: i64,
    max_age: Duration,
    ids: &[i64],
) -> Result<Vec<HostSummary>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {HOST_COLUMNS} WHERE host.id = ANY($1)");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(&mut *connection).await.map_err(engine)?;
    let ports: Vec<(i64, Vec<i32>)> = sqlx::query_as(
        "SELECT host, array_agg(port ORDER BY port) FROM service WHERE host = ANY($1) AND state = 1 GROUP BY host",
    )
    .bind(ids)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let ports: HashMap<i64, Vec<i32>> = ports.into_iter().collect();
    let mut by_id: HashMap<i64, HostSummary> = HashMap::with_capacity(rows.len());
    for row in &rows {
        let mut summary = row::summary(row, Timestamp::from_millis(now), max_age)?;
        let id: i64 = row.try_get("id").map_err(engine)?;
        if let Some(ports) = ports.get(&id) {
            summary.open_ports = u32::try_from(ports.len()).unwrap_or(u32::MAX);
            summary.ports = ports.iter().map(|port| port_number(*port)).collect::<Result<_, _>>()?;
            summary.ports.dedup();
            summary.ports.truncate(PORTS_SHOWN);
        }
        by_id.insert(id, summary);
    }
    Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
}

async fn count(
    connection: &mut PgConnection,
    now: i64,
    filter: &HostFilter,
    max_age: Duration,
    cap: u64,
) -> Result<HostCount, StoreError> {
    let only_state = HostFilter { state: filter.state, ..HostFilter::default() } == *filter;
    if only_state {
        let hosts = match filter.state {
            Some(state) => plan::hosts_in_state(connection, state).await?,
            None => plan::total_hosts(connection).await?,
        };
        return Ok(HostCount { hosts, exact: true });
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
    plan::walk_by_index(connection).await?;
    let conditions = resolved.all_conditions(Shape::EachHost);
    let (first, last) = resolved.range;
    let block = format!("BETWEEN {} AND {}", filter::literal(first), filter::literal(last));
    let walked = format!("FROM host WHERE address {block} ORDER BY address LIMIT");
    let rows = format!("SELECT FROM (SELECT * {walked} {COUNT_LIMIT}) AS host WHERE true{conditions}");
    let hosts = plan::count_to(connection, &rows, cap + 1).await?;
    let walked_all = plan::total_hosts(connection).await? <= COUNT_LIMIT || {
        let rows = format!("SELECT FROM host WHERE address {block} ORDER BY address");
        plan::count_to(connection, &rows, COUNT_LIMIT + 1).await? <= COUNT_LIMIT
    };
    Ok(HostCount { hosts: hosts.min(cap), exact: hosts <= cap && walked_all })
}

async fn get(
    connection: &mut PgConnection,
    now: i64,
    address: Address,
    max_age: Duration,
) -> Result<Host, StoreError> {
    let sql = format!("SELECT {HOST_COLUMNS} WHERE host.address = $1");
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(address.to_key().to_vec())
        .fetch_optional(&mut *connection)
        .await
        .map_err(engine)?
        .ok_or(StoreError::UnknownHost(address))?;
    let id: i64 = found.try_get("id").map_err(engine)?;
    let services = sqlx::query(
        "SELECT port, protocol, state, service, banner, first_seen, last_seen FROM service WHERE host = $1 \
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

fn service(row: &PgRow) -> Result<Service, StoreError> {
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

fn service_change(row: &PgRow) -> Result<ServiceChange, StoreError> {
    let (port, protocol) = port_of(row)?;
    let state = state_word(row.try_get("state").map_err(engine)?);
    Ok(ServiceChange { at: row::time(row, "at")?, port, protocol, state })
}

fn port_of(row: &PgRow) -> Result<(PortNumber, Protocol), StoreError> {
    let protocol: i16 = row.try_get("protocol").map_err(engine)?;
    let protocol = u8::try_from(protocol).ok().and_then(|number| Protocol::try_from(number).ok());
    let port = port_number(row.try_get("port").map_err(engine)?)?;
    Ok((port, protocol.ok_or_else(|| corrupt("a protocol"))?))
}

fn port_number(number: i32) -> Result<PortNumber, StoreError> {
    let port = u16::try_from(number).ok().and_then(|number| PortNumber::try_from(number).ok());
    port.ok_or_else(|| corrupt("a port"))
}

fn state_word(state: i16) -> String {
    if state == 1 { "open".to_owned() } else { "closed".to_owned() }
}

async fn history(connection: &mut PgConnection, address: Address) -> Result<HostHistory, StoreError> {
    let id: i64 = sqlx::query_scalar("SELECT id FROM host WHERE address = $1")
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
         WHERE c.host = $1 ORDER BY c.id DESC LIMIT $2",
    )
    .bind(id)
    .bind(MOST_ROWS)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let services = sqlx::query(
        "SELECT port, protocol, state, at FROM service_change WHERE host = $1 ORDER BY id DESC LIMIT $2",
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

fn location_change(row: &PgRow) -> Result<LocationChange, StoreError> {
    let place = |prefix| row::place(row, prefix)?.ok_or_else(|| corrupt("a place"));
    let (from, to) = (place("from_")?, place("to_")?);
    let provider: i16 = row.try_get("provider").map_err(engine)?;
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
    connection: &mut PgConnection,
    now: i64,
    filter: &HostFilter,
    max_age: Duration,
) -> Result<Vec<(PlaceId, u64)>, StoreError> {
    let resolved = filter::resolve(connection, now, filter, max_age).await?;
    let sql = if resolved.is_places_alone() {
        let of_place = match (&resolved.countries, &resolved.places) {
            (Some(countries), _) => format!("country_code IN ({countries})"),
            (None, Some(places)) => format!("id = ANY({})", places.list),
            (None, None) => "false".to_owned(),
        };
        format!(
            "SELECT id, hosts + coalesce(n, 0) FROM place LEFT JOIN \
             (SELECT place, sum(n)::bigint AS n FROM place_delta GROUP BY place) AS delta ON delta.place = place.id \
             WHERE hosts + coalesce(n, 0) > 0 AND {of_place}"
        )
    } else {
        let block = if resolved.has_range {
            let (first, last) = resolved.range;
            format!(" AND host.address BETWEEN {} AND {}", filter::literal(first), filter::literal(last))
        } else {
            String::new()
        };
        format!(
            "SELECT place, count(*) FROM host WHERE place IS NOT NULL{block}{} GROUP BY place",
            resolved.all_conditions(Shape::WholeSet)
        )
    };
    // Compiling such a statement takes longer than running it.
    sqlx::raw_sql("SET LOCAL jit = off").execute(&mut *connection).await.map_err(engine)?;
    let found: Vec<(i64, i64)> =
        sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await.map_err(engine)?;
    Ok(found.into_iter().map(|(place, hosts)| (PlaceId(place), rows::count(hosts))).collect())
}
