//! From answers to the rows of their places and networks.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use hostatlas_domain::{Located, Network, Place, Precision, ProviderName};
use hostatlas_store::{Attempt, StoreError};
use sqlx::SqliteConnection;

use super::{
    apply::Write,
    cache::{Caches, KnownPlace, Learned},
};
use crate::{
    error::engine,
    packed::{push_number, push_row, push_text, rows, separate},
};

/// One distinct answer of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) place: i64,
    pub(super) network: Option<i64>,
    pub(super) units: (i32, i32),
    pub(super) precision: Precision,
    pub(super) provider: ProviderName,
    pub(super) accuracy_km: Option<u16>,
    pub(super) database_build: Option<i64>,
}

/// The answers of a batch: each once, and which one each write got.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) distinct: Vec<Answer>,
    of_write: Vec<u32>,
}

impl Answers {
    /// The answer of the write at this position; none if it is not located.
    pub(super) fn of(&self, write: usize) -> Option<&Answer> {
        self.of_write.get(write).and_then(|index| self.distinct.get(*index as usize))
    }
}

/// Finds or makes the places and networks of all answers.
pub(super) async fn resolve(
    connection: &mut SqliteConnection,
    writes: &[Write],
    caches: &Caches,
) -> Result<(Answers, Learned), StoreError> {
    let (located, of_write) = distinct(writes);
    let (mut places, mut networks) = known(caches, &located);
    let mut learned = Learned::default();

    let unknown: HashSet<&Place> =
        located.iter().map(|answer| &answer.place).filter(|place| !places.contains_key(*place)).collect();
    if !unknown.is_empty() {
        let unknown: Vec<&Place> = unknown.into_iter().collect();
        let found = find_or_make_places(connection, &unknown, &timezones(&located)).await?;
        learned.places.extend(unknown.iter().zip(&found).map(|(place, known)| ((*place).clone(), *known)));
        places.extend(unknown.into_iter().zip(found));
    }
    let unknown: HashSet<&Network> = located
        .iter()
        .map(|answer| &answer.network)
        .filter(|network| !network.is_empty() && !networks.contains_key(*network))
        .collect();
    if !unknown.is_empty() {
        let unknown: Vec<&Network> = unknown.into_iter().collect();
        let found = find_or_make_networks(connection, &unknown).await?;
        learned.networks.extend(unknown.iter().zip(&found).map(|(network, id)| ((*network).clone(), *id)));
        networks.extend(unknown.into_iter().zip(found));
    }
    fill_timezones(connection, &located, &places, &mut learned).await?;

    let distinct = located
        .iter()
        .filter_map(|answer| {
            Some(Answer {
                place: places.get(&answer.place)?.id,
                network: networks.get(&answer.network).copied(),
                units: answer.place.coordinate.units(),
                precision: answer.place.precision,
                provider: answer.provider,
                accuracy_km: answer.accuracy_km,
                database_build: answer.database_build.map(hostatlas_domain::Timestamp::as_millis),
            })
        })
        .collect();
    Ok((Answers { distinct, of_write }, learned))
}

/// Each answer once. Equal answers share their `Arc`, so comparing pointers is enough; where they do not, the place
/// is merely looked up twice.
fn distinct(writes: &[Write]) -> (Vec<&Located>, Vec<u32>) {
    let mut located: Vec<&Located> = Vec::new();
    let mut seen: HashMap<*const Located, u32> = HashMap::new();
    let of_write = writes
        .iter()
        .map(|write| match &write.attempt {
            Attempt::Located(answer) => *seen.entry(Arc::as_ptr(answer)).or_insert_with(|| {
                located.push(answer);
                u32::try_from(located.len() - 1).unwrap_or(u32::MAX)
            }),
            Attempt::Unlocated { .. } => u32::MAX,
        })
        .collect();
    (located, of_write)
}

type Found<'a> = (HashMap<&'a Place, KnownPlace>, HashMap<&'a Network, i64>);

fn known<'a>(caches: &Caches, located: &[&'a Located]) -> Found<'a> {
    let known = caches.known();
    let places = located.iter().filter_map(|answer| Some((&answer.place, *known.places.get(&answer.place)?)));
    let networks = located.iter().filter_map(|answer| Some((&answer.network, *known.networks.get(&answer.network)?)));
    (places.collect(), networks.collect())
}

fn timezones<'a>(located: &[&'a Located]) -> HashMap<&'a Place, &'a str> {
    located.iter().filter_map(|answer| Some((&answer.place, answer.timezone.as_deref()?))).collect()
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

/// Gives places the time zone that an answer knows and that they lack.
async fn fill_timezones(
    connection: &mut SqliteConnection,
    located: &[&Located],
    places: &HashMap<&Place, KnownPlace>,
    learned: &mut Learned,
) -> Result<(), StoreError> {
    let mut missing: HashMap<&Place, (i64, &str)> = HashMap::new();
    for answer in located {
        if let (Some(known), Some(timezone)) = (places.get(&answer.place), answer.timezone.as_deref())
            && !known.has_timezone
            && !timezone.is_empty()
        {
            missing.insert(&answer.place, (known.id, timezone));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut json = String::from("[");
    for (place, (id, timezone)) in missing {
        push_row(&mut json, &[Some(id)]);
        json.pop();
        json.push(',');
        push_text(&mut json, timezone);
        json.push(']');
        learned.places.push((place.clone(), KnownPlace { id, has_timezone: true }));
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
