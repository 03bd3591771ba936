use serde_json::json;

use crate::support::{Installation, client, get_json};

#[tokio::test]
async fn imports_are_listed_newest_first_with_what_they_did() {
    let installation = Installation::imported();
    let again = installation.run(&["import", "scan.json"]);
    assert_eq!(again.code, Some(0));
    let server = installation.serve();

    let list = get_json(&server, "/api/v1/imports").await;
    let first = get_json(&server, &format!("/api/v1/imports/{}", list["items"][1]["id"])).await;

    let fact = |index: usize, name: &str| list["items"][index][name].clone();
    assert_eq!([fact(0, "hosts_new"), fact(1, "hosts_new")], [json!(0), json!(6)]);
    assert_eq!(
        (&first["source"], &first["state"], &first["format"]),
        (&json!("scan.json"), &json!("done"), &json!("masscan-json"))
    );
    assert_eq!(first["lines"]["ok"], 7);
}

#[tokio::test]
async fn an_unknown_import_is_404() {
    let installation = Installation::new();
    let server = installation.serve();
    let answer = client().get(server.url("/api/v1/imports/5")).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 404);
}

#[tokio::test]
async fn the_coverage_page_lists_the_latest_imports_with_their_state() {
    let installation = Installation::imported();
    // Nothing about where a host is: one record is bad, and the document ends in the middle of the next.
    let cut = "[\n{\"ip\":\"1.1.1.1\",\"timestamp\":\"1795434001\",\"ports\":[{\"port\":25,\"proto\":\"tcp\"}]},\n{\"ip\":\"9.9";
    installation.run(&["import", &installation.write("cut <short>.json", cut)]);
    assert_eq!(installation.run(&["import", "undo", "1"]).code, Some(0));
    let server = installation.serve_with(&["--no-worker"]);
    let html = client().get(server.url("/coverage")).send().await.expect("an answer");
    let html = html.text().await.expect("a page");
    let (_, list) = html.split_once("id=\"imports-list\"").expect("the list");
    let (latest, first) =
        list.split_once("</tr>").and_then(|(_, rows)| rows.split_once("</tr>")).expect("rows");
    assert!(latest.contains("cut &lt;short&gt;.json") && latest.contains("Done"), "{latest}");
    assert!(latest.contains("cut short") && latest.contains("/hosts?q=import:2"), "{latest}");
    assert!(first.contains("scan.json") && first.contains("Undone"), "{first}");
}
