//! What hosts are before answers about them are written.

use std::collections::{HashMap, HashSet};

use hostatlas_domain::{AddressClass, LocationState, Precision, ProviderName, UnlocatedReason};
use hostatlas_store::{Attempt, StoreError, backend::Answers};
use sqlx::PgConnection;

use super::apply::Write;
use crate::error::{corrupt, engine};

/// A host as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) host: i64,
    pub(super) state: LocationState,
    pub(super) attempted_at: Option<i64>,
    pub(super) reason: Option<UnlocatedReason>,
    pub(super) location: Option<LocationBefore>,
    pub(super) class: AddressClass,
    pub(super) is_pinned: bool,
}

/// Where a located host stood.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocationBefore {
    pub(super) place: i64,
    pub(super) provider: ProviderName,
    pub(super) located_at: i64,
}

/// Hosts that this transaction has locked, as they are; those that do not exist are not in here.
#[derive(Debug, Default)]
pub(crate) struct Hosts(HashMap<i64, Before>);

type HostColumns = (i64, i16, i16, i16, Option<i16>, Option<i16>, Option<i64>, Option<i64>, Option<i64>);

/// Locks hosts and answers what they are.
///
/// Every transaction that changes hosts, or jobs together with what is counted of their hosts, begins with this: hosts
/// come first in the one order of locks, and among themselves go by address, so that nobody waits in a circle.
pub(crate) async fn lock_hosts(connection: &mut PgConnection, hosts: &[i64]) -> Result<Hosts, StoreError> {
    if hosts.is_empty() {
        return Ok(Hosts::default());
    }
    let rows: Vec<HostColumns> = sqlx::query_as(
        "SELECT id, class, pinned, location_state, reason, provider, attempted_at, place, located_at \
         FROM host WHERE id = ANY($1) ORDER BY address FOR NO KEY UPDATE",
    )
    .bind(hosts)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    rows.into_iter()
        .map(|row| Before::of(row).map(|before| (before.host, before)))
        .collect::<Result<_, _>>()
        .map(Hosts)
}

impl Hosts {
    pub(super) fn get(&self, host: i64) -> Option<&Before> {
        self.0.get(&host)
    }

    /// Whether this host exists and nobody has said yet where it is.
    pub(crate) fn is_pending(&self, host: i64) -> bool {
        self.get(host).is_some_and(|before| before.state == LocationState::Pending)
    }
}

impl Before {
    fn of(row: HostColumns) -> Result<Self, StoreError> {
        let (host, class, pinned, state, reason, provider, attempted_at, place, located_at) = row;
        let byte = |number: i16| u8::try_from(number).ok();
        let state =
            byte(state).and_then(LocationState::from_number).ok_or_else(|| corrupt("a location state"))?;
        let reason = reason.and_then(byte).and_then(UnlocatedReason::from_number);
        let provider = provider.and_then(byte).and_then(ProviderName::from_number);
        let location = match (state, place, provider) {
            (LocationState::Located, Some(place), Some(provider)) => {
                Some(LocationBefore { place, provider, located_at: located_at.unwrap_or(0) })
            }
            (LocationState::Located, ..) => return Err(corrupt("a location")),
            _ => None,
        };
        let class =
            byte(class).and_then(AddressClass::from_number).ok_or_else(|| corrupt("an address class"))?;
        Ok(Self { host, state, attempted_at, reason, location, class, is_pinned: pinned != 0 })
    }

    /// Whether its address is public and no person pinned it.
    pub(super) fn is_ordinary(&self) -> bool {
        self.class.is_public() && !self.is_pinned
    }
}

/// What a place is counted and measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaceBefore {
    pub(super) units: (i32, i32),
    pub(super) precision: Precision,
}

/// The places that hosts of the batch may leave. A refresh leaves most where they are, so these are few.
pub(super) async fn places_left(
    connection: &mut PgConnection,
    writes: &[Write],
    answers: &Answers,
    hosts: &Hosts,
) -> Result<HashMap<i64, PlaceBefore>, StoreError> {
    let mut left = HashSet::new();
    for (write, answer) in writes.iter().zip(answers) {
        let location = hosts.get(write.host).and_then(|before| before.location);
        if let Some(location) = location
            && (answer.is_some_and(|answer| answer.place != location.place)
                || write.attempt == Attempt::NotApplicable)
        {
            left.insert(location.place);
        }
    }
    if left.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(i64, i32, i32, i16)> =
        sqlx::query_as("SELECT id, latitude_e5, longitude_e5, precision FROM place WHERE id = ANY($1)")
            .bind(left.into_iter().collect::<Vec<_>>())
            .fetch_all(connection)
            .await
            .map_err(engine)?;
    rows.into_iter()
        .map(|(place, latitude, longitude, precision)| {
            let precision = u8::try_from(precision).ok().and_then(Precision::from_number);
            let precision = precision.ok_or_else(|| corrupt("a precision"))?;
            Ok((place, PlaceBefore { units: (latitude, longitude), precision }))
        })
        .collect()
}
