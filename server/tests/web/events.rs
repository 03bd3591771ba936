use std::{collections::HashSet, time::Instant};

use serde_json::json;

use crate::support::{Installation, PATIENCE, SCAN, Server, client, post_json};

/// Reads an event stream until `enough` says so; answers the text so far.
async fn listen(
    server: &Server,
    path: &str,
    enough: impl Fn(&str) -> bool,
    act: impl AsyncFnOnce(),
) -> String {
    let mut answer = client().get(server.url(path)).send().await.expect("a stream");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    let mut act = Some(act);
    let deadline = Instant::now() + PATIENCE;
    while !enough(&text) {
        assert!(Instant::now() < deadline, "only {text}");
        let chunk = answer.chunk().await.expect("a chunk").expect("the stream goes on");
        text.push_str(&String::from_utf8_lossy(&chunk));
        // The greeting shows that the server listens on our behalf.
        if let Some(act) = act.take() {
            act().await;
        }
    }
    text
}

fn names(text: &str) -> HashSet<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("event: ").or_else(|| line.strip_prefix("event:")))
        .map(str::trim)
        .collect()
}

#[tokio::test]
async fn what_another_process_commits_is_heard() {
    let installation = Installation::new();
    let server = installation.serve();
    let scan = installation.write("scan.json", SCAN);

    let heard = listen(
        &server,
        "/api/v1/events",
        |text| ["map", "jobs", "coverage", "imports"].iter().all(|topic| names(text).contains(topic)),
        async || assert_eq!(installation.run(&["import", &scan]).code, Some(0)),
    )
    .await;

    assert!(heard.starts_with(": listening") || heard.contains(": listening"));
}

#[tokio::test]
async fn a_watched_job_is_told_until_it_is_done() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    let (_, queued) = post_json(&server, "/api/v1/hosts/8.8.8.8/geolocate", &json!({"force": true})).await;
    let job = queued["job"].to_string();

    let heard = listen(
        &server,
        &format!("/api/v1/events?job={job}"),
        |text| text.contains(r#""state":"completed""#),
        async || assert_eq!(installation.run(&["worker", "--drain"]).code, Some(0)),
    )
    .await;

    assert!(names(&heard).contains(format!("job:{job}").as_str()));
}

#[tokio::test]
async fn a_stream_ends_when_the_server_is_stopped() {
    let installation = Installation::new();
    let server = installation.serve();
    let mut answer = client().get(server.url("/api/v1/events")).send().await.expect("a stream");
    answer.chunk().await.expect("a greeting");
    let began = Instant::now();

    assert_eq!(server.stop("-TERM"), Some(0));

    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
