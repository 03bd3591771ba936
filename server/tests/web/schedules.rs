use std::fs;

use serde_json::{Value, json};

use crate::support::{Installation, client, get_json, post_json, until};

/// One of the tasks.
fn task(schedules: &Value, name: &str) -> Value {
    let all = schedules["items"].as_array().expect("schedules");
    all.iter().find(|schedule| schedule["task"] == name).expect("the task").clone()
}

fn is_done(name: &'static str) -> impl Fn(&Value) -> bool {
    move |schedules| task(schedules, name)["finished_at"].is_string()
}

#[tokio::test]
async fn four_tasks_are_there_from_the_start_and_only_the_backup_is_paused() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let schedules = get_json(&server, "/api/v1/schedules").await;
    let facts: Vec<_> = schedules["items"]
        .as_array()
        .expect("schedules")
        .iter()
        .map(|schedule| (schedule["task"].clone(), schedule["rule"].clone(), schedule["state"].clone()))
        .collect();
    assert_eq!(
        facts,
        [
            (json!("refresh"), json!("every 1d"), json!("waiting")),
            (json!("prune"), json!("every 1m"), json!("waiting")),
            (json!("check"), json!("every 1d"), json!("waiting")),
            (json!("backup"), json!("0 3 * * *"), json!("paused")),
        ]
    );
}

#[tokio::test]
async fn what_is_asked_for_is_done_at_once_even_while_it_is_paused() {
    let installation = Installation::located();
    let server = installation.serve();

    let (status, _) = post_json(&server, "/api/v1/schedules/backup/run", &json!(null)).await;
    let schedules = until(&server, "/api/v1/schedules", is_done("backup")).await;

    let backup = task(&schedules, "backup");
    assert_eq!(
        (status, &backup["outcome"], &backup["state"]),
        (202, &json!("done"), &json!("paused")),
        "{backup}"
    );
    let written: Vec<_> = fs::read_dir(installation.path("backups"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    assert_eq!(written.len(), 1, "{written:?}");
    let copy = format!("sqlite://backups/{}", written[0]);
    let hosts = |url: &str| {
        installation
            .run(&["hosts", "search", "--json", "--fields", "ip,city,located_at", "--database-url", url])
            .json()
    };
    assert_eq!(hosts(&copy), hosts("sqlite://hostatlas.db"));
}

#[tokio::test]
async fn a_refresh_queues_what_is_due_and_a_check_compares() {
    let installation = Installation::imported();
    assert_eq!(installation.run(&["jobs", "cancel", "--all"]).code, Some(0));
    let server = installation.serve();

    for name in ["refresh", "check"] {
        post_json(&server, &format!("/api/v1/schedules/{name}/run"), &json!(null)).await;
    }
    let refreshed = until(&server, "/api/v1/schedules", is_done("refresh")).await;
    let checked = until(&server, "/api/v1/schedules", is_done("check")).await;
    until(&server, "/api/v1/jobs/stats", |stats| stats["geolocation"]["completed"] == 5).await;

    assert_eq!(task(&refreshed, "refresh")["detail"], "5 hosts were due, 5 queued");
    assert_eq!(task(&checked, "check")["outcome"], "done");
}

#[tokio::test]
async fn a_backup_folder_that_cannot_be_made_is_a_failure_with_its_remedy() {
    let installation = Installation::imported();
    installation.write("taken", "a file");
    let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("HOSTATLAS_BACKUP_DIR", "taken/inside");
    let server = crate::support::Server::start(command);

    post_json(&server, "/api/v1/schedules/backup/run", &json!(null)).await;
    let schedules = until(&server, "/api/v1/schedules", is_done("backup")).await;

    let backup = task(&schedules, "backup");
    assert_eq!(backup["outcome"], "failed");
    assert!(backup["detail"].as_str().is_some_and(|why| why.contains("HOSTATLAS_BACKUP_DIR")), "{backup}");
    let doctor = installation.run(&["doctor", "--json"]);
    assert!(doctor.stdout.contains("`backup` failed"), "{doctor:?}");
}

#[tokio::test]
async fn a_rule_is_changed_and_a_task_paused_and_resumed() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let rule = json!({"rule": "30 3 * * 1"});

    let (changed, _) = post_json(&server, "/api/v1/schedules/refresh/change", &rule).await;
    let (paused, _) = post_json(&server, "/api/v1/schedules/refresh/pause", &json!(null)).await;
    let while_paused = task(&get_json(&server, "/api/v1/schedules").await, "refresh");
    let (resumed, _) = post_json(&server, "/api/v1/schedules/refresh/resume", &json!(null)).await;
    let after = task(&get_json(&server, "/api/v1/schedules").await, "refresh");

    assert_eq!((changed, paused, resumed), (204, 204, 204));
    assert_eq!((&while_paused["rule"], &while_paused["state"]), (&json!("30 3 * * 1"), &json!("paused")));
    assert!(
        while_paused["next_at"].as_str().is_some_and(|next| next.contains("T03:30:00")),
        "{while_paused}"
    );
    assert_eq!(after["state"], "waiting");
}

#[tokio::test]
async fn what_is_no_rule_and_no_task_is_refused() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let change = "/api/v1/schedules/refresh/change";
    let cases = [
        (change, json!({})),
        (change, json!({"rule": "daily"})),
        (change, json!({"rule": "every 1s"})),
        (change, json!({"rule": "61 * * * *"})),
        (change, json!({"rule": "0 0 30 2 *"})),
        ("/api/v1/schedules/coffee/change", json!({"rule": "every 1d"})),
        ("/api/v1/schedules/coffee/run", json!(null)),
    ];
    for (path, body) in cases {
        let (status, problem) = post_json(&server, path, &body).await;
        assert_eq!(status, 400, "{path} {body}: {problem}");
    }
    assert_eq!(task(&get_json(&server, "/api/v1/schedules").await, "refresh")["rule"], "every 1d");
}

#[tokio::test]
async fn a_form_changes_a_rule_and_is_led_back_to_the_page() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let answer = client()
        .post(server.url("/api/fn/schedules/change"))
        .header("accept", "text/html")
        .header("origin", server.url(""))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("task=prune&rule=every+2h")
        .send()
        .await
        .expect("an answer");
    let target = answer.headers()["location"].to_str().expect("text").to_owned();
    assert_eq!((answer.status().as_u16(), target.as_str()), (303, "/schedules?scheduled=changed&task=prune"));

    let page = client().get(server.url(&target)).send().await.expect("an answer").text().await.expect("text");
    assert!(page.contains("prune has a new rule") && page.contains("value=\"every 2h\""), "{page}");
}

#[tokio::test]
async fn recurring_work_that_had_nothing_to_do_leaves_no_line_in_the_log() {
    let installation = Installation::located();
    let server = installation.serve();
    for name in ["prune", "refresh", "check"] {
        post_json(&server, &format!("/api/v1/schedules/{name}/run"), &json!(null)).await;
    }
    let all_done =
        |schedules: &Value| ["prune", "refresh", "check"].iter().all(|name| is_done(name)(schedules));
    let schedules = until(&server, "/api/v1/schedules", all_done).await;
    assert_eq!(task(&schedules, "prune")["detail"], "no job was old enough");
    assert_eq!(task(&schedules, "refresh")["detail"], "no host was due");
    // What did something is said: the log is the right one.
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while !server.said().contains("The schedule `check` is done") {
        assert!(std::time::Instant::now() < deadline, "{}", server.said());
        tokio::task::yield_now().await;
    }
    let said = server.said();
    assert!(!said.contains("`prune` is done") && !said.contains("`refresh` is done"), "{said}");
}
