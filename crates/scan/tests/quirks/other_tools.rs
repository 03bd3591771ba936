//! What naabu, rustscan and Shodan write, and JSON that is not read.

use hostatlas_domain::ScanFormat;
use hostatlas_scan::Record;

use crate::common::{brief, briefs, read, read_sample, sample};

fn sample_briefs(name: &str) -> Vec<String> {
    read_sample(name).records.iter().map(brief).collect()
}

#[test]
fn naabus_json_gives_ports_names_and_hosts() {
    assert_eq!(
        sample_briefs("naabu.json"),
        [
            "1 192.0.2.10 open 22/tcp @1795437062",
            "2 192.0.2.11 open 443/tcp @1795437062",
            "3 192.0.2.11 open 80/tcp @1795437063",
            "4 192.0.2.12 open 53/udp @1795437064",
            "5 2001:db8:1::10 banner 22/tcp [ssh] OpenSSH 9.2p1 protocol 2.0 @1795437065",
            "6 192.0.2.13 up @1795437066"
        ]
    );
    assert_eq!(
        briefs(
            "{\"host\":\"a.example\",\"ip\":\"192.0.2.1\",\"timestamp\":\"2025-12-30T13:24:26.014794763Z\",\"port\":null,\"protocol\":\"tcp\",\"tls\":false}\n"
        ),
        ["1 192.0.2.1 up @1767101066"]
    );
}

#[test]
fn naabus_old_json_has_its_port_in_an_object() {
    assert_eq!(
        sample_briefs("naabu-old.json"),
        [
            "1 192.0.2.10 open 22/tcp @1687523462",
            "2 192.0.2.11 open 443/tcp @1687523463",
            "3 192.0.2.12 open 53/udp @1687523464",
            "4 192.0.2.11 open 8443/tcp"
        ]
    );
}

#[test]
fn naabus_csv_is_read_with_a_name_or_without() {
    assert_eq!(
        sample_briefs("naabu.csv"),
        [
            "2 192.0.2.10 open 22/tcp @1795437062",
            "3 192.0.2.11 open 443/tcp @1795437063",
            "4 192.0.2.12 open 53/udp @1795437064",
            "5 2001:db8:1::10 open 22/tcp @1795437065"
        ]
    );
    // Releases of 2023 wrote port, protocol and TLS in one column.
    assert_eq!(
        briefs(
            "host,ip,port,timestamp\na.example,192.0.2.1,443-0-true,2023-12-04 10:00:00 +0000 UTC\n,192.0.2.1,53-1-false,2023-12-04 10:00:00 +0000 UTC\n"
        ),
        ["2 192.0.2.1 open 443/tcp @1701684000", "3 192.0.2.1 open 53/udp @1701684000"]
    );
}

#[test]
fn rustscans_greppable_lines_hold_many_ports() {
    assert_eq!(
        sample_briefs("rustscan.txt"),
        [
            "1 192.0.2.10 open 22/tcp",
            "1 192.0.2.10 open 80/tcp",
            "1 192.0.2.10 open 443/tcp",
            "2 192.0.2.11 open 8080/tcp",
            "3 2001:db8:1::10 open 22/tcp"
        ]
    );
    assert_eq!(
        briefs("192.0.2.1 -> [22, 99999]\n192.0.2.2 -> []\nnobody -> [1]\n192.0.2.3 -> 80\n192.0.2.4 -> [80"),
        [
            "1 192.0.2.1 open 22/tcp",
            "1 bad: port `99999` is not from 1 to 65535",
            "2 skipped: host without ports",
            "3 bad: `nobody` is not an IP address",
            "4 bad: `192.0.2.3 -> 80` is no line of rustscan"
        ]
    );
}

#[test]
fn a_cut_line_of_rustscan_is_no_record() {
    let bytes = sample("rustscan.txt");
    let whole = read(&bytes);
    // Before the arrow of its first line has come, it is a list of addresses.
    for length in 13..bytes.len() {
        let cut = read(&bytes[..length]);
        assert!(whole.records.starts_with(&cut.records), "cut to {length} gave {:?}", cut.records.last());
    }
}

#[test]
fn shodans_lines_say_what_a_service_said() {
    assert_eq!(
        sample_briefs("shodan.json"),
        [
            "1 192.0.2.10 banner 80/tcp [http] HTTP/1.1 200 OK\\r\\nServer: nginx/1.22.1\\r\\nX-Name: T\\xc3\\xa9st\\r\\n\\r\\n @1795147506",
            "2 192.0.2.12 banner 53/udp [dns-udp] \\nRecursion: enabled @1795246289",
            "3 192.0.2.13 banner 8080/tcp [] Jetty 9.4 @1795248000",
            "4 2001:db8:1::10 banner 22/tcp [ssh] SSH-2.0-OpenSSH_9.2\\r\\n @1795248001",
            "5 192.0.2.15 open 9999/tcp @1795248002"
        ]
    );
}

#[test]
fn records_of_tools_that_are_not_read_are_not_understood_and_say_which() {
    for (tool, record) in [
        (
            "zgrab2",
            r#"{"ip":"192.0.2.1","data":{"http":{"status":"success","protocol":"http","result":{"response":{"status_code":200}},"timestamp":"2026-11-23T12:00:00Z"}}}"#,
        ),
        (
            "zgrab2",
            r#"{"ip":"192.0.2.1","data":{"fox":{"status":"io-timeout","protocol":"fox","result":null,"timestamp":"2019-04-05T13:22:19+01:00","error":"EOF"}}}"#,
        ),
        (
            "httpx",
            r#"{"timestamp":"2026-11-23T12:00:00.1Z","port":"443","url":"https://www.example.test:443","input":"www.example.test","title":"x","scheme":"https","webserver":"nginx","host":"192.0.2.1","path":"/","time":"1.2s","a":["192.0.2.1"],"status_code":200,"content_length":1256,"failed":false}"#,
        ),
        (
            "tlsx",
            r#"{"timestamp":"2026-11-23T12:00:00Z","host":"www.example.test","ip":"192.0.2.1","port":"443","probe_status":true,"tls_version":"tls13","cipher":"TLS_AES_256_GCM_SHA384"}"#,
        ),
        (
            "dnsx",
            r#"{"host":"www.example.test","resolver":["192.0.2.53:53"],"a":["192.0.2.1"],"status_code":"NOERROR","timestamp":"2026-11-23T12:00:00Z"}"#,
        ),
    ] {
        let outcome = read(format!("{record}\n"));
        let expected = Record::NotUnderstood {
            line: 1,
            reason: format!("it is a record of {tool}, which this version does not read"),
        };
        assert_eq!((outcome.format, outcome.records), (ScanFormat::Json, vec![expected]), "{record}");
    }
}

#[test]
fn a_record_of_an_unknown_shape_is_not_understood_and_never_a_host() {
    let shapes = [
        r#"{"ip":"192.0.2.1","hostname":"a.example"}"#,
        r#"{"ip":"192.0.2.1","ports":{"tcp":[22]}}"#,
        r#"{"ip":"192.0.2.1","port":[22,80]}"#,
        r#"{"ip":"192.0.2.1","services":[{"port":22}]}"#,
        r#"{"192.0.2.1":{"ports":[22]}}"#,
    ];
    for shape in shapes {
        let found = briefs(format!("{shape}\n"));
        assert_eq!(found.len(), 1, "{shape} gave {found:?}");
        assert!(found[0].starts_with("1 not understood: its shape is not known"), "{shape} gave {found:?}");
    }
    assert_eq!(
        briefs(
            "{\"ip\":\"192.0.2.1\",\"port\":80,\"proto\":\"quic\"}\n{\"ip\":\"192.0.2.1\",\"port\":80,\"status\":\"ajar\"}\n"
        ),
        [
            "1 not understood: the protocol `quic` is not known",
            "2 not understood: the state `ajar` of a port is not known"
        ]
    );
    assert_eq!(briefs("ip,country\n192.0.2.1,DE\n"), ["2 not understood: its columns say nothing of a port"]);
    // What says nothing but an address is one, and members beside a port lose nothing that is stored.
    assert_eq!(
        briefs(
            "{\"ip\":\"192.0.2.1\"}\n{\"ip\":\"192.0.2.2\",\"status\":\"down\"}\n{\"ip\":\"192.0.2.3\",\"port\":80,\"note\":\"x\"}\n"
        ),
        ["1 192.0.2.1 up", "2 skipped: host is `down`", "3 192.0.2.3 open 80/tcp"]
    );
}

#[test]
fn json_is_named_after_the_tool_that_wrote_it() {
    use ScanFormat::*;
    for (input, format) in [
        ("[\n{ \"ip\": \"192.0.2.1\", \"ports\": [ {\"port\": 80} ] }\n]\n", MasscanJson),
        ("{ ip: \"192.0.2.1\", ports: [ {port: 80} ] },\n{finished: 1}\n", MasscanJson),
        ("[\n]\n", MasscanJson),
        ("[\n", MasscanJson),
        ("{\"ip\":\"192.0.2.1\",\"port\":80,\"proto\":\"tcp\",\"rec_type\":\"status\"}\n", MasscanNdjson),
        ("[\n  {\n    \"saddr\": \"192.0.2.1\"\n  }\n]\n", ZmapJson),
        ("{\"ip\":\"192.0.2.1\",\"port\":80}\n", Json),
        ("[\n  {\n    \"ip\": \"192.0.2.1\",\n    \"port\": 80,\n    \"tls\": true\n  }\n]\n", NaabuJson),
        ("{\"data\":\"x\",\"ip_str\":\"192.0.2.1\",\"port\":80}\n", ShodanJson),
    ] {
        assert_eq!(read(input).format, format, "{input}");
    }
    let long = format!("{{\"data\":\"{}\",\"ip_str\":\"192.0.2.1\",\"port\":80}}\n", "x".repeat(20_000));
    assert_eq!(read(long).format, ShodanJson);
}

#[test]
fn a_cut_line_of_any_json_costs_itself_alone() {
    let line = "{\"host\":\"a.example\",\"ip\":\"192.0.2.1\",\"port\":80,\"tls\":false}\n";
    assert_eq!(
        briefs(format!("{line}{}\n{line}", &line[..30])),
        ["1 192.0.2.1 open 80/tcp", "2 bad: record is cut off in its middle", "3 192.0.2.1 open 80/tcp"]
    );
}

#[test]
fn unicornscan_of_masscan_stands_in_a_frame() {
    let input = "#masscan\nTCP open\t            smtp[   25]\t\tfrom 192.0.2.13  ttl 64 \nHost: 192.0.2.14 ()\tPorts: 53/open/udp////\n# end\n";
    let outcome = read(input);
    let found: Vec<_> = outcome.records.iter().map(brief).collect();
    assert_eq!(
        (outcome.format, found, outcome.truncated),
        (
            ScanFormat::Unicornscan,
            vec!["2 192.0.2.13 open 25/tcp".to_owned(), "3 192.0.2.14 open 53/udp".to_owned()],
            false
        )
    );
}
