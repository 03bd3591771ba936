//! From answers to the rows of their places and networks.

use std::collections::{BTreeMap, HashMap};

use hostatlas_domain::{CountryCode, Network, Place};
use hostatlas_store::{
    StoreError,
    backend::{Answers, Caches, KnownPlace, Learned, Resolving},
};
use sqlx::PgConnection;

use super::apply::Write;
use crate::error::{corrupt, engine};

/// Finds or makes the places and networks of all answers.
pub(super) async fn resolve(
    connection: &mut PgConnection,
    writes: &[Write],
    caches: &Caches,
) -> Result<(Answers, Learned), StoreError> {
    let attempts = || writes.iter().map(|write| &write.attempt);
    let mut batch = Resolving::new(caches, attempts());
    let places = batch.missing_places();
    if !places.is_empty() {
        let found = find_or_make_places(connection, &places, &batch.timezones()).await?;
        batch.places_found(&places, &found);
    }
    let networks = batch.missing_networks();
    if !networks.is_empty() {
        let found = find_or_make_networks(connection, &networks).await?;
        batch.networks_found(&networks, &found);
    }
    let timezones = batch.missing_timezones();
    if !timezones.is_empty() {
        fill_timezones(connection, timezones).await?;
    }
    Ok(batch.end(attempts()))
}

/// The key of a place, whose order is that in which rows are made.
type PlaceKey<'a> = (i32, i32, i16, &'a str, &'a str, &'a str);

fn place_key(place: &Place) -> PlaceKey<'_> {
    let (latitude, longitude) = place.coordinate.units();
    let country = place.country.map_or("", CountryCode::as_str);
    let (city, region) = (place.city.as_deref().unwrap_or(""), place.region.as_deref().unwrap_or(""));
    (latitude, longitude, place.precision.number().into(), city, region, country)
}

/// Places by column, and their time zones.
#[derive(Default)]
struct PlaceColumns<'a> {
    latitude: Vec<i32>,
    longitude: Vec<i32>,
    precision: Vec<i16>,
    city: Vec<&'a str>,
    region: Vec<&'a str>,
    country: Vec<&'a str>,
    timezone: Vec<&'a str>,
}

impl<'a> PlaceColumns<'a> {
    fn push(
        &mut self,
        (latitude, longitude, precision, city, region, country): PlaceKey<'a>,
        timezone: &'a str,
    ) {
        self.latitude.push(latitude);
        self.longitude.push(longitude);
        self.precision.push(precision);
        self.city.push(city);
        self.region.push(region);
        self.country.push(country);
        self.timezone.push(timezone);
    }

    /// Their rows, none where there is none yet.
    async fn find(&self, connection: &mut PgConnection) -> Result<Vec<Option<KnownPlace>>, StoreError> {
        let rows: Vec<(i64, i64, bool)> = sqlx::query_as(
            "SELECT x.number, p.id, p.timezone <> '' \
             FROM unnest($1::integer[], $2::integer[], $3::smallint[], $4::text[], $5::text[], $6::text[]) \
             WITH ORDINALITY AS x(latitude, longitude, precision, city, region, country, number) \
             JOIN place AS p ON p.latitude_e5 = x.latitude AND p.longitude_e5 = x.longitude \
             AND p.precision = x.precision AND p.city = x.city AND p.region = x.region \
             AND p.country_code = x.country",
        )
        .bind(&self.latitude)
        .bind(&self.longitude)
        .bind(&self.precision)
        .bind(&self.city)
        .bind(&self.region)
        .bind(&self.country)
        .fetch_all(connection)
        .await
        .map_err(engine)?;
        let mut found = vec![None; self.latitude.len()];
        for (number, id, has_timezone) in rows {
            if let Some(place) = at(&mut found, number) {
                *place = Some(KnownPlace { id, has_timezone });
            }
        }
        Ok(found)
    }

    async fn make(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO place (latitude_e5, longitude_e5, precision, city, region, country_code, timezone) \
             SELECT * FROM unnest($1::integer[], $2::integer[], $3::smallint[], $4::text[], $5::text[], \
             $6::text[], $7::text[]) ON CONFLICT DO NOTHING",
        )
        .bind(&self.latitude)
        .bind(&self.longitude)
        .bind(&self.precision)
        .bind(&self.city)
        .bind(&self.region)
        .bind(&self.country)
        .bind(&self.timezone)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(())
    }
}

/// What stands at a place that is counted from 1.
fn at<T>(rows: &mut [T], number: i64) -> Option<&mut T> {
    rows.get_mut(usize::try_from(number).ok()?.checked_sub(1)?)
}

/// The rows of `places`, in their order.
///
/// Those that nobody has are made in the order of their keys: another transaction that makes some of them waits for
/// this one and never in a circle. What it made meanwhile is found when it is committed.
async fn find_or_make_places(
    connection: &mut PgConnection,
    places: &[&Place],
    timezones: &HashMap<&Place, &str>,
) -> Result<Vec<KnownPlace>, StoreError> {
    let mut sorted: Vec<(PlaceKey<'_>, usize)> =
        places.iter().enumerate().map(|(index, place)| (place_key(place), index)).collect();
    sorted.sort_unstable();
    let mut all = PlaceColumns::default();
    for (key, index) in &sorted {
        all.push(*key, timezones.get(places[*index]).copied().unwrap_or(""));
    }
    let mut found = all.find(connection).await?;
    if found.iter().any(Option::is_none) {
        let mut missing = PlaceColumns::default();
        for (number, _) in found.iter().enumerate().filter(|(_, place)| place.is_none()) {
            missing.push(sorted[number].0, all.timezone[number]);
        }
        missing.make(connection).await?;
        let mut made = missing.find(connection).await?.into_iter();
        for place in found.iter_mut().filter(|place| place.is_none()) {
            *place = made.next().flatten();
        }
    }
    let mut in_order = vec![None; places.len()];
    for ((_, index), place) in sorted.into_iter().zip(found) {
        in_order[index] = place;
    }
    in_order.into_iter().map(|place| place.ok_or_else(|| corrupt("a place that cannot be found"))).collect()
}

/// Networks by column.
#[derive(Default)]
struct NetworkColumns<'a> {
    asn: Vec<i64>,
    organization: Vec<&'a str>,
    isp: Vec<&'a str>,
}

impl<'a> NetworkColumns<'a> {
    fn push(&mut self, (asn, organization, isp): NetworkKey<'a>) {
        self.asn.push(asn);
        self.organization.push(organization);
        self.isp.push(isp);
    }

    async fn find(&self, connection: &mut PgConnection) -> Result<Vec<Option<i64>>, StoreError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT x.number, n.id FROM unnest($1::bigint[], $2::text[], $3::text[]) \
             WITH ORDINALITY AS x(asn, organization, isp, number) \
             JOIN network AS n ON n.asn = x.asn AND n.organization = x.organization AND n.isp = x.isp",
        )
        .bind(&self.asn)
        .bind(&self.organization)
        .bind(&self.isp)
        .fetch_all(connection)
        .await
        .map_err(engine)?;
        let mut found = vec![None; self.asn.len()];
        for (number, id) in rows {
            if let Some(network) = at(&mut found, number) {
                *network = Some(id);
            }
        }
        Ok(found)
    }

    async fn make(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO network (asn, organization, isp) \
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING",
        )
        .bind(&self.asn)
        .bind(&self.organization)
        .bind(&self.isp)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(())
    }
}

/// The key of a network, whose order is that in which rows are made.
type NetworkKey<'a> = (i64, &'a str, &'a str);

fn network_key(network: &Network) -> NetworkKey<'_> {
    let asn = network.asn.map_or(0, |asn| asn.0.into());
    (asn, network.organization.as_deref().unwrap_or(""), network.isp.as_deref().unwrap_or(""))
}

/// The ids of `networks`, in their order; made as places are.
async fn find_or_make_networks(
    connection: &mut PgConnection,
    networks: &[&Network],
) -> Result<Vec<i64>, StoreError> {
    let mut sorted: Vec<(NetworkKey<'_>, usize)> =
        networks.iter().enumerate().map(|(index, network)| (network_key(network), index)).collect();
    sorted.sort_unstable();
    let mut all = NetworkColumns::default();
    for (key, _) in &sorted {
        all.push(*key);
    }
    let mut found = all.find(connection).await?;
    if found.iter().any(Option::is_none) {
        let mut missing = NetworkColumns::default();
        for ((key, _), _) in sorted.iter().zip(&found).filter(|(_, network)| network.is_none()) {
            missing.push(*key);
        }
        missing.make(connection).await?;
        let mut made = missing.find(connection).await?.into_iter();
        for network in found.iter_mut().filter(|network| network.is_none()) {
            *network = made.next().flatten();
        }
    }
    let mut in_order = vec![None; networks.len()];
    for ((_, index), network) in sorted.into_iter().zip(found) {
        in_order[index] = network;
    }
    in_order
        .into_iter()
        .map(|network| network.ok_or_else(|| corrupt("a network that cannot be found")))
        .collect()
}

/// Gives places that lack one their time zone.
async fn fill_timezones(
    connection: &mut PgConnection,
    timezones: BTreeMap<i64, &str>,
) -> Result<(), StoreError> {
    let (ids, timezones): (Vec<i64>, Vec<&str>) = timezones.into_iter().unzip();
    // Locked in the order of ids, as by those who add up what the places gained: an update has an order of its own.
    sqlx::query("SELECT 1 FROM place WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(&ids)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    sqlx::query(
        "UPDATE place SET timezone = x.timezone FROM unnest($1::bigint[], $2::text[]) AS x(id, timezone) \
         WHERE place.id = x.id AND place.timezone = ''",
    )
    .bind(&ids)
    .bind(timezones)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}
