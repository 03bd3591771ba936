//! Every odd input that scanners, shells and people have made, by name.

mod common;

use common::{brief, briefs, read, read_from, sample};
use hostatlas_domain::{ScanFormat, SightingRecord};
use hostatlas_scan::{MAX_BANNER_BYTES, MAX_LINE_BYTES, Record, ScanError, ScanReader};
use proptest::prelude::*;

const OPEN: &str = r#"{   "ip": "192.0.2.1",   "timestamp": "1795434092", "ports": [ {"port": 80, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 64} ] }"#;

fn truncated(input: impl AsRef<[u8]>) -> bool {
    read(input).truncated
}

#[test]
fn json_of_may_2014_has_keys_without_quotes() {
    let input = "{   ip: \"10.0.2.15\",   ports: [ {port: 514, proto: \"tcp\", status: \"open\", reason: \"syn-ack\", ttl: 64} ] },\n{finished: 1}\n";
    assert_eq!(briefs(input), ["1 10.0.2.15 open 514/tcp repaired"]);
    assert!(!truncated(input));
}

#[test]
fn json_of_september_2014_has_no_timestamp_and_no_brackets() {
    let input = "{   \"ip\": \"10.0.2.15\",   \"ports\": [ {\"port\": 514, \"proto\": \"tcp\", \"status\": \"open\"} ] },\n{\"finished\": 1}\n";
    assert_eq!(briefs(input), ["1 10.0.2.15 open 514/tcp"]);
}

#[test]
fn json_of_version_1_0_4_ends_with_finished_and_1_0_5_with_a_trailing_comma() {
    assert_eq!(briefs(format!("{OPEN},\n{{finished: 1}}\n")), ["1 192.0.2.1 open 80/tcp @1795434092"]);
    let input = format!("[\n{OPEN},\n{OPEN},\n]\n");
    assert_eq!(
        briefs(&input),
        ["2 192.0.2.1 open 80/tcp @1795434092", "3 192.0.2.1 open 80/tcp @1795434092"]
    );
    assert!(!truncated(input));
    assert!(!truncated(format!("[{OPEN},\n{{\"finished\": 1}}]\n")));
}

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
fn several_ports_of_one_object_are_several_records() {
    let input = r#"{"ip":"2001:db8::1","ports":[{"port":80,"proto":"tcp"},{"port":0,"proto":"tcp"},{"port":53,"proto":"udp","status":"closed"}, 22]}"#;
    assert_eq!(
        briefs(format!("{input},\n")),
        [
            "1 2001:db8::1 open 80/tcp",
            "1 bad: port `0` is not from 1 to 65535",
            "1 2001:db8::1 closed 53/udp",
            "1 2001:db8::1 open 22/tcp"
        ]
    );
}

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
fn times_may_be_numbers_or_iso_text_and_impossible_ones_are_dropped() {
    let with = |time: &str| {
        briefs(format!("{{\"ip\":\"192.0.2.1\",\"timestamp\":{time},\"port\":80,\"proto\":\"tcp\"}}\n"))
    };
    for time in ["1795434092", "\"1795434092\"", "\"2026-11-23T11:41:32Z\"", "1795434092000"] {
        assert_eq!(with(time), ["1 192.0.2.1 open 80/tcp @1795434092"], "{time}");
    }
    assert_eq!(with("\"2147483648\""), ["1 192.0.2.1 open 80/tcp @2147483648"]);
    for time in ["0", "\"0\"", "-2147483648", "\"1000000000000000000\"", "1e18", "\"yesterday\""] {
        assert_eq!(with(time), ["1 192.0.2.1 open 80/tcp repaired"], "{time}");
    }
}

#[test]
fn icmp_and_arp_make_the_host_alone() {
    let input = "#masscan\nopen icmp 0 192.0.2.10 1795434143\nup arp 0 192.0.2.11 1795434143\nopen sctp 36412 192.0.2.12 1795434143\nopen other 0 192.0.2.13 1795434143\n# end\n";
    assert_eq!(
        briefs(input),
        [
            "2 192.0.2.10 up @1795434143",
            "3 192.0.2.11 up @1795434143",
            "4 192.0.2.12 open 36412/sctp @1795434143",
            "5 skipped: protocol is `other`"
        ]
    );
    assert_eq!(
        briefs("Discovered up port 0/arp on 192.0.2.13 (c6:af:b3:10:7d:36)                     \n"),
        ["1 192.0.2.13 up"]
    );
}

#[test]
fn xml_addresses_are_what_they_say_and_not_what_their_type_says() {
    let input = "<nmaprun scanner=\"masscan\"><host endtime=\"1795434270\"><address addr=\"2001:db8:1::10\" addrtype=\"ipv4\"/><ports><port protocol=\"tcp\" portid=\"80\"><state state=\"open\"/></port></ports></host></nmaprun>";
    assert_eq!(briefs(input), ["1 2001:db8:1::10 open 80/tcp @1795434270"]);
}

#[test]
fn banners_are_bytes_in_every_format() {
    let expected = "192.0.2.1 banner 80/tcp [title] T\\xc3\\xa9st \\\"q\\\"\\x00\\\\ ";
    for input in [
        r#"{"ip":"192.0.2.1","port":80,"proto":"tcp","rec_type":"banner","data":{"service_name":"title","banner":"T\u00c3\u00a9st \u0022q\u0022\u0000\u005c "}}"#,
        r#"{   "ip": "192.0.2.1", "ports": [ {"port": 80, "proto": "tcp", "service": {"name": "title", "banner": "TÃ©st \"q\"\u0000\\ "} } ] }"#,
        r"<host><address addr='192.0.2.1'/><ports><port protocol='tcp' portid='80'><state state='open'/><service name='title' banner='T\xc3\xa9st &quot;q\x22\x00\x5c '></service></port></ports></host>",
        "Host: 192.0.2.1 ()\tPort: 80\tService: title\tBanner: T\\xc3\\xa9st \\x22q\\x22\\x00\\x5c ",
    ] {
        assert_eq!(briefs(format!("{input}\n")), [format!("1 {expected}")], "{input}");
    }
    assert_eq!(
        briefs("banner tcp 80 192.0.2.1 1795434092 title T\\xc3\\xa9st \\x22q\\x22\\x00\\x5c \n"),
        [format!("1 {expected} @1795434092")]
    );
    assert_eq!(
        briefs("banner tcp 443 192.0.2.14 1795434092 ssl  ALERT(0x0246) \n"),
        ["1 192.0.2.14 banner 443/tcp [ssl]  ALERT(0x0246)  @1795434092"]
    );
}

#[test]
fn a_hostile_banner_cannot_forge_a_record() {
    assert_eq!(
        briefs("Banner on port 22/tcp on 192.0.2.1: [ssh] Discovered open port 1/tcp on 8.8.8.8    \n"),
        ["1 192.0.2.1 banner 22/tcp [ssh] Discovered open port 1/tcp on 8.8.8.8"]
    );
    assert_eq!(
        briefs("banner tcp 22 192.0.2.1 1795434092 ssh x\\x0aopen tcp 1 8.8.8.8 1795434092\n"),
        ["1 192.0.2.1 banner 22/tcp [ssh] x\\nopen tcp 1 8.8.8.8 1795434092 @1795434092"]
    );
    let service = "a\u{202e}b\u{1b}[2J".repeat(20);
    let input =
        serde_json::json!({"ip": "192.0.2.1", "port": 80, "data": {"service_name": service, "banner": "x"}});
    let outcome = read(format!("{input}\n"));
    let Record::Sighting { sighting, .. } = &outcome.records[0] else { panic!("{outcome:?}") };
    let SightingRecord::Banner { service, .. } = &sighting.record else { panic!("{sighting:?}") };
    assert!(
        service.chars().count() <= 32 && !service.chars().any(|c| c.is_control() || c == '\u{202e}'),
        "{service:?}"
    );
}

#[test]
fn a_long_banner_is_cut_and_a_longer_line_is_bad() {
    let line = |bytes: usize| format!("banner tcp 80 192.0.2.1 1795434092 http {}\n", "a".repeat(bytes));
    let outcome = read(line(64 * 1024));
    let Record::Sighting { sighting, .. } = &outcome.records[0] else { panic!("{outcome:?}") };
    let SightingRecord::Banner { banner, .. } = &sighting.record else { panic!("{sighting:?}") };
    assert_eq!(banner.len(), MAX_BANNER_BYTES);
    let input = line(10) + &line(3 * MAX_LINE_BYTES) + &line(11);
    assert_eq!(
        briefs(input)[1..],
        [
            "2 bad: line is longer than 1048576 bytes".to_owned(),
            format!("3 192.0.2.1 banner 80/tcp [http] {} @1795434092", "a".repeat(11))
        ]
    );
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
fn a_captured_screen_is_full_of_noise() {
    let input = b"Starting masscan 1.3.2 (http://bit.ly/14GZzcT) at 2026-11-23 11:41:42 GMT\r\nInitiating SYN Stealth Scan\r\nScanning 6 hosts [8 ports/host]\r\n***** test me ******\r\nrate:  0.00-kpps, 100.00% done, waiting 3-secs, found=9       \rDiscovered open port 443/tcp on 192.0.2.12                                     \r\n\x1b[32mDiscovered open port 80/tcp on 2001:db8:1::11\x1b[0m       \r\nrate:  0.00-kpps, 100.00% done, waiting 0-secs, found=9       \r";
    assert_eq!(briefs(input), ["5 192.0.2.12 open 443/tcp", "6 2001:db8:1::11 open 80/tcp"]);
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
            "7 bad: `fe80::1%eth0` is not an IP address",
            "8 192.0.2.2 open 81/tcp"
        ]
    );
}

#[test]
fn filtered_ports_and_failed_probes_are_skipped() {
    assert_eq!(
        briefs(
            "# Nmap 7.93 scan initiated x\nHost: 192.0.2.1 ()\tPorts: 22/filtered/tcp//ssh///, 80/open|filtered/udp//http///, 81/closed/tcp/////\tIgnored State: closed (3)\nHost: 192.0.2.2 ()\tStatus: Down\n# Nmap done at x\n"
        ),
        [
            "2 skipped: port is `filtered`",
            "2 skipped: port is `open|filtered`",
            "2 192.0.2.1 closed 81/tcp",
            "3 skipped: host is `Down`"
        ]
    );
    assert_eq!(
        briefs(
            "saddr,sport,classification,success\n192.0.2.1,80,rst,0\n192.0.2.1,81,synack,1\n192.0.2.1,82,rst,1\n"
        ),
        ["2 skipped: probe failed: `rst`", "3 192.0.2.1 open 81/tcp", "4 skipped: probe failed: `rst`"]
    );
    assert_eq!(
        briefs(
            "{ \"saddr\": \"192.0.2.1\", \"sport\": 80, \"classification\": \"rst\", \"success\": false }\n{ \"saddr\": \"192.0.2.1\", \"classification\": \"echoreply\", \"success\": 1, \"timestamp_ts\": 1795435235, \"timestamp_us\": 82014 }\n"
        ),
        ["1 skipped: probe failed: `rst`", "2 192.0.2.1 up @1795435235"]
    );
}

#[test]
fn nmap_hosts_without_open_ports_are_up_if_they_answered() {
    let host = |address: &str, status: &str, ports: &str| {
        format!(
            "<host starttime=\"1795435218\" endtime=\"1795435219\">{status}<address addr=\"{address}\" addrtype=\"ipv4\"/><address addr=\"C6:AF:B3:10:7D:36\" addrtype=\"mac\"/>{ports}</host>\n"
        )
    };
    let input = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE nmaprun [<!ENTITY lol \"lol\"><!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<nmaprun scanner=\"nmap\">\n<hosthint><status state=\"up\"/><address addr=\"192.0.2.99\" addrtype=\"ipv4\"/></hosthint>\n{}{}{}{}</nmaprun>\n",
        host(
            "192.0.2.1",
            "<status state=\"up\" reason=\"echo-reply\"/>",
            "<ports><extraports state=\"closed\" count=\"9\"/></ports>"
        ),
        host("192.0.2.2", "<status state=\"up\" reason=\"user-set\"/>", ""),
        host("192.0.2.3", "<status state=\"down\" reason=\"no-response\"/>", ""),
        host(
            "192.0.2.4",
            "<status state=\"up\" reason=\"user-set\"/>",
            "<ports><port protocol=\"tcp\" portid=\"22\"><state state=\"open\"/><service name=\"ssh\" product=\"OpenSSH &amp; co &lol;\" version=\"9.2p1\"/></port><port protocol=\"tcp\" portid=\"23\"><state state=\"filtered\"/></port></ports>"
        ),
    );
    assert_eq!(
        briefs(input),
        [
            "5 192.0.2.1 up @1795435219",
            "6 skipped: host did not answer",
            "7 skipped: host is `down`",
            "8 192.0.2.4 banner 22/tcp [ssh] OpenSSH &amp; co &lol; 9.2p1 @1795435219",
            "8 skipped: port is `filtered`"
        ]
    );
}

#[test]
fn plain_lists_hold_addresses_ports_and_blocks() {
    let input = "# targets\n192.0.2.1\n 192.0.2.2:80 # web\n[2001:db8::1]:443\n2001:db8::2\n192.0.2.3,8080\n192.0.2.4 53/udp\n\"192.0.2.5\"\n192.0.2.8/30\n192.0.2.20-192.0.2.21\n10.0.0.0/8\n2001:db8::/64\n2001:db8::fe/127\nexample.com\n192.0.2.6:70000\n192.0.2.0/33\n192.0.2.7";
    assert_eq!(
        briefs(input),
        [
            "2 192.0.2.1 up",
            "3 192.0.2.2 open 80/tcp",
            "4 2001:db8::1 open 443/tcp",
            "5 2001:db8::2 up",
            "6 192.0.2.3 open 8080/tcp",
            "7 192.0.2.4 open 53/udp",
            "8 192.0.2.5 up",
            "9 192.0.2.8 up",
            "9 192.0.2.9 up",
            "9 192.0.2.10 up",
            "9 192.0.2.11 up",
            "10 192.0.2.20 up",
            "10 192.0.2.21 up",
            "11 bad: `10.0.0.0/8` has 16777216 addresses; at most 65536 are expanded",
            "12 bad: `2001:db8::/64` has 18446744073709551616 addresses; at most 65536 are expanded",
            "13 2001:db8::fe up",
            "13 2001:db8::ff up",
            "14 bad: `example.com` is no address, address:port or CIDR block",
            "15 bad: port `70000` is not from 1 to 65535",
            "16 bad: `192.0.2.0/33` is no address, address:port or CIDR block",
            "17 192.0.2.7 up"
        ]
    );
    assert_eq!(read("255.255.0.0/16\n").records.len(), 65_536);
    assert!(matches!(&read("::/0\n").records[..], [Record::Bad { .. }]));
}

#[test]
fn unicornscan_output_is_read() {
    assert_eq!(
        briefs(
            "TCP open\t            smtp[   25]\t\tfrom 192.0.2.13  ttl 64\nUDP open\t domain[   53]\t\tfrom 2001:db8::1  ttl 64\n"
        ),
        ["1 192.0.2.13 open 25/tcp", "2 2001:db8::1 open 53/udp"]
    );
    assert_eq!(read("TCP open\t smtp[   25]\t\tfrom 192.0.2.13  ttl 64\n").format, ScanFormat::Unicornscan);
}

#[test]
fn old_grepable_output_has_no_timestamp() {
    assert_eq!(briefs("Host: 1.2.3.4 ()\tPorts: 80/open/tcp////\n"), ["1 1.2.3.4 open 80/tcp"]);
    assert_eq!(
        briefs(
            "Host: 192.0.2.1 (a.example)\tPorts: 22/open/tcp//ssh//OpenSSH 9.2, protocol 2.0/, 80/open/tcp//http///\n"
        ),
        ["1 192.0.2.1 banner 22/tcp [ssh] OpenSSH 9.2, protocol 2.0", "1 192.0.2.1 open 80/tcp"]
    );
}

#[test]
fn old_binary_records_and_unknown_ones_are_read_or_named() {
    let mut input = Vec::new();
    let frame = |text: &[u8], input: &mut Vec<u8>| {
        let mut header = text.to_vec();
        header.resize(99, 0);
        input.extend(header);
    };
    frame(b"masscan/1.1\ns:1795434000\n", &mut input);
    let seconds = 1_795_434_092_u32.to_be_bytes();
    let record = |kind: u8, payload: &[&[u8]]| {
        let payload = payload.concat();
        [&[kind, u8::try_from(payload.len()).expect("short")][..], &payload].concat()
    };
    input.extend(record(1, &[&seconds, &[192, 0, 2, 1], &[0, 53], &[0x12, 64]]));
    input.extend(record(2, &[&seconds, &[192, 0, 2, 1], &[0, 80], &[0x14, 64]]));
    input.extend(record(3, &[&seconds, &[192, 0, 2, 1], &[0, 22], &[0, 3], b"SSH-2.0"]));
    let mut short = record(4, &[&seconds, &[192, 0, 2, 2], &[6], &[0, 22], &[0, 2], b"SSH-2.0"]);
    short[1] -= 1;
    input.extend(short);
    input.extend(record(8, &[&seconds, &[192, 0, 2, 3], &[0], &[0, 0], &[0, 0]]));
    input.extend(record(99, &[b"what"]));
    input.extend(record(6, &[&[0; 4], &[192, 0, 2, 4], &[6], &[0, 80], &[0x12, 64]]));
    input.extend(record(6, &[b"short"]));
    input.extend(record(9, &[&seconds, &[192, 0, 2, 5], &[17], &[0, 53], &[3, 231], &[64], b"x"]));
    frame(b"masscan/1.1", &mut input);
    assert_eq!(
        briefs(&input),
        [
            "1 192.0.2.1 open 53/udp @1795434092",
            "2 192.0.2.1 closed 80/tcp @1795434092",
            "3 192.0.2.1 banner 22/tcp [ssh] SSH-2.0 @1795434092",
            "4 192.0.2.2 banner 22/tcp [ssh] SSH-2.0 @1795434092",
            "5 192.0.2.3 up @1795434092",
            "6 bad: record has the unknown type 99",
            "7 192.0.2.4 open 80/tcp repaired",
            "8 bad: record is too short",
            "9 192.0.2.5 banner 53/udp [(999)] x @1795434092"
        ]
    );
    assert!(!truncated(&input));
    input.truncate(150);
    assert!(truncated(&input));
}

#[test]
fn damage_in_a_binary_file_loses_the_rest_of_that_file_only() {
    let good = sample("v6.bin");
    let damaged = [&good[..200], &[0xff; 40], &good].concat();
    let outcome = read(damaged);
    let bad = outcome.records.iter().filter(|record| matches!(record, Record::Bad { .. })).count();
    assert_eq!((bad, outcome.records.len() > 42), (1, true));
}

#[test]
fn a_wrong_file_is_refused_with_what_it_looks_like() {
    for (input, expected) in [
        (&b"PK\x03\x04\x14\0\0\0"[..], "a zip archive: unpack it first"),
        (b"\x7fELF\x02\x01\x01\0", "a program"),
        (b"SQLite format 3\0\x10\0", "an SQLite database"),
        (b"<!DOCTYPE html>\n<html><body>", "an HTML page"),
        (b"<html><head>", "an HTML page"),
        (b"<?xml version=\"1.0\"?>\n<rss version=\"2\">", "XML that begins with `rss`"),
        (b"Starting Nmap 7.93 ( https://nmap.org )\n", "nmap's normal output: run nmap with -oX or -oG"),
        (
            b"# Nmap 7.93 scan initiated x as: nmap -oN x\nNmap scan report for 192.0.2.10\n",
            "nmap's normal output: run nmap with -oX or -oG",
        ),
        (b"Dear diary,\ntoday I scanned.\n", "text that begins with `Dear diary,`"),
        (b"\x01\x02\x03\x04\x05\0\0\0", "binary data"),
    ] {
        let Err(ScanError::NotAScan { looked_like }) = ScanReader::new(input, None) else {
            panic!("{:?} was taken for a scan", input.escape_ascii().to_string())
        };
        assert_eq!(looked_like, expected);
    }
    let message = ScanReader::new(&b"MZ\x90\0"[..], None).err().expect("no scan").to_string();
    assert!(
        message.contains("a Windows program") && message.contains("-oJ") && message.contains("zmap"),
        "{message}"
    );
}

#[test]
fn a_forced_format_is_not_guessed() {
    let outcome = read_from(&b"Dear diary,\n192.0.2.1\n"[..], Some(ScanFormat::Plain));
    let found: Vec<_> = outcome.records.iter().map(brief).collect();
    assert_eq!(found, ["1 bad: `Dear diary,` is no address, address:port or CIDR block", "2 192.0.2.1 up"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic_in_any_format(bytes: Vec<u8>, number in 0..ScanFormat::ALL.len()) {
        if let Ok(mut reader) = ScanReader::new(&bytes[..], Some(ScanFormat::ALL[number])) {
            while let Ok(Some(_)) = reader.next_record() {}
        }
        if let Ok(mut reader) = ScanReader::new(&bytes[..], None) {
            while let Ok(Some(_)) = reader.next_record() {}
        }
    }

    #[test]
    fn a_spoilt_sample_never_panics_and_ends(
        number in 0_usize..10,
        spoils in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let names = ["v6.bin", "v6.json", "v6.ndjson", "v6.list", "v6.xml", "v6.gnmap", "nmap.xml", "nmap.gnmap", "zmap.csv", "zmap.json"];
        let mut bytes = sample(names[number]);
        for (index, byte) in spoils {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(mut reader) = ScanReader::new(&bytes[..], None) {
            let mut records = 0;
            while let Ok(Some(_)) = reader.next_record() {
                records += 1;
            }
            prop_assert!(records <= bytes.len());
        }
    }

    #[test]
    fn arbitrary_lines_between_good_ones_lose_none_of_them(junk in "[^\\n{}\\[\\]]{0,40}") {
        let input = format!("{OPEN}\n{junk}\n{OPEN}\n");
        let good = read(&input).records.iter().filter(|record| matches!(record, Record::Sighting { .. })).count();
        prop_assert_eq!(good, 2);
    }
}
