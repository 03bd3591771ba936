//! What screens, shells and tools made of an output.

use hostatlas_domain::ScanFormat;
use hostatlas_scan::Record;

use crate::{
    OPEN,
    common::{brief, briefs, read, read_from, sample},
};

#[test]
fn json_that_jq_indented_or_joined_is_read() {
    let indented = serde_json::from_str::<serde_json::Value>(&format!("[{OPEN},{OPEN}]"))
        .and_then(|value| serde_json::to_string_pretty(&value))
        .expect("JSON");
    assert_eq!(
        briefs(&indented),
        ["2 192.0.2.1 open 80/tcp @1795434092", "15 192.0.2.1 open 80/tcp @1795434092"]
    );
    let joined = format!("[{}]", vec![OPEN; 20_000].join(","));
    let outcome = read(&joined);
    assert_eq!((outcome.records.len(), outcome.truncated), (20_000, false));
    assert!(outcome.records.iter().all(|record| matches!(record, Record::Sighting { line: 1, .. })));
}

#[test]
fn a_captured_screen_is_full_of_noise() {
    let input = b"Starting masscan 1.3.2 (http://bit.ly/14GZzcT) at 2026-11-23 11:41:42 GMT\r\nInitiating SYN Stealth Scan\r\nScanning 6 hosts [8 ports/host]\r\n***** test me ******\r\nrate:  0.00-kpps, 100.00% done, waiting 3-secs, found=9       \rDiscovered open port 443/tcp on 192.0.2.12                                     \r\n\x1b[32mDiscovered open port 80/tcp on 2001:db8:1::11\x1b[0m       \r\nrate:  0.00-kpps, 100.00% done, waiting 0-secs, found=9       \r";
    assert_eq!(
        briefs(input),
        ["5 192.0.2.12 open 443/tcp @1795434102", "6 2001:db8:1::11 open 80/tcp @1795434102"]
    );
}

#[test]
fn json_with_progress_in_it_is_read() {
    let input = format!(
        "Starting masscan 1.3.2 (x) at y\n[\nrate:  0.00-kpps, 1.00% done, found=0       \r{OPEN}\n,\nrate: 0.1\n{OPEN}\n]\n"
    );
    let outcome = read_from(input.as_bytes(), Some(ScanFormat::MasscanJson));
    let found: Vec<_> = outcome.records.iter().map(brief).collect();
    assert_eq!(found, ["3 192.0.2.1 open 80/tcp @1795434092", "6 192.0.2.1 open 80/tcp @1795434092"]);
    assert_eq!(
        briefs(format!("{OPEN}\nhost 7: {OPEN}\nnonsense\n")),
        [
            "1 192.0.2.1 open 80/tcp @1795434092",
            "2 192.0.2.1 open 80/tcp @1795434092 repaired",
            "3 bad: `nonsense` is no JSON object"
        ]
    );
}

#[test]
fn a_list_with_progress_in_it_is_read() {
    assert_eq!(
        briefs(
            "Starting masscan 1.3.2 (x) at y\n#masscan\nrate:  0.00-kpps, found=0       \ropen tcp 80 192.0.2.1 1795434092\nrate: 1\n[+] waiting\nwhat\n# end\n"
        ),
        ["3 192.0.2.1 open 80/tcp @1795434092", "6 bad: `what` is no line of a masscan list"]
    );
}

#[test]
fn powershell_wrote_utf16_with_a_byte_order_mark() {
    for name in ["v6.json", "v6.list", "v6.xml", "v6.ndjson", "banners.stdout.txt"] {
        let text = String::from_utf8(sample(name)).expect("text").replace('\n', "\r\n");
        let expected = read(&text);
        let little: Vec<u8> =
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> =
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        let marked = format!("\u{feff}{text}");
        for input in [&little[..], &big, &little[2..], marked.as_bytes()] {
            assert_eq!(read(input), expected, "{name}");
        }
    }
}
