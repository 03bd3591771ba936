//! What nmap, zmap, unicornscan and people write, and what is no scan.

use hostatlas_domain::ScanFormat;
use hostatlas_scan::{Record, ScanError, ScanReader};

use crate::common::{brief, briefs, read, read_from};

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
            "14 bad: `example.com` is no address, address:port, range or CIDR block",
            "15 bad: port `70000` is not from 1 to 65535",
            "16 bad: `192.0.2.0/33` is no address, address:port, range or CIDR block",
            "17 192.0.2.7 up"
        ]
    );
    assert_eq!(
        briefs(
            "192.0.2.1-3\n192.0.2.8,10\n192.0.2.4,6,9-10\n192.0.2.1, 192.0.2.2 192.0.2.4/31\n192.0.2.1:80,192.0.2.2:81,192.0.2.3\nfe80::1%eth0\n[fe80::2%1]:22\n"
        ),
        [
            "1 192.0.2.1 up",
            "1 192.0.2.2 up",
            "1 192.0.2.3 up",
            "2 192.0.2.8 open 10/tcp",
            "3 192.0.2.4 up",
            "3 192.0.2.6 up",
            "3 192.0.2.9 up",
            "3 192.0.2.10 up",
            "4 192.0.2.1 up",
            "4 192.0.2.2 up",
            "4 192.0.2.4 up",
            "4 192.0.2.5 up",
            "5 192.0.2.1 open 80/tcp",
            "5 192.0.2.2 open 81/tcp",
            "5 192.0.2.3 up",
            "6 fe80::1 up repaired",
            "7 fe80::2 open 22/tcp repaired"
        ]
    );
    assert_eq!(
        briefs("10.0.0.0/16,10.1.0.0/16\n10.0-9.*.1\n"),
        ["1 bad: `10.0.0.0/16,10.1.0.0/16` has 131072 addresses; at most 65536 are expanded".to_owned(),]
            .into_iter()
            .chain((0..10).flat_map(|a| (0..256).map(move |b| format!("2 10.{a}.{b}.1 up"))))
            .collect::<Vec<_>>()
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
    assert_eq!(
        found,
        ["1 bad: `Dear diary,` is no address, address:port, range or CIDR block", "2 192.0.2.1 up"]
    );
}
