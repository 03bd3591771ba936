use serde_json::json;

use crate::support::Installation;

fn summary(installation: &Installation, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let arguments = [&["geolocate", "--json"], arguments].concat();
    let ended = installation.run(&arguments);
    assert!(ended.code == Some(0) || ended.code == Some(3), "{ended:?}");
    let mut summary = ended.json();
    assert!(summary["seconds"].is_number());
    summary.as_object_mut().expect("an object").remove("seconds");
    (ended.code, summary)
}

fn expected(mode: &str, counts: [u64; 7]) -> serde_json::Value {
    let [considered, located, unlocated, failed, skipped, queued, duplicate] = counts;
    json!({
        "mode": mode, "considered": considered, "located": located, "unlocated": unlocated, "failed": failed,
        "deferred": 0, "skipped": skipped, "queued": queued, "duplicate": duplicate
    })
}

#[test]
fn a_batch_locates_what_is_due_and_then_finds_nothing_due() {
    let installation = Installation::imported();
    let first = summary(&installation, &["--async-batch"]);
    let second = summary(&installation, &["--async-batch"]);
    let forced = summary(&installation, &["--async-batch", "--force"]);
    assert_eq!(first, (Some(0), expected("async_batch", [5, 4, 1, 0, 0, 0, 0])));
    assert_eq!(second, (Some(0), expected("async_batch", [0; 7])));
    assert_eq!(forced, (Some(0), expected("async_batch", [5, 4, 1, 0, 0, 0, 0])));
}

#[test]
fn one_by_one_does_the_same() {
    let installation = Installation::imported();
    assert_eq!(summary(&installation, &[]).1, expected("sequential", [5, 4, 1, 0, 0, 0, 0]));
}

#[test]
fn an_age_of_zero_days_takes_every_located_host() {
    let installation = Installation::located();
    assert_eq!(summary(&installation, &["--max-age-days", "0"]).1["considered"], 5);
}

#[test]
fn queueing_merges_into_live_jobs() {
    let installation = Installation::imported();
    let queued = summary(&installation, &["--queue-jobs", "--batch-size", "2"]);
    assert_eq!(queued, (Some(0), expected("queue_jobs", [5, 0, 0, 0, 0, 0, 5])));
}

#[test]
fn one_address_is_answered_and_stored_when_its_host_is_known() {
    let installation = Installation::imported();
    let (_, known) = summary(&installation, &["--ip", "8.8.8.8"]);
    assert_eq!((&known["mode"], &known["located"]), (&json!("single"), &json!(1)));
    assert_eq!(installation.run(&["hosts", "show", "8.8.8.8"]).json()["location"]["city"], "Mountain View");
    assert_eq!(installation.run(&["stats", "coverage"]).json()["located"], 1);

    let (_, unknown) = summary(&installation, &["--ip", "193.61.0.1"]);
    assert_eq!(unknown["located"], 1);
    assert_eq!(installation.run(&["stats", "coverage"]).json()["located"], 1);
}

/// However the lookup is made, the answer is what is printed.
#[test]
fn the_answer_about_one_address_is_the_output_in_both_direct_modes() {
    let installation = Installation::imported();
    for mode in [&[][..], &["--async-batch"]] {
        let (code, answered) = summary(&installation, &[&["--ip", "193.61.0.1"], mode].concat());
        let answer = &answered["answer"];
        assert_eq!((code, &answered["considered"]), (Some(0), &json!(1)), "{mode:?}");
        assert_eq!((&answer["ip"], &answer["status"]), (&json!("193.61.0.1"), &json!("located")), "{mode:?}");
    }
}

/// A host that was looked up a moment ago is asked about again only where somebody insists.
#[test]
fn a_query_takes_the_hosts_that_are_due_and_all_of_them_when_forced() {
    let installation = Installation::imported();
    let query = ["--query", "net:0.0.0.0/0"];
    for mode in ["--async-batch", "--queue-jobs"] {
        let considered = |more: &[&str]| {
            let arguments = [&[mode], &query[..], more].concat();
            summary(&installation, &arguments).1["considered"].as_u64().expect("a count")
        };
        assert!(considered(&["--force"]) > 0, "{mode}");
        installation.run(&["geolocate", "--async-batch"]);
        assert_eq!(considered(&[]), 0, "{mode}");
        assert!(considered(&["--force"]) > 0, "{mode}");
    }
}

#[test]
fn of_several_addresses_those_that_are_no_host_are_named() {
    let installation = Installation::imported();
    let ended = installation.run(&["geolocate", "--ip", "8.8.8.8", "--ip", "193.61.0.1", "--json"]);
    assert_eq!((ended.code, &ended.json()["located"]), (Some(3), &json!(1)), "{ended:?}");
    assert!(ended.stderr.contains("left out: `193.61.0.1`"), "{ended:?}");
    let none = installation.run(&["geolocate", "--ip", "193.61.0.2", "--ip", "193.61.0.1"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stdout.is_empty() && none.stderr.contains("hint: import"), "{none:?}");
}

#[test]
fn a_private_address_is_skipped_without_a_failure() {
    let installation = Installation::imported();
    for arguments in [&["--ip", "10.0.0.1"][..], &["--ip", "10.0.0.1", "--queue-jobs"]] {
        let (code, skipped) = summary(&installation, arguments);
        assert_eq!((code, &skipped["skipped"]), (Some(0), &json!(1)), "{arguments:?}");
    }
}

#[test]
fn queueing_an_unknown_host_names_the_import() {
    let installation = Installation::imported();
    let ended = installation.run(&["geolocate", "--ip", "193.61.0.1", "--queue-jobs"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("error: there is no host `193.61.0.1`") && ended.stderr.contains("import"),
        "{ended:?}"
    );
}

#[test]
fn failures_end_with_3_and_misses_do_not() {
    let installation = Installation::without_databases();
    let scan = installation.write("scan.json", crate::support::SCAN);
    assert_eq!(installation.run(&["import", &scan]).code, Some(0));
    let (code, failed) = summary(&installation, &["--async-batch"]);
    assert_eq!((code, &failed["failed"]), (Some(3), &json!(5)));
}

#[test]
fn the_two_modes_exclude_each_other() {
    let installation = Installation::new();
    assert_eq!(installation.run(&["geolocate", "--queue-jobs", "--async-batch"]).code, Some(2));
}
