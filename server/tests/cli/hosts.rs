use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::{shown, support::Installation};

#[test]
fn hosts_are_searched_as_a_table_and_as_lines() {
    let installation = Installation::located();
    insta::assert_snapshot!(
        "hosts_table",
        shown(&installation.run(&["hosts", "search", "country:GB", "--table"]))
    );
    insta::assert_snapshot!(
        "hosts_fields",
        shown(&installation.run(&["hosts", "search", "port:443", "--fields", "ip,city,ports"]))
    );
}

#[test]
fn a_host_is_shown_to_people() {
    let installation = Installation::located();
    let ended = installation.run(&["hosts", "show", "193.61.165.139", "--table"]);
    // When it was located differs from run to run.
    let stable: Vec<&str> = ended.stdout.lines().filter(|line| !line.starts_with("located ")).collect();
    insta::assert_snapshot!("hosts_show", stable.join("\n"));
}

#[test]
fn an_export_holds_every_host_that_matches() {
    let installation = Installation::located();
    insta::assert_snapshot!(
        "export_addresses",
        shown(&installation.run(&["hosts", "export", "--format", "addresses"]))
    );
    let csv = installation.run(&[
        "hosts",
        "export",
        "country:US",
        "--format",
        "csv",
        "--fields",
        "ip,city,organization,ports",
    ]);
    insta::assert_snapshot!("export_csv", shown(&csv));
    let lines = installation.run(&["hosts", "export", "--format", "ndjson"]);
    assert_eq!(lines.json_lines().len(), 6);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let installation = Installation::new();
    let sample = crate::support::repository().join("samples/scans/public-5k.json");
    assert_eq!(installation.run(&["import", sample.to_str().expect("UTF-8")]).code, Some(0));
    let mut child = installation
        .command(&["hosts", "export", "--format", "ndjson"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn an_unknown_host_and_an_unknown_query_say_what_to_do() {
    let installation = Installation::located();
    insta::assert_snapshot!("hosts_unknown", shown(&installation.run(&["hosts", "show", "203.0.114.1"])));
    insta::assert_snapshot!("hosts_bad_query", shown(&installation.run(&["hosts", "search", "colour:red"])));
    insta::assert_snapshot!(
        "hosts_bad_field",
        shown(&installation.run(&["hosts", "search", "--fields", "ip,colour"]))
    );
}

#[test]
fn a_field_of_another_shape_is_refused_with_the_one_that_was_meant() {
    let installation = Installation::located();
    for (line, meant) in [
        (&["hosts", "search", "--fields", "ip,location.city"][..], "did you mean `city`?"),
        (&["hosts", "export", "--fields", "location.city"], "did you mean `city`?"),
        (&["hosts", "show", "8.8.8.8", "--fields", "ip,city"], "did you mean `location.city`?"),
        // It has no location, but its fields are known all the same.
        (&["hosts", "show", "10.0.0.1", "--fields", "location.colour"], "fields are ip, "),
        (&["config", "show", "--fields", "values"], "did you mean `value`?"),
    ] {
        let ended = installation.run(line);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(meant), "{ended:?}");
    }
    let shown = |ip: &str| installation.run(&["hosts", "show", ip, "--fields", "ip,location.city"]).json();
    assert_eq!(shown("8.8.8.8"), serde_json::json!({"ip": "8.8.8.8", "location.city": "Mountain View"}));
    assert_eq!(shown("10.0.0.1"), serde_json::json!({"ip": "10.0.0.1", "location.city": null}));
}

#[test]
fn two_flags_for_the_form_of_an_export_are_refused() {
    let installation = Installation::imported();
    for more in [&["--format", "csv", "--json"][..], &["--format", "addresses", "--fields", "ip"]] {
        let ended = installation.run(&[&["hosts", "export"], more].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    }
}

#[test]
fn an_order_that_a_filtered_list_does_not_have_is_refused() {
    let installation = Installation::imported();
    let refused = installation.run(&["hosts", "search", "--sort", "last_seen", "port:443"]);
    insta::assert_snapshot!("hosts_sort_filtered", shown(&refused));
    let unknown = installation.run(&["hosts", "search", "--sort", "colour"]);
    assert!(unknown.stderr.contains("use address, first_seen, last_seen or located_at"), "{unknown:?}");
    let ips = |arguments: &[&str]| {
        let listed = installation.run(&[arguments, &["--fields", "ip"]].concat()).json_lines();
        listed.iter().map(|host| host["ip"].as_str().expect("an address").to_owned()).collect::<Vec<_>>()
    };
    let newest_first = ips(&["hosts", "search", "--sort", "last_seen"]);
    assert_eq!((newest_first[0].as_str(), newest_first[5].as_str()), ("10.0.0.1", "193.61.165.138"));
    assert_eq!(ips(&["hosts", "search", "port:443"]), ["10.0.0.1", "45.45.45.45", "193.61.165.139"]);
}

#[test]
fn a_search_that_finds_nothing_says_why() {
    let installation = Installation::located();
    let why = |query: &[&str]| {
        let ended = installation.run(&[&["hosts", "search", "--table"], query].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
        let said = ended.stderr.lines().skip(1).collect::<Vec<_>>().join("\n");
        assert!(ended.stderr.starts_with("no host matches\n"), "{ended:?}");
        said
    };
    assert_eq!(why(&["9.9.9.9"]), "no imported scan saw the address `9.9.9.9`");
    assert_eq!(why(&["net:9.9.0.0/16", "port:80"]), "no imported scan saw an address in `9.9.0.0/16`");
    assert_eq!(
        why(&["country:GB", "atlantis"]),
        "no city, region, country or organization contains `atlantis`"
    );
    assert_eq!(why(&["country:GB", "port:4444"]), "`port:4444` alone matches no host");
    assert_eq!(
        why(&["country:US", "port:443"]),
        "each of these terms matches hosts, but no host matches all of them"
    );
    assert_eq!(why(&["city:Atlantis"]), "");
    let empty = Installation::new();
    assert_eq!(empty.run(&["db", "migrate"]).code, Some(0));
    let ended = empty.run(&["hosts", "search", "port:80"]);
    assert!(ended.stderr.contains("no host has been imported yet"), "{ended:?}");
}

#[test]
fn a_banner_is_shown_whole_and_without_carriage_returns() {
    let installation = Installation::new();
    let scan = "{\"ip\":\"8.8.8.8\",\"timestamp\":\"1795434001\",\"ports\":[{\"port\":80,\"proto\":\"tcp\",\"service\":{\"name\":\"http\",\"banner\":\"HTTP/1.1 200 OK\\r\\nServer: nginx\\r\\n\\r\\n<p>\"}}]}\n";
    let scan = installation.write("scan.json", scan);
    assert_eq!(installation.run(&["import", &scan]).code, Some(0));
    let ended = installation.run(&["hosts", "show", "8.8.8.8", "--table"]);
    assert!(!ended.stdout.contains('\r') && !ended.stdout.contains("\\x0d"), "{ended:?}");
    assert!(ended.stdout.contains("\n    HTTP/1.1 200 OK\n    Server: nginx\n    \n    <p>\n"), "{ended:?}");
}

#[test]
fn help_lists_the_fields_of_a_query() {
    let installation = Installation::without_databases();
    let help = installation.run(&["hosts", "search", "--help"]).stdout;
    for field in
        ["net", "country", "city", "port", "asn", "org", "state", "reason", "provider", "place", "import"]
    {
        assert!(help.contains(&format!("\n  {field:<10} {field}:")), "{field} is not in {help}");
    }
}

#[test]
fn what_a_host_said_cannot_steer_the_terminal() {
    let installation = Installation::new();
    let scan = "{\"ip\":\"8.8.8.8\",\"timestamp\":\"1795434001\",\"ports\":[{\"port\":80,\"proto\":\"tcp\",\"service\":{\"name\":\"http\",\"banner\":\"\\u001b[2J\\u009b31m\\u202eevil\"}}]}\n";
    let scan = installation.write("scan.json", scan);
    assert_eq!(installation.run(&["import", &scan]).code, Some(0));
    for form in ["--table", "--json", "--csv"] {
        let ended = installation.run(&["hosts", "show", "8.8.8.8", form]);
        assert_eq!(ended.code, Some(0));
        let hostile = |character: char| matches!(character, '\u{1b}' | '\u{9b}' | '\u{202e}');
        assert!(!ended.stdout.contains(hostile), "{form}: {ended:?}");
        assert!(ended.stdout.contains("evil"), "{form}");
    }
}
