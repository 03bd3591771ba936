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
