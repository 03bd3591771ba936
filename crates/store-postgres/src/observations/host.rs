use std::ops::Range;

use hostatlas_domain::{
    Address, AddressClass, LocationFacts, LocationState, Timestamp, UnlocatedReason, classify,
};
use hostatlas_store::{Observation, StoreError};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::error::{corrupt, engine, other};

/// A host of a batch.
pub(super) struct BatchHost {
    pub(super) id: i64,
    pub(super) address: Address,
    pub(super) class: AddressClass,
    first_seen: i64,
    last_seen: i64,
    /// Its observations in the batch.
    pub(super) observations: Range<usize>,
    /// What was known of its location, unless this batch made it.
    pub(super) known: Option<LocationFacts>,
    /// Whether this import touches it for the first time.
    pub(super) is_first_touch: bool,
}

impl BatchHost {
    pub(super) fn is_new(&self) -> bool {
        self.known.is_none()
    }
}

/// Makes or refreshes the hosts of a batch and locks them; answers them by address, each with its id.
///
/// One statement in address order, and not a search followed by insertions: a second pass over keys that somebody else
/// made meanwhile would take locks out of order.
pub(super) async fn record(
    connection: &mut PgConnection,
    import: i64,
    observations: &[Observation],
) -> Result<Vec<BatchHost>, StoreError> {
    let mut hosts = gather(observations);
    let keys: Vec<[u8; 16]> = hosts.iter().map(|host| host.address.to_key()).collect();
    let of = |value: fn(&BatchHost) -> i64| hosts.iter().map(value).collect::<Vec<_>>();
    let (first_seen, last_seen) = (of(|host| host.first_seen), of(|host| host.last_seen));
    let classes: Vec<_> = hosts.iter().map(|host| i16::from(host.class.number())).collect();
    let states: Vec<_> = hosts.iter().map(|host| i16::from(first_state(host.class).number())).collect();
    // A row that this statement inserted has no `xmax`; one that it updated carries the lock that came before.
    // What an import was before is read as of the statement's start: another import that touches the same host in the
    // same moment does not take the first touch away.
    let row = sqlx::query(
        "WITH written AS (
             INSERT INTO host AS known (address, first_seen, last_seen, class, location_state, first_import, last_import)
             SELECT address, first_seen, last_seen, class, location_state, $6, $6
             FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::smallint[], $5::smallint[])
                 AS seen (address, first_seen, last_seen, class, location_state)
             ON CONFLICT (address) DO UPDATE SET
                 first_seen = least(known.first_seen, excluded.first_seen),
                 last_seen = greatest(known.last_seen, excluded.last_seen),
                 import_count = known.import_count
                     + CASE WHEN known.last_import <> excluded.last_import THEN 1 ELSE 0 END,
                 last_import = excluded.last_import
             RETURNING id, address, xmax = 0 AS is_new, location_state, reason, located_at, attempted_at,
                 database_build,
                 CASE WHEN xmax = 0 THEN true ELSE
                     (SELECT before.last_import FROM host AS before WHERE before.id = known.id) IS DISTINCT FROM $6
                 END AS is_first_touch)
         SELECT array_agg(id) AS ids, string_agg(address, ''::bytea) AS keys, array_agg(is_new) AS is_new,
             array_agg(is_first_touch) FILTER (WHERE NOT is_new) AS is_first_touch,
             array_agg(location_state) FILTER (WHERE NOT is_new) AS states,
             array_agg(reason) FILTER (WHERE NOT is_new) AS reasons,
             array_agg(located_at) FILTER (WHERE NOT is_new) AS located_at,
             array_agg(attempted_at) FILTER (WHERE NOT is_new) AS attempted_at,
             array_agg(database_build) FILTER (WHERE NOT is_new) AS builds
         FROM written",
    )
    .bind(&keys)
    .bind(first_seen)
    .bind(last_seen)
    .bind(classes)
    .bind(states)
    .bind(import)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    // Rows come back as they were inserted; that no manual says so is why the keys come along.
    let written: Vec<u8> = row.try_get("keys").map_err(engine)?;
    if written != keys.as_flattened() {
        return Err(other("hosts were not recorded in their order"));
    }
    learn(&mut hosts, &row)?;
    Ok(hosts)
}

fn first_state(class: AddressClass) -> LocationState {
    if class.is_public() { LocationState::Pending } else { LocationState::NotApplicable }
}

fn gather(observations: &[Observation]) -> Vec<BatchHost> {
    let mut hosts: Vec<BatchHost> = Vec::with_capacity(observations.len());
    for (index, observation) in observations.iter().enumerate() {
        let (first_seen, last_seen) = (observation.first_seen.as_millis(), observation.last_seen.as_millis());
        match hosts.last_mut() {
            Some(host) if host.address == observation.address => {
                host.first_seen = host.first_seen.min(first_seen);
                host.last_seen = host.last_seen.max(last_seen);
                host.observations.end = index + 1;
            }
            _ => hosts.push(BatchHost {
                id: 0,
                address: observation.address,
                class: classify(observation.address),
                first_seen,
                last_seen,
                observations: index..index + 1,
                known: None,
                is_first_touch: true,
            }),
        }
    }
    hosts
}

/// Takes over ids, and what was known of those that are not new.
fn learn(hosts: &mut [BatchHost], row: &PgRow) -> Result<(), StoreError> {
    let ids: Vec<i64> = row.try_get("ids").map_err(engine)?;
    let is_new: Vec<bool> = row.try_get("is_new").map_err(engine)?;
    for (host, id) in hosts.iter_mut().zip(ids) {
        host.id = id;
    }
    let known = hosts.iter_mut().zip(is_new).filter(|(_, is_new)| !is_new).map(|(host, _)| host);
    let known: Vec<&mut BatchHost> = known.collect();
    if known.is_empty() {
        return Ok(());
    }
    let touches: Vec<bool> = row.try_get("is_first_touch").map_err(engine)?;
    let states: Vec<i16> = row.try_get("states").map_err(engine)?;
    let reasons: Vec<Option<i16>> = row.try_get("reasons").map_err(engine)?;
    let times = |name: &str| row.try_get::<Vec<Option<i64>>, _>(name).map_err(engine);
    let (located, attempted, builds) = (times("located_at")?, times("attempted_at")?, times("builds")?);
    let lengths = [touches.len(), states.len(), reasons.len(), located.len(), attempted.len(), builds.len()];
    if lengths.iter().any(|length| *length != known.len()) {
        return Err(other("not every known host was read"));
    }
    for (index, host) in known.into_iter().enumerate() {
        let state = u8::try_from(states[index]).ok().and_then(LocationState::from_number);
        let reason = reasons[index].map(|number| {
            let reason = u8::try_from(number).ok().and_then(UnlocatedReason::from_number);
            reason.ok_or_else(|| corrupt("an unlocated reason"))
        });
        host.is_first_touch = touches[index];
        host.known = Some(LocationFacts {
            state: state.ok_or_else(|| corrupt("a location state"))?,
            reason: reason.transpose()?,
            located_at: located[index].map(Timestamp::from_millis),
            attempted_at: attempted[index].map(Timestamp::from_millis),
            database_build: builds[index].map(Timestamp::from_millis),
        });
    }
    Ok(())
}
