//! What masscan, nmap and zmap really wrote.

mod common;

use std::collections::BTreeSet;

use common::{Slow, brief, facts, read, read_from, read_sample, sample};
use hostatlas_domain::{ScanFormat, SightingRecord};
use hostatlas_scan::Record;

#[test]
fn every_sample_is_recognised_whole_and_without_a_bad_line() {
    use ScanFormat::*;
    for (name, format, records) in [
        ("banners.bin", MasscanBinary, 114),
        ("banners.json", MasscanJson, 114),
        ("banners.ndjson", MasscanNdjson, 114),
        ("banners.list", MasscanList, 114),
        ("banners.xml", MasscanXml, 114),
        ("banners.gnmap", MasscanGrepable, 114),
        ("banners.stdout.txt", MasscanStdout, 114),
        ("v6.bin", MasscanBinary, 42),
        ("v6.json", MasscanJson, 42),
        ("v6.ndjson", MasscanNdjson, 42),
        ("v6.list", MasscanList, 42),
        ("v6.xml", MasscanXml, 42),
        ("v6.gnmap", MasscanGrepable, 42),
        ("list-on-stdout.txt", MasscanList, 12),
        ("empty.json", Empty, 0),
        ("nmap.xml", NmapXml, 8),
        ("nmap.gnmap", NmapGrepable, 10),
        ("zmap.csv", ZmapCsv, 6),
        ("zmap-default.csv", Plain, 6),
        ("zmap.json", ZmapJson, 6),
        ("naabu.json", NaabuJson, 6),
        ("naabu-old.json", NaabuJson, 4),
        ("naabu.csv", NaabuCsv, 4),
        ("rustscan.txt", RustscanGrepable, 5),
        ("shodan.json", ShodanJson, 5),
        ("public-5k.json", MasscanJson, 5538),
        ("public-5k.list", MasscanList, 5538),
        ("public-5k.bin", MasscanBinary, 5538),
    ] {
        let outcome = read_sample(name);
        let sightings = outcome
            .records
            .iter()
            .filter(|record| matches!(record, Record::Sighting { repaired: false, .. }))
            .count();
        assert_eq!(
            (name, outcome.format, outcome.records.len(), sightings, outcome.truncated),
            (name, format, records, records, false)
        );
    }
}

#[test]
fn one_scan_says_the_same_in_every_format() {
    let expected = facts(&read_sample("v6.json"));
    for name in ["v6.bin", "v6.ndjson", "v6.list", "v6.xml", "v6.gnmap"] {
        assert_eq!(facts(&read_sample(name)), expected, "{name}");
    }
    let expected = facts(&read_sample("public-5k.json"));
    for name in ["public-5k.list", "public-5k.bin"] {
        assert_eq!(facts(&read_sample(name)), expected, "{name}");
    }
    // These are separate runs against the same six hosts.
    let expected = facts(&read_sample("banners.json"));
    for name in [
        "banners.bin",
        "banners.ndjson",
        "banners.list",
        "banners.xml",
        "banners.gnmap",
        "banners.stdout.txt",
    ] {
        let found = facts(&read_sample(name));
        let differing: Vec<_> = expected.symmetric_difference(&found).collect();
        assert_eq!(differing, Vec::<&String>::new(), "{name}");
    }
}

#[test]
fn the_demo_holds_five_thousand_hosts_in_every_format() {
    for name in ["public-5k.json", "public-5k.list", "public-5k.bin"] {
        let outcome = read_sample(name);
        let hosts: BTreeSet<_> = outcome
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Sighting { sighting, .. } => Some(sighting.address),
                _ => None,
            })
            .collect();
        let banners = outcome.records.iter().filter(|record| {
            matches!(record, Record::Sighting { sighting, .. } if matches!(sighting.record, SightingRecord::Banner { .. }))
        });
        assert_eq!((name, hosts.len(), banners.count()), (name, 5000, 538));
    }
}

#[test]
fn nmap_says_the_same_in_both_its_formats_but_for_its_status_lines() {
    let xml = facts(&read_sample("nmap.xml"));
    let mut grepable = facts(&read_sample("nmap.gnmap"));
    grepable.retain(|fact| !fact.ends_with(" up"));
    assert_eq!(xml, grepable);
    assert_eq!(brief(&read_sample("nmap.xml").records[0]), "26 192.0.2.10 open 22/tcp @1795435219");
}

#[test]
fn zmap_says_when_to_the_millisecond() {
    assert_eq!(brief(&read_sample("zmap.csv").records[0]), "2 192.0.2.11 open 80/tcp @1795435289");
    let outcome = read_sample("zmap.json");
    let Record::Sighting { sighting, .. } = &outcome.records[0] else { panic!("{outcome:?}") };
    assert_eq!(sighting.seen_at.expect("a time").as_millis(), 1_795_435_235_082);
}

const SMALL: [&str; 22] = [
    "banners.bin",
    "banners.json",
    "banners.ndjson",
    "banners.list",
    "banners.xml",
    "banners.gnmap",
    "banners.stdout.txt",
    "v6.bin",
    "v6.json",
    "v6.ndjson",
    "v6.list",
    "v6.xml",
    "v6.gnmap",
    "list-on-stdout.txt",
    "nmap.xml",
    "nmap.gnmap",
    "zmap.csv",
    "zmap.json",
    "naabu.json",
    "naabu-old.json",
    "naabu.csv",
    "shodan.json",
];

#[test]
fn a_file_cut_at_any_byte_gives_the_records_before_the_cut() {
    for name in SMALL {
        let bytes = sample(name);
        let whole = read(&bytes);
        // Every byte of a small file, and of a large one's beginning: a test that takes minutes is not run.
        for length in
            (0..bytes.len()).filter(|length| *length < 1500 || bytes.len() < 5000 || length % 17 == 0)
        {
            let cut = read(&bytes[..length]);
            assert!(
                whole.records.starts_with(&cut.records),
                "{name} cut to {length} gave {:?}",
                cut.records.last()
            );
            let lost = cut.records.len() < whole.records.len();
            let at_line_end = bytes[..=length].iter().rev().take(3).any(|byte| *byte == b'\n');
            assert!(
                !lost || cut.truncated || at_line_end || length < 24,
                "{name} cut to {length} looks whole"
            );
        }
    }
}

#[test]
fn a_bare_list_cut_at_any_byte_gives_the_addresses_before_the_last() {
    let bytes = sample("zmap-default.csv");
    let whole = read(&bytes);
    for length in 1..bytes.len() {
        let cut = read(&bytes[..length]);
        let certain = cut.records.len().saturating_sub(1);
        assert_eq!(cut.records[..certain], whole.records[..certain], "cut to {length}");
    }
}

#[test]
fn a_record_is_given_out_whatever_the_size_of_reads() {
    for name in SMALL {
        let bytes = sample(name);
        let whole = read(&bytes);
        for step in [1, 7, 4096] {
            assert_eq!(read_from(Slow { bytes: &bytes, step }, None), whole, "{name} in steps of {step}");
        }
    }
}
