use serde_json::json;

use crate::support::{Installation, client, get_json};

#[tokio::test]
async fn the_map_holds_every_located_host_of_the_world() {
    let installation = Installation::located();
    let server = installation.serve();

    let world = get_json(&server, "/api/v1/map?bbox=-180,-90,180,90&zoom=2&q=").await;

    let marks = world["clusters"].as_array().expect("marks");
    let hosts: u64 = marks.iter().filter_map(|mark| mark["hosts"].as_u64()).sum();
    assert_eq!((hosts, &world["hosts"], &world["places"]), (4, &json!(4), &json!(2)));
    assert_eq!(world["not_shown"], json!({"pending": 0, "unlocated": 1, "not_applicable": 1, "exact": true}));
}

#[tokio::test]
async fn a_place_has_its_hosts() {
    let installation = Installation::located();
    let server = installation.serve();
    let london = get_json(&server, "/api/v1/map?bbox=-1,51,1,52&zoom=10").await["clusters"][0].clone();
    assert_eq!((&london["kind"], &london["hosts"]), (&json!("place"), &json!(3)));

    let id = &london["place_id"];
    let place = get_json(&server, &format!("/api/v1/places/{id}")).await;
    let hosts = get_json(&server, &format!("/api/v1/places/{id}/hosts?limit=2")).await;

    assert_eq!(
        (&place["label"], &place["hosts"], &place["country_code"]),
        (&json!("London"), &json!(3), &json!("GB"))
    );
    assert_eq!(hosts["items"].as_array().map(Vec::len), Some(2));
    assert!(hosts["next_cursor"].is_string());
}

#[tokio::test]
async fn a_query_narrows_the_map() {
    let installation = Installation::located();
    let server = installation.serve();
    let american = get_json(&server, "/api/v1/map?bbox=-180,-90,180,90&zoom=3&q=country:US").await;
    assert_eq!((&american["hosts"], american["clusters"].as_array().map(Vec::len)), (&json!(1), Some(1)));
}

#[tokio::test]
async fn a_box_without_hosts_names_the_nearest_place() {
    let installation = Installation::located();
    let server = installation.serve();

    let empty = get_json(&server, "/api/v1/map?bbox=1,48,3,49.5&zoom=9").await;
    let filtered = get_json(&server, "/api/v1/map?bbox=1,48,3,49.5&zoom=9&q=country:US").await;
    let world = get_json(&server, "/api/v1/map").await;

    assert_eq!((&empty["hosts"], &empty["clusters"]), (&json!(0), &json!([])));
    assert_eq!((&empty["nearest"]["label"], &empty["nearest"]["hosts"]), (&json!("London"), &json!(3)));
    assert_eq!(filtered["nearest"]["country_code"], "US");
    assert_eq!(world["nearest"], json!(null));
}

#[tokio::test]
async fn the_page_of_a_filtered_map_counts_what_matches_and_says_where_it_is() {
    let installation = Installation::located();
    let server = installation.serve();
    let page = async |path: &str| {
        let answer = client().get(server.url(path)).send().await.expect("an answer");
        answer.text().await.expect("a page")
    };

    let all = page("/").await;
    let american = page("/?q=country:US").await;
    let nowhere = page("/?list=1&bbox=1,48,3,49.5&zoom=9").await;

    assert!(
        all.contains(
            "4 located and fresh, 0 stale, 0 pending, 1 unlocated, 1 not applicable, of 6\u{a0}hosts"
        ),
        "{all}"
    );
    assert!(!all.contains("data-extent"), "{all}");
    assert!(
        american.contains(
            "1 located and fresh, 0 stale, 0 pending, 0 unlocated, 0 not applicable, of 1\u{a0}host"
        ),
        "{american}"
    );
    assert!(american.contains("data-extent=\"-"), "{american}");
    assert!(american.contains("aria-label=\"Terms of the query\""), "{american}");
    assert!(nowhere.contains("No place is in this view."), "{nowhere}");
    assert!(nowhere.contains("The nearest is London, "), "{nowhere}");
}

#[tokio::test]
async fn the_map_of_another_process_s_import_follows() {
    let installation = Installation::new();
    let server = installation.serve();
    assert_eq!(get_json(&server, "/api/v1/map").await["hosts"], 0);
    let scan = installation.write("scan.json", crate::support::SCAN);

    assert_eq!(installation.run(&["import", &scan]).code, Some(0));

    crate::support::until(&server, "/api/v1/map", |map| map["hosts"] == 4).await;
}

#[tokio::test]
async fn boxes_and_zooms_that_are_none_are_problems() {
    let installation = Installation::new();
    let server = installation.serve();
    for query in [
        "bbox=1,2,3",
        "bbox=a,b,c,d",
        "bbox=0,50,10,40",
        "bbox=NaN,0,1,1",
        "zoom=-1",
        "zoom=25",
        "zoom=x",
        "q=colour:red",
    ] {
        let answer =
            client().get(server.url(&format!("/api/v1/map?{query}"))).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 400, "{query}");
    }
}
