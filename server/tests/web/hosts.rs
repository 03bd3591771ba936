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
        ("/api/v1/hosts?sort=last_seen&q=port:443", 400, "not_supported"),
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
async fn a_page_refuses_an_order_that_it_does_not_have() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    let page = |path: &'static str| {
        let url = server.url(path);
        async move {
            let answer = client().get(url).send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("a page"))
        }
    };
    let (filtered, html) = page("/hosts?q=port:443&sort=last_seen").await;
    assert_eq!(filtered, 400);
    assert!(html.contains("cannot be sorted by"), "{html}");
    assert_eq!(page("/hosts?sort=colour").await.0, 400);
    let (all, html) = page("/hosts?sort=last_seen").await;
    assert!(all == 200 && html.contains("/hosts?sort=first_seen"), "{html}");
    let (filtered, html) = page("/hosts?q=port:443").await;
    assert!(filtered == 200 && !html.contains("sort=first_seen"), "{html}");
}

#[tokio::test]
async fn a_page_without_a_match_says_why() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    for path in ["/hosts?q=9.9.9.9", "/?q=9.9.9.9"] {
        let answer = client().get(server.url(path)).send().await.expect("an answer");
        let html = answer.text().await.expect("a page");
        assert!(html.contains("No imported scan saw the address `9.9.9.9`."), "{path}: {html}");
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
async fn export(server: &crate::support::Server, query: &str) -> (Vec<String>, String) {
    let answer =
        client().get(server.url(&format!("/api/v1/hosts/export{query}"))).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{query}");
    let headers = ["content-type", "content-disposition"]
        .map(|name| answer.headers()[name].to_str().expect("text").to_owned());
    (headers.into(), answer.text().await.expect("whole"))
}

#[tokio::test]
async fn an_export_is_a_file_of_every_host_that_matches() {
    let installation = Installation::located();
    let server = installation.serve();

    let (headers, csv) = export(&server, "?q=country:GB").await;
    assert_eq!(headers, ["text/csv; charset=utf-8; header=present", "attachment; filename=\"hosts.csv\""]);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("ip,first_seen,last_seen,location_state"), "{csv}");
    let starts: Vec<&str> = lines[1..].iter().filter_map(|line| line.split(',').next()).collect();
    assert_eq!(starts, ["193.61.165.138", "193.61.165.139", "193.61.170.1"]);
    assert_eq!(csv, installation.run(&["hosts", "export", "country:GB", "--format", "csv"]).stdout);

    let (headers, ndjson) = export(&server, "?format=ndjson").await;
    assert_eq!(headers, ["application/x-ndjson", "attachment; filename=\"hosts.ndjson\""]);
    let lines = ndjson.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    assert_eq!(lines.filter(|host| host["ip"].is_string()).count(), 6);

    let (headers, addresses) = export(&server, "?q=port:443&format=addresses").await;
    assert_eq!(headers, ["text/plain; charset=utf-8", "attachment; filename=\"addresses.txt\""]);
    assert_eq!(addresses, "10.0.0.1\n45.45.45.45\n193.61.165.139\n");
}

#[tokio::test]
async fn an_export_holds_the_fields_that_were_asked_for() {
    let installation = Installation::located();
    let server = installation.serve_with(&["--no-worker"]);
    let (_, csv) = export(&server, "?q=country:US&fields=city,ip").await;
    assert_eq!(csv, "city,ip\nMountain View,8.8.8.8\n");
    let (_, ndjson) = export(&server, "?q=country:US&format=ndjson&fields=ip,ports").await;
    assert_eq!(ndjson, "{\"ip\":\"8.8.8.8\",\"ports\":[53]}\n");
    for query in ["?fields=ip,location.city", "?fields=ip&format=addresses"] {
        let answer = client()
            .get(server.url(&format!("/api/v1/hosts/export{query}")))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 400, "{query}");
        let problem: serde_json::Value = answer.json().await.expect("a problem");
        assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("city") || hint.contains("csv")));
    }
}

#[tokio::test]
async fn an_export_goes_over_its_pages_to_the_end_and_may_be_empty() {
    let installation = Installation::new();
    let sample = crate::support::repository().join("samples/scans/public-5k.json");
    assert_eq!(installation.run(&["import", sample.to_str().expect("UTF-8")]).code, Some(0));
    let server = installation.serve_with(&["--no-worker"]);

    let (_, addresses) = export(&server, "?format=addresses").await;
    assert_eq!(addresses, installation.run(&["hosts", "export", "--format", "addresses"]).stdout);
    assert_eq!(addresses.lines().count(), 5_000);

    let (_, nothing) = export(&server, "?q=city:Atlantis&format=ndjson").await;
    let (_, heading) = export(&server, "?q=city:Atlantis").await;
    assert_eq!((nothing.as_str(), heading.lines().count()), ("", 1));
}

#[tokio::test]
async fn an_export_holds_no_formula_of_a_provider() {
    let installation = Installation::located();
    let server = installation.serve();
    let place = json!({"latitude": 1.0, "longitude": 2.0, "city": "=HYPERLINK(\"http://x\")", "region": null, "country_code": null});
    let pinned = client()
        .put(server.url("/api/v1/hosts/8.8.8.8/location"))
        .json(&place)
        .send()
        .await
        .expect("an answer");
    assert!(pinned.status().is_success(), "{pinned:?}");

    let (_, csv) = export(&server, "?q=8.8.8.8").await;

    assert!(csv.contains(",\"'=HYPERLINK(\"\"http://x\"\")\","), "{csv}");
}

#[tokio::test]
async fn an_export_that_is_not_understood_is_refused_before_it_begins() {
    let installation = Installation::located();
    let server = installation.serve();
    for query in ["?q=prot:443", "?format=xlsx", "?q=port:0", "?limit=5"] {
        let answer = client()
            .get(server.url(&format!("/api/v1/hosts/export{query}")))
            .send()
            .await
            .expect("an answer");
        let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
        assert_eq!((answer.status().as_u16(), kind.as_str()), (400, "application/problem+json"), "{query}");
        assert!(!answer.headers().contains_key("content-disposition"), "{query}");
    }
}
