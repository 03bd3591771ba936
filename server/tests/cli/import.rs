use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::json;

use crate::{
    shown,
    support::{Installation, PATIENCE, SCAN, repository},
};

#[test]
fn an_import_reports_what_it_did() {
    let installation = Installation::new();
    installation.write("scan.json", SCAN);
    insta::assert_snapshot!("import_table", shown(&installation.run(&["import", "scan.json", "--table"])));
    insta::assert_snapshot!(
        "import_again_json",
        shown(&installation.run(&["import", "scan.json", "--json"]))
    );
}

#[test]
fn importing_twice_makes_nothing_new() {
    let installation = Installation::imported();
    let again = installation.run(&["import", "scan.json", "--json"]).json();
    assert_eq!(
        (&again["hosts_new"], &again["services_new"], &again["hosts_seen"]),
        (&json!(0), &json!(0), &json!(6))
    );
}

#[test]
fn the_sample_of_5000_hosts_is_read_from_every_format() {
    for name in ["public-5k.json", "public-5k.list", "public-5k.bin"] {
        let installation = Installation::new();
        let file = repository().join("samples/scans").join(name);
        let report = installation.run(&["import", file.to_str().expect("UTF-8"), "--json"]);
        assert_eq!((report.code, &report.json()["hosts_new"]), (Some(0), &json!(5_000)), "{name}");
    }
}

#[test]
fn standard_input_is_read_when_a_dash_or_nothing_is_named() {
    for arguments in [["import", "-", "--json"].as_slice(), &["import", "--json"]] {
        let installation = Installation::new();
        let report = installation.run_with_input(arguments, SCAN.as_bytes());
        assert_eq!((report.code, &report.json()["hosts_new"]), (Some(0), &json!(6)), "{}", report.stderr);
    }
}

#[test]
fn what_follows_a_growing_input_is_stored_while_it_still_grows() {
    let installation = Installation::new();
    let mut child = installation
        .command(&["import", "-", "--follow", "--json"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(b"#masscan\nopen tcp 80 8.8.8.8 1795434087\n").expect("written");
    pipe.flush().expect("flushed");
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let shown = installation.run(&["hosts", "show", "8.8.8.8"]);
        if shown.code == Some(0) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{shown:?}");
    }
    drop(pipe);
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a report");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(line.contains("\"hosts_new\":1"), "{line}");
}

#[test]
fn undoing_an_import_removes_what_only_it_brought() {
    let installation = Installation::imported();
    let other = installation.write("other.list", "open tcp 80 9.9.9.9 1795434087\n");
    let id = installation.run(&["import", &other, "--json"]).json()["id"].to_string();

    let undone = installation.run(&["import", "undo", &id]);

    insta::assert_snapshot!("import_undo", shown(&undone));
    assert_eq!(installation.run(&["stats", "coverage"]).json()["total"], 6);
}

#[test]
fn imports_are_listed() {
    let installation = Installation::imported();
    let list =
        installation.run(&["import", "list", "--fields", "id,source,state,format,hosts_new,lines.bad"]);
    insta::assert_snapshot!("import_list", shown(&list));
}

/// The latest import, once there is one that `accepts`.
fn latest(installation: &Installation, accepts: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let listed = installation.run(&["import", "list", "--json"]);
        if listed.code == Some(0)
            && let Some(import) = listed.json().get(0).filter(|import| accepts(import))
        {
            return import.clone();
        }
        assert!(Instant::now() < deadline, "{listed:?}");
    }
}

/// An import whose input has begun and does not end; dropping the pipe ends it.
fn endless(installation: &Installation) -> (std::process::Child, std::process::ChildStdin) {
    let mut child = installation.command(&["import", "-"]).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    // More than what is looked at to recognise it.
    let lines = "open tcp 80 8.8.8.8 1795434087\n".repeat(20_000);
    pipe.write_all(format!("#masscan\n{lines}").as_bytes()).expect("written");
    pipe.flush().expect("flushed");
    (child, pipe)
}

fn signal(child: &std::process::Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

#[test]
fn an_import_that_is_stopped_is_interrupted_at_once() {
    let installation = Installation::new();
    let (mut child, _pipe) = endless(&installation);
    assert_eq!(latest(&installation, |_| true)["state"], "running");
    signal(&child, "-TERM");
    child.wait().expect("it ends");
    let import = latest(&installation, |_| true);
    assert_eq!(import["state"], "interrupted", "{import}");
    assert!(import["finished_at"].is_string(), "{import}");
}

/// While it only reads it is still heard of: otherwise it would be taken for dead after ten seconds.
#[test]
fn an_import_whose_process_is_killed_is_interrupted_once_it_is_silent() {
    let installation = Installation::new();
    let (mut child, _pipe) = endless(&installation);
    latest(&installation, |_| true);
    let began = Instant::now();
    let running = latest(&installation, |import| {
        assert_eq!(import["state"], "running", "{import}");
        began.elapsed().as_secs() >= 11
    });
    assert_eq!(running["finished_at"], json!(null), "{running}");
    signal(&child, "-KILL");
    child.wait().expect("it ends");
    let import = latest(&installation, |import| import["state"] != "running");
    assert_eq!(import["state"], "interrupted", "{import}");
    let server = installation.serve_with(&["--no-worker"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let shown = runtime.block_on(crate::support::get_json(&server, "/api/v1/imports/1"));
    assert_eq!(shown["state"], "interrupted", "{shown}");
}

#[test]
fn a_record_that_is_not_understood_is_skipped_with_a_reason_and_exit_code_3() {
    let installation = Installation::new();
    installation.write(
        "mixed.json",
        "{\"ip\":\"8.8.8.8\",\"port\":{\"Port\":53,\"Protocol\":1,\"TLS\":false},\"timestamp\":\"2023-06-23T12:31:02Z\"}\n\
         {\"ip\":\"8.8.4.4\",\"data\":{\"http\":{\"status\":\"success\",\"protocol\":\"http\",\"result\":{}}}}\n\
         {\"ip\":\"9.9.9.9\",\"data\":{\"tls\":{\"status\":\"success\",\"protocol\":\"tls\",\"result\":{}}}}\n",
    );
    let ended = installation.run(&["import", "mixed.json", "--json"]);
    let report = ended.json();
    assert_eq!(
        (ended.code, &report["format"], &report["hosts_seen"], &report["services_seen"]),
        (Some(3), &json!("naabu-json"), &json!(1), &json!(1)),
        "{ended:?}"
    );
    assert_eq!(report["lines"], json!({"ok": 1, "repaired": 0, "duplicate": 0, "skipped": 2, "bad": 0}));
    assert_eq!(
        report["reasons"],
        json!([{
            "outcome": "not_understood",
            "reason": "it is a record of zgrab2, which this version does not read",
            "count": 2,
            "line": 2
        }])
    );
    assert!(ended.stderr.contains("mixed.json line 2: it is a record of zgrab2"), "{}", ended.stderr);
}

#[test]
fn a_record_that_says_nothing_is_skipped_and_said_with_exit_code_0() {
    let installation = Installation::new();
    installation.write(
        "nmap.gnmap",
        "# Nmap 7.93 scan initiated Mon Nov 23 11:41:42 2026 as: nmap -p0- -oG -\n\
         Host: 8.8.8.8 ()\tPorts: 0/closed/tcp/////, 53/open/tcp//domain///\n# Nmap done at x\n",
    );
    let ended = installation.run(&["import", "nmap.gnmap", "--table"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("1 stored, 1 skipped")
            && ended.stdout.contains("1 skipped: port 0 is reserved and is not stored"),
        "{}",
        ended.stdout
    );
    let host = installation.run(&["hosts", "show", "8.8.8.8", "--json"]).json();
    assert_eq!(host["last_seen"], "2026-11-23T11:41:42Z", "{host}");
}

#[test]
fn a_record_from_the_future_gets_the_time_of_reading() {
    let installation = Installation::new();
    installation.write(
        "future.list",
        "#masscan\nopen tcp 80 8.8.8.8 4102444800\nopen tcp 80 8.8.4.4 1795434087\n# end\n",
    );
    let ended = installation.run(&["import", "future.list", "--json"]);
    let report = ended.json();
    assert_eq!((ended.code, &report["lines"]["repaired"]), (Some(0), &json!(1)), "{ended:?}");
    assert!(ended.stderr.contains("future.list line 2: its time is in the future"), "{}", ended.stderr);
    let host = installation.run(&["hosts", "show", "8.8.8.8", "--json"]).json();
    assert!(host["last_seen"].as_str().expect("a time") < "2099", "{host}");
}

#[test]
fn a_file_that_is_written_anew_while_it_is_followed_loses_no_record() {
    let installation = Installation::new();
    installation
        .write("live.list", "#masscan\nopen tcp 80 8.8.8.8 1795434087\nopen tcp 80 8.8.4.4 1795434087\n");
    let mut child = installation
        .command(&["import", "live.list", "--follow", "--json"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let stored = |address: &str| {
        let deadline = Instant::now() + PATIENCE;
        while installation.run(&["hosts", "show", address]).code != Some(0) {
            assert!(Instant::now() < deadline, "{address} was not stored");
        }
    };
    stored("8.8.4.4");
    // Longer than what was read: its size alone does not tell.
    installation.write(
        "live.list",
        "#masscan\nopen tcp 443 9.9.9.9 1795434187\nopen tcp 443 1.1.1.1 1795434187\nopen tcp 443 1.0.0.1 1795434187\n",
    );
    for address in ["9.9.9.9", "1.1.1.1", "1.0.0.1"] {
        stored(address);
    }
    installation.write("live.list", "#masscan\nopen tcp 22 45.45.45.45 1795434187\n");
    stored("45.45.45.45");
    signal(&child, "-TERM");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().expect("a pipe"), &mut said).expect("text");
    child.wait().expect("it ends");
    assert_eq!(said.matches("`live.list` was written anew: it is read from its start").count(), 2, "{said}");
}
