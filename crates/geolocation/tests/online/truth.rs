//! Every address ends located, missed with a reason, or still due; by whoever knows best.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Coordinate, LookupStatus, Place, Precision, ProviderName, UnlocatedReason};
use hostatlas_geolocation::{LocateOptions, Locator, Lookup, Site};

use crate::support::{Behaviour, MINUTE, Server, Simulated, address, addresses, locator};

fn impatient() -> LocateOptions {
    LocateOptions { patience: Duration::ZERO, ..LocateOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn a_miss_goes_to_the_next_and_is_one_only_if_nobody_knows() {
    let lost = [address(1), address(2)];
    let first = Server::new(Behaviour { misses: lost.into(), ..Behaviour::default() });
    let second = Server::new(Behaviour { misses: [lost[0]].into(), ..Behaviour::default() });
    let locator = locator(&[
        (Simulated::unlimited(ProviderName::IpApi), first),
        (Simulated::unlimited(ProviderName::Freeipapi), second),
    ]);
    let lookups = locator.locate_with(&addresses(20), LocateOptions::default()).await;
    assert_eq!(lookups[1], Lookup::Miss(UnlocatedReason::NoRecord));
    let located = lookups[2].located().expect("the other knows");
    assert_eq!(located.provider, ProviderName::Freeipapi);
    assert_eq!(lookups.iter().filter(|lookup| lookup.located().is_some()).count(), 19);
}

#[tokio::test(start_paused = true)]
async fn a_country_is_kept_while_a_better_answer_is_sought() {
    let everything = addresses(10);
    let coarse =
        Server::new(Behaviour { coarse: everything.iter().copied().collect(), ..Behaviour::default() });
    let fine = Server::new(Behaviour { misses: [address(0)].into(), ..Behaviour::default() });
    let locator = locator(&[
        (Simulated::unlimited(ProviderName::IpinfoLite), coarse),
        (Simulated::unlimited(ProviderName::IpApi), fine),
    ]);
    let lookups = locator.locate_with(&everything, LocateOptions::default()).await;
    let precisions: Vec<_> =
        lookups.iter().map(|lookup| lookup.located().expect("located").place.precision).collect();
    assert_eq!(precisions[0], Precision::Country);
    assert!(precisions[1..].iter().all(|precision| *precision == Precision::City), "{precisions:?}");
}

#[tokio::test(start_paused = true)]
async fn who_knows_countries_alone_is_asked_only_about_what_nobody_better_knows() {
    let everything = addresses(300);
    let coarse =
        Server::new(Behaviour { coarse: everything.iter().copied().collect(), ..Behaviour::default() });
    let fine =
        Server::new(Behaviour { misses: everything[..7].iter().copied().collect(), ..Behaviour::default() });
    let provider = Simulated::new(ProviderName::IpApi, &[(100, None)], Duration::ZERO);
    let locator = locator(&[
        (Simulated::of_countries(ProviderName::IpinfoLite), Arc::clone(&coarse)),
        (provider, Arc::clone(&fine)),
    ]);
    let lookups = locator.locate_with(&everything, LocateOptions::default()).await;
    assert!(lookups.iter().all(|lookup| lookup.status() == LookupStatus::Located), "{lookups:?}");
    let asked =
        |server: &Server| server.see(|seen| seen.requests.iter().map(|(_, count, _)| count).sum::<usize>());
    assert_eq!((asked(&fine), asked(&coarse)), (300, 7));
}

#[tokio::test(start_paused = true)]
async fn a_country_is_given_where_a_better_answer_has_to_wait() {
    let limit = Some((1, MINUTE));
    let coarse =
        Server::new(Behaviour { coarse: addresses(3).into_iter().collect(), ..Behaviour::default() });
    let fine = Server::new(Behaviour { limits: vec![limit], ..Behaviour::default() });
    let locator = locator(&[
        (Simulated::unlimited(ProviderName::IpinfoLite), coarse),
        (Simulated::new(ProviderName::IpApi, &[(1, limit)], Duration::ZERO), fine),
    ]);
    let lookups = locator.locate_with(&addresses(3), impatient()).await;
    assert!(lookups.iter().all(|lookup| lookup.status() == LookupStatus::Located), "{lookups:?}");
}

#[tokio::test(start_paused = true)]
async fn batches_are_filled_to_the_brim_and_singles_used_when_they_are_used_up() {
    let limits = [(100, Some((3, MINUTE))), (1, Some((45, MINUTE)))];
    let server = Server::new(Behaviour {
        limits: limits.iter().map(|(_, limit)| *limit).collect(),
        ..Behaviour::default()
    });
    let provider = Simulated::new(ProviderName::IpApi, &limits, Duration::ZERO);
    let locator = locator(&[(provider, Arc::clone(&server))]);
    let lookups = locator.locate_with(&addresses(400), impatient()).await;
    let sizes = server.see(|seen| {
        let mut sizes: Vec<_> =
            seen.requests.iter().map(|(endpoint, count, _)| (*endpoint, *count)).collect();
        sizes.sort_unstable();
        sizes
    });
    assert_eq!(sizes[..3], [(0, 100); 3]);
    assert_eq!(sizes[3..], [(1, 1); 45]);
    let due = lookups.iter().filter(|lookup| lookup.status() == LookupStatus::Deferred).count();
    assert_eq!(due, 400 - 345);
}

#[tokio::test(start_paused = true)]
async fn one_address_does_not_cost_a_batch() {
    let limits = [(100, Some((3, MINUTE))), (1, Some((45, MINUTE)))];
    let server = Server::new(Behaviour {
        limits: limits.iter().map(|(_, limit)| *limit).collect(),
        ..Behaviour::default()
    });
    let provider = Simulated::new(ProviderName::IpApi, &limits, Duration::ZERO);
    locator(&[(provider, Arc::clone(&server))]).locate(address(1)).await;
    assert_eq!(server.see(|seen| seen.requests[0].0), 1);
}

#[tokio::test(start_paused = true)]
async fn one_address_after_another_waits_a_moment_rather_than_costing_a_batch() {
    let limits = [(100, Some((3, MINUTE))), (1, Some((45, MINUTE)))];
    let server = Server::new(Behaviour {
        limits: limits.iter().map(|(_, limit)| *limit).collect(),
        ..Behaviour::default()
    });
    let provider = Simulated::new(ProviderName::IpApi, &limits, Duration::from_millis(250));
    let locator = locator(&[(provider, Arc::clone(&server))]);
    for number in 1..=3 {
        locator.locate(address(number)).await;
    }
    let endpoints: Vec<usize> =
        server.see(|seen| seen.requests.iter().map(|(endpoint, ..)| *endpoint).collect());
    assert_eq!(endpoints, [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn providers_are_asked_in_proportion_to_what_they_allow() {
    let (wide, narrow) = (Some((900, MINUTE)), Some((100, MINUTE)));
    let servers =
        [wide, narrow].map(|limit| Server::new(Behaviour { limits: vec![limit], ..Behaviour::default() }));
    let locator = locator(&[
        (Simulated::new(ProviderName::IpApi, &[(1, wide)], Duration::ZERO), Arc::clone(&servers[0])),
        (Simulated::new(ProviderName::Freeipapi, &[(1, narrow)], Duration::ZERO), Arc::clone(&servers[1])),
    ]);
    locator.locate_with(&addresses(500), impatient()).await;
    let calls = servers.map(|server| server.calls());
    println!("500 addresses over 900 and 100 permits: {calls:?}");
    assert!((40..=60).contains(&calls[1]), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn ask_all_asks_everybody_past_the_cache() {
    let servers = [(); 2].map(|()| Server::new(Behaviour::default()));
    let locator = locator(&[
        (Simulated::unlimited(ProviderName::IpApi), Arc::clone(&servers[0])),
        (Simulated::unlimited(ProviderName::Freeipapi), Arc::clone(&servers[1])),
    ]);
    for round in 1..=2 {
        let said = locator.ask_all(address(1)).await;
        let who: Vec<_> = said.iter().map(|(provider, lookup)| (*provider, lookup.status())).collect();
        let located = LookupStatus::Located;
        assert_eq!(who, [(ProviderName::IpApi, located), (ProviderName::Freeipapi, located)]);
        assert_eq!(servers.each_ref().map(|server| server.calls()), [round, round]);
    }
    assert_eq!(locator.ask(ProviderName::Freeipapi, address(2)).await.status(), LookupStatus::Located);
    assert_eq!(servers.map(|server| server.calls()), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_private_address_is_at_its_site_and_told_to_nobody() {
    let server = Server::new(Behaviour::default());
    let place = |city: &str| Place {
        coordinate: Coordinate::new(50.1, 8.7).expect("on the earth"),
        precision: Precision::City,
        city: Some(city.to_owned()),
        region: None,
        country: None,
    };
    let site = |network: &str, city: &str| Site {
        name: city.to_owned(),
        network: network.parse().expect("a network"),
        place: place(city),
    };
    let locator = Locator::builder()
        .online_over(Simulated::unlimited(ProviderName::IpApi), Arc::clone(&server) as _)
        .sites(vec![site("10.0.0.0/8", "Works"), site("10.1.0.0/16", "Office"), site("8.0.0.0/8", "Nowhere")])
        .build();
    let asked = ["10.1.2.3", "10.2.0.1", "192.168.0.1", "8.8.8.8"].map(|ip| ip.parse().expect("an address"));
    let lookups = locator.locate_with(&asked, LocateOptions::default()).await;
    let sorted = locator.locate_sorted(&asked[..3]);
    assert_eq!(lookups[..3], sorted);
    let cities = lookups.iter().map(|lookup| lookup.located().and_then(|at| at.place.city.as_deref()));
    assert_eq!(cities.collect::<Vec<_>>(), [Some("Office"), Some("Works"), None, Some("Somewhere")]);
    assert_eq!(lookups[0].located().expect("a site").provider, ProviderName::Site);
    assert_eq!(server.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_answered_is_believed_when_another_opinion_takes_hours() {
    let limit = Some((1, Duration::from_hours(24)));
    let knows_nothing =
        Server::new(Behaviour { misses: addresses(5).into_iter().collect(), ..Behaviour::default() });
    let used_up = Server::new(Behaviour { limits: vec![limit], ..Behaviour::default() });
    let locator = locator(&[
        (Simulated::unlimited(ProviderName::IpApi), knows_nothing),
        (Simulated::new(ProviderName::Ipgeolocation, &[(1, limit)], Duration::ZERO), used_up),
    ]);
    let lookups = locator.locate_with(&addresses(5), LocateOptions::default()).await;
    let count = |status| lookups.iter().filter(|lookup| lookup.status() == status).count();
    assert_eq!((count(LookupStatus::Located), count(LookupStatus::Miss)), (1, 4));
}
