//! What the doctor finds, and how it ends: 0 all well, 3 warnings, 1 errors.

use std::{fs, time::Instant};

use serde_json::{Value, json};

use crate::support::{Ended, Installation, PATIENCE};

/// Severity and detail of the first finding about `subject`.
fn finding(ended: &Ended, subject: &str) -> (Value, String) {
    let report = ended.json();
    let findings = report["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["subject"] == subject);
    let found = found.unwrap_or_else(|| panic!("nothing about `{subject}` in {report}"));
    (found["severity"].clone(), found["detail"].as_str().expect("a detail").to_owned())
}

fn severity(ended: &Ended, subject: &str) -> Value {
    finding(ended, subject).0
}

#[test]
fn all_well_is_0() {
    let installation = Installation::located();
    let doctor = installation.run(&["doctor", "--json"]);
    let findings =
        ["configuration", "database", "places", "jobs", "hosts"].map(|about| severity(&doctor, about));
    assert_eq!(findings, ["ok", "ok", "ok", "ok", "ok"].map(Value::from), "{doctor:?}");
    assert!(doctor.stdout.contains("a write was tried, and works"), "{doctor:?}");
    assert_eq!((doctor.code, doctor.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_doctor_says_what_to_do_next_and_a_warning_is_3() {
    let installation = Installation::without_databases();
    assert_eq!(installation.run(&["db", "migrate"]).code, Some(0));
    let doctor = installation.run(&["doctor", "--json"]);
    let findings = ["database", "places", "hosts"].map(|about| severity(&doctor, about));
    assert_eq!(findings, ["ok", "warning", "note"].map(Value::from), "{doctor:?}");
    assert_eq!(doctor.code, Some(3), "{doctor:?}");
}

#[test]
fn without_a_database_the_rest_is_examined_and_none_is_made() {
    let installation = Installation::new();
    let doctor = installation.run(&["doctor", "--json"]);
    assert_eq!(
        finding(&doctor, "database"),
        (json!("warning"), "`hostatlas.db` does not exist yet".to_owned()),
        "{doctor:?}"
    );
    assert!(doctor.stdout.contains("run `hostatlas import scan.json`, which makes it"), "{doctor:?}");
    let others = ["configuration", "places"].map(|about| severity(&doctor, about));
    assert_eq!((others, doctor.code), (["ok", "ok"].map(Value::from), Some(3)), "{doctor:?}");
    let left: Vec<_> = fs::read_dir(installation.path("")).expect("a folder").flatten().collect();
    let names: Vec<_> = left.iter().map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    assert!(!names.iter().any(|name| name.starts_with("hostatlas.db")), "{names:?}");
}

#[test]
fn a_database_that_cannot_be_used_is_an_error_and_the_rest_is_examined() {
    let installation = Installation::new();
    installation.write("hostatlas.db", "no database");
    let doctor = installation.run(&["doctor", "--json"]);
    let (database, detail) = finding(&doctor, "database");
    assert_eq!((database, severity(&doctor, "places")), (json!("error"), json!("ok")), "{doctor:?}");
    assert!(detail.contains("is not a hostatlas database"), "{detail}");
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
}

#[test]
fn jobs_that_nobody_runs_are_a_warning_until_a_worker_runs() {
    let installation = Installation::imported();
    // Jobs that wait beside a worker: of a kind that it takes, but not yet.
    let doctor = installation.run(&["doctor", "--json"]);
    assert_eq!(
        finding(&doctor, "jobs"),
        (json!("warning"), "5 `geolocation` jobs wait, and no worker runs that takes them".to_owned())
    );
    assert!(doctor.stdout.contains("start `hostatlas serve`, or `hostatlas worker`"), "{doctor:?}");
    assert_eq!(doctor.code, Some(3), "{doctor:?}");

    let _server = installation.serve();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let doctor = installation.run(&["doctor", "--json"]);
        if severity(&doctor, "jobs") == "ok" {
            assert_eq!(doctor.code, Some(0), "{doctor:?}");
            break;
        }
        assert!(Instant::now() < deadline, "{doctor:?}");
    }
}
