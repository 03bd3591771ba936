//! What the map is made of.

use hostatlas_domain::{HostFilter, Topic};
use hostatlas_store::{Attempt, Changes};

use crate::{TestStore, factory::*};

/// A change is told to whoever asks with the number before it, and not again.
pub async fn places_report_their_changes_once(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2")]).await;
    apply(&**test, "8.8.8.1", Attempt::Located(frankfurt())).await;
    apply(&**test, "8.8.8.2", Attempt::Located(tokyo())).await;
    let (first, number) = test.places_changed(0).await.expect("places");
    assert_eq!(first.iter().map(|place| place.hosts).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(test.places_changed(number).await.expect("places").0, []);
    (test.advance)(SECOND);
    apply(&**test, "8.8.8.1", Attempt::Located(tokyo())).await;
    let (mut moved, _) = test.places_changed(number).await.expect("places");
    moved.sort_by_key(|place| place.hosts);
    assert_eq!(moved.iter().map(|place| place.hosts).collect::<Vec<_>>(), [0, 2]);
    let names = test.places_named(&[moved[1].id]).await.expect("names");
    assert_eq!(names[0].1.label(), "Tokyo");
}

/// A filter counts only what matches.
pub async fn a_filtered_map_counts_matching_hosts(test: &TestStore) {
    record(&**test, &[open("8.8.8.1", 80), open("8.8.8.2", 443), open("8.8.8.3", 80)]).await;
    for host in ["8.8.8.1", "8.8.8.2"] {
        apply(&**test, host, Attempt::Located(frankfurt())).await;
    }
    let filter = HostFilter { ports: vec![port(80)], ..HostFilter::default() };
    let places = test.places_matching(filter, MAX_AGE).await.expect("places");
    assert_eq!(places.iter().map(|(_, hosts)| *hosts).collect::<Vec<_>>(), [1]);
}

/// Live pages hear of everything, also of what another process did.
pub async fn every_change_moves_its_topic(test: &TestStore) {
    let other = (test.again)().await;
    let numbers = async || other.changes().await.expect("changes");
    let moved = |before: &Changes, after: &Changes| {
        assert_eq!(before.history, after.history, "it is the same database");
        Topic::ALL.map(|topic| after.since(before).any(|moved| moved == topic))
    };
    let start = numbers().await;
    record(&**test, &[up("8.8.8.8")]).await;
    let recorded = numbers().await;
    assert_eq!(moved(&start, &recorded), [false, true, true, true]);
    apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    let located = numbers().await;
    assert!(moved(&recorded, &located)[0]);
    test.kind_pause(hostatlas_domain::JobKind::SslCert, true).await.expect("paused");
    assert!(moved(&located, &numbers().await)[1]);
    other.close().await;
}
