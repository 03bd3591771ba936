//! Hosts with special addresses that the operator's sites place.

use std::time::Duration;

use hostatlas_domain::{DuePolicy, LocationState, UnlocatedReason};
use hostatlas_store::{
    AppliedLocations, ApplyLocations, Attempt, EnqueueJobs, HostSelection, LocationWrite, SelectHosts,
};

use crate::{TestStore, factory::*};

/// The block of most of these hosts.
const BLOCK: (&str, &str) = ("10.0.0.0", "10.0.255.255");

fn special(block: (&str, &str), sited: bool) -> HostSelection {
    HostSelection::Special { first: address(block.0), last: address(block.1), sited }
}

/// Writes this about all special hosts of the block that are placed or not.
async fn apply_to(test: &TestStore, sited: bool, attempt: Attempt) -> AppliedLocations {
    let selection = special(BLOCK, sited);
    let hosts = test.hosts_select(SelectHosts { selection, after: None, limit: 100 }).await.expect("hosts");
    let write =
        |host: &hostatlas_store::SelectedHost| LocationWrite { host: host.id, attempt: attempt.clone() };
    let writes = hosts.iter().map(write).collect();
    test.locations_apply(ApplyLocations { writes, age: Duration::ZERO }).await.expect("applied")
}

/// It counts as located, on the map as any other.
pub async fn a_site_places_a_special_host(test: &TestStore) {
    record(&**test, &[up("10.0.0.1"), up("10.0.0.2"), up("10.9.0.1"), up("8.8.8.8")]).await;
    let applied = apply_to(test, false, Attempt::Located(site("Bonn", 50.7, 7.1))).await;
    assert_eq!(applied, AppliedLocations { located: 2, ..AppliedLocations::default() });
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.not_applicable, coverage.pending), (2, 1, 1));
    assert_eq!(coverage.not_applicable_classes.get("private"), Some(&1));
    assert_eq!((coverage.providers.get("site"), coverage.precision.get("city")), (Some(&2), Some(&2)));
    let host = test.host_get(address("10.0.0.1"), MAX_AGE).await.expect("a host");
    let answer = host.location.expect("a location").answer;
    assert_eq!((answer.city.as_deref(), answer.provider.as_deref()), (Some("Bonn"), Some("site")));
    let (places, _) = test.places_changed(0).await.expect("places");
    assert_eq!(places.iter().map(|place| place.hosts).collect::<Vec<_>>(), [2]);
}

/// A site that moves takes its hosts along; one that is removed leaves them where they were before it.
pub async fn a_host_without_its_site_has_no_place_again(test: &TestStore) {
    record(&**test, &[up("10.0.0.1"), up("10.0.0.2")]).await;
    apply_to(test, false, Attempt::Located(site("Bonn", 50.7, 7.1))).await;
    let moved = apply_to(test, true, Attempt::Located(site("Mainz", 50.0, 8.3))).await;
    assert_eq!((moved.located, moved.moved), (2, 2));
    let removed = apply_to(test, true, Attempt::NotApplicable).await;
    assert_eq!(removed, AppliedLocations { unsited: 2, ..AppliedLocations::default() });
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.not_applicable), (0, 2));
    assert!(coverage.providers.is_empty() && coverage.precision.is_empty());
    let host = test.host_get(address("10.0.0.1"), MAX_AGE).await.expect("a host");
    assert_eq!((host.location_state, host.location), (LocationState::NotApplicable, None));
    let (places, _) = test.places_changed(0).await.expect("places");
    assert!(places.is_empty());
}

/// Providers know nothing of such addresses; and a public host is not taken away from where it was found.
pub async fn what_a_site_does_not_say_changes_no_special_host(test: &TestStore) {
    record(&**test, &[up("10.0.0.1"), up("10.0.0.2"), up("8.8.8.8")]).await;
    let miss = Attempt::Unlocated { reason: UnlocatedReason::NoRecord, database_build: None };
    for attempt in [Attempt::Located(frankfurt()), miss.clone(), Attempt::NotApplicable] {
        assert_eq!(apply_to(test, false, attempt).await.ignored, 2);
    }
    apply_to(test, false, Attempt::Located(site("Bonn", 50.7, 7.1))).await;
    for attempt in [Attempt::Located(frankfurt()), miss] {
        assert_eq!(apply_to(test, true, attempt).await.ignored, 2);
    }
    for attempt in [Attempt::NotApplicable, Attempt::Located(frankfurt()), Attempt::NotApplicable] {
        apply(&**test, "8.8.8.8", attempt).await;
    }
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.providers.get("site"), coverage.providers.get("mmdb")), (Some(&2), Some(&1)));
}

/// What the operator says does not grow old, and no job is spent on it.
pub async fn a_sited_host_is_never_due_and_never_stale(test: &TestStore) {
    record(&**test, &[up("10.0.0.1")]).await;
    apply_to(test, false, Attempt::Located(site("Bonn", 50.7, 7.1))).await;
    (test.advance)(MAX_AGE * 3);
    let again = record(&**test, &[up("10.0.0.1")]).await;
    assert_eq!(again.jobs_queued, 0);
    assert_eq!(test.coverage(MAX_AGE).await.expect("coverage").stale, 0);
    assert!(!test.host_get(address("10.0.0.1"), MAX_AGE).await.expect("a host").stale);
    for selection in [HostSelection::Due(DuePolicy::default()), HostSelection::All] {
        let params = SelectHosts { selection, after: None, limit: 10 };
        assert_eq!(test.hosts_select(params).await.expect("a selection"), []);
    }
    let (selection, priority) = (special(BLOCK, true), hostatlas_domain::Priority::FIRST);
    let params = EnqueueJobs { selection, after: None, limit: 10, priority, force: true };
    assert_eq!(test.jobs_enqueue(params).await.expect("considered").queued, 0);
}

/// Walking takes each special host of the block once.
pub async fn special_hosts_are_selected_by_block_and_state(test: &TestStore) {
    record(&**test, &["10.0.0.1", "10.0.0.2", "10.0.255.255", "10.1.0.0", "9.9.9.9"].map(up)).await;
    let select = async |sited, after| {
        let params = SelectHosts { selection: special(BLOCK, sited), after, limit: 2 };
        let hosts = test.hosts_select(params).await.expect("a selection");
        hosts.iter().map(|host| host.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(select(false, None).await, ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(select(false, Some(address("10.0.0.2"))).await, ["10.0.255.255"]);
    let host = special_id(&**test, "10.0.0.2", false).await.expect("a special host");
    let writes = vec![LocationWrite { host, attempt: Attempt::Located(site("Bonn", 50.7, 7.1)) }];
    test.locations_apply(ApplyLocations { writes, age: Duration::ZERO }).await.expect("applied");
    test.location_pin(address("10.0.0.1"), frankfurt().place.clone()).await.expect("pinned");
    assert_eq!(select(false, None).await, ["10.0.255.255"]);
    assert_eq!(select(true, None).await, ["10.0.0.2"]);
}
