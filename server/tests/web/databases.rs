use std::fs;

use mmdb_writer::{IpVersion, Value, Writer};
use serde_json::{Value as Json, json};

use crate::support::{Installation, Server, client, get_json, post_json, until};

/// Leaves two hosts in London, moves one to Paris, knows one that was unknown, and does not know one that was known.
fn newer() -> Vec<u8> {
    let place = |city: &str, code: &str, latitude: f64, longitude: f64| {
        Value::map([
            ("city", Value::from(city)),
            ("country_code", code.into()),
            ("latitude", latitude.into()),
            ("longitude", longitude.into()),
        ])
    };
    let mut writer = Writer::builder("new").ip_version(IpVersion::V4).build();
    for (network, value) in [
        ("193.61.165.0/24", place("London", "GB", 51.5085, -0.12574)),
        ("193.61.170.0/24", place("Paris", "FR", 48.8534, 2.3488)),
        ("45.45.45.0/24", place("Toronto", "CA", 43.7, -79.4)),
    ] {
        let network: ipnet::IpNet = network.parse().expect("a network");
        writer.insert_value(network, value).expect("a free network");
    }
    writer.to_bytes().expect("a database")
}

/// Located hosts, and two candidates: a newer database and one that is none.
fn installation() -> Installation {
    let installation = Installation::located();
    fs::create_dir(installation.path("mmdb/candidates")).expect("a folder");
    installation.write("mmdb/candidates/newer.mmdb", newer());
    installation.write("mmdb/candidates/text.mmdb", "no database");
    installation
}

fn names(list: &Json) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|file| file["name"].as_str().expect("a name")).collect()
}

async fn compared(server: &Server, name: &str) -> Json {
    let (status, begun) = post_json(server, &format!("/api/v1/databases/{name}/compare"), &json!({})).await;
    assert_eq!((status, &begun["name"], &begun["state"]), (202, &json!(name), &json!("running")), "{begun}");
    until(server, "/api/v1/databases", |all| all["comparison"]["state"] != "running").await["comparison"]
        .clone()
}

#[tokio::test]
async fn candidates_are_listed_and_not_in_use() {
    let installation = installation();
    let server = installation.serve();

    let all = get_json(&server, "/api/v1/databases").await;

    assert_eq!(names(&all["installed"]), ["asn.mmdb", "city.mmdb"]);
    assert_eq!(names(&all["candidates"]), ["newer.mmdb", "text.mmdb"]);
    assert_eq!(
        (&all["installed"][1]["in_use"], &all["installed"][1]["role"], &all["comparison"]),
        (&json!(true), &json!("city"), &Json::Null)
    );
}

#[tokio::test]
async fn a_comparison_tells_what_would_change_and_changes_nothing() {
    let installation = installation();
    let server = installation.serve();

    let told = compared(&server, "newer.mmdb").await;

    let result = &told["result"];
    assert_eq!((&told["state"], &result["path"]), (&json!("finished"), &json!("newer.mmdb")), "{told}");
    assert_eq!(
        ["hosts", "other_country", "gained", "lost"].map(|name| result[name].clone()),
        [5, 1, 1, 1].map(Json::from)
    );
    assert_eq!(
        (&result["moves"]["same"], &result["moves"]["under_500_km"], &result["farthest"][0]["ip"]),
        (&json!(2), &json!(1), &json!("193.61.170.1"))
    );
    let host = get_json(&server, "/api/v1/hosts/193.61.170.1").await;
    assert_eq!(host["location"]["city"], "London");
}

#[tokio::test]
async fn what_is_no_database_fails_without_its_path() {
    let installation = installation();
    let server = installation.serve();

    let told = compared(&server, "text.mmdb").await;

    assert_eq!(told["state"], "failed");
    let detail = told["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("`text.mmdb` is no MMDB file") && !detail.contains("candidates"), "{detail}");
    assert_eq!(compared(&server, "newer.mmdb").await["state"], "finished");
}

#[tokio::test]
async fn only_a_listed_name_is_compared() {
    let installation = installation();
    let server = installation.serve();
    for name in ["..%2Fcity.mmdb", "%2Fetc%2Fpasswd", "..", "city.mmdb", "newer.mmdb%00", "newer"] {
        let (status, _) = post_json(&server, &format!("/api/v1/databases/{name}/compare"), &json!({})).await;
        assert!(status == 404 || status == 400, "{name}: {status}");
        let form = client()
            .post(server.url("/api/fn/databases/compare"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("name={name}"))
            .send()
            .await
            .expect("an answer");
        let refused = form.text().await.expect("a body");
        assert!(refused.contains("no candidate is called"), "{name}: {refused}");
    }
    assert_eq!(get_json(&server, "/api/v1/databases").await["comparison"], Json::Null);
}

#[tokio::test]
async fn the_page_is_whole_without_scripts() {
    let installation = installation();
    let server = installation.serve();
    let _ = compared(&server, "newer.mmdb").await;

    let answer = client().get(server.url("/databases")).header("accept", "text/html").send().await;

    let html = answer.expect("an answer").text().await.expect("a page");
    for expected in ["city.mmdb", "text.mmdb", "would move 1 of 5", "/hosts/193.61.170.1", "Paris"] {
        assert!(html.contains(expected), "{expected} is not in {html}");
    }
}
