//! What hosts are before answers about them are written.

use hostatlas_domain::{AddressClass, LocationState, Precision, ProviderName, UnlocatedReason};
use hostatlas_store::{
    Attempt, StoreError,
    backend::{Answers, IdMap, IdSet},
};
use sqlx::SqliteConnection;

use super::apply::Write;
use crate::{
    error::{corrupt, engine},
    packed::{Row, id_array, rows},
};

/// A host that was attempted before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) host: i64,
    pub(super) state: LocationState,
    pub(super) attempted_at: i64,
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

/// The hosts of a batch as they are.
#[derive(Default)]
pub(super) struct Hosts {
    /// Those that are not simply pending, sorted.
    pub(super) before: Vec<Before>,
    /// If some do not exist: those that do.
    pub(super) existing: Option<IdSet>,
}

impl Hosts {
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        writes: &[Write],
    ) -> Result<Self, StoreError> {
        let ids = id_array(writes.iter().map(|write| write.host));
        // Of a host that nobody attempted there is nothing to tell; in bulk work that is nearly all of them.
        let (count, packed): (i64, Option<String>) = sqlx::query_as(
            "SELECT count(*), group_concat(iif(h.location_state <> 0 OR h.attempted_at IS NOT NULL, \
             concat_ws(',', h.id, (h.class << 32) | (h.pinned << 24) | (h.location_state << 16) | (coalesce(h.reason, 255) << 8) \
             | coalesce(h.provider, 255), coalesce(h.attempted_at, 0), coalesce(h.place, 0), \
             coalesce(h.located_at, 0)), NULL), ';') \
             FROM json_each(?1) AS x CROSS JOIN host AS h ON h.id = x.value",
        )
        .bind(&ids)
        .fetch_one(&mut *connection)
        .await
        .map_err(engine)?;
        let before = rows(packed.as_deref()).map(Before::of).collect::<Result<_, _>>()?;
        if usize::try_from(count).is_ok_and(|count| count == writes.len()) {
            return Ok(Self { before, existing: None });
        }
        let packed: Option<String> = sqlx::query_scalar(
            "SELECT group_concat(h.id, ';') FROM json_each(?1) AS x CROSS JOIN host AS h ON h.id = x.value",
        )
        .bind(ids)
        .fetch_one(connection)
        .await
        .map_err(engine)?;
        let existing = rows(packed.as_deref()).map(|mut row| row.number()).collect::<Result<_, _>>()?;
        Ok(Self { before, existing: Some(existing) })
    }
}

impl Before {
    fn of(mut row: Row<'_>) -> Result<Self, StoreError> {
        let (host, small) = (row.number()?, row.number()?);
        let byte = |shift: u32| u8::try_from((small >> shift) & 0xff).ok();
        let state =
            byte(16).and_then(LocationState::from_number).ok_or_else(|| corrupt("a location state"))?;
        let reason = byte(8).and_then(UnlocatedReason::from_number);
        let provider = byte(0).and_then(ProviderName::from_number);
        let (attempted_at, place, located_at) = (row.number()?, row.number()?, row.number()?);
        let location = match (state, provider) {
            (LocationState::Located, Some(provider)) => Some(LocationBefore { place, provider, located_at }),
            (LocationState::Located, None) => return Err(corrupt("a location")),
            _ => None,
        };
        let class =
            byte(32).and_then(AddressClass::from_number).ok_or_else(|| corrupt("an address class"))?;
        let is_pinned = byte(24).is_some_and(|pinned| pinned != 0);
        Ok(Self { host, state, attempted_at, reason, location, class, is_pinned })
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
    connection: &mut SqliteConnection,
    writes: &[Write],
    answers: &Answers,
    hosts: &Hosts,
) -> Result<IdMap<PlaceBefore>, StoreError> {
    let mut before = hosts.before.iter().peekable();
    let mut left = IdSet::default();
    for (write, answer) in writes.iter().zip(answers) {
        let location = before.next_if(|before| before.host == write.host).and_then(|before| before.location);
        if let Some(location) = location
            && (answer.is_some_and(|answer| answer.place != location.place)
                || write.attempt == Attempt::NotApplicable)
        {
            left.insert(location.place);
        }
    }
    if left.is_empty() {
        return Ok(IdMap::default());
    }
    let packed: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(concat_ws(',', p.id, p.latitude_e5, p.longitude_e5, p.precision), ';') \
         FROM json_each(?1) AS x CROSS JOIN place AS p ON p.id = x.value",
    )
    .bind(id_array(left))
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    rows(packed.as_deref())
        .map(|mut row| {
            let place = row.number()?;
            let mut unit = || i32::try_from(row.number()?).map_err(|_| corrupt("a coordinate"));
            let units = (unit()?, unit()?);
            let precision = u8::try_from(row.number()?).ok().and_then(Precision::from_number);
            let precision = precision.ok_or_else(|| corrupt("a precision"))?;
            Ok((place, PlaceBefore { units, precision }))
        })
        .collect()
}
