use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::json;

use crate::support::{Installation, PATIENCE, Server, client, get_json};

/// Sends these bytes and answers the status.
fn raw(server: &Server, request: &str) -> u16 {
    let mut stream = TcpStream::connect(&server.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_foreign_host_is_refused_everywhere() {
    let installation = Installation::new();
    let server = installation.serve();
    let get = |line: &str, host: &str| {
        raw(&server, &format!("GET {line} HTTP/1.1\r\n{host}connection: close\r\n\r\n"))
    };
    for path in ["/", "/api/v1/hosts", "/healthz", "/api/v1/events", "/nothing"] {
        assert_eq!(get(path, "host: evil.example\r\n"), 403, "{path}");
        assert_eq!(get(path, "host: localhost.evil.example:3000\r\n"), 403, "{path}");
    }
    assert_eq!(get("/healthz", "host: localhost:3000\r\n"), 200);
    assert_eq!(get("/healthz", "host: LocalHost\r\n"), 200);
    assert_eq!(get("/healthz", "host: [::1]:3000\r\n"), 200);
    assert_eq!(get("/healthz", "host: localhost\r\nhost: evil.example\r\n"), 400);
    assert_eq!(get("http://evil.example/healthz", "host: localhost\r\n"), 403);
    assert_eq!(get("/healthz", ""), 400);
}

#[tokio::test]
async fn a_configured_host_is_answered() {
    let installation = Installation::new();
    installation
        .write("hostatlas.toml", "allowed_hosts = [\"localhost\", \"127.0.0.1\", \"atlas.example\"]\n");
    let server = installation.serve();
    assert_eq!(
        raw(&server, "GET /healthz HTTP/1.1\r\nhost: atlas.example\r\nconnection: close\r\n\r\n"),
        200
    );
}

#[tokio::test]
async fn a_foreign_page_can_change_nothing() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let changes = [
        "/api/v1/hosts/8.8.8.8/geolocate",
        "/api/v1/runs",
        "/api/v1/runs/1/cancel",
        "/api/v1/jobs",
        "/api/v1/jobs/retry",
        "/api/v1/jobs/cancel",
        "/api/v1/jobs/kinds/geolocation/pause",
        "/api/v1/jobs/kinds/geolocation/resume",
        "/api/fn/hosts/geolocate",
    ];
    let foreign = [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("referer", "http://evil.example/page"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    let before = get_json(&server, "/api/v1/jobs/stats").await;
    for path in changes {
        for (name, value) in foreign {
            let request = client().post(server.url(path)).header(name, value).json(&json!({"all": true}));
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 403, "{path} with {name}: {value}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
    }
    assert_eq!(get_json(&server, "/api/v1/jobs/stats").await, before);
}

#[tokio::test]
async fn our_own_pages_and_scripts_may_change_things() {
    let installation = Installation::imported();
    let server = installation.serve_with(&["--no-worker"]);
    let post = || client().post(server.url("/api/v1/jobs")).json(&json!({"all": true}));
    for request in [
        post(),
        post().header("origin", server.url("")),
        post().header("origin", server.url("")).header("sec-fetch-site", "same-origin"),
        post().header("referer", server.url("/jobs")),
    ] {
        assert_eq!(request.send().await.expect("an answer").status().as_u16(), 202);
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_bind_a_browser() {
    let installation = Installation::new();
    let server = installation.serve();
    for path in ["/", "/hosts", "/api/v1/coverage", "/api/v1/nothing", "/nothing"] {
        let answer = client().get(server.url(path)).send().await.expect("an answer");
        let headers = answer.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "same-origin", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
    }
}

#[tokio::test]
async fn each_page_has_a_nonce_of_its_own_and_its_scripts_carry_it() {
    let installation = Installation::new();
    let server = installation.serve();
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let answer = client().get(server.url("/hosts")).send().await.expect("an answer");
        let policy = answer.headers()["content-security-policy"].to_str().expect("text").to_owned();
        let nonce = policy
            .split("'nonce-")
            .nth(1)
            .and_then(|rest| rest.split('\'').next())
            .expect("a nonce")
            .to_owned();
        let page = answer.text().await.expect("a page");
        for script in page.split("<script").skip(1) {
            let tag = script.split('>').next().expect("a tag");
            assert!(tag.contains(&format!("nonce=\"{nonce}\"")) || tag.contains(" src=\"/"), "<script{tag}>");
        }
        assert!(!policy.contains("unsafe-eval'; script") && !policy.contains("script-src 'unsafe-inline'"));
        nonces.push(nonce);
    }
    assert_ne!(nonces[0], nonces[1]);
}

#[tokio::test]
async fn refusals_of_the_framework_are_problems_too() {
    let installation = Installation::new();
    let server = installation.serve();
    let large = vec![b' '; 1024 * 1024 + 1];
    let url = |path: &str| server.url(path);
    let cases = [
        (client().delete(url("/api/v1/hosts")), 405),
        (client().post(url("/api/v1/map")), 405),
        (client().post(url("/api/v1/jobs")).header("content-type", "application/json").body(large), 413),
        (client().post(url("/api/v1/jobs")).header("content-type", "application/json").body("{"), 400),
        (
            client().post(url("/api/v1/jobs")).header("content-type", "application/json").body("{\"ips\":1}"),
            422,
        ),
        (client().post(url("/api/v1/jobs")).header("content-type", "text/plain").body("{}"), 415),
        (client().get(url("/api/v2/hosts")), 404),
        (client().post(url("/api/fn/nothing")), 404),
    ];
    for (request, status) in cases {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{status}");
        assert_eq!(answer.status().as_u16(), status);
        let problem: serde_json::Value = answer.json().await.expect("a problem");
        assert_eq!(problem["status"], status);
    }
}

#[tokio::test]
async fn no_path_leads_out_of_the_site() {
    let installation = Installation::new();
    std::fs::create_dir_all(installation.path("target/site")).expect("a folder");
    installation.write("secret.txt", "secret");
    let server = installation.serve();
    for path in ["/../../secret.txt", "/..%2f..%2fsecret.txt", "/%2e%2e/%2e%2e/secret.txt", "//etc/passwd"] {
        let status =
            raw(&server, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"));
        assert_ne!(status, 200, "{path}");
    }
}

#[tokio::test]
async fn contradicting_lengths_are_refused() {
    let installation = Installation::new();
    let server = installation.serve();
    let request =
        "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}";
    assert_eq!(raw(&server, request), 400);
}
