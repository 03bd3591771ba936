use serde_json::json;

use crate::{shown, support::Installation};

#[test]
fn jobs_are_listed_shown_and_counted() {
    let installation = Installation::imported();
    insta::assert_snapshot!(
        "jobs_list",
        shown(&installation.run(&[
            "jobs",
            "list",
            "--state",
            "available",
            "--fields",
            "id,kind,ip,state,priority,attempt"
        ]))
    );
    insta::assert_snapshot!("jobs_stats_table", shown(&installation.run(&["jobs", "stats", "--table"])));
    assert_eq!(installation.run(&["jobs", "show", "1"]).json()["id"], 1);
}

#[test]
fn jobs_are_cancelled_and_retried() {
    let installation = Installation::imported();
    insta::assert_snapshot!(
        "jobs_cancel",
        shown(&installation.run(&["jobs", "cancel", "--state", "available"]))
    );
    insta::assert_snapshot!("jobs_retry", shown(&installation.run(&["jobs", "retry", "--all", "--table"])));
}

#[test]
fn a_bulk_action_needs_to_be_told_which_jobs() {
    let installation = Installation::imported();
    insta::assert_snapshot!("jobs_which", shown(&installation.run(&["jobs", "cancel"])));
}

#[test]
fn lookups_are_queued() {
    let installation = Installation::located();
    insta::assert_snapshot!(
        "jobs_enqueue",
        shown(&installation.run(&["jobs", "enqueue", "--query", "country:GB", "--force"]))
    );
    insta::assert_snapshot!("jobs_enqueue_nothing", shown(&installation.run(&["jobs", "enqueue"])));
}

#[test]
fn what_names_no_host_does_not_come_to_mean_all() {
    let installation = Installation::located();
    for (arguments, input) in [
        (&["jobs", "enqueue", "--force", "-"][..], "\n# nobody\n"),
        (&["jobs", "enqueue", "--force", "--query", " "], ""),
        (&["geolocate", "--queue-jobs", "--force", "--ip", "-"], ""),
        (&["geolocate", "--queue-jobs", "--query", ""], ""),
        (&["jobs", "retry", "--all", "--state", "completed"], ""),
        (&["jobs", "retry", "1", "--all"], ""),
    ] {
        let ended = installation.run_with_input(arguments, input.as_bytes());
        assert!(matches!(ended.code, Some(1 | 2)), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("hint: "), "{arguments:?}: {ended:?}");
    }
    assert_eq!(installation.run(&["jobs", "stats"]).json()["geolocation"]["completed"], 5);
}

#[test]
fn an_address_that_no_scan_saw_is_an_error_and_among_others_it_is_named() {
    let installation = Installation::located();
    insta::assert_snapshot!(
        "jobs_enqueue_unknown",
        shown(&installation.run(&["jobs", "enqueue", "9.9.9.9"]))
    );
    let some = installation.run(&["jobs", "enqueue", "9.9.9.9", "8.8.8.8", "10.0.0.1", "8.8.8.8"]);
    insta::assert_snapshot!("jobs_enqueue_some", shown(&some));
    let none = installation.run(&["jobs", "enqueue", "9.9.9.9", "9.9.9.10"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""), "{none:?}");
    let private = installation.run(&["jobs", "enqueue", "10.0.0.1"]);
    assert!(private.code == Some(1) && private.stderr.contains("has no place"), "{private:?}");
}

#[test]
fn a_job_that_is_named_and_cannot_be_changed_has_a_reason() {
    let installation = Installation::imported();
    insta::assert_snapshot!("jobs_retry_unknown", shown(&installation.run(&["jobs", "retry", "999999"])));
    insta::assert_snapshot!("jobs_cancel_some", shown(&installation.run(&["jobs", "cancel", "1", "999999"])));
    let again = installation.run(&["jobs", "cancel", "1"]);
    assert_eq!(
        (again.code, again.json()),
        (Some(1), json!({"changed": 0, "skipped": 1, "refused": [{"id": 1, "reason": "cancelled"}]}))
    );
}

#[test]
fn what_is_paused_or_capped_is_said_with_the_counts() {
    let installation = Installation::imported();
    let paused = installation.run(&["jobs", "pause", "geolocation", "--json"]).json();
    assert!(paused["kind"] == "geolocation" && paused["paused_at"].is_string(), "{paused}");
    let capped = installation.run(&["jobs", "cap", "ssl_cert", "3", "--json"]).json();
    assert_eq!((&capped["cap"], &capped["paused_at"]), (&json!(3), &json!(null)));

    let stats = installation.run(&["jobs", "stats", "--json"]).json();
    let held = |kind: &str| (stats[kind]["paused_at"].is_string(), stats[kind]["cap"].clone());
    assert_eq!((held("geolocation"), held("ssl_cert")), ((true, json!(null)), (false, json!(3))));
    assert_eq!(stats["geolocation"]["available"], 5);
    let table = installation.run(&["stats", "jobs", "--table"]).stdout;
    assert!(
        table.contains("`geolocation` is paused since ") && table.contains("at most 3 run at once"),
        "{table}"
    );
}

#[test]
fn finished_jobs_are_deleted() {
    let installation = Installation::located();
    let pruned = installation.run(&["jobs", "prune", "--completed-after-days", "0"]);
    assert_eq!((pruned.code, pruned.json()["deleted"].as_u64()), (Some(0), Some(5)));
}

#[test]
fn an_unknown_job_and_kind_say_what_to_do() {
    let installation = Installation::imported();
    insta::assert_snapshot!("jobs_unknown", shown(&installation.run(&["jobs", "show", "999"])));
    insta::assert_snapshot!("jobs_unknown_kind", shown(&installation.run(&["jobs", "pause", "coffee"])));
}
