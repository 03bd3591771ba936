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
