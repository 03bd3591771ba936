//! What strangers had a service say.

use hostatlas_domain::SightingRecord;
use hostatlas_scan::{MAX_BANNER_BYTES, MAX_LINE_BYTES, Record};

use crate::common::{briefs, read};

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
