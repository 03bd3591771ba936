//! Rows of `host`, joined to place and network, as view types.

use std::time::Duration;

use hostatlas_domain::{
    Address, AddressClass, Asn, Host, HostLocation, HostSummary, ImportId, Location, LocationState,
    LookupView, Network, Place, PlaceId, ProviderName, Timestamp, UnlocatedReason, is_stale,
};
use hostatlas_store::{StoreError, backend::PlaceRow};
use sqlx::{Row, postgres::PgRow};

use crate::error::{corrupt, engine};

/// The columns that [`host`] and [`summary`] read, with their FROM.
pub(super) const HOST_COLUMNS: &str = "host.id, host.address, host.first_seen, host.last_seen, \
     host.first_import, host.last_import, host.class, host.location_state, host.reason, host.place, host.provider, \
     host.accuracy_km, host.database_build, host.located_at, host.attempted_at, host.pinned, \
     place.latitude_e5 AS place_latitude, place.longitude_e5 AS place_longitude, place.precision AS place_precision, \
     place.city AS place_city, place.region AS place_region, place.country_code AS place_country, \
     place.timezone AS place_timezone, network.asn, network.organization, network.isp \
     FROM host LEFT JOIN place ON place.id = host.place LEFT JOIN network ON network.id = host.network";

/// The place in the columns that begin with `prefix`; none where nothing was joined.
pub(super) fn place(row: &PgRow, prefix: &str) -> Result<Option<Place>, StoreError> {
    let column = |name: &str| format!("{prefix}{name}");
    let unit = |name: &str| row.try_get::<Option<i32>, _>(column(name).as_str()).map_err(engine);
    let name = |name: &str| row.try_get::<String, _>(column(name).as_str()).map_err(engine);
    let (Some(latitude), Some(longitude)) = (unit("latitude")?, unit("longitude")?) else { return Ok(None) };
    let columns = PlaceRow {
        units: (latitude.into(), longitude.into()),
        precision: row.try_get::<i16, _>(column("precision").as_str()).map_err(engine)?.into(),
        names: [name("city")?, name("region")?, name("country")?],
    };
    columns.place().map(Some).ok_or_else(|| corrupt("a place"))
}

/// What the number in a column stands for; none also for a number that means nothing here.
fn known<T>(row: &PgRow, column: &str, of: fn(u8) -> Option<T>) -> Result<Option<T>, StoreError> {
    let number: Option<i16> = row.try_get(column).map_err(engine)?;
    Ok(number.and_then(|number| u8::try_from(number).ok()).and_then(of))
}

/// The time in a column that always has one.
pub(super) fn time(row: &PgRow, column: &str) -> Result<Timestamp, StoreError> {
    row.try_get(column).map(Timestamp::from_millis).map_err(engine)
}

fn moment(row: &PgRow, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let millis: Option<i64> = row.try_get(column).map_err(engine)?;
    Ok(millis.map(Timestamp::from_millis))
}

fn address(row: &PgRow) -> Result<Address, StoreError> {
    let key: &[u8] = row.try_get("address").map_err(engine)?;
    Ok(Address::from_key(key.try_into().map_err(|_| corrupt("an address"))?))
}

fn text(row: &PgRow, column: &str) -> Result<Option<String>, StoreError> {
    let text: Option<String> = row.try_get(column).map_err(engine)?;
    Ok(text.filter(|text| !text.is_empty()))
}

fn network(row: &PgRow) -> Result<Network, StoreError> {
    let asn: Option<i64> = row.try_get("asn").map_err(engine)?;
    let asn = asn.map(|asn| u32::try_from(asn).map_err(|_| corrupt("an AS number"))).transpose()?;
    Ok(Network {
        asn: asn.filter(|asn| *asn > 0).map(Asn),
        organization: text(row, "organization")?,
        isp: text(row, "isp")?,
    })
}

fn state(row: &PgRow) -> Result<LocationState, StoreError> {
    known(row, "location_state", LocationState::from_number)?.ok_or_else(|| corrupt("a location state"))
}

fn class(row: &PgRow) -> Result<AddressClass, StoreError> {
    known(row, "class", AddressClass::from_number)?.ok_or_else(|| corrupt("an address class"))
}

/// None also for a reason that only a newer version beside this one knows.
fn reason(row: &PgRow) -> Result<Option<UnlocatedReason>, StoreError> {
    known(row, "reason", UnlocatedReason::from_number)
}

/// None also for a provider that only a newer version beside this one knows.
fn provider(row: &PgRow) -> Result<Option<ProviderName>, StoreError> {
    known(row, "provider", ProviderName::from_number)
}

fn accuracy_km(row: &PgRow) -> Result<Option<u16>, StoreError> {
    let accuracy: Option<i32> = row.try_get("accuracy_km").map_err(engine)?;
    accuracy.map(|km| u16::try_from(km).map_err(|_| corrupt("an accuracy"))).transpose()
}

fn stale(row: &PgRow, now: Timestamp, max_age: Duration) -> Result<bool, StoreError> {
    // A special address is where configuration or a person says; time does not change that.
    let may_be = state(row)? == LocationState::Located && class(row)?.is_public();
    Ok(may_be && moment(row, "located_at")?.is_some_and(|located_at| is_stale(located_at, now, max_age)))
}

/// Where the host is; none where it is on no place, or nobody that is known here said so.
fn location(row: &PgRow) -> Result<Option<HostLocation>, StoreError> {
    let place_id: Option<i64> = row.try_get("place").map_err(engine)?;
    let Some(place_id) = place_id else { return Ok(None) };
    let place = place(row, "place_")?.ok_or_else(|| corrupt("a place that cannot be found"))?;
    let Some(provider) = provider(row)? else { return Ok(None) };
    let answer = LookupView::located(
        address(row)?,
        &Location {
            place: Some(place),
            network: network(row)?,
            timezone: text(row, "place_timezone")?,
            provider,
            accuracy_km: accuracy_km(row)?,
            database_build: moment(row, "database_build")?,
        },
    );
    Ok(Some(HostLocation { answer, located_at: located_at(row)?, place_id: PlaceId(place_id) }))
}

/// None also after a person let the host go: until it is looked up again it is as old as can be.
fn located_at(row: &PgRow) -> Result<Option<Timestamp>, StoreError> {
    Ok(moment(row, "located_at")?.filter(|at| at.as_millis() > 0))
}

fn import(row: &PgRow, column: &str) -> Result<Option<ImportId>, StoreError> {
    let id: i64 = row.try_get(column).map_err(engine)?;
    Ok((id > 0).then_some(ImportId(id)))
}

/// A host without its services.
pub(super) fn host(row: &PgRow, now: Timestamp, max_age: Duration) -> Result<Host, StoreError> {
    let pinned: i16 = row.try_get("pinned").map_err(engine)?;
    Ok(Host {
        ip: address(row)?,
        first_seen: time(row, "first_seen")?,
        last_seen: time(row, "last_seen")?,
        location_state: state(row)?,
        unlocated_reason: reason(row)?,
        address_class: class(row)?,
        location: location(row)?,
        pinned: pinned != 0,
        attempted_at: moment(row, "attempted_at")?,
        stale: stale(row, now, max_age)?,
        services: Vec::new(),
        first_import: import(row, "first_import")?,
        last_import: import(row, "last_import")?,
    })
}

/// A list row without its ports.
pub(super) fn summary(row: &PgRow, now: Timestamp, max_age: Duration) -> Result<HostSummary, StoreError> {
    let place = place(row, "place_")?;
    let network = network(row)?;
    let country = place.as_ref().and_then(|place| place.country);
    let place_id: Option<i64> = row.try_get("place").map_err(engine)?;
    Ok(HostSummary {
        ip: address(row)?,
        first_seen: time(row, "first_seen")?,
        last_seen: time(row, "last_seen")?,
        location_state: state(row)?,
        unlocated_reason: reason(row)?,
        address_class: class(row)?,
        stale: stale(row, now, max_age)?,
        place_id: place_id.map(PlaceId),
        latitude: place.as_ref().map(|place| place.coordinate.latitude()),
        longitude: place.as_ref().map(|place| place.coordinate.longitude()),
        precision: place.as_ref().map(|place| place.precision),
        country_code: country.map(|code| code.to_string()),
        country: country.map(|code| code.name().to_owned()),
        city: place.as_ref().and_then(|place| place.city.clone()),
        region: place.and_then(|place| place.region),
        asn: network.asn.map(|asn| asn.to_string()),
        organization: network.organization,
        provider: provider(row)?.map(|provider| provider.name().to_owned()),
        accuracy_km: accuracy_km(row)?,
        located_at: located_at(row)?,
        ports: Vec::new(),
        open_ports: 0,
    })
}
