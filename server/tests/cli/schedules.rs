use serde_json::json;

use crate::support::Installation;

#[test]
fn recurring_work_is_listed_and_changed() {
    let installation = Installation::imported();
    for arguments in [
        &["schedules", "set", "check", "every", "12h"][..],
        &["schedules", "set", "refresh", "30 3 * * 1"],
        &["schedules", "pause", "refresh"],
        &["schedules", "resume", "backup"],
        &["schedules", "run", "prune"],
    ] {
        let ended = installation.run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert_eq!(ended.json()["task"], arguments[2], "{ended:?}");
    }
    let fields = ["schedules", "--json", "--fields", "task,rule,state"];
    assert_eq!(
        installation.run(&fields).json(),
        json!([
            {"task": "refresh", "rule": "30 3 * * 1", "state": "paused"},
            {"task": "prune", "rule": "every 1m", "state": "due"},
            {"task": "check", "rule": "every 12h", "state": "waiting"},
            {"task": "backup", "rule": "0 3 * * *", "state": "waiting"},
        ])
    );
}

#[test]
fn a_backup_that_is_resumed_comes_at_the_time_of_its_rule() {
    let installation = Installation::imported();
    assert_eq!(installation.run(&["schedules", "resume", "backup"]).code, Some(0));
    let next = installation.run(&["schedules", "--json", "--fields", "task,next_at"]).json();
    assert!(next[3]["next_at"].as_str().is_some_and(|next| next.contains("T03:00:0")), "{next}");
}

#[test]
fn a_rule_that_cannot_be_read_names_the_field_and_its_range() {
    let installation = Installation::imported();
    let ended = installation.run(&["schedules", "set", "refresh", "61 3 * * *"]);
    let says = "`61 3 * * *` is not a schedule rule: the minute is `61`, but has to be 0 to 59";
    assert!(ended.code == Some(2) && ended.stderr.contains(says), "{ended:?}");
}

#[test]
fn what_is_no_rule_and_no_task_is_a_wrong_command_line() {
    let installation = Installation::imported();
    for arguments in [
        &["schedules", "set", "refresh"][..],
        &["schedules", "set", "refresh", "daily"],
        &["schedules", "set", "refresh", "0 0 30 2 *"],
        &["schedules", "set", "coffee", "every 1d"],
        &["schedules", "run", "coffee"],
    ] {
        let ended = installation.run(arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
}

#[test]
fn a_drain_does_nothing_by_schedule() {
    let installation = Installation::imported();
    assert_eq!(installation.run(&["schedules", "run", "prune"]).code, Some(0));
    assert_eq!(installation.run(&["worker", "--drain"]).code, Some(0));
    let states = installation.run(&["schedules", "--json", "--fields", "task,state,finished_at"]).json();
    assert_eq!(states[1], json!({"task": "prune", "state": "due", "finished_at": null}));
}
