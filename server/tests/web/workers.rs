use serde_json::json;

use crate::support::{Installation, client, get_json, post_json, until};

#[tokio::test]
async fn a_process_that_runs_jobs_is_listed_until_it_ends() {
    let installation = Installation::imported();
    let server = installation.serve();

    let listed = until(&server, "/api/v1/workers", |workers| workers["items"][0].is_object()).await;
    let worker = &listed["items"][0];
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&worker["state"], &worker["command"], &worker["kinds"], &worker["version"]),
        (&json!("alive"), &json!("serve"), &json!(["geolocation"]), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert!(worker["host_name"].as_str().is_some_and(|name| !name.is_empty()));
    let page =
        client().get(server.url("/workers")).send().await.expect("an answer").text().await.expect("text");
    assert!(page.contains("<h1>Workers</h1>") && page.contains("1\u{a0}process on 1\u{a0}machine"), "{page}");

    assert_eq!(server.stop("-TERM"), Some(0));
    assert_eq!(installation.run(&["workers", "--json"]).json(), json!([]));
}

#[tokio::test]
async fn what_was_done_and_failed_is_counted_in_the_next_report() {
    let installation = Installation::imported();
    let server = installation.serve();
    let done = |workers: &serde_json::Value| workers["items"][0]["completed"] == 5;
    let listed = until(&server, "/api/v1/workers", done).await;
    assert_eq!(listed["items"][0]["failed"], 0);
}

#[tokio::test]
async fn a_server_without_a_worker_says_who_could_run_jobs() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let page =
        client().get(server.url("/workers")).send().await.expect("an answer").text().await.expect("text");
    assert!(page.contains("Nobody works") && page.contains("hostatlas worker"), "{page}");
}

#[tokio::test]
async fn a_kind_with_a_cap_is_worked_on_within_it_and_shows_it() {
    let installation = Installation::imported();
    assert_eq!(installation.run(&["jobs", "cap", "geolocation", "2"]).code, Some(0));
    let server = installation.serve();
    let kind = |kinds: &serde_json::Value| {
        let all = kinds["items"].as_array().expect("kinds");
        all.iter().find(|kind| kind["kind"] == "geolocation").expect("the kind").clone()
    };

    assert_eq!(kind(&get_json(&server, "/api/v1/jobs/kinds").await)["cap"], 2);
    until(&server, "/api/v1/jobs/stats", |stats| stats["geolocation"]["completed"] == 5).await;
    let (status, _) = post_json(&server, "/api/v1/jobs/kinds/geolocation/cap", &json!({"cap": null})).await;

    assert_eq!(status, 204);
    assert_eq!(kind(&get_json(&server, "/api/v1/jobs/kinds").await)["cap"], json!(null));
}

#[tokio::test]
async fn a_cap_that_is_none_changes_nothing() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let path = "/api/v1/jobs/kinds/geolocation/cap";
    let cases = [
        (path, json!({}), 400),
        (path, json!({"cap": 0}), 400),
        (path, json!({"cap": -1}), 422),
        (path, json!({"cap": "two"}), 422),
        ("/api/v1/jobs/kinds/coffee/cap", json!({"cap": 1}), 400),
    ];
    for (path, body, expected) in cases {
        let (status, problem) = post_json(&server, path, &body).await;
        assert_eq!(
            (status, problem["status"].as_u64()),
            (expected, Some(u64::from(expected))),
            "{path} {body}"
        );
    }
    for cap in ["0", "-1", "two"] {
        assert_eq!(installation.run(&["jobs", "cap", "geolocation", cap]).code, Some(2), "{cap}");
    }
}
