//! The short forms of the proofs, against the binary of the same build.

#![allow(missing_docs, reason = "for tests alone")]

use std::process::Command;

/// A fixed seed: a failure of the tests is to be found again.
const SEED: &str = "20261123";

/// Runs a proof as a person does, and fails with its report unless it holds.
fn holds(name: &str) {
    shown(name, &[]);
}

/// The same on a backend.
fn holds_on(name: &str, backend: &str) {
    let report = shown(name, &["--backend", backend]);
    assert_eq!(report["backend"], backend);
}

fn shown(name: &str, further: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_proof"))
        .args([name, "--short", "--seed", SEED])
        .args(further)
        .output()
        .expect("the program runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stderr.starts_with(&format!("seed {SEED}\n")), "{stderr}");
    assert!(output.status.success(), "{stdout}{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("one JSON document");
    assert_eq!((&report["proof"], &report["holds"]), (&name.into(), &true.into()), "{report}");
    report
}

#[test]
fn killed_at_random_it_loses_nothing_and_applies_nothing_twice() {
    holds("kill");
}

#[test]
fn jobs_that_kill_their_worker_take_no_neighbour_along_on_sqlite() {
    holds_on("poison", "sqlite");
}

#[test]
fn jobs_that_kill_their_worker_take_no_neighbour_along_on_postgres() {
    holds_on("poison", "postgres");
}

#[test]
fn a_flood_of_urgent_jobs_starves_nobody_on_sqlite() {
    holds_on("starvation", "sqlite");
}

#[test]
fn a_flood_of_urgent_jobs_starves_nobody_on_postgres() {
    holds_on("starvation", "postgres");
}

#[test]
fn a_worker_that_is_asked_to_stop_gives_back_what_it_has_on_sqlite() {
    holds_on("sigterm", "sqlite");
}

#[test]
fn a_worker_that_is_asked_to_stop_gives_back_what_it_has_on_postgres() {
    holds_on("sigterm", "postgres");
}

#[test]
fn a_full_disk_loses_nothing_and_heals() {
    holds("full-disk");
}

#[test]
fn the_log_is_bounded_behind_a_long_reader_and_cut_afterwards() {
    holds("long-reader");
}

#[test]
fn open_descriptors_do_not_grow_under_load_on_sqlite() {
    holds_on("soak", "sqlite");
}

#[test]
fn open_descriptors_do_not_grow_under_load_on_postgres() {
    holds_on("soak", "postgres");
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    holds("clock-skew");
}

#[test]
fn many_workers_on_a_server_that_crashes_lose_nothing() {
    holds("kill-postgres");
}

#[test]
fn a_proof_that_cannot_be_run_stops_none_of_the_others_and_is_no_success() {
    let output = Command::new(env!("CARGO_BIN_EXE_proof"))
        .args(["--each", "--short", "--backend", "sqlite", "--seed", SEED, "sigterm", "starvation"])
        .args(["--binary", "no-such-program"])
        .output()
        .expect("the program runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((stdout.lines().count(), output.status.code()), (2, Some(2)), "{stdout}{stderr}");
    assert!(stderr.contains("sigterm (sqlite)     not run"), "{stderr}");
    assert!(stderr.contains("starvation (sqlite)  holds"), "{stderr}");
}
