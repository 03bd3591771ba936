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
