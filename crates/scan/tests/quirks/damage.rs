//! Inputs that are cut, joined, too long or no text.

use hostatlas_domain::ScanFormat;
use hostatlas_scan::{MAX_LINE_BYTES, Record};

use crate::{
    OPEN,
    common::{brief, briefs, read, read_from, sample},
    truncated,
};

#[test]
fn a_missing_end_is_truncated_and_not_bad() {
    for input in [
        format!("[\n{OPEN}\n"),
        format!("[\n{OPEN}\n,\n{}", &OPEN[..60]),
        "#masscan\nopen tcp 80 192.0.2.1 1795434092\n".to_owned(),
        "#masscan\nopen tcp 80 192.0.2.1 1795434092\nopen tcp 80 192.0".to_owned(),
        "# Masscan 1.3.2 scan initiated Mon Nov 23 11:41:42 2026\nTimestamp: 1795434092\tHost: 192.0.2.1 ()\tPorts: 80/open/tcp//http//\n".to_owned(),
        "<?xml version=\"1.0\"?>\r\n<nmaprun scanner=\"masscan\">\r\n<host endtime=\"1795434092\"><address addr=\"192.0.2.1\" addrtype=\"ipv4\"/><ports><port protocol=\"tcp\" portid=\"80\"><state state=\"open\"/></port></ports></host>\r\n<host endtime".to_owned(),
    ] {
        let outcome = read(&input);
        let found: Vec<_> = outcome.records.iter().map(brief).collect();
        assert_eq!(found.len(), 1, "{input} gave {found:?}");
        assert!(found[0].ends_with("192.0.2.1 open 80/tcp @1795434092"), "{found:?}");
        assert!(outcome.truncated, "{input}");
    }
}

#[test]
fn an_empty_file_is_empty_in_every_format() {
    for input in ["", "\n", "\r\n \n", "\u{feff}"] {
        let outcome = read(input);
        assert_eq!(
            (outcome.format, outcome.records, outcome.truncated),
            (ScanFormat::Empty, vec![], false),
            "{input:?}"
        );
    }
    for format in ScanFormat::ALL {
        assert_eq!(read_from(&b""[..], Some(format)).records, []);
    }
    assert_eq!(read("[\n]\n").records, []);
}

#[test]
fn appended_documents_are_read_one_after_the_other() {
    for name in ["v6.json", "v6.list", "v6.xml", "v6.gnmap", "v6.ndjson", "v6.bin"] {
        let once = sample(name);
        let outcome = read([&once[..], &once].concat());
        assert_eq!((outcome.records.len(), outcome.truncated), (84, false), "{name}");
    }
}

#[test]
fn a_document_appended_to_a_cut_one_loses_only_the_cut_record() {
    for (name, at) in
        [("v6.json", 3000), ("v6.list", 1500), ("v6.xml", 4000), ("v6.gnmap", 2000), ("v6.ndjson", 3000)]
    {
        let whole = sample(name);
        let line = whole[..at].iter().rposition(|byte| *byte == b'\n').expect("a line") + 1;
        let before = read(&whole[..line]).records.len();
        let outcome = read([&whole[..line + 9], b"\n", &whole].concat());
        let (mut good, mut bad) = (0, 0);
        for record in &outcome.records {
            match record {
                Record::Sighting { .. } => good += 1,
                _ => bad += 1,
            }
        }
        assert_eq!((name, good, bad <= 1), (name, before + 42, true), "{:?}", outcome.records.get(before));
    }
}

#[test]
fn a_record_longer_than_a_line_may_be_is_bad_and_the_next_is_read() {
    let long = format!("{{\"ip\":\"192.0.2.9\",\"x\":\"{}\"}}", "a".repeat(3 * MAX_LINE_BYTES));
    assert_eq!(
        briefs(format!("[\n{long}\n,\n{OPEN}\n]\n")),
        ["2 bad: record is longer than 1048576 bytes", "4 192.0.2.1 open 80/tcp @1795434092"]
    );
    let tag = format!("<host x=\"{}\">", "a".repeat(3 * MAX_LINE_BYTES));
    let found = briefs(format!("<nmaprun>{tag}</host></nmaprun>"));
    assert!(found.iter().all(|record| record.contains("bad: tag is longer")), "{found:?}");
}

#[test]
fn bytes_that_are_no_text_spoil_only_their_line() {
    let input = b"#masscan\nopen tcp 80 192.0.2.1 1795434092\nopen tcp \0\xff\xfe 192.0.2.2 1795434092\n\0\0\0\n\xff\xff\nopen tcp 80 192.0.2.3 1795434092\n# end\n\0\0\0";
    let found = briefs(input);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[1].starts_with("3 bad: port ") && found[2].starts_with("5 bad: "), "{found:?}");
    assert_eq!(found[3], "6 192.0.2.3 open 80/tcp @1795434092");
    assert!(!truncated(input));
    let outcome = read(
        b"{\"ip\":\"192.0.2.1\",\"port\":80,\"data\":{\"service_name\":\"http\",\"banner\":\"\xff\"}}\n",
    );
    assert_eq!(brief(&outcome.records[0]), "1 192.0.2.1 banner 80/tcp [http] \\xff repaired");
}

#[test]
fn a_bad_record_says_its_line_and_what_is_wrong() {
    let input = "{\"ip\":\"192.0.2.1\",\"port\":80}\n{\"ip\":\"192.0.2.256\",\"port\":80}\n{\"ip\":\"192.0.2.1\",\"port\":65536}\n{\"ip\":\"192.0.2.1\" \"port\":1}\n{\"port\":80}\n{\"ip\":\"192.0.2.1\",\"po\n{\"ip\":\"fe80::1%eth0\",\"port\":80}\n{\"ip\":\"192.0.2.2\",\"port\":81}\n";
    assert_eq!(
        briefs(input),
        [
            "1 192.0.2.1 open 80/tcp",
            "2 bad: `192.0.2.256` is not an IP address",
            "3 bad: port `65536` is not from 1 to 65535",
            "4 bad: a comma or the object's end is expected",
            "5 bad: record has no address",
            "6 bad: record is cut off in its middle",
            "7 fe80::1 open 80/tcp repaired",
            "8 192.0.2.2 open 81/tcp"
        ]
    );
}

#[test]
fn damage_in_a_binary_file_loses_the_rest_of_that_file_only() {
    let good = sample("v6.bin");
    let damaged = [&good[..200], &[0xff; 40], &good].concat();
    let outcome = read(damaged);
    let bad = outcome.records.iter().filter(|record| matches!(record, Record::Bad { .. })).count();
    assert_eq!((bad, outcome.records.len() > 42), (1, true));
}
