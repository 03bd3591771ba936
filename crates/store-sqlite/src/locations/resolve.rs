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
    cache::{Caches, KnownPlace, Learned, identity},
};
use crate::{
    error::engine,
    ids::{IdMap, IdSet},
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

/// The answers of a batch, one for each write; none where it is not located.
pub(super) type Answers = Vec<Option<Answer>>;

/// Finds or makes the places and networks of all answers.
pub(super) async fn resolve(
    connection: &mut SqliteConnection,
    writes: &[Write],
    caches: &Caches,
) -> Result<(Answers, Learned), StoreError> {
    let mut answers = known_answers(caches, writes);
    let located = unknown(writes, &answers);
    if located.is_empty() {
        return Ok((answers, Learned::default()));
    }
    let mut learned = Learned::default();
    let (mut places, mut networks) = known_parts(caches, &located);
    let missing: HashSet<&Place> =
        located.iter().map(|answer| &answer.place).filter(|place| !places.contains_key(*place)).collect();
    if !missing.is_empty() {
        let missing: Vec<&Place> = missing.into_iter().collect();
        let found = find_or_make_places(connection, &missing, &timezones(&located)).await?;
        learned.places.extend(missing.iter().zip(&found).map(|(place, known)| ((*place).clone(), *known)));
        places.extend(missing.into_iter().zip(found));
    }
    let is_missing = |network: &&Network| !network.is_empty() && !networks.contains_key(*network);
    let missing: HashSet<&Network> =
        located.iter().map(|answer| &answer.network).filter(is_missing).collect();
    if !missing.is_empty() {
        let missing: Vec<&Network> = missing.into_iter().collect();
        let found = find_or_make_networks(connection, &missing).await?;
        learned.networks.extend(missing.iter().zip(&found).map(|(network, id)| ((*network).clone(), *id)));
        networks.extend(missing.into_iter().zip(found));
    }
    fill_timezones(connection, &located, &places, &mut learned).await?;

    let mut resolved: IdMap<Answer> = IdMap::default();
    for located in located {
        let Some(place) = places.get(&located.place) else { continue };
        let answer = Answer {
            place: place.id,
            network: networks.get(&located.network).copied(),
            units: located.place.coordinate.units(),
            precision: located.place.precision,
            provider: located.provider,
            accuracy_km: located.accuracy_km,
            database_build: located.database_build.map(hostatlas_domain::Timestamp::as_millis),
        };
        resolved.insert(identity(located), answer);
        learned.answers.push((Arc::clone(located), answer));
    }
    for (answer, write) in answers.iter_mut().zip(writes) {
        if let (None, Attempt::Located(located)) = (&answer, &write.attempt) {
            *answer = resolved.get(&identity(located)).copied();
        }
    }
    Ok((answers, learned))
}

fn known_answers(caches: &Caches, writes: &[Write]) -> Answers {
    let mut known = caches.known();
    let answer = |write: &Write| match &write.attempt {
        Attempt::Located(located) => known.answer(located),
        Attempt::Unlocated { .. } | Attempt::NotApplicable => None,
    };
    writes.iter().map(answer).collect()
}

/// The answers that have no rows yet, each once. Equal answers share their `Arc`, so comparing where they are is
/// enough; where they do not, the place is merely looked up twice.
fn unknown<'w>(writes: &'w [Write], answers: &Answers) -> Vec<&'w Arc<Located>> {
    let mut seen = IdSet::default();
    let located = |(write, answer): (&'w Write, &Option<Answer>)| match (&write.attempt, answer) {
        (Attempt::Located(located), None) if seen.insert(identity(located)) => Some(located),
        _ => None,
    };
    writes.iter().zip(answers).filter_map(located).collect()
}

type Found<'a> = (HashMap<&'a Place, KnownPlace>, HashMap<&'a Network, i64>);

fn known_parts<'a>(caches: &Caches, located: &[&'a Arc<Located>]) -> Found<'a> {
    let known = caches.known();
    let places = located.iter().filter_map(|answer| Some((&answer.place, *known.places.get(&answer.place)?)));
    let networks =
        located.iter().filter_map(|answer| Some((&answer.network, *known.networks.get(&answer.network)?)));
    (places.collect(), networks.collect())
}

fn timezones<'a>(located: &[&'a Arc<Located>]) -> HashMap<&'a Place, &'a str> {
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
    located: &[&Arc<Located>],
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
