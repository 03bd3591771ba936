//! When a scan began, where its records do not say when they were made.

use crate::common::briefs;

#[test]
fn a_host_of_nmap_without_a_time_has_that_of_its_file() {
    let host = |attributes: &str| {
        format!(
            "<host{attributes}><address addr=\"192.0.2.1\" addrtype=\"ipv4\"/><ports><port protocol=\"tcp\" portid=\"22\"><state state=\"open\"/></port></ports></host>\n"
        )
    };
    let input = format!(
        "<nmaprun scanner=\"nmap\" start=\"1795434000\">\n{}{}{}</nmaprun>\n<nmaprun scanner=\"nmap\">\n{}</nmaprun>\n",
        host(""),
        host(" endtime=\"1795435219\""),
        host(" endtime=\"0\""),
        host(""),
    );
    assert_eq!(
        briefs(input),
        [
            "2 192.0.2.1 open 22/tcp @1795434000",
            "3 192.0.2.1 open 22/tcp @1795435219",
            "4 192.0.2.1 open 22/tcp @1795434000 repaired",
            "7 192.0.2.1 open 22/tcp"
        ]
    );
}

#[test]
fn grepable_output_says_when_it_began() {
    assert_eq!(
        briefs(
            "# Nmap 7.93 scan initiated Mon Nov 23 11:41:42 2026 as: nmap -oG - 192.0.2.1\nHost: 192.0.2.1 ()\tPorts: 22/open/tcp//ssh///\n# Nmap done at Mon Nov 23 11:42:42 2026\n"
        ),
        ["2 192.0.2.1 open 22/tcp @1795434102"]
    );
    assert_eq!(
        briefs(
            "# Masscan 1.3.2 scan initiated Mon Nov 23 11:41:42 2026\nTimestamp: 1795434105\tHost: 192.0.2.1 ()\tPorts: 22/open/tcp//ssh//\nHost: 192.0.2.1 ()\tPort: 22\tService: ssh\tBanner: SSH-2.0\n# Masscan done at x\n"
        ),
        ["2 192.0.2.1 open 22/tcp @1795434105", "3 192.0.2.1 banner 22/tcp [ssh] SSH-2.0 @1795434102"]
    );
}

#[test]
fn nmaps_port_0_is_skipped_and_said() {
    assert_eq!(
        briefs(
            "# Nmap 7.93 scan initiated x\nHost: 192.0.2.1 ()\tPorts: 0/closed/tcp/////, 22/open/tcp//ssh///\n# Nmap done at x\n"
        ),
        ["2 skipped: port 0 is reserved and is not stored", "2 192.0.2.1 open 22/tcp"]
    );
    assert_eq!(
        briefs(
            "<nmaprun><host><address addr=\"192.0.2.1\"/><ports><port protocol=\"tcp\" portid=\"0\"><state state=\"open\"/></port><port protocol=\"tcp\" portid=\"22\"><state state=\"open\"/></port></ports></host></nmaprun>\n"
        ),
        ["1 skipped: port 0 is reserved and is not stored", "1 192.0.2.1 open 22/tcp"]
    );
}
