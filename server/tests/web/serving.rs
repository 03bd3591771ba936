//! Starting, stopping and serving files.

use std::fs;

use crate::support::{Installation, client, get_json};

#[tokio::test]
async fn health_is_answered_at_the_root() {
    let installation = Installation::new();
    let server = installation.serve();
    for path in ["/healthz", "/readyz"] {
        let answer = client().get(server.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{path}");
    }
}

#[tokio::test]
async fn the_interface_is_described() {
    let installation = Installation::new();
    let server = installation.serve();
    let document = get_json(&server, "/api/openapi.json").await;
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    let expected = [
        "/api/v1/hosts",
        "/api/v1/hosts/{ip}",
        "/api/v1/hosts/{ip}/geolocate",
        "/api/v1/places/{id}/hosts",
        "/api/v1/runs",
        "/api/v1/runs/{id}",
        "/api/v1/runs/{id}/cancel",
        "/api/v1/map",
        "/api/v1/coverage",
        "/api/v1/coverage/recent",
        "/api/v1/jobs",
        "/api/v1/jobs/{id}",
        "/api/v1/jobs/stats",
        "/api/v1/jobs/retry",
        "/api/v1/jobs/cancel",
        "/api/v1/jobs/kinds/{kind}/pause",
        "/api/v1/jobs/kinds/{kind}/resume",
        "/api/v1/imports",
        "/api/v1/imports/{id}",
        "/api/v1/events",
    ];
    for path in expected {
        assert!(document["paths"][path].is_object(), "{path}");
    }
}

#[tokio::test]
async fn a_second_server_on_the_port_names_the_remedy() {
    let installation = Installation::new();
    let server = installation.serve();
    let second = installation.run(&["serve", "--listen", &server.address]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("in use") && second.stderr.contains("hint: "), "{}", second.stderr);
}

#[tokio::test]
async fn a_server_beside_a_worker_serves_without_one_and_says_so() {
    let installation = Installation::new();
    let first = installation.serve();
    get_json(&first, "/api/v1/coverage").await;
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;

    let second = installation.serve();

    while !second.said().contains("without a worker") {
        assert!(std::time::Instant::now() < deadline, "{}", second.said());
        get_json(&second, "/api/v1/coverage").await;
    }
}

#[tokio::test]
async fn both_signals_stop_the_server_in_good_order() {
    let installation = Installation::new();
    assert_eq!(installation.serve().stop("-TERM"), Some(0));
    assert_eq!(installation.serve().stop("-INT"), Some(130));
}

#[tokio::test]
async fn files_are_served_packed_with_a_tag_and_hashed_ones_for_ever() {
    let installation = Installation::new();
    let site = installation.path("target/site/pkg");
    fs::create_dir_all(&site).expect("a folder");
    fs::write(site.join("hostatlas.0123.js"), "plain").expect("a file");
    fs::write(site.join("hostatlas.0123.js.br"), "packed").expect("a file");
    fs::write(installation.path("target/site/robots.txt"), "User-agent: *\n").expect("a file");
    let server = installation.serve();
    let get = |path: &str, name: &'static str, value: String| {
        let request = client().get(server.url(path)).header(name, value);
        async move { request.send().await.expect("an answer") }
    };

    let packed = get("/pkg/hostatlas.0123.js", "accept-encoding", "br".to_owned()).await;
    assert_eq!(packed.headers()["content-encoding"], "br");
    assert_eq!(packed.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(packed.text().await.expect("a body"), "packed");

    let plain = get("/robots.txt", "accept-encoding", "identity".to_owned()).await;
    assert_eq!(plain.headers()["cache-control"], "public, max-age=0, must-revalidate");
    let tag = plain.headers()["etag"].to_str().expect("text").to_owned();
    let again = get("/robots.txt", "if-none-match", tag).await;
    assert_eq!(again.status().as_u16(), 304);
}

#[tokio::test]
async fn answers_are_packed() {
    let installation = Installation::located();
    let server = installation.serve();
    let request = client().get(server.url("/api/v1/hosts")).header("accept-encoding", "br");
    assert_eq!(request.send().await.expect("an answer").headers()["content-encoding"], "br");
}
