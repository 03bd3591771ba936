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
