//! The short forms of the proofs, against the binary of the same build.

#![allow(missing_docs, reason = "for tests alone")]

use std::process::Command;

/// A fixed seed: a failure of the tests is to be found again.
const SEED: &str = "20261123";

/// Runs a proof as a person does, and fails with its report unless it holds.
fn holds(name: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_proof"))
        .args([name, "--short", "--seed", SEED])
        .output()
        .expect("the program runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stderr.starts_with(&format!("seed {SEED}\n")), "{stderr}");
    assert!(output.status.success(), "{stdout}{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("one JSON document");
    assert_eq!((&report["proof"], &report["holds"]), (&name.into(), &true.into()), "{report}");
}

#[test]
fn killed_at_random_it_loses_nothing_and_applies_nothing_twice() {
    holds("kill");
}

#[test]
fn jobs_that_kill_their_worker_take_no_neighbour_along() {
    holds("poison");
}

#[test]
fn a_flood_of_urgent_jobs_starves_nobody() {
    holds("starvation");
}

#[test]
fn a_worker_that_is_asked_to_stop_gives_back_what_it_has() {
    holds("sigterm");
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
fn nothing_grows_under_load() {
    holds("soak");
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    holds("clock-skew");
}

#[test]
fn many_workers_on_a_server_that_crashes_lose_nothing() {
    holds("kill-postgres");
}
