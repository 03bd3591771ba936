//! What each version of masscan wrote.

use crate::{OPEN, common::briefs, truncated};

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
fn several_ports_of_one_object_are_several_records() {
    let input = r#"{"ip":"2001:db8::1","ports":[{"port":80,"proto":"tcp"},{"port":0,"proto":"tcp"},{"port":53,"proto":"udp","status":"closed"}, 22]}"#;
    assert_eq!(
        briefs(format!("{input},\n")),
        [
            "1 2001:db8::1 open 80/tcp",
            "1 skipped: port 0 is reserved and is not stored",
            "1 2001:db8::1 closed 53/udp",
            "1 2001:db8::1 open 22/tcp"
        ]
    );
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
            "7 192.0.2.4 open 80/tcp @1795434000 repaired",
            "8 bad: record is too short",
            "9 192.0.2.5 banner 53/udp [(999)] x @1795434092"
        ]
    );
    assert!(!truncated(&input));
    input.truncate(150);
    assert!(truncated(&input));
}
