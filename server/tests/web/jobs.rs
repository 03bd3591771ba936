use serde_json::json;

use crate::support::{Installation, Server, client, get_json, post_json, until};

#[tokio::test]
async fn jobs_are_counted_listed_and_shown() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);

    let stats = get_json(&server, "/api/v1/jobs/stats").await;
    let list = get_json(&server, "/api/v1/jobs?state=available&kind=geolocation&cursor=").await;
    let job = &list["items"][0];
    let shown = get_json(&server, &format!("/api/v1/jobs/{}", job["id"])).await;

    assert_eq!(stats["geolocation"]["available"], 5);
    assert_eq!(stats["geolocation"]["total"], 5);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(5));
    assert_eq!(
        (&shown["kind"], &shown["state"], &shown["priority"]),
        (&json!("geolocation"), &json!("available"), &json!(2))
    );
    assert_eq!(&shown, job);
}

#[tokio::test]
async fn all_matching_jobs_are_cancelled_and_retried() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let matching = |state: &str| json!({"filter": {"kind": "geolocation", "state": state}});

    let (_, cancelled) = post_json(&server, "/api/v1/jobs/cancel", &matching("available")).await;
    let (_, retried) = post_json(&server, "/api/v1/jobs/retry", &matching("cancelled")).await;

    assert_eq!((&cancelled["changed"], &retried["changed"]), (&json!(5), &json!(5)));
    assert_eq!(get_json(&server, "/api/v1/jobs/stats").await["geolocation"]["available"], 5);
}

#[tokio::test]
async fn jobs_are_changed_by_number() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let id = get_json(&server, "/api/v1/jobs?limit=1").await["items"][0]["id"].clone();

    let (_, cancelled) = post_json(&server, "/api/v1/jobs/cancel", &json!({"ids": [id]})).await;

    let (_, again) = post_json(&server, "/api/v1/jobs/cancel", &json!({"ids": [id, 999_999]})).await;

    assert_eq!(cancelled, json!({"changed": 1, "skipped": 0, "refused": []}));
    let refused = json!([{"id": id, "reason": "cancelled"}, {"id": 999_999, "reason": "unknown"}]);
    assert_eq!(again, json!({"changed": 0, "skipped": 2, "refused": refused}));
}

#[tokio::test]
async fn a_paused_kind_waits_until_it_is_resumed() {
    let installation = Installation::imported();
    let paused = installation.run(&["jobs", "pause", "geolocation"]);
    assert_eq!(paused.code, Some(0));
    let server = installation.serve();
    let kinds = get_json(&server, "/api/v1/jobs/kinds").await;
    let geolocation =
        kinds["items"].as_array().expect("kinds").iter().find(|kind| kind["kind"] == "geolocation");
    assert!(geolocation.expect("the kind")["paused_at"].is_string());

    let (status, _) = post_json(&server, "/api/v1/jobs/kinds/geolocation/resume", &json!(null)).await;

    assert_eq!(status, 204);
    until(&server, "/api/v1/jobs/stats", |stats| stats["geolocation"]["completed"] == 5).await;
}

#[tokio::test]
async fn lookups_are_queued_by_query_by_address_and_for_all() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);

    let (status, matching) =
        post_json(&server, "/api/v1/jobs", &json!({"q": "country:GB", "force": true})).await;
    let (_, by_address) =
        post_json(&server, "/api/v1/jobs", &json!({"ips": ["8.8.8.8", "193.61.170.1"]})).await;
    let (_, all) = post_json(&server, "/api/v1/jobs", &json!({"all": true})).await;

    assert_eq!(status, 202);
    let none: [u8; 0] = [];
    assert_eq!(matching, json!({"considered": 3, "queued": 3, "duplicate": 0, "refused": none}));
    assert_eq!(by_address, json!({"considered": 2, "queued": 1, "duplicate": 1, "refused": none}));
    assert_eq!(all, json!({"considered": 5, "queued": 1, "duplicate": 4, "refused": none}));

    let (unknown, _) = post_json(&server, "/api/v1/jobs", &json!({"ips": ["9.9.9.9"]})).await;
    let (private, _) = post_json(&server, "/api/v1/jobs", &json!({"ips": ["10.0.0.1"]})).await;
    let (some, named) = post_json(&server, "/api/v1/jobs", &json!({"ips": ["9.9.9.9", "8.8.8.8"]})).await;
    assert_eq!((unknown, private, some), (404, 409, 202));
    assert_eq!(named["refused"], json!([{"ip": "9.9.9.9", "reason": "unknown"}]));
}

#[tokio::test]
async fn requests_that_name_nothing_change_nothing() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let cases = [
        ("/api/v1/jobs", json!({}), 400),
        ("/api/v1/jobs", json!({"q": "colour:red"}), 400),
        ("/api/v1/jobs", json!({"kind": "banner_grab", "all": true}), 400),
        ("/api/v1/jobs", json!({"ips": "8.8.8.8"}), 422),
        ("/api/v1/jobs", json!({"q": " "}), 400),
        ("/api/v1/jobs", json!({"ips": []}), 400),
        ("/api/v1/jobs", json!({"ips": [" "]}), 400),
        ("/api/v1/jobs", json!({"all": false}), 400),
        ("/api/v1/jobs", json!({"q": "country:GB", "all": true}), 400),
        ("/api/v1/jobs", json!({"q": "country:GB", "due_only": true}), 400),
        ("/api/v1/jobs", json!([null, null, false, true]), 422),
        ("/api/v1/jobs/cancel", json!({}), 400),
        ("/api/v1/jobs/cancel", json!({"state": "available"}), 422),
        ("/api/v1/jobs/cancel", json!({"filter": {"state": "sleeping"}}), 400),
        ("/api/v1/jobs/kinds/coffee/pause", json!(null), 400),
    ];
    let everything_by_omission = [
        (json!({"filter": {}}), 400),
        (json!({"filter": []}), 422),
        (json!({"filter": [null, null]}), 422),
        (json!({"filter": [null, null, null]}), 422),
        (json!({"filter": null}), 400),
        (json!({"filter": {"state": null, "kind": "", "ip": " "}}), 400),
        (json!({"filter": {"colour": "red"}}), 422),
        (json!({"ids": []}), 400),
        (json!({"ids": [1.5]}), 422),
        (json!({"all": false}), 400),
        (json!({"all": true, "filter": {"state": "available"}}), 400),
        (json!({"all": true, "ids": [1]}), 400),
        (json!([null, null, true]), 422),
        (json!([]), 422),
    ];
    let everything_by_omission = ["/api/v1/jobs/cancel", "/api/v1/jobs/retry"]
        .into_iter()
        .flat_map(|path| everything_by_omission.clone().map(|(body, status)| (path, body, status)));
    for (path, body, expected) in cases.into_iter().chain(everything_by_omission) {
        let (status, problem) = post_json(&server, path, &body).await;
        assert_eq!(
            (status, problem["status"].as_u64()),
            (expected, Some(u64::from(expected))),
            "{path} {body}"
        );
    }
    assert_eq!(get_json(&server, "/api/v1/jobs/stats").await["geolocation"]["available"], 5);
}

#[tokio::test]
async fn all_jobs_are_changed_when_all_is_said() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);

    let (_, cancelled) = post_json(&server, "/api/v1/jobs/cancel", &json!({"all": true})).await;
    let (_, retried) = post_json(&server, "/api/v1/jobs/retry", &json!({"all": true})).await;

    assert_eq!((&cancelled["changed"], &retried["changed"]), (&json!(5), &json!(5)));
}

/// Posts a form to a server function, as a page without scripts does; answers where it leads.
async fn form(server: &Server, path: &str, fields: &[(&str, &str)]) -> String {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = client().post(server.url(path)).header("accept", "text/html").body(body);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = request.header("referer", server.url("/jobs")).send().await.expect("an answer");
    answer.headers().get("location").map(|to| to.to_str().expect("text").to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn the_buttons_of_the_page_act_on_all_jobs_only_when_they_say_so() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let page = client().get(server.url("/jobs")).send().await.expect("a page").text().await.expect("text");
    let filtered = client().get(server.url("/jobs?state=available")).send().await.expect("a page");
    let filtered = filtered.text().await.expect("text");
    assert!(page.contains("Cancel all jobs") && page.contains(r#"value="cancel_all""#));
    assert!(filtered.contains("Cancel all matching") && filtered.contains(r#"value="cancel_matching""#));

    for refused in [
        &[("action", "cancel_matching")][..],
        &[("action", "cancel_matching"), ("state", ""), ("kind", " "), ("ip", "")],
        &[("action", "cancel_all"), ("state", "available")],
        &[("action", "cancel")],
    ] {
        form(&server, "/api/fn/jobs/change", refused).await;
    }
    for refused in [
        &[("what", ""), ("q", "")][..],
        &[("what", "query"), ("q", " ")],
        &[("what", "all"), ("q", "country:GB")],
    ] {
        form(&server, "/api/fn/jobs/queue", &[refused, &[("force", "true")]].concat()).await;
    }
    form(&server, "/api/fn/runs/start", &[("q", ""), ("selection", "")]).await;
    let stats = get_json(&server, "/api/v1/jobs/stats").await;
    assert_eq!((&stats["geolocation"]["available"], &stats["geolocation"]["total"]), (&json!(5), &json!(5)));
    assert_eq!(get_json(&server, "/api/v1/runs/latest").await, json!(null));
    let forced = get_json(&server, "/api/v1/jobs").await;
    assert!(forced["items"].as_array().expect("jobs").iter().all(|job| job["force"] == false));

    let matching = [("action", "cancel_matching"), ("state", "available")];
    assert!(form(&server, "/api/fn/jobs/change", &matching).await.contains("changed=5"));
    assert!(form(&server, "/api/fn/jobs/change", &[("action", "retry_all")]).await.contains("changed=5"));
}

#[tokio::test]
async fn an_unknown_job_is_404_and_a_word_is_no_number() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let status = |path: &str| {
        let url = server.url(path);
        async move { client().get(url).send().await.expect("an answer").status().as_u16() }
    };
    assert_eq!((status("/api/v1/jobs/999").await, status("/api/v1/jobs/x").await), (404, 400));
}
