//! What only this backend has to hold: text without zeros, commits that come late.

mod support;

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use hostatlas_domain::{
    Address, Coordinate, DuePolicy, HostFilter, ImportId, Located, Network, Place, Precision, Protocol,
    ProviderName, ScanFormat, Scope, Timestamp,
};
use hostatlas_store::{
    AdminStore, ApplyLocations, Attempt, HostSelection, HostStore, ImportStore, LocationStore, LocationWrite,
    MapStore, Observation, ObservedBanner, ObservedPort, RecordSightings, Recorded, SelectHosts, StartImport,
    StoreError,
};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::TestDatabase;
use sqlx::{Connection, PgConnection};

const MAX_AGE: Duration = hostatlas_domain::DEFAULT_MAX_AGE;

async fn open() -> (PostgresStore, TestDatabase) {
    let database = support::migrated();
    let store =
        PostgresStore::open(OpenOptions::new(database.url(), OpenMode::Existing)).await.expect("a store");
    (store, database)
}

fn address(index: u32) -> Address {
    Address::from(std::net::IpAddr::from(Ipv4Addr::from(0x0808_0000 + index)))
}

fn seen(index: u32) -> Observation {
    let (first_seen, last_seen) = (Timestamp::from_secs(1_795_434_087), Timestamp::from_secs(1_795_434_087));
    let port = ObservedPort {
        port: 22.try_into().expect("a port"),
        protocol: Protocol::Tcp,
        open: true,
        banner: None,
    };
    Observation { address: address(index), port: Some(port), first_seen, last_seen }
}

async fn start(store: &PostgresStore) -> ImportId {
    let start = StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson };
    store.import_start(start).await.expect("an import")
}

async fn record(
    store: &PostgresStore,
    import: ImportId,
    observations: Vec<Observation>,
) -> Result<Recorded, StoreError> {
    let (scope, due) = (Scope::default(), DuePolicy::default());
    store.sightings_record(RecordSightings { import, observations, scope, due }).await
}

async fn assert_sound(store: &PostgresStore) {
    assert_eq!(store.check().await.expect("the check runs").findings, []);
    store.close().await;
}

/// The server's text cannot hold the character of number zero; a scanner's can.
#[tokio::test(flavor = "multi_thread")]
async fn a_zero_in_a_name_stops_no_import() {
    let (store, _database) = open().await;
    let mut observation = seen(1);
    if let Some(port) = &mut observation.port {
        port.banner = Some(ObservedBanner { service: "s\0sh".to_owned(), bytes: b"SSH\0-2.0".to_vec() });
    }
    let start = StartImport { source: "a\0b".to_owned(), format: ScanFormat::MasscanJson };
    let import = store.import_start(start).await.expect("an import");
    record(&store, import, vec![observation]).await.expect("recorded");
    let host = store.host_get(address(1), MAX_AGE).await.expect("a host");
    assert_eq!(host.services[0].service.as_deref(), Some("s\u{fffd}sh"));
    let filter = HostFilter { city: Some("a\0b".to_owned()), ..HostFilter::default() };
    assert_eq!(store.hosts_count(filter, MAX_AGE, 10).await.expect("a count").hosts, 0);
    assert_sound(&store).await;
}

async fn locate(store: &PostgresStore, index: u32, city: &str) {
    let selection = HostSelection::Addresses(vec![address(index)]);
    let params = SelectHosts { selection, after: None, limit: 1 };
    let host = store.hosts_select(params).await.expect("a selection")[0].id;
    let place = Place {
        coordinate: Coordinate::new(50.0, f64::from(index)).expect("on earth"),
        precision: Precision::City,
        city: Some(city.to_owned()),
        region: None,
        country: Some("DE".parse().expect("a country")),
    };
    let (network, provider) = (Network::default(), ProviderName::Mmdb);
    let located =
        Located { place, network, timezone: None, provider, accuracy_km: None, database_build: None };
    let writes = vec![LocationWrite { host, attempt: Attempt::Located(Arc::new(located)) }];
    store.locations_apply(ApplyLocations { writes, age: Duration::ZERO }).await.expect("applied");
}

/// Whoever asks in the meantime hears of it later, and of what was told already not again.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_commits_late_is_told_of_then() {
    let (store, database) = open().await;
    let import = start(&store).await;
    record(&store, import, vec![seen(1), seen(2)]).await.expect("recorded");
    locate(&store, 1, "Bonn").await;
    let bonn = store.places_changed(0).await.expect("places").0[0].id;

    let mut late = PgConnection::connect(&database.url()).await.expect("a connection");
    let mut writing = late.begin().await.expect("a transaction");
    sqlx::query("INSERT INTO place_delta (place, n) VALUES ($1, 1)")
        .bind(bonn.0)
        .execute(&mut *writing)
        .await
        .expect("written");
    locate(&store, 2, "Mainz").await;
    let (all, number) = store.places_changed(0).await.expect("places");
    assert_eq!(all.iter().map(|place| place.hosts).collect::<Vec<_>>(), [1, 1]);

    writing.commit().await.expect("committed");
    let (changed, number) = store.places_changed(number).await.expect("places");
    assert!(changed.iter().any(|place| place.id == bonn && place.hosts == 2), "{changed:?}");
    assert_eq!(store.places_changed(number).await.expect("places").0, []);
    // Adding differences up changes no count, so of that nobody hears.
    store.tidy().await.expect("tidied");
    assert_eq!(store.places_changed(number).await.expect("places").0, []);
    let (all, _) = store.places_changed(0).await.expect("places");
    assert_eq!(all.iter().map(|place| place.hosts).sum::<u64>(), 3);
    store.close().await;
}

/// A transaction of another database of the server holds no number back.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_in_another_database_repeats_nothing() {
    let (store, _database) = open().await;
    let (_other_store, other) = open().await;
    let mut elsewhere = PgConnection::connect(&other.url()).await.expect("a connection");
    let mut going_on = elsewhere.begin().await.expect("a transaction");
    sqlx::query("INSERT INTO change_delta VALUES (0)").execute(&mut *going_on).await.expect("written");
    let import = start(&store).await;
    record(&store, import, vec![seen(1)]).await.expect("recorded");
    locate(&store, 1, "Bonn").await;
    let (told, number) = store.places_changed(0).await.expect("places");
    assert_eq!(told.len(), 1);
    assert_eq!(store.places_changed(number).await.expect("places").0, []);
    going_on.rollback().await.expect("rolled back");
    assert_sound(&store).await;
}

/// Also one that was added up before the reader asked, and however the two were added up.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_commits_late_is_told_of_when_it_was_added_up_first() {
    let (store, database) = open().await;
    let import = start(&store).await;
    record(&store, import, vec![seen(1)]).await.expect("recorded");
    locate(&store, 1, "Bonn").await;
    let bonn = store.places_changed(0).await.expect("places").0[0].id;
    let one_more = || sqlx::query("INSERT INTO place_delta (place, n) VALUES ($1, 1)").bind(bonn.0);

    let mut late = PgConnection::connect(&database.url()).await.expect("a connection");
    let mut writing = late.begin().await.expect("a transaction");
    one_more().execute(&mut *writing).await.expect("written");
    let mut early = PgConnection::connect(&database.url()).await.expect("a connection");
    one_more().execute(&mut early).await.expect("written");
    store.tidy().await.expect("tidied");
    let (told, number) = store.places_changed(0).await.expect("places");
    assert_eq!(told.iter().map(|place| place.hosts).collect::<Vec<_>>(), [2]);

    writing.commit().await.expect("committed");
    store.tidy().await.expect("tidied");
    let (told, number) = store.places_changed(number).await.expect("places");
    assert_eq!(told.iter().map(|place| place.hosts).collect::<Vec<_>>(), [3]);
    assert_eq!(store.places_changed(number).await.expect("places").0, []);
    store.close().await;
}

/// It is neither left out of what is shown nor brings down whoever asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_about_a_host_and_means_nothing_is_an_error() {
    let (store, database) = open().await;
    let import = start(&store).await;
    record(&store, import, vec![seen(1)]).await.expect("recorded");
    for (damage, repair) in [
        ("UPDATE service SET protocol = 99", "UPDATE service SET protocol = 6"),
        ("UPDATE host SET class = 99", "UPDATE host SET class = 0"),
        ("UPDATE host SET location_state = 99", "UPDATE host SET location_state = 0"),
    ] {
        database.run(damage).expect("damage");
        let found = store.host_get(address(1), MAX_AGE).await;
        assert!(matches!(found, Err(StoreError::Engine(_))), "{damage}: {found:?}");
        database.run(repair).expect("as it was");
    }
    store.host_get(address(1), MAX_AGE).await.expect("a host");
    assert_sound(&store).await;
}
