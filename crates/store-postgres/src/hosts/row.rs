//! Rows of `host`, joined to place and network, as view types.

use std::time::Duration;

use hostatlas_domain::{
    Address, AddressClass, Asn, Host, HostLocation, HostSummary, ImportId, Located, Location, LocationState,
    LookupView, Network, Place, PlaceId, ProviderName, Timestamp, UnlocatedReason, is_stale,
};
use hostatlas_store::backend::PlaceRow;
use sqlx::{Row, postgres::PgRow};

/// The columns that [`host`] and [`summary`] read, with their FROM.
pub(super) const HOST_COLUMNS: &str = "host.id, host.address, host.first_seen, host.last_seen, \
     host.first_import, host.last_import, host.class, host.location_state, host.reason, host.place, host.provider, \
     host.accuracy_km, host.database_build, host.located_at, host.attempted_at, host.pinned, \
     place.latitude_e5 AS place_latitude, place.longitude_e5 AS place_longitude, place.precision AS place_precision, \
     place.city AS place_city, place.region AS place_region, place.country_code AS place_country, \
     place.timezone AS place_timezone, network.asn, network.organization, network.isp \
     FROM host LEFT JOIN place ON place.id = host.place LEFT JOIN network ON network.id = host.network";

/// The place in the columns that begin with `prefix`.
pub(super) fn place(row: &PgRow, prefix: &str) -> Option<Place> {
    let column = |name: &str| format!("{prefix}{name}");
    let units: (Option<i32>, Option<i32>) =
        (row.get(column("latitude").as_str()), row.get(column("longitude").as_str()));
    let (Some(latitude), Some(longitude)) = units else { return None };
    PlaceRow {
        units: (latitude.into(), longitude.into()),
        precision: row.get::<i16, _>(column("precision").as_str()).into(),
        names: ["city", "region", "country"].map(|name| row.get(column(name).as_str())),
    }
    .place()
}

fn number(row: &PgRow, column: &str) -> Option<u8> {
    row.get::<Option<i16>, _>(column).and_then(|number| u8::try_from(number).ok())
}

fn moment(row: &PgRow, column: &str) -> Option<Timestamp> {
    row.get::<Option<i64>, _>(column).map(Timestamp::from_millis)
}

fn address(row: &PgRow) -> Address {
    let key: &[u8] = row.get("address");
    // The column is written by `Address::to_key` alone; a damaged one shows as the unspecified address.
    Address::from_key(key.try_into().unwrap_or([0; 16]))
}

fn text(row: &PgRow, column: &str) -> Option<String> {
    row.get::<Option<String>, _>(column).filter(|text| !text.is_empty())
}

fn network(row: &PgRow) -> Network {
    let asn = row.get::<Option<i64>, _>("asn").and_then(|asn| u32::try_from(asn).ok()).filter(|asn| *asn > 0);
    Network { asn: asn.map(Asn), organization: text(row, "organization"), isp: text(row, "isp") }
}

fn state(row: &PgRow) -> LocationState {
    number(row, "location_state").and_then(LocationState::from_number).unwrap_or(LocationState::Pending)
}

fn class(row: &PgRow) -> AddressClass {
    number(row, "class").and_then(AddressClass::from_number).unwrap_or(AddressClass::Public)
}

fn stale(row: &PgRow, now: Timestamp, max_age: Duration) -> bool {
    // A special address is where configuration or a person says; time does not change that.
    state(row) == LocationState::Located
        && class(row).is_public()
        && moment(row, "located_at").is_some_and(|located_at| is_stale(located_at, now, max_age))
}

fn located(row: &PgRow) -> Option<Located> {
    Some(Located {
        place: place(row, "place_")?,
        network: network(row),
        timezone: text(row, "place_timezone"),
        provider: number(row, "provider").and_then(ProviderName::from_number)?,
        accuracy_km: row.get::<Option<i32>, _>("accuracy_km").and_then(|km| u16::try_from(km).ok()),
        database_build: moment(row, "database_build"),
    })
}

fn location(row: &PgRow) -> Option<HostLocation> {
    let located = located(row)?;
    let answer = LookupView::located(
        address(row),
        &Location {
            place: Some(located.place),
            network: located.network,
            timezone: located.timezone,
            provider: located.provider,
            accuracy_km: located.accuracy_km,
            database_build: located.database_build,
        },
    );
    Some(HostLocation {
        answer,
        located_at: located_at(row),
        place_id: PlaceId(row.get::<Option<i64>, _>("place")?),
    })
}

/// None also after a person let the host go: until it is looked up again it is as old as can be.
fn located_at(row: &PgRow) -> Option<Timestamp> {
    moment(row, "located_at").filter(|at| at.as_millis() > 0)
}

fn import(row: &PgRow, column: &str) -> Option<ImportId> {
    Some(row.get::<i64, _>(column)).filter(|id| *id > 0).map(ImportId)
}

/// A host without its services.
pub(super) fn host(row: &PgRow, now: Timestamp, max_age: Duration) -> Host {
    Host {
        ip: address(row),
        first_seen: Timestamp::from_millis(row.get("first_seen")),
        last_seen: Timestamp::from_millis(row.get("last_seen")),
        location_state: state(row),
        unlocated_reason: number(row, "reason").and_then(UnlocatedReason::from_number),
        address_class: class(row),
        location: location(row),
        pinned: row.get::<i16, _>("pinned") != 0,
        attempted_at: moment(row, "attempted_at"),
        stale: stale(row, now, max_age),
        services: Vec::new(),
        first_import: import(row, "first_import"),
        last_import: import(row, "last_import"),
    }
}

/// A list row without its ports.
pub(super) fn summary(row: &PgRow, now: Timestamp, max_age: Duration) -> HostSummary {
    let place = place(row, "place_");
    let network = network(row);
    let country = place.as_ref().and_then(|place| place.country);
    HostSummary {
        ip: address(row),
        first_seen: Timestamp::from_millis(row.get("first_seen")),
        last_seen: Timestamp::from_millis(row.get("last_seen")),
        location_state: state(row),
        unlocated_reason: number(row, "reason").and_then(UnlocatedReason::from_number),
        address_class: class(row),
        stale: stale(row, now, max_age),
        place_id: row.get::<Option<i64>, _>("place").map(PlaceId),
        latitude: place.as_ref().map(|place| place.coordinate.latitude()),
        longitude: place.as_ref().map(|place| place.coordinate.longitude()),
        precision: place.as_ref().map(|place| place.precision),
        country_code: country.map(|code| code.to_string()),
        country: country.map(|code| code.name().to_owned()),
        city: place.as_ref().and_then(|place| place.city.clone()),
        region: place.and_then(|place| place.region),
        asn: network.asn.map(|asn| asn.to_string()),
        organization: network.organization,
        provider: number(row, "provider")
            .and_then(ProviderName::from_number)
            .map(|name| name.name().to_owned()),
        accuracy_km: row.get::<Option<i32>, _>("accuracy_km").and_then(|km| u16::try_from(km).ok()),
        located_at: located_at(row),
        ports: Vec::new(),
        open_ports: 0,
    }
}
