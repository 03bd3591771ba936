//! Hosts that a person holds on a place.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{DuePolicy, Host, LocationState, Place, UnlocatedReason};
use hostatlas_store::{
    ApplyLocations, Attempt, Finished, HostSelection, LocationWrite, SelectHosts, Store, StoreError,
};

use crate::{TestStore, factory::*};

const MISS: Attempt = Attempt::Unlocated { reason: UnlocatedReason::NoRecord, database_build: None };

fn osaka() -> Place {
    place("Osaka", "JP", 34.6937, 135.5023)
}

async fn pin(test: &TestStore, host: &str, place: Place) {
    test.location_pin(address(host), place).await.expect("pinned");
}

async fn get(test: &TestStore, host: &str) -> Host {
    test.host_get(address(host), MAX_AGE).await.expect("a host")
}

fn city(host: &Host) -> Option<&str> {
    host.location.as_ref().and_then(|location| location.answer.city.as_deref())
}

async fn is_due(store: &dyn Store, host: &str) -> bool {
    let selection = HostSelection::Due(DuePolicy::default());
    let due =
        store.hosts_select(SelectHosts { selection, after: None, limit: 100 }).await.expect("a selection");
    due.iter().any(|due| due.address == address(host))
}

/// Neither another place nor a miss moves it, and it is not asked about for ever.
pub async fn a_pinned_host_keeps_its_place(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2")]).await;
    for host in ["8.8.8.1", "8.8.8.2"] {
        apply(&**test, host, Attempt::Located(frankfurt())).await;
    }
    pin(test, "8.8.8.1", osaka()).await;
    let pinned = get(test, "8.8.8.1").await;
    let answer = &pinned.location.as_ref().expect("a location").answer;
    assert_eq!(
        (pinned.pinned, city(&pinned), answer.provider.as_deref()),
        (true, Some("Osaka"), Some("manual"))
    );
    assert_eq!(answer.asn.as_deref(), Some("AS64502"), "a place says nothing of the network");

    (test.advance)(MAX_AGE + HOUR);
    assert!(is_due(&**test, "8.8.8.1").await);
    let mut writes = Vec::new();
    for host in ["8.8.8.1", "8.8.8.2"] {
        writes.push(LocationWrite { host: host_id(&**test, host).await, attempt: Attempt::Located(tokyo()) });
    }
    let applied =
        test.locations_apply(ApplyLocations { writes, age: Duration::ZERO }).await.expect("applied");
    assert_eq!((applied.located, applied.moved, applied.pinned), (1, 1, 1));
    let kept = get(test, "8.8.8.1").await;
    assert_eq!((city(&kept), kept.pinned, kept.stale), (Some("Osaka"), true, false));
    assert!(!is_due(&**test, "8.8.8.1").await);
    assert_eq!(city(&get(test, "8.8.8.2").await), Some("Tokyo (Chiyoda)"));

    (test.advance)(HOUR);
    assert_eq!(apply(&**test, "8.8.8.1", MISS).await.pinned, 1);
    let missed = get(test, "8.8.8.1").await;
    assert_eq!((city(&missed), missed.location_state), (Some("Osaka"), LocationState::Located));
    assert!(missed.attempted_at > kept.attempted_at);
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.providers.get("manual"), coverage.providers.get("mmdb")), (Some(&1), Some(&1)));
}

/// What a job found is no stronger than what a batch found.
pub async fn a_finished_job_leaves_a_pinned_host_alone(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    pin(test, "8.8.8.8", osaka()).await;
    let job = lease(&**test, 1).await.remove(0);
    let effect = Some(Attempt::Located(frankfurt()));
    let lost = finish(&**test, vec![Finished { effect, ..finished(&job, done()) }]).await;
    assert_eq!(lost, []);
    let host = get(test, "8.8.8.8").await;
    assert_eq!((city(&host), host.pinned), (Some("Osaka"), true));
}

/// A host that nobody had looked up is located by the person's word, and its job is counted right.
pub async fn pinning_a_pending_host_locates_it(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2")]).await;
    pin(test, "8.8.8.1", osaka()).await;
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.pending, coverage.pending_unqueued), (1, 1, 0));
    assert_eq!(coverage.precision.get("city"), Some(&1));
    let countries = test.coverage_countries().await.expect("countries");
    assert_eq!((countries[0].country_code.as_deref(), countries[0].hosts), (Some("JP"), 1));
    assert!(test.host_history(address("8.8.8.1")).await.expect("a history").locations.is_empty());
}

/// The later word counts, and the move is remembered as the person's.
pub async fn pinning_again_moves_the_host(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    pin(test, "8.8.8.8", osaka()).await;
    (test.advance)(SECOND);
    pin(test, "8.8.8.8", nuremberg().place.clone()).await;
    assert_eq!(city(&get(test, "8.8.8.8").await), Some("Nuremberg"));
    let moves = test.host_history(address("8.8.8.8")).await.expect("a history").locations;
    let cities: Vec<_> =
        moves.iter().map(|change| (change.to.city.as_deref(), change.provider.as_str())).collect();
    assert_eq!(cities, [(Some("Nuremberg"), "manual"), (Some("Osaka"), "manual")]);
    let (places, _) = test.places_changed(0).await.expect("places");
    assert_eq!(places.iter().map(|place| place.hosts).sum::<u64>(), 1);
}

/// It stays where it is until somebody answers, which is asked for at once.
pub async fn an_unpinned_host_is_due_where_it_stands(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    assert!(!test.location_unpin(address("8.8.8.8")).await.expect("not pinned"));
    pin(test, "8.8.8.8", osaka()).await;
    assert!(test.location_unpin(address("8.8.8.8")).await.expect("unpinned"));
    let host = get(test, "8.8.8.8").await;
    assert_eq!((host.pinned, host.stale, city(&host)), (false, true, Some("Osaka")));
    // Nobody located it there at a moment that could be told.
    assert_eq!(host.location.map(|location| location.located_at), Some(None));
    assert!(is_due(&**test, "8.8.8.8").await);
    assert_eq!(test.coverage(MAX_AGE).await.expect("coverage").stale, 1);
    let applied = apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    assert_eq!((applied.located, applied.moved), (1, 1));
    assert_eq!(city(&get(test, "8.8.8.8").await), Some("Frankfurt am Main"));
    assert_eq!(test.host_history(address("8.8.8.8")).await.expect("a history").locations.len(), 2);
}

/// Nobody can be asked about it, but somebody may know.
pub async fn a_special_host_may_be_pinned(test: &TestStore) {
    record(&**test, &[up("10.0.0.1")]).await;
    pin(test, "10.0.0.1", osaka()).await;
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.not_applicable), (1, 0));
    assert!(coverage.not_applicable_classes.is_empty());
    let host = get(test, "10.0.0.1").await;
    assert_eq!((host.pinned, city(&host)), (true, Some("Osaka")));
    assert!(test.location_unpin(address("10.0.0.1")).await.expect("unpinned"));
    let host = get(test, "10.0.0.1").await;
    assert_eq!(
        (host.location_state, host.location, host.pinned),
        (LocationState::NotApplicable, None, false)
    );
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.not_applicable, coverage.not_applicable_classes.get("private")), (1, Some(&1)));
}

/// Their counts go with them.
pub async fn undoing_takes_pinned_and_sited_hosts_along(test: &TestStore) {
    let import = start(&**test).await;
    record_in(&**test, import, &[up("8.8.8.8"), up("10.0.0.1"), up("10.0.0.2")]).await;
    pin(test, "8.8.8.8", osaka()).await;
    pin(test, "10.0.0.1", osaka()).await;
    let host = special_id(&**test, "10.0.0.2", false).await.expect("a special host");
    let writes = vec![LocationWrite { host, attempt: Attempt::Located(site("Bonn", 50.7, 7.1)) }];
    test.locations_apply(ApplyLocations { writes, age: Duration::ZERO }).await.expect("applied");
    assert_eq!(test.import_undo(import).await.expect("undone").hosts, 3);
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.total, coverage.providers.len(), coverage.stale), (0, 0, 0));
    let (places, _) = test.places_changed(0).await.expect("places");
    assert!(places.is_empty());
}

/// There is nothing to hold.
pub async fn only_known_hosts_are_pinned(test: &TestStore) {
    let unknown = |error: &StoreError| matches!(error, StoreError::UnknownHost(_));
    let pinned = test.location_pin(address("8.8.8.8"), Arc::unwrap_or_clone(frankfurt()).place).await;
    assert!(unknown(&pinned.expect_err("no host")));
    assert!(unknown(&test.location_unpin(address("8.8.8.8")).await.expect_err("no host")));
}
