//! Tables of IPv4: that they say what the databases say, whatever happens to them.

use std::fs;

use hostatlas_domain::Address;
use hostatlas_geolocation::{
    Locator, Lookup, MmdbSet,
    mmdb::{Bulk, PlaceAnswer},
};
use ipnet::IpNet;
use mmdb_writer::Value;
use proptest::prelude::*;

use crate::support::{Site, V4, V6, address, asn, city, count_files, database, flat, frankfurt};

/// Records of every kind that judging knows.
fn value(kind: u8) -> Value {
    match kind {
        0 => flat("", "", "", 0.0, 0.0),
        1 => flat("", "", "JP", 0.0, 0.0),
        2 => flat("Tokyo \u{202e}(Chiyoda)", "-", "JP", 35.6895, 139.6917),
        3 => asn(7, "Seven"),
        4 => Value::map([("asn", Value::from("AS0")), ("country_code", "DE".into()), ("isp", "I".into())]),
        5 => Value::map([
            ("location", Value::map([("latitude", 51.5_f64), ("longitude", -0.1_f64)])),
            ("timezone", "Europe/London".into()),
            ("accuracy_radius", 20_u32.into()),
        ]),
        6 => flat(&"long ".repeat(400), "", "ZZ", 91.0, 0.0),
        _ => frankfurt(),
    }
}

fn bytes(networks: &[(IpNet, u8)]) -> Vec<u8> {
    let networks: Vec<_> =
        networks.iter().map(|(network, kind)| (network.to_string(), value(*kind))).collect();
    let mut borrowed: Vec<(&str, Value)> =
        networks.iter().map(|(network, value)| (network.as_str(), value.clone())).collect();
    borrowed.push(("2a00::/16", frankfurt()));
    database(&V6, &borrowed)
}

/// The set with its tables, and a locator whose databases have none: a folder is in the place of each.
fn both(bytes: &[u8]) -> (Bulk, Locator, Locator, [Site; 2]) {
    let sites = [Site::new(), Site::new()];
    for site in &sites {
        site.put("city.mmdb", bytes);
    }
    let (with, _) = MmdbSet::open(&sites[0].config());
    drop(sites[1].open());
    for path in tables(&sites[1]) {
        fs::remove_file(&path).expect("a table");
        fs::create_dir(&path).expect("a folder");
    }
    let (without, _) = sites[1].open();
    (with.bulk(), Locator::builder().mmdb(with).build(), without, sites)
}

fn tables(site: &Site) -> Vec<std::path::PathBuf> {
    let files =
        fs::read_dir(site.copies()).expect("a directory").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "ipv4")).collect()
}

/// What a bulk lookup should say, from what the locator says.
fn expected(lookup: &Lookup) -> PlaceAnswer<'_> {
    match lookup {
        Lookup::Located(located) => PlaceAnswer::Located((&located.place).into()),
        Lookup::Miss(reason) => PlaceAnswer::Miss(*reason),
        Lookup::NotApplicable(class) => PlaceAnswer::NotApplicable(*class),
        other => panic!("a sound database answers: {other:?}"),
    }
}

fn assert_same(bytes: &[u8], addresses: &[Address]) {
    let (mut bulk, with, without, _sites) = both(bytes);
    let walked = without.locate_sorted(addresses);
    assert_eq!(with.locate_sorted(addresses), walked);
    let mut next = 0;
    bulk.for_each(addresses, |index, answer| {
        assert_eq!((index, &answer), (next, &expected(&walked[index])), "{}", addresses[index]);
        next += 1;
    });
    assert_eq!(next, addresses.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_table_answers_as_the_tree_does(
        networks in prop::collection::vec((any::<[u8; 4]>(), 1..=32_u8, 0..8_u8), 1..40),
        others in prop::collection::vec(any::<[u8; 4]>(), 0..300),
        sorted: bool,
    ) {
        let networks: Vec<(IpNet, u8)> = networks
            .into_iter()
            .map(|(at, prefix, kind)| (IpNet::new(at.into(), prefix).expect("a network").trunc(), kind))
            .chain([("8.8.8.0/24".parse().expect("a network"), 7)])
            .collect();
        let edges = networks.iter().flat_map(|(network, _)| [network.network(), network.broadcast()]);
        let others = others.into_iter().map(std::net::IpAddr::from);
        let mut addresses: Vec<Address> = edges.chain(others).map(Address::from).collect();
        addresses.extend(["2a00::1", "2b00::1", "8.8.8.8"].map(address));
        if sorted {
            addresses.sort_unstable();
        }
        assert_same(&bytes(&networks), &addresses);
    }
}

#[test]
fn many_networks_are_told_apart_within_their_slots() {
    let networks: Vec<(IpNet, u8)> = (0..4_096_u32)
        .map(|number| {
            let at = std::net::Ipv4Addr::from_bits((8 << 24) + number * 3 * 8);
            (IpNet::new(at.into(), 29).expect("a network"), u8::try_from(number % 8).expect("small"))
        })
        .collect();
    let addresses: Vec<Address> = (0..4_096 * 24_u32)
        .map(|number| std::net::IpAddr::from(std::net::Ipv4Addr::from_bits((8 << 24) + number)).into())
        .collect();
    assert_same(&bytes(&networks), &addresses);
}

#[test]
fn a_table_that_is_cut_short_is_made_again() {
    let site = Site::new();
    site.put("city.mmdb", &database(&V4, &[("8.0.0.0/8", frankfurt())]));
    drop(site.open());
    let [table] = tables(&site).try_into().expect("one table");
    let whole = fs::read(&table).expect("a table");
    for length in [0, 10, 100, whole.len() - 1] {
        fs::write(&table, &whole[..length]).expect("a cut table");
        let (locator, problems) = site.open();
        assert_eq!((problems, city(&locator, "8.8.8.8").as_deref()), (vec![], Some("Frankfurt am Main")));
        assert_eq!(fs::read(&table).expect("a table"), whole, "cut at {length}");
    }
}

#[test]
fn a_table_that_is_overwritten_brings_no_lookup_down() {
    let site = Site::new();
    site.put("city.mmdb", &database(&V4, &[("8.0.0.0/8", frankfurt()), ("9.9.9.0/24", frankfurt())]));
    drop(site.open());
    let [table] = tables(&site).try_into().expect("one table");
    let mut damaged = fs::read(&table).expect("a table");
    damaged[64..].fill(0xa5);
    fs::write(&table, damaged).expect("a damaged table");
    let (set, _) = MmdbSet::open(&site.config());
    let addresses = ["8.8.8.8", "9.9.9.9", "1.1.1.1"].map(address);
    let mut told = 0;
    set.bulk().for_each(&addresses, |_, _| told += 1);
    let locator = Locator::builder().mmdb(set).build();
    assert_eq!((told, locator.locate_sorted(&addresses).len()), (3, 3));
}

#[test]
fn a_table_goes_with_its_copy() {
    let site = Site::new();
    site.put("city.mmdb", &database(&V4, &[("8.0.0.0/8", frankfurt())]));
    let (locator, _) = site.open();
    site.put("city.mmdb", &database(&V4, &[("9.0.0.0/8", frankfurt())]));
    locator.reload_if_changed();
    assert_eq!((tables(&site).len(), count_files(&site.copies(), "tmp")), (1, 0));
    assert!(city(&locator, "9.9.9.9").is_some() && city(&locator, "8.8.8.8").is_none());
}
