use serde_json::json;

use crate::{shown, support::Installation};

#[test]
fn draining_locates_every_host_and_ends() {
    let installation = Installation::imported();
    let drained = installation.run(&["worker", "--drain"]);
    assert_eq!((drained.code, &drained.json()["completed"]), (Some(0), &json!(5)), "{drained:?}");
    insta::assert_snapshot!(
        "stats_coverage_table",
        shown(&installation.run(&["stats", "coverage", "--table"]))
    );
    insta::assert_snapshot!("stats_jobs", shown(&installation.run(&["stats", "jobs", "--json"])));
    insta::assert_snapshot!(
        "stats_recent",
        shown(&installation.run(&["stats", "recent", "--limit", "1", "--fields", "location_state,provider"]))
    );
}

#[test]
fn what_is_paused_is_left_and_named() {
    let installation = Installation::imported();
    assert_eq!(installation.run(&["jobs", "pause", "geolocation"]).code, Some(0));
    insta::assert_snapshot!("worker_paused", shown(&installation.run(&["worker", "--drain"])));
}

#[test]
fn a_second_worker_names_the_first() {
    let installation = Installation::new();
    let server = installation.serve();
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let second = installation.run(&["worker", "--drain"]);
        if second.code == Some(1) {
            assert!(
                second.stderr.contains("another process is the worker") && second.stderr.contains("hint: ")
            );
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{second:?}");
    }
    drop(server);
}

#[test]
fn who_runs_jobs_is_listed_with_when_it_was_last_heard_of() {
    let installation = Installation::new();
    let server = installation.serve();
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    let listed = || installation.run(&["workers", "--json"]).json();
    while listed() == json!([]) {
        assert!(std::time::Instant::now() < deadline, "it is not listed");
    }
    let table = installation.run(&["workers", "--table"]).stdout;
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let headings = "HOST PID COMMAND VERSION STATE RUNNING DONE FAILED STARTED HEARD";
    assert_eq!((lines.len(), lines[0].join(" ").as_str()), (2, headings), "{table}");
    // Day and time of both moments.
    let [.., started_day, started, heard_day, heard] = lines[1][..] else { panic!("{table}") };
    assert!((started_day, started) <= (heard_day, heard), "{table}");
    drop(server);
}
