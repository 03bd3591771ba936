//! Which file answers for which address, and how answers are put together.

use std::sync::Arc;

use hostatlas_domain::{AddressClass, Asn, LookupStatus, ProviderName, UnlocatedReason};
use hostatlas_geolocation::{Locator, Lookup, MmdbConfig};
use mmdb_writer::Value;

use crate::support::{
    BUILD, Build, Site, V4, V6, address, asn, built, city, count_copies, database, flat, frankfurt, locate,
    located, locator_of, open, reason,
};

fn berlin() -> Value {
    flat("Berlin", "Berlin", "DE", 52.52, 13.405)
}

/// A city file for each family and an ASN file for both, as they are installed.
fn full_site() -> Site {
    let site = Site::new();
    site.put("city-ipv4.mmdb", &database(&V4, &[("8.0.0.0/8", frankfurt()), ("9.0.0.0/8", berlin())]));
    site.put("city-ipv6.mmdb", &database(&V6, &[("2a00::/16", berlin())]));
    site.put(
        "asn.mmdb",
        &database(&V6, &[("8.8.0.0/16", asn(15_169, "Google LLC")), ("2a00::/16", asn(2, "Two"))]),
    );
    site
}

#[test]
fn each_family_has_its_own_file_and_mapped_addresses_are_unmapped() {
    let (locator, problems) = full_site().open();
    assert_eq!(problems, []);
    let cities = ["8.8.8.8", "::ffff:9.9.9.9", "2a00::1"].map(|text| city(&locator, text));
    assert_eq!(cities, ["Frankfurt am Main", "Berlin", "Berlin"].map(|name| Some(name.to_owned())));
}

#[test]
fn one_tree_may_serve_both_families() {
    let locator = locator_of(&database(&V6, &[("8.0.0.0/8", frankfurt()), ("2a00::/16", berlin())]));
    let cities = ["8.8.8.8", "2a00::1"].map(|text| city(&locator, text));
    assert_eq!(cities, ["Frankfurt am Main", "Berlin"].map(|name| Some(name.to_owned())));
}

#[test]
fn place_and_network_are_merged_into_one_answer() {
    let (locator, _) = full_site().open();
    let network = located(&locator, "8.8.8.8").network.clone();
    assert_eq!((network.asn, network.organization.as_deref()), (Some(Asn(15_169)), Some("Google LLC")));
    assert!(located(&locator, "8.9.0.1").network.is_empty());
}

#[test]
fn without_an_ipv6_database_only_ipv6_has_none() {
    let site = Site::new();
    site.put("city-ipv4.mmdb", &database(&V4, &[("8.0.0.0/8", frankfurt())]));
    site.put("asn.mmdb", &database(&V6, &[("2a00::/16", asn(2, "Two"))]));
    let (locator, _) = site.open();
    assert_eq!(reason(&locator, "8.8.8.8"), None);
    let expected = Lookup::Failed {
        reason: UnlocatedReason::NoDatabase,
        failures: vec![(ProviderName::Mmdb, "no database with IPv6 places is installed".to_owned())],
    };
    assert_eq!(locate(&locator, "2a00::1"), expected);
}

#[test]
fn with_nothing_installed_every_lookup_fails_and_the_problem_has_a_remedy() {
    let (locator, problems) = Site::new().open();
    assert_eq!(reason(&locator, "8.8.8.8"), Some(UnlocatedReason::NoDatabase));
    assert!(problems[0].remedy.contains("HOSTATLAS_MMDB_CITY"), "{problems:?}");
    assert_eq!((locator.database_build(), locator.databases()), (None, vec![]));
    assert_eq!(reason(&Locator::builder().build(), "8.8.8.8"), Some(UnlocatedReason::NoDatabase));
}

#[test]
fn special_purpose_addresses_are_never_looked_up() {
    // The files answer for every address there is, as real ones do for many special ones.
    let locator = locator_of(&database(&V6, &[("::/1", frankfurt()), ("8000::/1", frankfurt())]));
    let special =
        ["10.0.0.1", "127.0.0.1", "203.0.113.7", "::ffff:192.168.0.1", "fe80::1", "2002:a00:1::", "ff02::1"];
    let addresses = special.map(address);
    for lookup in locator.locate_sorted(&addresses) {
        assert_eq!(lookup.status(), LookupStatus::NotApplicable);
    }
    assert_eq!(locate(&locator, "203.0.113.7"), Lookup::NotApplicable(AddressClass::Documentation));
}

#[test]
fn the_newer_of_two_city_files_is_asked_first_and_the_other_for_the_rest() {
    let site = Site::new();
    site.put("a.mmdb", &database(&V4, &[("8.0.0.0/8", frankfurt()), ("9.0.0.0/8", frankfurt())]));
    let newer = Build { epoch: BUILD + 86_400, ..V4 };
    site.put("b.mmdb", &database(&newer, &[("8.0.0.0/8", berlin())]));
    let (locator, _) = site.open();
    let answers = ["8.8.8.8", "9.9.9.9"]
        .map(|text| located(&locator, text))
        .map(|found| (found.place.city.clone(), found.database_build));
    let expected = [
        (Some("Berlin".to_owned()), Some(built(BUILD + 86_400))),
        (Some("Frankfurt am Main".to_owned()), Some(built(BUILD))),
    ];
    assert_eq!((answers, locator.database_build()), (expected, Some(built(BUILD + 86_400))));
}

#[test]
fn a_country_file_fills_what_the_city_file_does_not_know() {
    let site = Site::new();
    site.put(
        "city.mmdb",
        &database(&V4, &[("8.0.0.0/8", frankfurt()), ("9.0.0.0/8", flat("", "", "", 0.0, 0.0))]),
    );
    let newer = Build { epoch: BUILD + 86_400, ..V6 };
    let japan = Value::map([("country_code", "JP")]);
    site.put("country.mmdb", &database(&newer, &[("8.0.0.0/7", japan)]));
    let (locator, _) = site.open();
    let countries = ["8.8.8.8", "9.9.9.9"].map(|text| located(&locator, text).place.country);
    assert_eq!(countries, ["DE", "JP"].map(|code| code.parse().ok()));
    assert_eq!(locator.database_build(), Some(built(BUILD)), "the newest city file's");
}

#[test]
fn listed_files_override_the_directory_for_their_purpose_alone() {
    let (site, elsewhere) = (full_site(), Site::new());
    let listed = elsewhere.put("mine.mmdb", &database(&V4, &[("8.0.0.0/8", berlin())]));
    let (locator, problems) = open(&MmdbConfig { city: vec![listed.clone()], ..site.config() });
    let found = located(&locator, "8.8.8.8");
    assert_eq!(
        (problems, found.place.city.as_deref(), found.network.asn),
        (vec![], Some("Berlin"), Some(Asn(15_169)))
    );
    assert_eq!(reason(&locator, "2a00::1"), Some(UnlocatedReason::NoDatabase));
    let used: Vec<_> =
        locator.databases().into_iter().filter(|file| file.in_use).map(|file| file.path).collect();
    assert_eq!(used, [listed, site.path("asn.mmdb")]);
}

#[test]
fn a_file_listed_for_what_it_does_not_hold_is_a_problem() {
    let site = Site::new();
    let places = site.put("places.mmdb", &database(&V4, &[("8.0.0.0/8", frankfurt())]));
    let networks = site.put("networks.mmdb", &database(&V4, &[("8.0.0.0/8", asn(1, "One"))]));
    let config = MmdbConfig { city: vec![networks], asn: vec![places], ..site.config() };
    let (locator, problems) = open(&config);
    let remedies: Vec<_> = problems.iter().map(|problem| problem.remedy.as_str()).collect();
    assert_eq!(remedies, ["list it as an ASN database", "list it as a city database"]);
    assert_eq!(reason(&locator, "8.8.8.8"), Some(UnlocatedReason::NoDatabase));
}

#[test]
fn a_file_with_places_listed_for_networks_gives_networks_alone() {
    let site = Site::new();
    let record = Value::map([("country_code", "US"), ("asn", "AS7"), ("as_name", "Seven")]);
    let lite = site.put("lite.mmdb", &database(&V4, &[("8.0.0.0/8", record)]));
    site.put("city.mmdb", &database(&V4, &[("8.0.0.0/8", frankfurt())]));
    let (locator, _) = open(&MmdbConfig { asn: vec![lite], ..site.config() });
    let found = located(&locator, "8.8.8.8");
    assert_eq!((found.place.city.as_deref(), found.network.asn), (Some("Frankfurt am Main"), Some(Asn(7))));
}

#[test]
fn addresses_at_one_place_in_one_network_share_an_answer() {
    let (locator, _) = full_site().open();
    let [first, second, other] = ["8.8.8.8", "8.8.200.1", "8.9.0.1"].map(|text| located(&locator, text));
    assert!(Arc::ptr_eq(&first, &second) && !Arc::ptr_eq(&first, &other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_in_any_order_gives_the_answers_of_single_lookups() {
    let (locator, _) = full_site().open();
    let addresses: Vec<_> = (0..5_000_u32)
        .map(|number| {
            let bits = number.wrapping_mul(0x9e37_79b9);
            if number % 7 == 0 {
                address(&format!("2a0{:x}::{:x}", number % 3, number))
            } else {
                std::net::IpAddr::from(std::net::Ipv4Addr::from_bits(bits % (4 << 24) + (7 << 24))).into()
            }
        })
        .collect();
    let mut single = Vec::new();
    for &address in &addresses {
        single.push(locator.locate(address).await);
    }
    for batch_size in [0, 1_000, 1_000_000] {
        if batch_size == 0 {
            assert_eq!(locator.locate_batch(&addresses[..100], 0).await, single[..100]);
        } else {
            assert_eq!(locator.locate_batch(&addresses, batch_size).await, single);
        }
    }
    assert_eq!(locator.locate_sorted(&addresses), single);
    let located = single.iter().filter(|lookup| lookup.located().is_some()).count();
    assert!((1_000..4_999).contains(&located), "a mixture: {located} of 5000 located");
}

#[test]
fn processes_with_the_same_files_share_copies() {
    let site = full_site();
    let (_first, _) = site.open();
    let (second, problems) = site.open();
    assert_eq!((problems, count_copies(&site.copies())), (vec![], 3));
    assert!(city(&second, "8.8.8.8").is_some());
}
