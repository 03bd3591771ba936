//! Every schema that is met, by the shape of its records.

use hostatlas_domain::{Asn, Coordinate, Located, Network, Place, Precision, ProviderName, UnlocatedReason};
use hostatlas_geolocation::{AddressFamilies, Role, country_centre};
use mmdb_writer::Value;

use crate::support::{BUILD, V4, V6, asn, built, database, flat, frankfurt, located, locator_of, reason};

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::map(entries)
}

fn one(record: Value) -> hostatlas_geolocation::Locator {
    locator_of(&database(&V4, &[("8.8.8.0/24", record)]))
}

#[test]
fn a_flat_record_with_32_bit_floats_is_read_whole() {
    let locator = one(flat("Mountain View", "California", "US", 37.422, -122.085));
    let expected = Located {
        place: Place {
            coordinate: Coordinate::new(37.422, -122.085).expect("on earth"),
            precision: Precision::City,
            city: Some("Mountain View".to_owned()),
            region: Some("California".to_owned()),
            country: "US".parse().ok(),
        },
        network: Network::default(),
        timezone: None,
        provider: ProviderName::Mmdb,
        accuracy_km: None,
        database_build: Some(built(BUILD)),
    };
    assert_eq!(*located(&locator, "8.8.8.8"), expected);
}

#[test]
fn a_nested_maxmind_record_is_read_whole() {
    let names = |name: &str| map([("names", map([("de", Value::from("falsch")), ("en", name.into())]))]);
    let country = map([("iso_code", "GB".into()), ("names", map([("en", "United Kingdom".into())]))]);
    let location = map([
        ("accuracy_radius", Value::from(20_u16)),
        ("latitude", 51.5142_f64.into()),
        ("longitude", (-0.0931_f64).into()),
        ("time_zone", "Europe/London".into()),
    ]);
    let locator = one(map([
        ("city", names("London")),
        ("continent", map([("code", "EU".into())])),
        ("country", country),
        ("location", location),
        ("registered_country", map([("iso_code", "FR".into())])),
        ("subdivisions", Value::array([names("England"), names("Greater London")])),
        (
            "traits",
            map([("autonomous_system_number", 20_712_u32.into()), ("isp", "Andrews & Arnold".into())]),
        ),
    ]));
    let expected = Located {
        place: Place {
            coordinate: Coordinate::new(51.5142, -0.0931).expect("on earth"),
            precision: Precision::City,
            city: Some("London".to_owned()),
            region: Some("England".to_owned()),
            country: "GB".parse().ok(),
        },
        network: Network {
            asn: Some(Asn(20_712)),
            organization: None,
            isp: Some("Andrews & Arnold".to_owned()),
        },
        timezone: Some("Europe/London".to_owned()),
        provider: ProviderName::Mmdb,
        accuracy_km: Some(20),
        database_build: Some(built(BUILD)),
    };
    assert_eq!(*located(&locator, "8.8.8.8"), expected);
}

#[test]
fn a_flat_ipinfo_record_has_its_numbers_as_text() {
    let locator = one(map([
        ("asn", "AS15169".into()),
        ("as_name", "Google LLC".into()),
        ("city", "Mountain View".into()),
        ("country", "United States".into()),
        ("country_code", "US".into()),
        ("lat", "37.40560".into()),
        ("lng", "-122.07750".into()),
        ("region", "California".into()),
        ("timezone", "America/Los_Angeles".into()),
    ]));
    let found = located(&locator, "8.8.8.8");
    assert_eq!(
        (
            found.place.coordinate.units(),
            found.network.asn,
            found.network.organization.as_deref(),
            found.timezone.as_deref()
        ),
        ((3_740_560, -12_207_750), Some(Asn(15_169)), Some("Google LLC"), Some("America/Los_Angeles"))
    );
}

#[test]
fn an_older_ipinfo_record_has_its_point_in_one_text_and_the_code_as_country() {
    let locator =
        one(map([("city", "Zürich".into()), ("country", "CH".into()), ("loc", "47.3667,8.5500".into())]));
    let place = &located(&locator, "8.8.8.8").place;
    assert_eq!((place.coordinate.units(), place.country), ((4_736_670, 855_000), "CH".parse().ok()));
}

#[test]
fn coordinates_may_be_whole_numbers() {
    let locator = one(map([
        ("city", "Somewhere".into()),
        ("latitude", Value::from(-33_i32)),
        ("longitude", Value::from(151_u16)),
    ]));
    assert_eq!(located(&locator, "8.8.8.8").place.coordinate.units(), (-3_300_000, 15_100_000));
}

#[test]
fn a_country_alone_is_placed_at_its_centre() {
    let locator = one(map([("country_code", "US".into())]));
    let place = &located(&locator, "8.8.8.8").place;
    let us = "US".parse().expect("a code");
    assert_eq!(
        (Some(place.coordinate), place.precision, place.country),
        (country_centre(us), Precision::Country, Some(us))
    );
}

#[test]
fn ipinfo_lite_gives_country_and_network() {
    let locator = one(map([
        ("as_name", "Google LLC".into()),
        ("asn", "AS15169".into()),
        ("continent", "North America".into()),
        ("country", "United States".into()),
        ("country_code", "US".into()),
    ]));
    let found = located(&locator, "8.8.8.8");
    assert_eq!(
        (locator.databases()[0].role, found.place.precision, found.network.asn),
        (Some(Role::Country), Precision::Country, Some(Asn(15_169)))
    );
}

#[test]
fn precision_follows_the_finest_name() {
    let locator = locator_of(&database(
        &V4,
        &[
            ("1.0.0.0/24", flat("", "Hesse", "DE", 50.5, 9.0)),
            ("1.0.1.0/24", flat("", "", "DE", 51.0, 9.0)),
            (
                "1.0.2.0/24",
                map([
                    ("country", map([("iso_code", "DE".into())])),
                    ("location", map([("latitude", 51.2993_f64.into()), ("longitude", 9.491_f64.into())])),
                ]),
            ),
            ("1.0.3.0/24", frankfurt()),
        ],
    ));
    let precisions =
        ["1.0.0.1", "1.0.1.1", "1.0.2.1", "1.0.3.1"].map(|text| located(&locator, text).place.precision);
    assert_eq!(precisions, [Precision::Region, Precision::Country, Precision::Country, Precision::City]);
}

#[test]
fn zero_zero_is_the_country_or_nothing_but_zero_latitude_is_a_place() {
    let locator = locator_of(&database(
        &V4,
        &[
            ("1.0.0.0/24", flat("", "", "", 0.0, 0.0)),
            ("1.0.1.0/24", flat("", "", "GA", 0.0, 0.0)),
            ("1.0.2.0/24", flat("Kampala", "", "UG", 0.0, 32.5)),
        ],
    ));
    assert_eq!(reason(&locator, "1.0.0.1"), Some(UnlocatedReason::NullIsland));
    assert_eq!(
        Some(located(&locator, "1.0.1.1").place.coordinate),
        country_centre("GA".parse().expect("a code"))
    );
    assert_eq!(located(&locator, "1.0.2.1").place.coordinate.units(), (0, 3_250_000));
}

#[test]
fn an_empty_record_and_no_record_are_misses() {
    let locator = locator_of(&database(
        &V4,
        &[
            ("1.0.0.0/24", frankfurt()),
            ("1.0.1.0/24", flat("", "", "", f32::NAN, 0.0)),
            ("1.0.2.0/24", map([])),
        ],
    ));
    let reasons = ["1.0.1.1", "1.0.2.1", "9.9.9.9"].map(|text| reason(&locator, text));
    assert_eq!(reasons, [Some(UnlocatedReason::NoRecord); 3]);
}

#[test]
fn values_of_unexpected_types_are_ignored() {
    let locator = one(map([
        ("accuracy_radius", "wide".into()),
        ("asn", true.into()),
        ("city", Value::array(["a", "b"])),
        ("country_code", Value::from(7_u32)),
        ("isp", map([("name", "x".into())])),
        ("latitude", "50.1".into()),
        ("location", "here".into()),
        ("longitude", Value::from(8_u64)),
        ("region", Value::Bytes(vec![1, 2, 3])),
        ("subdivisions", map([])),
        ("timezone", Value::from(1_u128)),
    ]));
    let found = located(&locator, "8.8.8.8");
    assert_eq!((found.place.coordinate.units(), found.place.city.as_deref()), ((5_010_000, 800_000), None));
}

#[test]
fn a_files_role_family_and_build_are_told_by_its_content() {
    let cases = [
        (database(&V4, &[("8.8.8.0/24", frankfurt())]), Role::City, AddressFamilies::Ipv4),
        (database(&V6, &[("2a00::/16", frankfurt())]), Role::City, AddressFamilies::Ipv6),
        (
            database(&V6, &[("8.8.8.0/24", map([("country_code", "US".into())]))]),
            Role::Country,
            AddressFamilies::Ipv4,
        ),
        (
            database(&V6, &[("8.8.8.0/24", asn(15_169, "G")), ("2a00::/16", asn(1, "H"))]),
            Role::Asn,
            AddressFamilies::Both,
        ),
    ];
    for (bytes, role, families) in cases {
        let status = locator_of(&bytes).databases().remove(0);
        assert_eq!(
            (status.role, status.families, status.database_build, status.in_use, status.problem),
            (Some(role), Some(families), Some(built(BUILD)), true, None)
        );
    }
}
