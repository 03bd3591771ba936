//! Damaged and malicious files: an answer, a miss or a refusal, never a panic or an endless search.

use hostatlas_domain::{Address, LookupStatus, UnlocatedReason};
use hostatlas_geolocation::Locator;
use mmdb_writer::Value;
use proptest::prelude::*;

use crate::support::{Site, V4, V6, asn, city, database, flat, frankfurt, reason};

/// Both families, every shape.
fn mixture() -> Vec<u8> {
    let nested = Value::map([
        ("city", Value::map([("names", Value::map([("en", "London")]))])),
        ("location", Value::map([("latitude", 51.5_f64), ("longitude", -0.1_f64)])),
        ("subdivisions", Value::array([Value::map([("names", Value::map([("en", "England")]))])])),
    ]);
    let networks = [
        ("1.0.0.0/8", frankfurt()),
        ("8.0.0.0/8", nested),
        ("9.0.0.0/9", asn(7, "Seven")),
        ("2a00::/16", Value::map([("loc", "47.3,8.5"), ("country", "CH"), ("asn", "AS3303")])),
        ("2a01::/20", flat("Tokyo (Chiyoda)", "Tokyo", "JP", 35.6895, 139.6917)),
    ];
    database(&V6, &networks)
}

fn everywhere() -> Vec<Address> {
    let texts = [
        "1.1.1.1",
        "8.8.8.8",
        "9.9.9.9",
        "9.1.1.1",
        "200.1.1.1",
        "2a00::1",
        "2a01::1",
        "2a01:ffff::1",
        "2600::1",
    ];
    texts.map(|text| text.parse().expect("an address")).into()
}

fn open(bytes: &[u8]) -> (Locator, Site) {
    let site = Site::new();
    site.put("hostile.mmdb", bytes);
    (site.open().0, site)
}

/// Looks up everywhere; whatever comes back, something does for each address.
fn answers(bytes: &[u8]) -> usize {
    open(bytes).0.locate_sorted(&everywhere()).len()
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let whole = mixture();
    for length in (0..whole.len()).step_by(7) {
        let (locator, site) = open(&whole[..length]);
        let status = locator.databases().remove(0);
        assert!(!status.in_use && status.problem.is_some(), "{length} bytes of {}", whole.len());
        drop(site);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..32)) {
        let mut bytes = mixture();
        for (index, flip) in flips {
            let index = index.index(bytes.len());
            bytes[index] ^= flip;
        }
        prop_assert_eq!(answers(&bytes), everywhere().len());
    }

    #[test]
    fn flipped_bytes_in_the_data_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16)) {
        let mut bytes = mixture();
        // The data and metadata of so small a file are its last kilobyte.
        let start = bytes.len().saturating_sub(1_024);
        for (index, value) in flips {
            let index = start + index.index(bytes.len() - start);
            bytes[index] = value;
        }
        prop_assert_eq!(answers(&bytes), everywhere().len());
    }

    #[test]
    fn noise_before_sound_metadata_never_panics(noise in prop::collection::vec(any::<u8>(), 0..4_096)) {
        let whole = mixture();
        let marker = b"\xab\xcd\xefMaxMind.com";
        let metadata = whole.windows(marker.len()).rposition(|window| window == marker).expect("metadata");
        let bytes = [&noise, &whole[metadata..]].concat();
        prop_assert_eq!(answers(&bytes), everywhere().len());
    }
}

/// Metadata for a hand-made tree of 24-bit records.
fn hand_made(nodes: &[(u32, u32)], ip_version: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = nodes
        .iter()
        .flat_map(|(left, right)| [left.to_be_bytes(), right.to_be_bytes()])
        .flat_map(|[_, high, middle, low]| [high, middle, low])
        .collect();
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    bytes.push(0xe9);
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.push(0x40 | u8::try_from(text.len()).expect("a short text"));
        bytes.extend(text.as_bytes());
    };
    let number = |bytes: &mut Vec<u8>, number: u32| {
        bytes.push(0xc4);
        bytes.extend(number.to_be_bytes());
    };
    for (key, value) in [
        ("node_count", u32::try_from(nodes.len()).expect("few nodes")),
        ("build_epoch", 0),
        ("record_size", 24),
        ("ip_version", u32::from(ip_version)),
        ("binary_format_major_version", 2),
        ("binary_format_minor_version", 0),
    ] {
        // A text of 29 bytes and more has its length in the next byte; these keys are shorter.
        text(bytes.as_mut(), key);
        match key {
            "build_epoch" => bytes.extend([0x08, 0x02, 0, 0, 0, 0, 0, 0, 0, 0]),
            "node_count" => number(&mut bytes, value),
            _ => {
                bytes.push(0xa2);
                bytes.extend(u16::try_from(value).expect("a short").to_be_bytes());
            }
        }
    }
    text(&mut bytes, "database_type");
    text(&mut bytes, "x");
    text(&mut bytes, "description");
    bytes.push(0xe0);
    text(&mut bytes, "languages");
    bytes.extend([0x00, 0x04]);
    bytes
}

fn problem(bytes: &[u8]) -> String {
    open(bytes).0.databases().remove(0).problem.expect("a problem").what
}

#[test]
fn a_hand_made_tree_is_read() {
    // {"loc": "1,2"} for 0.0.0.0/1.
    let bytes = hand_made(&[(17, 1)], 4, b"\xe1\x43loc\x431,2");
    let (locator, _site) = open(&bytes);
    assert_eq!(
        (locator.databases()[0].problem.clone(), reason(&locator, "8.8.8.8"), reason(&locator, "200.1.1.1")),
        (None, None, Some(UnlocatedReason::NoRecord))
    );
    assert_eq!(locator.databases()[0].database_build, None, "an epoch of 0 is no build time");
}

#[test]
fn a_tree_with_a_cycle_is_refused() {
    assert_eq!(
        problem(&hand_made(&[(0, 0)], 4, b"")),
        "is damaged: its search tree is deeper than an address is long"
    );
    assert_eq!(
        problem(&hand_made(&[(0, 0)], 6, b"")),
        "is damaged: its search tree is deeper than an address is long"
    );
}

#[test]
fn a_tree_of_a_hundred_shared_levels_with_nothing_below_ends() {
    let nodes: Vec<_> = (1..=100).map(|next| (next, next)).collect();
    assert_eq!(problem(&hand_made(&nodes, 6, b"")), "holds no record of any public address");
}

#[test]
fn a_record_that_contains_itself_is_refused() {
    // A map whose `location` points back at the map.
    let bytes = hand_made(&[(17, 17)], 4, b"\xe1\x48location\x20\x00");
    assert!(!open(&bytes).0.databases().remove(0).in_use);
}

#[test]
fn a_record_outside_the_data_is_refused() {
    assert!(problem(&hand_made(&[(9_000, 9_000)], 4, b"\xe0")).starts_with("is damaged"));
}

#[test]
fn a_damaged_record_that_the_check_missed_fails_its_own_addresses_alone() {
    let mut networks: Vec<(String, Value)> = Vec::new();
    for number in 0..200 {
        networks.push((format!("8.{number}.0.0/16"), flat(&format!("City {number}"), "", "DE", 50.0, 8.0)));
    }
    // One address amid others: one random way in millions ends there.
    networks.push(("8.7.7.7/32".to_owned(), flat("Needle", "", "DE", 51.0, 8.0)));
    let networks: Vec<_> =
        networks.iter().map(|(network, value)| (network.as_str(), value.clone())).collect();
    let mut bytes = database(&V4, &networks);
    let at = bytes.windows(6).position(|window| window == b"Needle").expect("the name");
    bytes[at] = 0xff;
    let (locator, _site) = open(&bytes);
    assert_eq!(reason(&locator, "8.7.7.7"), Some(UnlocatedReason::Malformed));
    assert_eq!(locator.databases()[0].unreadable_records, 1);
    assert_eq!(city(&locator, "8.7.0.1").as_deref(), Some("City 7"));
    assert_eq!(locator.locate_sorted(&everywhere())[0].status(), LookupStatus::Miss);
}
