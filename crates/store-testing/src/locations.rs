//! Writing and counting locations.

use std::time::Duration;

use hostatlas_domain::{LocationState, UnlocatedReason};
use hostatlas_store::{AppliedLocations, ApplyLocations, Attempt, LocationWrite};

use crate::{TestStore, factory::*};

const UNREACHABLE: Attempt =
    Attempt::Unlocated { reason: UnlocatedReason::Unreachable, database_build: None };

/// All that the provider said stands on the host afterwards.
pub async fn an_answer_puts_a_host_on_a_place(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    let applied = apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    assert_eq!(applied, AppliedLocations { located: 1, ..AppliedLocations::default() });
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    let answer = host.location.expect("a location").answer;
    assert_eq!(
        (
            answer.city.as_deref(),
            answer.country_code.as_deref(),
            answer.asn.as_deref(),
            answer.timezone.as_deref()
        ),
        (Some("Frankfurt am Main"), Some("DE"), Some("AS64502"), Some("Europe/Berlin"))
    );
    assert_eq!(
        (answer.latitude, answer.longitude, answer.accuracy_km),
        (Some(50.1155), Some(8.6842), Some(50))
    );
    assert_eq!((host.location_state, answer.database_build), (LocationState::Located, Some(SEEN)));
}

/// Two hosts with equal answers share one place.
pub async fn equal_places_are_one_row(test: &TestStore) {
    record(&**test, &[up("8.8.8.8"), up("9.9.9.9")]).await;
    let mut writes = Vec::new();
    for host in ["8.8.8.8", "9.9.9.9"] {
        // Equal, but not the same `Arc`.
        writes.push(LocationWrite {
            host: host_id(&**test, host).await,
            attempt: Attempt::Located(frankfurt()),
        });
    }
    test.locations_apply(ApplyLocations { writes, age: Duration::ZERO }).await.expect("applied");
    let (places, _) = test.places_changed(0).await.expect("places");
    assert_eq!(places.iter().map(|place| place.hosts).collect::<Vec<_>>(), [2]);
}

/// A failed refresh moves `attempted_at` alone.
pub async fn a_failure_leaves_a_located_host_located(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    let before = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    (test.advance)(HOUR);
    apply(&**test, "8.8.8.8", UNREACHABLE).await;
    let after = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!((after.location_state, &after.location), (LocationState::Located, &before.location));
    assert!(after.attempted_at > before.attempted_at);
}

/// An answer from before the last attempt is ignored.
pub async fn an_older_answer_never_overwrites(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    let writes =
        vec![LocationWrite { host: host_id(&**test, "8.8.8.8").await, attempt: Attempt::Located(tokyo()) }];
    let applied = test.locations_apply(ApplyLocations { writes, age: HOUR }).await.expect("applied");
    assert_eq!(applied, AppliedLocations { ignored: 1, ..AppliedLocations::default() });
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!(host.location.expect("a location").answer.country_code.as_deref(), Some("DE"));
}

/// The history holds a row only where something changed.
pub async fn a_move_is_remembered_with_its_distance(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    for answer in [frankfurt(), frankfurt(), nuremberg()] {
        (test.advance)(SECOND);
        apply(&**test, "8.8.8.8", Attempt::Located(answer)).await;
    }
    let history = test.host_history(address("8.8.8.8")).await.expect("history");
    assert_eq!(history.locations.len(), 1);
    let change = &history.locations[0];
    assert_eq!(
        (change.from.label(), change.to.label()),
        ("Frankfurt am Main".to_owned(), "Nuremberg".to_owned())
    );
    assert!((change.distance_km - 187.0).abs() < 3.0, "{}", change.distance_km);
}

/// The four states partition the hosts.
pub async fn coverage_counts_every_state_once(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2"), up("8.8.8.3"), up("10.0.0.1")]).await;
    apply(&**test, "8.8.8.1", Attempt::Located(frankfurt())).await;
    apply(&**test, "8.8.8.2", UNREACHABLE).await;
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!(
        (coverage.total, coverage.located, coverage.unlocated, coverage.pending, coverage.not_applicable),
        (4, 1, 1, 1, 1)
    );
    assert_eq!(coverage.unlocated_reasons.get("unreachable"), Some(&1));
    assert_eq!(coverage.not_applicable_classes.get("private"), Some(&1));
    assert_eq!((coverage.precision.get("city"), coverage.providers.get("mmdb")), (Some(&1), Some(&1)));
    assert_eq!((coverage.pending_unqueued, coverage.stale), (0, 0));
    assert!((coverage.percent_located.expect("locatable hosts") - 100.0 / 3.0).abs() < 1e-9);
    let countries = test.coverage_countries().await.expect("countries");
    assert_eq!(
        (countries[0].country_code.as_deref(), countries[0].hosts, countries[0].precise),
        (Some("DE"), 1, 1)
    );
}

/// Nothing has to be written for a location to become stale.
pub async fn staleness_grows_with_time_alone(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    let fresh = test.coverage(MAX_AGE).await.expect("coverage").stale;
    (test.advance)(MAX_AGE + HOUR * 2);
    let stale = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((fresh, stale.stale, stale.located), (0, 1, 1));
    assert!(test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host").stale);
}

/// The list of latest attempts tells what each became.
pub async fn recent_results_are_newest_first(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2")]).await;
    apply(&**test, "8.8.8.1", Attempt::Located(frankfurt())).await;
    (test.advance)(SECOND);
    apply(&**test, "8.8.8.2", UNREACHABLE).await;
    let recent = test.coverage_recent(10).await.expect("recent");
    let states: Vec<_> = recent.iter().map(|result| (result.ip.to_string(), result.location_state)).collect();
    assert_eq!(
        states,
        [("8.8.8.2".to_owned(), LocationState::Unlocated), ("8.8.8.1".to_owned(), LocationState::Located)]
    );
}
