//! Makes the committed files that come from npm packages: the base map and Leaflet.

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

/// Installs the packages that `package.json` names, and writes `public/basemap` and `public/vendor` again.
pub fn make() -> Result<()> {
    workspace::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]))?;
    workspace::run(Command::new("node").arg("xtask/basemap.mjs"))?;
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
        for scale in ["110m", "50m"] {
            let path = workspace::root().join(format!("public/basemap/countries-{scale}.json"));
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
            assert_eq!((scale, edges), (scale, 0));
        }
    }

    #[test]
    fn every_country_with_a_number_has_a_two_letter_code() {
        let path = workspace::root().join("public/basemap/countries-50m.json");
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
