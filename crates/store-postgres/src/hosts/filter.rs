//! A filter as SQL.
//!
//! Only numbers and hexadecimal keys made from typed values are written into the text of a statement; whatever a
//! person typed (names, words) is resolved to ids first, by bound parameters.

use std::{fmt::Write as _, time::Duration};

use hostatlas_domain::{Address, HostFilter};
use sqlx::{AssertSqlSafe, PgConnection};

use hostatlas_store::{StoreError, backend::escape_like};

use crate::{
    error::engine,
    rows::{count, storable},
};

/// The smallest and largest key.
pub(super) const FIRST_KEY: [u8; 16] = [0; 16];
pub(super) const LAST_KEY: [u8; 16] = [0xff; 16];

/// Places that are written out as a list.
const LISTED_PLACES: i64 = 1_000;

/// A set of row ids that a host's column must be in.
#[derive(Debug, Default)]
pub(super) struct IdSet {
    /// The ids, as an array: `'{1,2,3}'::bigint[]`.
    pub(super) list: String,
    /// How many there are.
    pub(super) len: u64,
}

impl IdSet {
    fn from_ids(ids: Vec<i64>) -> Self {
        let len = ids.len() as u64;
        let mut list = String::with_capacity(ids.len() * 7 + 14);
        list.push_str("'{");
        for (index, id) in ids.into_iter().enumerate() {
            let _ = write!(list, "{}{id}", if index > 0 { "," } else { "" });
        }
        list.push_str("}'::bigint[]");
        Self { list, len }
    }
}

/// A filter whose names have been looked up.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The first and last key of the block.
    pub(super) range: ([u8; 16], [u8; 16]),
    /// Whether a block was asked for.
    pub(super) has_range: bool,
    /// On one of these places.
    pub(super) places: Option<IdSet>,
    /// How many hosts stand on them.
    pub(super) place_hosts: u64,
    /// In these countries, as `'DE','FR'`, where they have more places than are worth listing.
    pub(super) countries: Option<String>,
    /// In one of these networks.
    pub(super) networks: Option<IdSet>,
    /// With one of these ports open, as `80,443`.
    pub(super) ports: Option<String>,
    /// What else must hold, over `host`; each begins with ` AND `.
    pub(super) conditions: String,
}

/// How conditions on other tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One seek for each host that is tested: for walks that end early. The planner turns `EXISTS` into a join that may
    /// begin by reading all of the other table, and leaves a sub-select for a value alone.
    EachHost,
    /// As the planner likes: for answers that need every host.
    WholeSet,
}

impl Resolved {
    /// All conditions but the block, as text that follows `WHERE true`.
    pub(super) fn all_conditions(&self, shape: Shape) -> String {
        let mut text = self.conditions_without_places(shape);
        if let Some(places) = &self.places {
            let _ = write!(text, " AND host.place = ANY({})", places.list);
        }
        text
    }

    /// All conditions but block and places: for a seek that has its place already.
    pub(super) fn conditions_without_places(&self, shape: Shape) -> String {
        let mut text = self.conditions.clone();
        if let Some(countries) = &self.countries {
            let _ = match shape {
                Shape::EachHost => write!(
                    text,
                    " AND (SELECT country_code FROM place WHERE place.id = host.place) IN ({countries})"
                ),
                Shape::WholeSet => write!(
                    text,
                    " AND EXISTS (SELECT FROM place WHERE place.id = host.place AND place.country_code IN ({countries}))"
                ),
            };
        }
        if let Some(networks) = &self.networks {
            let _ = write!(text, " AND host.network = ANY({})", networks.list);
        }
        if let Some(ports) = &self.ports {
            let open = format!(
                "FROM service WHERE service.host = host.id AND service.port IN ({ports}) AND service.state = 1"
            );
            let _ = match shape {
                Shape::EachHost => write!(text, " AND coalesce((SELECT true {open} LIMIT 1), false)"),
                Shape::WholeSet => write!(text, " AND EXISTS (SELECT {open})"),
            };
        }
        text
    }

    /// Whether no host can match: what was named is the name of no place with hosts, or of no network.
    pub(super) fn matches_nothing(&self) -> bool {
        let is_empty = |ids: &Option<IdSet>| ids.as_ref().is_some_and(|ids| ids.len == 0);
        is_empty(&self.places) || is_empty(&self.networks)
    }

    /// Whether places are all that is asked for, so that their counters answer.
    pub(super) fn is_places_alone(&self) -> bool {
        (self.places.is_some() || self.countries.is_some())
            && !self.has_range
            && self.networks.is_none()
            && self.ports.is_none()
            && self.conditions.is_empty()
    }
}

/// A key as an SQL literal.
pub(super) fn literal(key: [u8; 16]) -> String {
    let mut text = String::with_capacity(43);
    text.push_str("'\\x");
    for byte in key {
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str("'::bytea");
    text
}

/// Looks up the names in `filter`.
pub(super) async fn resolve(
    connection: &mut PgConnection,
    now: i64,
    filter: &HostFilter,
    max_age: Duration,
) -> Result<Resolved, StoreError> {
    let range = filter.range.map_or((FIRST_KEY, LAST_KEY), |range| {
        (Address::from(range.network()).to_key(), Address::from(range.broadcast()).to_key())
    });
    let countries = many_places(connection, filter).await?;
    let places = if countries.is_some() { None } else { resolve_places(connection, filter).await? };
    let place_hosts = match &places {
        Some(places) => hosts_on(connection, places).await?,
        None => 0,
    };
    let ports = (!filter.ports.is_empty())
        .then(|| filter.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    let mut conditions = host_conditions(now, filter, max_age);
    for word in &filter.words {
        let places = places_named_like(connection, word).await?;
        let networks = networks_named_like(connection, word).await?;
        let _ = write!(
            conditions,
            " AND (host.place = ANY({}) OR host.network = ANY({}))",
            places.list, networks.list
        );
    }
    Ok(Resolved {
        range,
        has_range: filter.range.is_some(),
        places,
        place_hosts,
        countries,
        networks: resolve_networks(connection, filter).await?,
        ports,
        conditions,
    })
}

/// The conditions on the host's own columns.
fn host_conditions(now: i64, filter: &HostFilter, max_age: Duration) -> String {
    let mut text = String::new();
    if let Some(state) = filter.state {
        let _ = write!(text, " AND host.location_state = {}", state.number());
    }
    if filter.stale {
        let _ = write!(text, " AND {}", stale_condition(now, max_age));
    }
    if let Some(reason) = filter.reason {
        let _ = write!(text, " AND host.location_state = 2 AND host.reason = {}", reason.number());
    }
    if let Some(provider) = filter.provider {
        let _ = write!(text, " AND host.location_state = 1 AND host.provider = {}", provider.number());
    }
    if let Some(import) = filter.import {
        let _ = write!(text, " AND host.first_import = {}", import.0);
    }
    text
}

/// `hostatlas_domain::is_stale` in SQL.
pub(super) fn stale_condition(now: i64, max_age: Duration) -> String {
    if max_age.is_zero() {
        return "host.location_state = 1 AND host.class = 0".to_owned();
    }
    let edge = now.saturating_sub(millis(max_age));
    format!("host.location_state = 1 AND host.class = 0 AND host.located_at < {edge}")
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

async fn resolve_places(
    connection: &mut PgConnection,
    filter: &HostFilter,
) -> Result<Option<IdSet>, StoreError> {
    if filter.place.is_none() && filter.countries.is_empty() && filter.city.is_none() {
        return Ok(None);
    }
    let mut sql = "SELECT id FROM place WHERE true".to_owned();
    if let Some(place) = filter.place {
        let _ = write!(sql, " AND id = {}", place.0);
    }
    if !filter.countries.is_empty() {
        let _ = write!(sql, " AND country_code IN ({})", country_list(filter));
    }
    if filter.city.is_some() {
        // The second range is what begins with the name and ` (`: `)` follows `(`, and names compare by their bytes.
        sql.push_str(" AND (lower(city) = $1 OR (lower(city) >= $2 AND lower(city) < $3))");
    }
    let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false);
    if let Some(city) = &filter.city {
        let city = storable(city).to_ascii_lowercase();
        query = query.bind(city.clone()).bind(format!("{city} (")).bind(format!("{city} )"));
    }
    let ids = query.fetch_all(connection).await.map_err(engine)?;
    Ok(Some(IdSet::from_ids(ids)))
}

/// Two ASCII letters each: a country code can be nothing else.
fn country_list(filter: &HostFilter) -> String {
    filter.countries.iter().map(|code| format!("'{code}'")).collect::<Vec<_>>().join(",")
}

/// The countries, if they are all that is said of the place and have more places than are worth listing: their hosts
/// are then so many that testing each host's place is quicker than a list of ten thousands.
async fn many_places(
    connection: &mut PgConnection,
    filter: &HostFilter,
) -> Result<Option<String>, StoreError> {
    if filter.countries.is_empty() || filter.city.is_some() || filter.place.is_some() {
        return Ok(None);
    }
    let countries = country_list(filter);
    let sql = format!(
        "SELECT count(*) FROM (SELECT FROM place WHERE country_code IN ({countries}) LIMIT {}) AS few",
        LISTED_PLACES + 1
    );
    let places: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    Ok((places > LISTED_PLACES).then_some(countries))
}

async fn resolve_networks(
    connection: &mut PgConnection,
    filter: &HostFilter,
) -> Result<Option<IdSet>, StoreError> {
    if filter.asns.is_empty() && filter.organization.is_none() {
        return Ok(None);
    }
    let mut sql = "SELECT id FROM network WHERE true".to_owned();
    if !filter.asns.is_empty() {
        let numbers: Vec<_> = filter.asns.iter().map(|asn| asn.0.to_string()).collect();
        let _ = write!(sql, " AND asn IN ({})", numbers.join(","));
    }
    if filter.organization.is_some() {
        sql.push_str(" AND (organization ILIKE $1 OR isp ILIKE $1)");
    }
    let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false);
    if let Some(organization) = &filter.organization {
        query = query.bind(containing(organization));
    }
    let ids = query.fetch_all(connection).await.map_err(engine)?;
    Ok(Some(IdSet::from_ids(ids)))
}

async fn places_named_like(connection: &mut PgConnection, word: &str) -> Result<IdSet, StoreError> {
    let country = word.parse().ok().or_else(|| hostatlas_domain::CountryCode::from_name(word));
    let ids = sqlx::query_scalar(
        "SELECT id FROM place WHERE city ILIKE $1 OR region ILIKE $1 OR country_code = $2",
    )
    .bind(containing(word))
    .bind(country.map(|code| code.to_string()).unwrap_or_default())
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    Ok(IdSet::from_ids(ids))
}

async fn networks_named_like(connection: &mut PgConnection, word: &str) -> Result<IdSet, StoreError> {
    let ids = sqlx::query_scalar("SELECT id FROM network WHERE organization ILIKE $1 OR isp ILIKE $1")
        .bind(containing(word))
        .fetch_all(connection)
        .await
        .map_err(engine)?;
    Ok(IdSet::from_ids(ids))
}

/// A pattern for what contains this text.
fn containing(text: &str) -> String {
    format!("%{}%", escape_like(&storable(text)))
}

/// How many hosts stand on these places, with what housekeeping has not added up yet.
async fn hosts_on(connection: &mut PgConnection, places: &IdSet) -> Result<u64, StoreError> {
    let list = &places.list;
    let sql = format!(
        "SELECT ((SELECT coalesce(sum(hosts), 0) FROM place WHERE id = ANY({list})) \
         + (SELECT coalesce(sum(n), 0) FROM place_delta WHERE place = ANY({list})))::bigint"
    );
    let hosts: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    Ok(count(hosts))
}

/// How many hosts stand in these countries.
pub(super) async fn hosts_in(connection: &mut PgConnection, countries: &str) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT ((SELECT coalesce(sum(hosts), 0) FROM place WHERE country_code IN ({countries})) \
         + (SELECT coalesce(sum(n), 0) FROM place_delta JOIN place ON place.id = place_delta.place \
            WHERE country_code IN ({countries})))::bigint"
    );
    let hosts: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    Ok(count(hosts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_ids_are_written_as_what_they_are() {
        assert_eq!(literal(LAST_KEY), r"'\xffffffffffffffffffffffffffffffff'::bytea");
        assert_eq!(IdSet::from_ids(vec![1, 22]).list, "'{1,22}'::bigint[]");
        assert_eq!(IdSet::from_ids(Vec::new()).list, "'{}'::bigint[]");
    }
}
