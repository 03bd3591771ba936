//! From answers to the rows of their places and networks.

use std::collections::{BTreeMap, HashMap};

use hostatlas_domain::{Network, Place};
use hostatlas_store::{
    StoreError,
    backend::{Answers, Caches, KnownPlace, Learned, Resolving},
};
use sqlx::SqliteConnection;

use super::apply::Write;
use crate::{
    error::engine,
    packed::{push_number, push_row, push_text, rows, separate},
};

/// Finds or makes the places and networks of all answers.
pub(super) async fn resolve(
    connection: &mut SqliteConnection,
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

/// A place as the columns of its key, in their order; what follows may be added before the `]`.
fn push_place(json: &mut String, place: &Place) {
    let (latitude, longitude) = place.coordinate.units();
    push_row(json, &[Some(latitude.into()), Some(longitude.into()), Some(place.precision.number().into())]);
    json.pop();
    let country = place.country.map_or("", hostatlas_domain::CountryCode::as_str);
    for name in [place.city.as_deref().unwrap_or(""), place.region.as_deref().unwrap_or(""), country] {
        json.push(',');
        push_text(json, name);
    }
    json.push(']');
}

/// The rows of `places`, in their order.
async fn find_or_make_places(
    connection: &mut SqliteConnection,
    places: &[&Place],
    timezones: &HashMap<&Place, &str>,
) -> Result<Vec<KnownPlace>, StoreError> {
    let mut keys = String::from("[");
    for place in places {
        push_place(&mut keys, place);
    }
    keys.push(']');
    let (packed, mut next): (Option<String>, i64) = sqlx::query_as(
        "SELECT group_concat(concat_ws(',', x.key, p.id, p.timezone <> ''), ';'), \
         (SELECT coalesce(max(id), 0) + 1 FROM place) \
         FROM json_each(?1) AS x CROSS JOIN place AS p ON p.latitude_e5 = x.value ->> 0 \
         AND p.longitude_e5 = x.value ->> 1 AND p.precision = x.value ->> 2 AND p.city = x.value ->> 3 \
         AND p.region = x.value ->> 4 AND p.country_code = x.value ->> 5",
    )
    .bind(keys)
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    let mut found = vec![None; places.len()];
    for mut row in rows(packed.as_deref()) {
        let index = usize::try_from(row.number()?).unwrap_or(usize::MAX);
        let known = KnownPlace { id: row.number()?, has_timezone: row.number()? != 0 };
        if let Some(place) = found.get_mut(index) {
            *place = Some(known);
        }
    }

    let mut made = String::from("[");
    let mut all = Vec::with_capacity(places.len());
    for (place, found) in places.iter().zip(found) {
        if let Some(known) = found {
            all.push(known);
            continue;
        }
        let timezone = timezones.get(*place).copied().unwrap_or("");
        push_place(&mut made, place);
        made.pop();
        made.push(',');
        push_text(&mut made, timezone);
        made.push(',');
        push_number(&mut made, next);
        made.push(']');
        all.push(KnownPlace { id: next, has_timezone: !timezone.is_empty() });
        next += 1;
    }
    made.push(']');
    if made.len() > 2 {
        sqlx::query(
            "INSERT INTO place (latitude_e5, longitude_e5, precision, city, region, country_code, timezone, id) \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, \
             value ->> 7 FROM json_each(?1)",
        )
        .bind(made)
        .execute(connection)
        .await
        .map_err(engine)?;
    }
    Ok(all)
}

/// The ids of `networks`, in their order.
async fn find_or_make_networks(
    connection: &mut SqliteConnection,
    networks: &[&Network],
) -> Result<Vec<i64>, StoreError> {
    let mut keys = String::from("[");
    for network in networks {
        separate(&mut keys);
        keys.push('[');
        push_number(&mut keys, network.asn.map_or(0, |asn| asn.0.into()));
        for name in [network.organization.as_deref(), network.isp.as_deref()] {
            keys.push(',');
            push_text(&mut keys, name.unwrap_or(""));
        }
        keys.push(']');
    }
    keys.push(']');
    sqlx::query(
        "INSERT INTO network (asn, organization, isp) SELECT value ->> 0, value ->> 1, value ->> 2 \
         FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(&keys)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let packed: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(concat_ws(',', x.key, n.id), ';') FROM json_each(?1) AS x CROSS JOIN network AS n \
         ON n.asn = x.value ->> 0 AND n.organization = x.value ->> 1 AND n.isp = x.value ->> 2",
    )
    .bind(keys)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    let mut found = vec![0; networks.len()];
    for mut row in rows(packed.as_deref()) {
        let (index, id) = (row.number()?, row.number()?);
        if let Some(network) = usize::try_from(index).ok().and_then(|index| found.get_mut(index)) {
            *network = id;
        }
    }
    Ok(found)
}

/// Gives places that lack one their time zone.
async fn fill_timezones(
    connection: &mut SqliteConnection,
    timezones: BTreeMap<i64, &str>,
) -> Result<(), StoreError> {
    let mut json = String::from("[");
    for (id, timezone) in timezones {
        push_row(&mut json, &[Some(id)]);
        json.pop();
        json.push(',');
        push_text(&mut json, timezone);
        json.push(']');
    }
    json.push(']');
    sqlx::query(
        "UPDATE place SET timezone = x.timezone \
         FROM (SELECT value ->> 0 AS id, value ->> 1 AS timezone FROM json_each(?1)) AS x \
         WHERE place.id = x.id AND place.timezone = ''",
    )
    .bind(json)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}
