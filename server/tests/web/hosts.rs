use serde_json::json;

use crate::support::{Installation, client, get_json, post_json, until};

fn ips(page: &serde_json::Value) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().map(|host| host["ip"].as_str().expect("ip")).collect()
}

#[tokio::test]
async fn hosts_are_listed_by_address_and_page_by_page() {
    let installation = Installation::located();
    let server = installation.serve();

    let first = get_json(&server, "/api/v1/hosts?limit=4&q=&cursor=").await;
    let cursor = first["next_cursor"].as_str().expect("a next page");
    let second = get_json(&server, &format!("/api/v1/hosts?limit=4&cursor={cursor}")).await;

    assert_eq!(ips(&first), ["8.8.8.8", "10.0.0.1", "45.45.45.45", "193.61.165.138"]);
    assert_eq!(ips(&second), ["193.61.165.139", "193.61.170.1"]);
    assert_eq!(second["next_cursor"], json!(null));
}

#[tokio::test]
async fn a_query_filters_by_country_port_block_city_and_network() {
    let installation = Installation::located();
    let server = installation.serve();

    let queries = [
        ("country:GB", vec!["193.61.165.138", "193.61.165.139", "193.61.170.1"]),
        ("port:443", vec!["10.0.0.1", "45.45.45.45", "193.61.165.139"]),
        ("net:193.61.165.0/24", vec!["193.61.165.138", "193.61.165.139"]),
        ("city:%22Mountain%20View%22", vec!["8.8.8.8"]),
        ("asn:AS786%20port:25", vec!["193.61.165.138"]),
        ("state:unlocated", vec!["45.45.45.45"]),
        ("state:not_applicable", vec!["10.0.0.1"]),
        ("8.8.8.8", vec!["8.8.8.8"]),
    ];

    for (query, expected) in queries {
        assert_eq!(ips(&get_json(&server, &format!("/api/v1/hosts?q={query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn a_host_is_shown_with_its_location_and_services() {
    let installation = Installation::located();
    let server = installation.serve();

    let host = get_json(&server, "/api/v1/hosts/193.61.165.139").await;

    let location = &host["location"];
    let ports: Vec<_> =
        host["services"].as_array().expect("services").iter().map(|service| &service["port"]).collect();
    assert_eq!(
        (&host["location_state"], &location["city"], &location["country_code"], &location["asn"], ports),
        (&json!("located"), &json!("London"), &json!("GB"), &json!("AS786"), vec![&json!(80), &json!(443)])
    );
    assert_eq!(location["status"], "located");
    assert!(location["located_at"].is_string() && location["database_build"].is_string());
}

#[tokio::test]
async fn what_is_not_understood_is_a_problem_and_never_a_wider_result() {
    let installation = Installation::located();
    let server = installation.serve();
    let cases = [
        ("/api/v1/hosts?q=colour:red", 400, "not_supported"),
        ("/api/v1/hosts?q=port:99999", 400, "invalid_request"),
        ("/api/v1/hosts?query=country:GB", 400, "invalid_request"),
        ("/api/v1/hosts?limit=0", 400, "invalid_request"),
        ("/api/v1/hosts?limit=1001", 400, "invalid_request"),
        ("/api/v1/hosts?limit=many", 400, "invalid_request"),
        ("/api/v1/hosts?cursor=zz", 400, "invalid_request"),
        ("/api/v1/hosts?sort=colour", 400, "invalid_request"),
        ("/api/v1/hosts/203.0.113.77", 404, "not_found"),
        ("/api/v1/hosts/x", 400, "invalid_request"),
        ("/api/v1/nothing", 404, "not_found"),
    ];
    for (path, status, code) in cases {
        let answer = client().get(server.url(path)).send().await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
        let problem: serde_json::Value = answer.json().await.expect("a problem");
        let instance = path.split('?').next().expect("a path");
        assert_eq!(
            (&problem["code"], &problem["status"], &problem["instance"], &problem["request_id"]),
            (&json!(code), &json!(status), &json!(instance), &json!(id)),
            "{path}"
        );
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{path}");
    }
}

#[tokio::test]
async fn a_click_queues_a_job_and_its_result_is_stored() {
    let installation = Installation::imported();
    let server = installation.serve();

    let (status, queued) =
        post_json(&server, "/api/v1/hosts/8.8.8.8/geolocate", &json!({"force": true})).await;

    assert_eq!(status, 202);
    let job = format!("/api/v1/jobs/{}", queued["job"]);
    let done = until(&server, &job, |job| job["state"] == "completed").await;
    let host = get_json(&server, "/api/v1/hosts/8.8.8.8").await;
    assert_eq!((&done["ip"], &host["location"]["city"]), (&json!("8.8.8.8"), &json!("Mountain View")));
}

#[tokio::test]
async fn a_second_click_meets_the_same_job() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    let click = || async { post_json(&server, "/api/v1/hosts/8.8.8.8/geolocate", &json!({})).await };

    let (_, first) = click().await;
    let (_, second) = click().await;

    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!(first["job"], second["job"]);
}

#[tokio::test]
async fn unknown_and_private_hosts_are_not_looked_up() {
    let installation = Installation::located();
    let server = installation.serve();

    let (unknown, body) = post_json(&server, "/api/v1/hosts/203.0.114.1/geolocate", &json!({})).await;
    let (private, _) = post_json(&server, "/api/v1/hosts/10.0.0.1/geolocate", &json!({})).await;

    assert_eq!((unknown, private), (404, 409));
    assert!(body["hint"].as_str().expect("a hint").contains("import"));
}
