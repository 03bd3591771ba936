//! Makes the committed files that come from packages of others: the base map and Leaflet.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace;

/// Leaflet as its authors published it. The version stands in the path, so a page may cache it for ever.
pub const LEAFLET: &str = "public/vendor/leaflet-1.9.4";

/// SHA-256 of every file of the vendored Leaflet.
pub const LEAFLET_FILES: [(&str, &str, &str); 8] = [
    ("LICENSE", "LICENSE", "53e8dc25862014e4324741ca18fbe3611e11d42ef69f59f86ea8c5389647d4cb"),
    ("leaflet.js", "dist/leaflet.js", "db49d009c841f5ca34a888c96511ae936fd9f5533e90d8b2c4d57596f4e5641a"),
    ("leaflet.css", "dist/leaflet.css", "a7837102824184820dfa198d1ebcd109ff6d0ff9a2672a074b9a1b4d147d04c6"),
    (
        "images/layers.png",
        "dist/images/layers.png",
        "1dbbe9d028e292f36fcba8f8b3a28d5e8932754fc2215b9ac69e4cdecf5107c6",
    ),
    (
        "images/layers-2x.png",
        "dist/images/layers-2x.png",
        "066daca850d8ffbef007af00b06eac0015728dee279c51f3cb6c716df7c42edf",
    ),
    (
        "images/marker-icon.png",
        "dist/images/marker-icon.png",
        "574c3a5cca85f4114085b6841596d62f00d7c892c7b03f28cbfa301deb1dc437",
    ),
    (
        "images/marker-icon-2x.png",
        "dist/images/marker-icon-2x.png",
        "00179c4c1ee830d3a108412ae0d294f55776cfeb085c60129a39aa6fc4ae2528",
    ),
    (
        "images/marker-shadow.png",
        "dist/images/marker-shadow.png",
        "264f5c640339f042dd729062cfc04c17f8ea0f29882b538e3848ed8f10edb4da",
    ),
];

/// The Python packages that carry Natural Earth's 1:10 million set, with their hashes; nothing of them is run.
const SOURCES: &str = "xtask/basemap-sources.txt";
/// Where they are unpacked.
const UNPACKED: &str = "target/basemap";
/// One of them holds programs beside its data, so pip wants to know for which machine. The data are the same in all.
const ANY_MACHINE: [&str; 8] = [
    "--python-version",
    "3.12",
    "--implementation",
    "cp",
    "--abi",
    "cp312",
    "--platform",
    "manylinux2014_x86_64",
];

/// Installs the packages that `package.json` and `SOURCES` name, and writes `public/basemap` and `public/vendor` again.
pub fn make() -> Result<()> {
    workspace::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]))?;
    workspace::run(Command::new("node").arg("xtask/basemap.mjs"))?;
    let _ = fs::remove_dir_all(UNPACKED);
    workspace::run(
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:"])
            .args(ANY_MACHINE)
            .args(["--require-hashes", "--requirement", SOURCES, "--target", UNPACKED]),
    )?;
    workspace::run(Command::new("node").args(["xtask/basemap-detail.mjs", UNPACKED]))?;
    for (name, source, _) in LEAFLET_FILES {
        let target = Path::new(LEAFLET).join(name);
        fs::create_dir_all(target.parent().unwrap_or(Path::new(LEAFLET)))?;
        fs::copy(Path::new("node_modules/leaflet").join(source), &target)
            .with_context(|| format!("cannot copy {source}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTLINES: &str = "xtask/data/countries-50m.json";

    #[test]
    fn the_vendored_leaflet_is_what_its_authors_published() {
        let folder = workspace::root().join(LEAFLET);

        let changed: Vec<&str> = LEAFLET_FILES
            .iter()
            .filter(|(name, _, sha256)| {
                workspace::sha256_file(&folder.join(name)).ok().as_deref() != Some(*sha256)
            })
            .map(|(name, _, _)| *name)
            .collect();

        assert_eq!(changed, Vec::<&str>::new());
    }

    #[test]
    fn no_outline_of_the_base_map_crosses_the_whole_world() {
        for file in ["public/basemap/countries-110m.json", OUTLINES] {
            let path = workspace::root().join(file);
            let map: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            let mut edges = 0;
            for feature in map["features"].as_array().unwrap() {
                for ring in feature["geometry"]["coordinates"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(|p| p.as_array().unwrap())
                {
                    let points: Vec<(f64, f64)> = ring
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|point| (point[0].as_f64().unwrap(), point[1].as_f64().unwrap()))
                        .collect();
                    // Antarctica ends at the map's own lower edge, which is one long line.
                    edges += points
                        .windows(2)
                        .filter(|pair| (pair[0].0 - pair[1].0).abs() > 60.0 && pair[0].1 > -80.0)
                        .count();
                }
            }
            assert_eq!((file, edges), (file, 0));
        }
    }

    #[test]
    fn the_tiles_that_are_listed_are_there_and_no_others() {
        let base = workspace::root().join("public/basemap");
        let index: serde_json::Value =
            serde_json::from_slice(&fs::read(base.join("detail.json")).unwrap()).unwrap();
        let folder = index["folder"].as_str().unwrap();
        let mut listed = Vec::new();
        for level in index["levels"].as_array().unwrap() {
            for (y, row) in level["rows"].as_array().unwrap().iter().enumerate() {
                let there = row.as_str().unwrap().char_indices().filter(|(_, tile)| *tile == '1');
                listed.extend(there.map(|(x, _)| format!("{}/{x}-{y}.json", level["grid"])));
            }
        }
        listed.sort();

        let mut found: Vec<String> = workspace::files_below(&base.join(folder))
            .unwrap()
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        found.sort();

        let folders = fs::read_dir(&base).unwrap().filter_map(Result::ok);
        let folders = folders.filter(|entry| entry.path().is_dir()).count();
        assert!(listed.len() > 2_000, "{}", listed.len());
        assert_eq!((found, folders), (listed, 1));
    }

    #[test]
    fn a_tile_over_a_city_holds_all_that_is_drawn_there() {
        let base = workspace::root().join("public/basemap");
        let read = |path: &Path| -> serde_json::Value {
            serde_json::from_slice(&fs::read(base.join(path)).unwrap()).unwrap()
        };
        let folder = read(Path::new("detail.json"))["folder"].as_str().unwrap().to_owned();
        let tile = |name: &str| read(&Path::new(&folder).join(name));
        let all = ["land", "lake", "river", "stream", "state", "border"];

        // The Alps and the upper Rhine, with Zurich in it.
        let detail = tile("6/33-22.json");
        let names: Vec<&str> =
            detail["towns"].as_array().unwrap().iter().filter_map(|town| town[0].as_str()).collect();

        let missing: Vec<&str> = all.into_iter().filter(|layer| !detail[layer].is_string()).collect();
        assert_eq!(missing, Vec::<&str>::new());
        assert!(names.contains(&"Zürich"), "{names:?}");
    }

    #[test]
    fn every_country_with_a_number_has_a_two_letter_code() {
        let path = workspace::root().join(OUTLINES);
        let map: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let features = map["features"].as_array().unwrap();

        let without: Vec<&str> = features
            .iter()
            .map(|feature| &feature["properties"])
            .filter(|properties| {
                properties["id"] != "" && properties["a2"].as_str().is_none_or(|code| code.len() != 2)
            })
            .filter_map(|properties| properties["name"].as_str())
            .collect();

        assert_eq!((features.len(), without), (241, Vec::new()));
    }
}
