use hostatlas_domain::ProviderName;
use serde_json::{Value, json};

use crate::support::{Installation, Online, Server, client, get_json, post_json, until};

fn listed<'a>(list: &'a Value, name: &str) -> &'a Value {
    let items = list["items"].as_array().expect("items");
    items.iter().find(|status| status["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

async fn send(server: &Server, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let method = method.parse().expect("a method");
    let mut request = client().request(method, server.url(path));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or(Value::Null))
}

#[tokio::test]
async fn providers_are_listed_with_whom_they_tell_and_what_is_left() {
    let (installation, online) = (Installation::located(), Online::start());
    let server = installation.serve_online(&online.variables("mmdb,ip-api"), &[]);

    let (tested, answer) =
        post_json(&server, "/api/v1/providers/ip-api/test", &json!({"ip": "8.8.8.8"})).await;
    let list = get_json(&server, "/api/v1/providers").await;

    assert_eq!((tested, &answer["status"], &answer["provider"]), (200, &json!("located"), &json!("ip-api")));
    let (mmdb, ip_api) = (listed(&list, "mmdb"), listed(&list, "ip-api"));
    assert_eq!(
        (&mmdb["enabled"], &mmdb["position"], &mmdb["third_party"]),
        (&json!(true), &json!(1), &json!(null))
    );
    assert_eq!(
        (&ip_api["position"], &ip_api["clear_text"], &ip_api["calls"], &ip_api["addresses_sent"]),
        (&json!(2), &json!(true), &json!(1), &json!(1))
    );
    let lookups = ip_api["limits"].as_array().expect("limits").iter();
    let lookups = lookups.filter(|limit| limit["name"] == "lookups a minute").collect::<Vec<_>>();
    assert_eq!((&lookups[0]["permits"], &lookups[0]["left"]), (&json!(45), &json!(44)));
    assert_eq!(listed(&list, "ipwhois")["enabled"], false);
}

#[tokio::test]
async fn what_is_not_configured_or_private_is_not_tested() {
    let installation = Installation::located();
    let server = installation.serve();
    let test = |name: &str, ip: &str| {
        let path = format!("/api/v1/providers/{name}/test");
        let body = json!({"ip": ip});
        let server = &server;
        async move { post_json(server, &path, &body).await.0 }
    };
    assert_eq!(
        [
            test("ip-api", "8.8.8.8").await,
            test("nobody", "8.8.8.8").await,
            test("mmdb", "10.0.0.1").await,
            test("mmdb", "x").await,
            test("mmdb", "8.8.8.8").await
        ],
        [404, 404, 409, 400, 200]
    );
}

#[tokio::test]
async fn asking_all_shows_every_answer_with_its_distance_and_the_one_that_counts() {
    let (installation, online) = (Installation::located(), Online::start());
    let server = installation.serve_online(&online.variables("mmdb,ip-api,freeipapi"), &["--no-worker"]);

    let (status, all) = post_json(&server, "/api/v1/hosts/8.8.8.8/ask-all", &json!({})).await;
    let kept = get_json(&server, "/api/v1/hosts/8.8.8.8/answers").await;

    assert_eq!(status, 200, "{all}");
    let answers = all["answers"].as_array().expect("answers");
    assert_eq!(answers.len(), 3);
    assert_eq!((&answers[0]["chosen"], &answers[0]["answer"]["provider"]), (&json!(true), &json!("mmdb")));
    assert!(answers[1]["distance_km"].is_number() && all["spread_km"].is_number());
    assert_eq!(kept["answers"].as_array().map(Vec::len), Some(3));
    assert_eq!(online.stand_in.statistics(ProviderName::Freeipapi).addresses_answered, 1);

    let (unknown, _) = post_json(&server, "/api/v1/hosts/9.9.9.9/ask-all", &json!({})).await;
    let (private, _) = post_json(&server, "/api/v1/hosts/10.0.0.1/ask-all", &json!({})).await;
    assert_eq!((unknown, private), (404, 409));
    assert_eq!(online.stand_in.statistics(ProviderName::Freeipapi).addresses_answered, 1);
}

#[tokio::test]
async fn a_provider_that_is_down_is_among_the_answers_with_why() {
    let (installation, online) = (Installation::located(), Online::start());
    online.stand_in.set_down(ProviderName::Freeipapi, true);
    let server = installation.serve_online(&online.variables("mmdb,freeipapi"), &["--no-worker"]);

    let (status, all) = post_json(&server, "/api/v1/hosts/8.8.8.8/ask-all", &json!({})).await;

    assert_eq!(status, 200);
    let silent = &all["answers"][1]["answer"];
    assert_eq!((&silent["provider"], &silent["status"]), (&json!("freeipapi"), &json!("failed")));
    assert!(silent["reason"].is_string());
    assert_eq!(all["answers"][0]["answer"]["city"], "Mountain View");
}

#[tokio::test]
async fn a_pinned_host_stays_where_it_was_put_until_it_is_let_go() {
    let installation = Installation::located();
    let server = installation.serve();
    let path = "/api/v1/hosts/8.8.8.8/location";
    let sydney = json!({"latitude": -33.87, "longitude": 151.21, "city": "Sydney", "country_code": "AU"});

    let (pinned, host) = send(&server, "PUT", path, Some(sydney)).await;
    assert_eq!((pinned, &host["pinned"], &host["location"]["city"]), (200, &json!(true), &json!("Sydney")));
    let (_, queued) = post_json(&server, "/api/v1/hosts/8.8.8.8/geolocate", &json!({"force": true})).await;
    until(&server, &format!("/api/v1/jobs/{}", queued["job"]), |job| job["state"] == "completed").await;
    assert_eq!(get_json(&server, "/api/v1/hosts/8.8.8.8").await["location"]["city"], "Sydney");

    let (released, host) = send(&server, "DELETE", path, None).await;
    assert_eq!((released, &host["pinned"]), (200, &json!(false)));
    let back = until(&server, "/api/v1/hosts/8.8.8.8", |host| host["location"]["city"] != "Sydney").await;
    assert_eq!(back["location"]["city"], "Mountain View");

    let cases = [
        (json!({"latitude": 95.0, "longitude": 0.5}), 400),
        (json!({"latitude": 5.0, "longitude": 0.5, "country_code": "XX"}), 400),
        (json!({"latitude": 5.0}), 422),
        (json!([5.0, 0.5, null, null, null]), 422),
        (json!({"latitude": 5.0, "longitude": 0.5, "altitude": 7}), 422),
    ];
    for (body, expected) in cases {
        assert_eq!(send(&server, "PUT", path, Some(body.clone())).await.0, expected, "{body}");
    }
    // Without a body there is no place, and zero degrees north and east is none either.
    assert_eq!(send(&server, "PUT", path, None).await.0, 400);
    assert_eq!(get_json(&server, "/api/v1/hosts/8.8.8.8").await["pinned"], false);
    let unknown = json!({"latitude": 5.0, "longitude": 0.5});
    assert_eq!(send(&server, "PUT", "/api/v1/hosts/9.9.9.9/location", Some(unknown)).await.0, 404);
}

#[tokio::test]
async fn coverage_tells_how_long_the_rest_takes_and_cost_whom_it_tells() {
    let (installation, online) = (Installation::imported(), Online::start());
    let server = installation.serve_online(&online.variables("mmdb,ip-api"), &["--no-worker"]);

    let coverage = get_json(&server, "/api/v1/coverage").await;
    let many = get_json(&server, "/api/v1/cost").await;
    let known = get_json(&server, "/api/v1/hosts/8.8.8.8/geolocate/cost").await;

    assert_eq!(
        coverage["forecast"],
        json!([
            {"provider": "mmdb", "hosts": 5, "seconds": 1},
            {"provider": "ip-api", "hosts": 5, "seconds": 1}
        ])
    );
    assert_eq!((&many["hosts"], &many["online"], &many["exact"]), (&json!(5), &json!(1), &json!(true)));
    assert_eq!(many["third_parties"][0]["provider"], "ip-api");
    assert_eq!(known["online"], 0);
    assert_eq!(online.stand_in.statistics(ProviderName::IpApi).requests, 0);
}

#[tokio::test]
async fn many_clicks_on_one_host_are_one_question() {
    let (installation, online) = (Installation::imported(), Online::start());
    let server = installation.serve_online(&online.variables("ip-api"), &[]);
    let clicks = (0..50).map(|_| {
        let server = &server;
        async move { post_json(server, "/api/v1/hosts/8.8.8.8/geolocate", &json!({})).await.0 }
    });
    let statuses = futures_join(clicks).await;
    assert!(statuses.iter().all(|status| *status == 202), "{statuses:?}");
    until(&server, "/api/v1/hosts/8.8.8.8", |host| host["location"].is_object()).await;
    until(&server, "/api/v1/jobs/stats", |stats| {
        stats["geolocation"]["available"] == 0 && stats["geolocation"]["running"] == 0
    })
    .await;
    // The other hosts of the scan are asked about as well, each once.
    assert_eq!(online.stand_in.statistics(ProviderName::IpApi).addresses_answered, 5);
}

async fn futures_join<T>(all: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut answers = Vec::new();
    for one in all {
        answers.push(one.await);
    }
    answers
}
