//! Makes the outlines by which an online answer is held to the country that it names, from the base map.
//!
//! The file is the countries by code: two letters, the number of rings, and of each ring the number of its points
//! and the points, longitude first, in hundredths of a degree as the difference to the point before. Numbers are
//! LEB128; differences are zigzag. Inside is where a line to nowhere crosses an odd number of edges.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace;

const SOURCE: &str = "xtask/data/countries-50m.json";
const OUTPUT: &str = "crates/geolocation/data/borders.bin";

/// How far a border may stray, in hundredths of a degree: far below the hundreds of kilometres that matter.
const TOLERANCE: f64 = 4.0;

/// Parts of a country on the base map that have a code of their own: the part lies within west, south, east, north.
const PARTS: [(&str, &str, [f64; 4]); 8] = [
    ("BQ", "NL", [-69.0, 11.0, -62.0, 19.0]),
    ("GF", "FR", [-56.0, 1.0, -51.0, 7.0]),
    ("GP", "FR", [-62.5, 15.7, -60.5, 17.0]),
    ("MQ", "FR", [-62.0, 14.0, -60.0, 15.2]),
    ("RE", "FR", [55.0, -22.0, 56.5, -20.0]),
    ("YT", "FR", [44.5, -14.0, 45.8, -12.0]),
    ("SJ", "NO", [-10.0, 70.8, 40.0, 82.0]),
    ("TK", "NZ", [-173.0, -10.0, -170.0, -8.0]),
];

/// Shapes of the base map without a code, and the countries as whose they count here.
const WITHOUT_CODE: [(&str, &[&str]); 5] = [
    ("Ashmore and Cartier Islands", &["AU"]),
    ("Indian Ocean Territories", &["AU", "CC", "CX"]),
    ("Northern Cyprus", &["CY"]),
    ("Siachen Glacier", &["IN", "PK"]),
    ("Somaliland", &["SO"]),
];

/// Territories that providers also call by the name of the country that they belong to, or are claimed by.
const ALSO: [(&str, &[&str]); 11] = [
    ("AU", &["NF", "HM"]),
    ("CN", &["HK", "MO", "TW"]),
    ("DK", &["FO", "GL"]),
    ("FI", &["AX"]),
    ("FR", &["BL", "MF", "NC", "PF", "PM", "TF", "WF"]),
    ("GB", &["AI", "BM", "FK", "GG", "GS", "IM", "IO", "JE", "KY", "MS", "PN", "SH", "TC", "VG"]),
    ("MA", &["EH"]),
    ("NL", &["AW", "CW", "SX"]),
    ("NZ", &["CK", "NU"]),
    ("RS", &["XK"]),
    ("US", &["AS", "GU", "MP", "PR", "VI"]),
];

type Point = (i32, i32);
type Ring = Vec<Point>;

#[derive(Deserialize)]
struct Map {
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    properties: Properties,
    geometry: Geometry,
}

#[derive(Deserialize)]
struct Properties {
    a2: String,
    name: String,
}

#[derive(Deserialize)]
struct Geometry {
    coordinates: Vec<Vec<Vec<(f64, f64)>>>,
}

/// Writes the outlines.
pub fn make() -> Result<()> {
    let bytes = outlines(&workspace::root().join(SOURCE))?;
    let output: PathBuf = workspace::root().join(OUTPUT);
    fs::create_dir_all(output.parent().unwrap_or(Path::new(".")))?;
    fs::write(&output, &bytes).with_context(|| format!("cannot write {OUTPUT}"))?;
    println!("{OUTPUT}: {} bytes", bytes.len());
    Ok(())
}

fn outlines(source: &Path) -> Result<Vec<u8>> {
    let text = fs::read(source).with_context(|| format!("cannot read {SOURCE}"))?;
    let map: Map = serde_json::from_slice(&text).with_context(|| format!("cannot understand {SOURCE}"))?;
    let mut own: BTreeMap<String, Vec<Ring>> = BTreeMap::new();
    for feature in map.features {
        let rings: Vec<Ring> =
            feature.geometry.coordinates.iter().flatten().map(|ring| simplified(&whole(ring))).collect();
        let unnamed = WITHOUT_CODE.iter().find(|(name, _)| *name == feature.properties.name);
        for code in unnamed.map_or(&[feature.properties.a2.as_str()][..], |(_, codes)| codes) {
            own.entry((*code).to_owned()).or_default().extend(rings.iter().cloned());
        }
    }
    own.remove("");
    for (code, of, bounds) in PARTS {
        let rings = own[of].iter().filter(|ring| within(ring, bounds)).cloned().collect();
        own.insert(code.to_owned(), rings);
    }
    let mut all = own.clone();
    for (code, territories) in ALSO {
        let added = territories.iter().filter_map(|territory| own.get(*territory)).flatten().cloned();
        all.entry(code.to_owned()).or_default().extend(added);
    }
    Ok(written(&all))
}

fn written(outlines: &BTreeMap<String, Vec<Ring>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count =
        |bytes: &mut Vec<u8>, number: usize| unsigned(bytes, u32::try_from(number).unwrap_or(u32::MAX));
    for (code, rings) in outlines {
        bytes.extend(code.as_bytes());
        count(&mut bytes, rings.len());
        let mut last = (0, 0);
        for ring in rings {
            count(&mut bytes, ring.len());
            for &(x, y) in ring {
                signed(&mut bytes, x - last.0);
                signed(&mut bytes, y - last.1);
                last = (x, y);
            }
        }
    }
    bytes
}

fn signed(bytes: &mut Vec<u8>, number: i32) {
    unsigned(bytes, ((number << 1) ^ (number >> 31)).cast_unsigned());
}

fn unsigned(bytes: &mut Vec<u8>, mut number: u32) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return bytes.push(low & 0x7f);
        }
        bytes.push(low | 0x80);
    }
}

/// A ring without its last point, which repeats the first, in hundredths of a degree.
fn whole(ring: &[(f64, f64)]) -> Ring {
    #[expect(clippy::cast_possible_truncation, reason = "180 degrees are 18,000 units")]
    let units = |degrees: f64| (degrees * 100.0).round() as i32;
    let mut points: Ring = ring.iter().map(|&(x, y)| (units(x), units(y))).collect();
    points.dedup();
    if points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    points
}

/// A ring with fewer points (Douglas and Peucker). An island too small for the tolerance keeps two, so that it stays.
fn simplified(ring: &[Point]) -> Ring {
    let Some(&first) = ring.first() else { return Ring::new() };
    let square = |point: &Point| {
        let (x, y) = (i64::from(point.0 - first.0), i64::from(point.1 - first.1));
        x * x + y * y
    };
    let farthest = (0..ring.len()).max_by_key(|&index| square(&ring[index])).unwrap_or(0);
    let mut closed = ring.to_vec();
    closed.push(first);
    let mut kept = vec![first];
    keep(&closed[..=farthest], &mut kept);
    if farthest > 0 {
        keep(&closed[farthest..], &mut kept);
        kept.pop();
    }
    kept.dedup();
    kept
}

/// Adds what is needed of a line after its first point, the last included.
fn keep(line: &[Point], kept: &mut Ring) {
    let [first, middle @ .., last] = line else { return };
    let away = |point: &Point| {
        let [ax, ay, bx, by, px, py] = [first.0, first.1, last.0, last.1, point.0, point.1].map(f64::from);
        let (dx, dy) = (bx - ax, by - ay);
        let along = (((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy).max(1.0)).clamp(0.0, 1.0);
        (px - ax - along * dx).hypot(py - ay - along * dy)
    };
    let farthest = middle.iter().map(away).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    match farthest {
        Some((index, distance)) if distance > TOLERANCE => {
            keep(&line[..=index + 1], kept);
            keep(&line[index + 1..], kept);
        }
        _ => kept.push(*last),
    }
}

fn within(ring: &[Point], [west, south, east, north]: [f64; 4]) -> bool {
    ring.iter().all(|&(x, y)| {
        let (x, y) = (f64::from(x) / 100.0, f64::from(y) / 100.0);
        (west..=east).contains(&x) && (south..=north).contains(&y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_outlines_are_those_of_the_committed_base_map() {
        let made = outlines(&workspace::root().join(SOURCE)).unwrap();
        let committed = fs::read(workspace::root().join(OUTPUT)).unwrap();
        assert!(made == committed, "run `cargo xtask borders`");
    }

    #[test]
    fn every_shape_without_a_code_is_somebodys() {
        let map: Map = serde_json::from_slice(&fs::read(workspace::root().join(SOURCE)).unwrap()).unwrap();
        let mut without: Vec<String> = map
            .features
            .into_iter()
            .filter(|feature| feature.properties.a2.is_empty())
            .map(|feature| feature.properties.name)
            .collect();
        without.sort();
        assert_eq!(without, WITHOUT_CODE.map(|(name, _)| name));
    }

    #[test]
    fn a_line_keeps_what_strays_and_loses_what_does_not() {
        let ring = [(0, 0), (50, 1), (100, 0), (100, 100), (0, 100)];
        assert_eq!(simplified(&ring), [(0, 0), (100, 0), (100, 100), (0, 100)]);
        assert_eq!(simplified(&[(0, 0), (1, 0), (1, 1)]).len(), 2);
        assert_eq!(simplified(&[(7, 7)]), [(7, 7)]);
    }
}
