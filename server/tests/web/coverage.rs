use serde_json::json;

use crate::support::{Installation, get_json};

#[tokio::test]
async fn coverage_partitions_the_hosts_and_names_reasons() {
    let installation = Installation::located();
    let server = installation.serve();

    let coverage = get_json(&server, "/api/v1/coverage").await;

    assert_eq!(
        coverage,
        json!({
            "total": 6, "located": 4, "pending": 0, "unlocated": 1, "not_applicable": 1, "stale": 0,
            "pending_unqueued": 0, "percent_located": 80.0,
            "unlocated_reasons": {"no_record": 1}, "not_applicable_classes": {"private": 1},
            "precision": {"city": 4}, "providers": {"mmdb": 4},
            "forecast": [{"provider": "mmdb", "hosts": 0, "seconds": 0}]
        })
    );
}

#[tokio::test]
async fn recent_results_countries_and_providers_are_listed() {
    let installation = Installation::located();
    let server = installation.serve();

    let recent = get_json(&server, "/api/v1/coverage/recent?limit=3").await;
    let countries = get_json(&server, "/api/v1/coverage/countries").await;
    let providers = get_json(&server, "/api/v1/coverage/providers").await;

    assert_eq!(recent["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        (&countries["items"][0]["country_code"], &countries["items"][0]["hosts"]),
        (&json!("GB"), &json!(3))
    );
    assert_eq!(providers, json!({"items": [{"provider": "mmdb", "hosts": 4}]}));
}
