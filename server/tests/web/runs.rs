use serde_json::json;

use crate::support::{Installation, client, get_json, post_json, until};

#[tokio::test]
async fn a_run_locates_what_is_missing_and_says_how_far_it_is() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);

    let (status, run) =
        post_json(&server, "/api/v1/runs", &json!({"selection": "missing", "mode": "async_batch"})).await;
    assert_eq!(status, 202);
    let done = until(&server, &format!("/api/v1/runs/{}", run["id"]), |run| run["state"] != "running").await;

    assert_eq!(
        (&done["state"], &done["considered"], &done["located"], &done["unlocated"]),
        (&json!("done"), &json!(5), &json!(4), &json!(1))
    );
    assert_eq!(get_json(&server, "/api/v1/coverage").await["located"], 4);
    assert_eq!(get_json(&server, "/api/v1/runs/latest").await["id"], run["id"]);
}

#[tokio::test]
async fn a_run_that_is_over_stays_as_it_is_when_cancelled() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let (_, run) = post_json(&server, "/api/v1/runs", &json!({"q": "8.8.8.8"})).await;
    let path = format!("/api/v1/runs/{}", run["id"]);
    until(&server, &path, |run| run["state"] == "done").await;

    let (status, cancelled) = post_json(&server, &format!("{path}/cancel"), &json!(null)).await;

    assert_eq!((status, &cancelled["state"]), (200, &json!("done")));
}

#[tokio::test]
async fn runs_that_make_no_sense_are_refused() {
    let installation = Installation::new();
    let server = installation.serve_with(&["--no-worker"]);
    for (body, status) in [
        (json!({"q": "country:GB", "ips": ["8.8.8.8"]}), 400),
        (json!({"q": "country:GB", "selection": "all"}), 400),
        (json!({"q": " "}), 400),
        (json!({"ips": []}), 400),
        (json!({"ips": [""]}), 400),
        (json!([null, null]), 422),
        (json!({"mode": "sequential"}), 422),
        (json!({"mode": "sideways"}), 422),
        (json!({"batch_size": 0}), 400),
        (json!({"colour": 1}), 422),
    ] {
        assert_eq!(post_json(&server, "/api/v1/runs", &body).await.0, status, "{body}");
    }
    let answer = client().get(server.url("/api/v1/runs/77")).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 404);
}
