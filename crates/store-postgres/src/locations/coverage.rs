//! Reading what the counters hold: what is added up already, and what is not yet.

use std::{collections::BTreeMap, time::Duration};

use hostatlas_domain::{
    Address, AddressClass, Coordinate, CountryCode, CountryCoverage, Coverage, LocationState, Place,
    Precision, ProviderName, RecentResult, Timestamp, UnlocatedReason,
};
use hostatlas_store::StoreError;
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    counters::hour_of,
    error::{corrupt, engine},
};

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
    // With age zero all is stale, even what was located in this hour.
    let before = if max_age.is_zero() {
        i64::MAX
    } else {
        hour_of(Timestamp::from_millis(now).minus(max_age).as_millis())
    };
    let stale: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(n), 0)::bigint FROM (SELECT n FROM counter WHERE name = 'located_hour' AND key < $1 \
         UNION ALL SELECT n FROM counter_delta WHERE name = 'located_hour' AND key < $1) AS counted",
    )
    .bind(before)
    .fetch_one(connection)
    .await
    .map_err(engine)?;

    let mut coverage = Coverage { stale: count(stale), ..Coverage::default() };
    let mut pending_live = 0;
    for (name, key, hosts) in counters {
        let (number, hosts) = (u8::try_from(key).unwrap_or(u8::MAX), count(hosts));
        match name.as_str() {
            "state" => {
                coverage.total += hosts;
                match LocationState::from_number(number).ok_or_else(|| corrupt("a counter"))? {
                    LocationState::Pending => coverage.pending = hosts,
                    LocationState::Located => coverage.located = hosts,
                    LocationState::Unlocated => coverage.unlocated = hosts,
                    LocationState::NotApplicable => coverage.not_applicable = hosts,
                }
            }
            "pending_live" => pending_live = hosts,
            "reason" => {
                let slug = UnlocatedReason::from_number(number).map(UnlocatedReason::slug);
                note(&mut coverage.unlocated_reasons, slug, hosts);
            }
            "class" => {
                let class = AddressClass::from_number(number).filter(|class| !class.is_public());
                note(&mut coverage.not_applicable_classes, class.map(AddressClass::slug), hosts);
            }
            "precision" => {
                note(&mut coverage.precision, Precision::from_number(number).map(Precision::slug), hosts);
            }
            "provider" => {
                note(
                    &mut coverage.providers,
                    ProviderName::from_number(number).map(ProviderName::name),
                    hosts,
                );
            }
            _ => {}
        }
    }
    coverage.pending_unqueued = coverage.pending.saturating_sub(pending_live);
    coverage.percent_located = Coverage::percent(coverage.located, coverage.total, coverage.not_applicable);
    Ok(coverage)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn note(map: &mut BTreeMap<String, u64>, name: Option<&'static str>, hosts: u64) {
    if let Some(name) = name.filter(|_| hosts > 0) {
        map.insert(name.to_owned(), hosts);
    }
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
    let country = |(code, hosts, precise): (String, i64, i64)| {
        let known = code.parse::<CountryCode>().ok();
        CountryCoverage {
            country_code: known.map(|known| known.to_string()),
            country: known.map(|known| known.name().to_owned()),
            hosts: count(hosts),
            precise: count(precise),
        }
    };
    Ok(rows.into_iter().map(country).collect())
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
    let address: &[u8] = row.try_get(0).map_err(engine)?;
    let address = address.try_into().map_err(|_| corrupt("an address"))?;
    let number = |index: usize| -> Result<Option<u8>, StoreError> {
        let number: Option<i16> = row.try_get(index).map_err(engine)?;
        Ok(number.and_then(|number| u8::try_from(number).ok()))
    };
    let state = number(1)?.and_then(LocationState::from_number);
    let reason = number(2)?.and_then(UnlocatedReason::from_number);
    let provider = number(3)?.and_then(ProviderName::from_number);
    let summary = match place(row)? {
        Some(place) => place.label(),
        None => reason.map_or_else(String::new, |reason| reason.label().to_owned()),
    };
    Ok(RecentResult {
        ip: Address::from_key(address),
        location_state: state.ok_or_else(|| corrupt("a location state"))?,
        summary,
        provider: provider.map(|provider| provider.name().to_owned()),
        attempted_at: Timestamp::from_millis(row.try_get(4).map_err(engine)?),
    })
}

fn place(row: &PgRow) -> Result<Option<Place>, StoreError> {
    let Some(latitude) = row.try_get::<Option<i32>, _>(5).map_err(engine)? else { return Ok(None) };
    let longitude: i32 = row.try_get(6).map_err(engine)?;
    let precision: i16 = row.try_get(7).map_err(engine)?;
    let precision = u8::try_from(precision).ok().and_then(Precision::from_number);
    let named = |index: usize| -> Result<Option<String>, StoreError> {
        let name: String = row.try_get(index).map_err(engine)?;
        Ok(Some(name).filter(|name| !name.is_empty()))
    };
    Ok(Some(Place {
        coordinate: Coordinate::from_units(latitude, longitude).map_err(|_| corrupt("a coordinate"))?,
        precision: precision.ok_or_else(|| corrupt("a precision"))?,
        city: named(8)?,
        region: named(9)?,
        country: named(10)?.and_then(|code| code.parse().ok()),
    }))
}
