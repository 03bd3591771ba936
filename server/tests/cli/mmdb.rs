use mmdb_writer::{IpVersion, Value, Writer};
use serde_json::json;

use crate::{shown, support::Installation};

fn place(city: &str, code: &str, latitude: f64, longitude: f64) -> Value {
    Value::map([
        ("city", Value::from(city)),
        ("country_code", code.into()),
        ("latitude", latitude.into()),
        ("longitude", longitude.into()),
    ])
}

fn database(networks: &[(&str, Value)]) -> Vec<u8> {
    let mut writer = Writer::builder("new").ip_version(IpVersion::V4).build();
    for (network, value) in networks {
        let network: ipnet::IpNet = network.parse().expect("a network");
        writer.insert_value(network, value.clone()).expect("a free network");
    }
    writer.to_bytes().expect("a database")
}

/// Leaves two hosts in London, moves one to Paris, knows one that was unknown, and does not know one that was known.
fn newer() -> Vec<u8> {
    database(&[
        ("193.61.165.0/24", place("London", "GB", 51.5085, -0.12574)),
        ("193.61.170.0/24", place("Paris", "FR", 48.8534, 2.3488)),
        ("45.45.45.0/24", place("Toronto", "CA", 43.7, -79.4)),
    ])
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_comparison_tells_who_would_move_how_far_and_changes_nothing() {
    let installation = Installation::located();
    installation.write("new.mmdb", newer());
    let before = installation.run(&["stats", "coverage", "--json"]);
    let ended = installation.run(&["mmdb", "compare", "new.mmdb", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = ended.json();
    let counts =
        ["hosts", "moves", "other_country", "gained", "lost", "still_unlocated", "not_covered", "kept"]
            .map(|name| told[name].clone());
    let moves = json!({
        "same": 2, "under_1_km": 0, "under_10_km": 0, "under_100_km": 0, "under_500_km": 1, "farther": 0
    });
    assert_eq!(counts, [json!(5), moves, json!(1), json!(1), json!(1), json!(0), json!(0), json!(0)]);
    let far = &told["farthest"];
    assert_eq!(
        (&far[0]["ip"], &far[0]["from"]["label"], &far[0]["to"]["country_code"], &far[1]),
        (&json!("193.61.170.1"), &json!("London"), &json!("FR"), &serde_json::Value::Null)
    );
    assert!((far[0]["distance_km"].as_f64().expect("a distance") - 343.0).abs() < 3.0, "{far}");
    assert_eq!(installation.run(&["stats", "coverage", "--json"]).stdout, before.stdout);
}

#[test]
fn a_pinned_host_would_stay() {
    let installation = Installation::located();
    installation.write("new.mmdb", newer());
    let pinned = installation.run(&["hosts", "pin", "193.61.170.1", "--latitude", "10", "--longitude", "10"]);
    let told = installation.run(&["mmdb", "compare", "new.mmdb", "--json"]).json();
    assert_eq!((pinned.code, &told["kept"], &told["other_country"]), (Some(0), &json!(1), &json!(0)));
}

#[test]
fn people_read_a_comparison_as_a_table() {
    let installation = Installation::located();
    installation.write("new.mmdb", newer());
    let text = installation.run(&["mmdb", "compare", "new.mmdb", "--table"]).stdout;
    let text = in_one_line(&text);
    for line in ["would move 1", "100 to 500 km 1", "km 193.61.170.1 London, GB -> Paris, FR"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn what_is_no_database_of_places_is_refused_in_words() {
    let installation = Installation::located();
    installation.write("text.mmdb", "no database");
    installation.write("cut.mmdb", &newer()[..100]);
    let told = |file: &str| {
        let ended = installation.run(&["mmdb", "compare", file]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", shown(&ended));
        ended.stderr.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let no_mmdb = |file: &str| {
        vec![
            format!("error: `{file}` is no MMDB file, or is cut short: it does not end with MMDB metadata"),
            "hint: download it again, as a file that ends in `.mmdb`; archives must be unpacked first"
                .to_owned(),
        ]
    };
    assert_eq!(told("missing.mmdb"), ["error: `missing.mmdb` does not exist", "hint: check the path"]);
    assert_eq!(told("mmdb"), ["error: `mmdb` is no file", "hint: name an MMDB file"]);
    assert_eq!(
        told("mmdb/asn.mmdb"),
        [
            "error: `mmdb/asn.mmdb` holds networks and no places, so no host would move",
            "hint: name a city or country database",
        ]
    );
    assert_eq!((told("text.mmdb"), told("cut.mmdb")), (no_mmdb("text.mmdb"), no_mmdb("cut.mmdb")));
}

#[test]
fn status_names_every_file_and_fails_where_one_is_broken() {
    let installation = Installation::new();
    let sound = installation.run(&["mmdb", "status"]);
    let files: Vec<_> = sound
        .json_lines()
        .iter()
        .map(|file| json!([file["path"], file["role"], file["families"], file["in_use"], file["problem"]]))
        .collect();
    let none = serde_json::Value::Null;
    assert_eq!(
        (sound.code, files),
        (
            Some(0),
            vec![
                json!(["mmdb/asn.mmdb", "asn", "ipv4", true, none]),
                json!(["mmdb/city.mmdb", "city", "both", true, none]),
            ]
        )
    );
    installation.write("mmdb/broken.mmdb", "no database");
    let broken = installation.run(&["mmdb", "status", "--table"]);
    assert_eq!(broken.code, Some(1));
    assert!(
        in_one_line(&broken.stdout).contains("problem is no MMDB file, or is cut short"),
        "{}",
        shown(&broken)
    );
}
