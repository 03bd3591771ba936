//! Reading hosts.

use hostatlas_domain::{
    DuePolicy, HostFilter, HostQuery, HostSort, LocationFacts, Timestamp, UnlocatedReason, due,
};
use hostatlas_store::{Attempt, HostFacets, HostSelection, SearchHosts, SelectHosts, StoreError};

use crate::{TestStore, factory::*};

async fn all_pages(test: &TestStore, filter: HostFilter, sort: HostSort, limit: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let params = SearchHosts { filter: filter.clone(), sort, cursor, limit, max_age: MAX_AGE };
        let page = test.hosts_search(params).await.expect("a page");
        found.extend(page.items.iter().map(|host| host.ip.to_string()));
        match page.next_cursor {
            Some(next) => cursor = Some(next.parse().expect("our own cursor")),
            None => return found,
        }
    }
}

/// Paging by three reads every host once, in numeric order.
pub async fn pages_follow_each_other_without_gap_or_repetition(test: &TestStore) {
    let hosts: Vec<_> = (1..=10).map(|last| format!("8.8.8.{last}")).collect();
    let observations: Vec<_> = hosts.iter().map(|host| up(host)).chain([up("2a00::1")]).collect();
    record(&**test, &observations).await;
    let mut expected = hosts;
    expected.insert(0, "2a00::1".to_owned());
    let mut sorted: Vec<_> = expected.iter().map(|host| address(host)).collect();
    sorted.sort_unstable();
    let found = all_pages(test, HostFilter::default(), HostSort::Address, 3).await;
    assert_eq!(found, sorted.iter().map(ToString::to_string).collect::<Vec<_>>());
}

/// Every field narrows, and fields narrow together, with and without the list indexes.
pub async fn each_field_of_a_filter_is_honoured(test: &TestStore) {
    record(
        &**test,
        &[open("8.8.8.8", 443), open("8.8.9.9", 80), up("9.9.9.9"), up("10.0.0.1"), up("1.1.1.1")],
    )
    .await;
    apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    apply(&**test, "8.8.9.9", Attempt::Located(tokyo())).await;
    let miss = Attempt::Unlocated { reason: UnlocatedReason::NoRecord, database_build: None };
    apply(&**test, "9.9.9.9", miss).await;
    let cases = [
        ("8.8.0.0/16", vec!["8.8.8.8", "8.8.9.9"]),
        ("8.8.8.8", vec!["8.8.8.8"]),
        ("country:de", vec!["8.8.8.8"]),
        ("country:DE,JP", vec!["8.8.8.8", "8.8.9.9"]),
        ("city:tokyo", vec!["8.8.9.9"]),
        ("city:\"frankfurt am main\" port:443", vec!["8.8.8.8"]),
        ("city:frankfurt", vec![]),
        ("port:80,443", vec!["8.8.8.8", "8.8.9.9"]),
        ("AS64502", vec!["8.8.8.8"]),
        ("org:carrier", vec!["8.8.9.9"]),
        ("org:0%", vec!["8.8.9.9"]),
        ("org:_", vec![]),
        ("state:pending", vec!["1.1.1.1"]),
        ("state:unlocated", vec!["9.9.9.9"]),
        ("reason:no_record", vec!["9.9.9.9"]),
        ("provider:mmdb", vec!["8.8.8.8", "8.8.9.9"]),
        ("provider:mmdb country:JP", vec!["8.8.9.9"]),
        ("provider:ip-api", vec![]),
        ("state:not_applicable", vec!["10.0.0.1"]),
        ("state:stale", vec![]),
        ("frankfurt", vec!["8.8.8.8"]),
        ("kestrel", vec![]),
        ("country:DE port:80", vec![]),
        ("import:1 8.0.0.0/8", vec!["8.8.8.8", "8.8.9.9"]),
        ("import:2", vec![]),
    ];
    for _ in 0..2 {
        for (text, expected) in &cases {
            let query: HostQuery = text.parse().expect(text);
            let found = all_pages(test, query.filter().clone(), HostSort::Address, 1).await;
            assert_eq!(found, *expected, "{text}");
            let count = test.hosts_count(query.filter().clone(), MAX_AGE, 100).await.expect("a count");
            assert_eq!((count.hosts, count.exact), (expected.len() as u64, true), "{text}");
        }
        test.tidy().await.expect("tidied");
    }
}

/// By each time, every host comes once, latest first.
pub async fn a_list_by_time_pages_through_every_host(test: &TestStore) {
    for (host, hours) in [("8.8.8.1", 3), ("8.8.8.2", 1), ("8.8.8.3", 2)] {
        record(&**test, &[at(up(host), SEEN.plus(HOUR * hours))]).await;
    }
    apply(&**test, "8.8.8.2", Attempt::Located(frankfurt())).await;
    let by_time = ["8.8.8.1", "8.8.8.3", "8.8.8.2"];
    assert_eq!(all_pages(test, HostFilter::default(), HostSort::FirstSeen, 1).await, by_time);
    assert_eq!(all_pages(test, HostFilter::default(), HostSort::LastSeen, 2).await, by_time);
    let by_location = all_pages(test, HostFilter::default(), HostSort::LocatedAt, 1).await;
    assert_eq!(by_location, ["8.8.8.2", "8.8.8.3", "8.8.8.1"]);
}

/// A count says when it gave up being exact.
pub async fn counting_stops_at_its_cap(test: &TestStore) {
    let observations: Vec<_> = (1..=9).map(|last| open(&format!("8.8.8.{last}"), 80)).collect();
    record(&**test, &observations).await;
    let filter = HostFilter { ports: vec![port(80)], ..HostFilter::default() };
    let count = test.hosts_count(filter, MAX_AGE, 5).await.expect("a count");
    assert_eq!((count.hosts, count.exact), (5, false));
}

/// Facets count the hosts that match and no others, with and without the list indexes, and as many as can be narrowed to.
pub async fn facets_count_the_hosts_that_match(test: &TestStore) {
    let seen =
        [open("8.8.8.8", 443), open("8.8.9.9", 443), up("9.9.9.9"), up("10.0.0.1"), open("1.1.1.1", 80)];
    record(&**test, &seen).await;
    apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    (test.advance)(MAX_AGE + HOUR);
    apply(&**test, "8.8.9.9", Attempt::Located(tokyo())).await;
    let miss = Attempt::Unlocated { reason: UnlocatedReason::NoRecord, database_build: None };
    apply(&**test, "9.9.9.9", miss).await;
    for _ in 0..2 {
        for text in [
            "",
            "port:443",
            "country:DE",
            "state:stale",
            "8.0.0.0/7",
            "provider:mmdb",
            "org:carrier",
            "frankfurt",
            "city:Atlantis",
        ] {
            let query: HostQuery = text.parse().expect(text);
            let facets = test.hosts_facets(query.filter().clone(), MAX_AGE, 100).await.expect("facets");
            let hosts = all_pages(test, query.filter().clone(), HostSort::Address, 10).await.len() as u64;
            assert_eq!((facets.counted.hosts, facets.counted.exact), (hosts, true), "{text}");
            assert_eq!(facets.states.values().sum::<u64>(), hosts, "{text}");
            assert_facets_are_what_narrowing_finds(test, text, &facets).await;
        }
        test.tidy().await.expect("tidied");
    }
    let all = test.hosts_facets(HostFilter::default(), MAX_AGE, 100).await.expect("facets");
    let countries: Vec<_> = all.countries.iter().map(|(code, hosts)| (code.to_string(), *hosts)).collect();
    assert_eq!(countries, [("DE".to_owned(), 1), ("JP".to_owned(), 1)]);
    assert_eq!((all.stale, all.reasons.get("no_record"), all.providers.get("mmdb")), (1, Some(&1), Some(&2)));
}

async fn assert_facets_are_what_narrowing_finds(test: &TestStore, text: &str, facets: &HostFacets) {
    let states = facets.states.iter().map(|(state, hosts)| (format!("state:{state}"), *hosts));
    let stale = std::iter::once(("state:stale".to_owned(), facets.stale)).filter(|_| text != "state:stale");
    let reasons = facets.reasons.iter().map(|(reason, hosts)| (format!("reason:{reason}"), *hosts));
    let providers = facets.providers.iter().map(|(name, hosts)| (format!("provider:{name}"), *hosts));
    let countries = facets.countries.iter().map(|(code, hosts)| (format!("country:{code}"), *hosts));
    for (term, hosts) in states.chain(stale).chain(reasons).chain(providers).chain(countries) {
        // A field is given once; what is there already is not given again.
        let field = term.split(':').next().unwrap_or_default();
        if text.contains(&format!("{field}:")) {
            continue;
        }
        let query: HostQuery = format!("{text} {term}").parse().expect("a query");
        let count = test.hosts_count(query.filter().clone(), MAX_AGE, 100).await.expect("a count");
        assert_eq!((count.hosts, count.exact), (hosts, true), "{text} {term}");
    }
}

/// Facets of more hosts than the cap say that they are not all.
pub async fn facets_stop_at_their_cap(test: &TestStore) {
    let observations: Vec<_> = (1..=9).map(|last| open(&format!("8.8.8.{last}"), 80)).collect();
    record(&**test, &observations).await;
    for (cap, expected) in [(5, (5, false)), (9, (9, true)), (20, (9, true))] {
        let filter = HostFilter { ports: vec![port(80)], ..HostFilter::default() };
        let facets = test.hosts_facets(filter, MAX_AGE, cap).await.expect("facets");
        assert_eq!((facets.counted.hosts, facets.counted.exact), expected, "{cap}");
        assert_eq!(facets.states.get("pending"), Some(&expected.0), "{cap}");
    }
}

/// The store's idea of due agrees with the rule in the domain, state by state and over time.
pub async fn due_in_the_store_is_due_in_the_domain(test: &TestStore) {
    let hosts = ["8.8.8.1", "8.8.8.2", "8.8.8.3", "8.8.8.4", "10.0.0.1"];
    record(&**test, &hosts.map(up)).await;
    apply(&**test, "8.8.8.2", Attempt::Located(frankfurt())).await;
    let attempt = |reason| Attempt::Unlocated { reason, database_build: Some(SEEN) };
    apply(&**test, "8.8.8.3", attempt(UnlocatedReason::NoRecord)).await;
    apply(&**test, "8.8.8.4", attempt(UnlocatedReason::Unreachable)).await;
    let mut waited = std::time::Duration::ZERO;
    for wait in [SECOND, HOUR * 2, MAX_AGE] {
        (test.advance)(wait);
        waited += wait;
        for policy in [
            DuePolicy::default(),
            DuePolicy { max_age: std::time::Duration::ZERO, ..DuePolicy::default() },
            DuePolicy { database_build: Some(SEEN.plus(DAY)), ..DuePolicy::default() },
        ] {
            let mut expected = Vec::new();
            for host in hosts {
                let host = test.host_get(address(host), MAX_AGE).await.expect("a host");
                let facts = LocationFacts {
                    state: host.location_state,
                    located_at: host.location.as_ref().and_then(|location| location.located_at),
                    attempted_at: host.attempted_at,
                    reason: host.unlocated_reason,
                    database_build: host.attempted_at.map(|_| SEEN),
                };
                // The store's clock runs with the system's; a second is far below every limit here.
                let attempted = host.attempted_at.unwrap_or(Timestamp::default());
                if due(&facts, attempted.plus(waited), &policy) {
                    expected.push(host.ip);
                }
            }
            let params = SelectHosts { selection: HostSelection::Due(policy), after: None, limit: 100 };
            let selected = test.hosts_select(params).await.expect("a selection");
            assert_eq!(selected.iter().map(|host| host.address).collect::<Vec<_>>(), expected, "{policy:?}");
            let filter = HostFilter::default();
            let selection = HostSelection::Filter { filter, max_age: MAX_AGE, due: Some(policy) };
            let params = SelectHosts { selection, after: None, limit: 100 };
            assert_eq!(test.hosts_select(params).await.expect("a selection"), selected, "{policy:?}");
        }
    }
}

/// Asking for what no scan saw says so.
pub async fn an_unknown_host_is_an_error(test: &TestStore) {
    let unknown = address("8.8.8.8");
    assert!(
        matches!(test.host_get(unknown, MAX_AGE).await, Err(StoreError::UnknownHost(host)) if host == unknown)
    );
    assert!(matches!(test.host_history(unknown).await, Err(StoreError::UnknownHost(_))));
    assert!(matches!(test.job_enqueue(request("8.8.8.8")).await, Err(StoreError::UnknownHost(_))));
}

/// Each located host comes once, by address, with its place and who says so.
pub async fn located_hosts_come_page_by_page(test: &TestStore) {
    record(&**test, &["8.8.8.1", "8.8.8.2", "8.8.8.3", "9.9.9.9"].map(up)).await;
    for host in ["9.9.9.9", "8.8.8.1", "8.8.8.3"] {
        apply(&**test, host, hostatlas_store::Attempt::Located(frankfurt())).await;
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = test.hosts_located(after, 2).await.expect("located hosts");
        let Some(last) = page.last() else { break };
        after = Some(last.address);
        found.extend(page);
    }
    let addresses: Vec<_> = found.iter().map(|host| host.address.to_string()).collect();
    assert_eq!(addresses, ["8.8.8.1", "8.8.8.3", "9.9.9.9"]);
    let (places, _) = test.places_changed(0).await.expect("places");
    assert!(found.iter().all(|host| host.place == places[0].id));
    assert!(found.iter().all(|host| host.provider == hostatlas_domain::ProviderName::Mmdb));
}
