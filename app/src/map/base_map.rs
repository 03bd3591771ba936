use js_sys::Array;
use wasm_bindgen::JsCast;
use web_sys::Path2d;

use super::viewport::project;
use crate::browser::{self, Json};

/// Where data was cut at the edge of the map: a line there is no coast.
const EDGE_LONGITUDE: f64 = 179.98;
const EDGE_LATITUDE: f64 = -84.9;

/// One country's shape, in units of the square at zoom 0.
pub struct Country {
    /// Least x, least y, greatest x, greatest y.
    pub bounds: [f64; 4],
    /// Its land.
    pub land: Path2d,
    /// Its outline without what was cut at the edge of the map.
    pub outline: Path2d,
}

/// The land of the earth, for views from afar.
pub struct BaseMap {
    /// Country by country, so that those out of sight cost nothing.
    pub countries: Vec<Country>,
}

impl BaseMap {
    /// Fetches `/basemap/countries-110m.json`.
    pub async fn fetch() -> Result<Self, String> {
        let data = browser::get_json("/basemap/countries-110m.json", None).await?;
        let features = data.get("features").items();
        Ok(Self {
            countries: features.iter().filter_map(|feature| country(&feature.get("geometry"))).collect(),
        })
    }
}

fn country(geometry: &Json) -> Option<Country> {
    let coordinates = geometry.get("coordinates");
    let polygons = match geometry.text("type")?.as_str() {
        "Polygon" => vec![coordinates],
        "MultiPolygon" => coordinates.items(),
        _ => return None,
    };
    let (land, outline) = (Path2d::new().ok()?, Path2d::new().ok()?);
    let mut bounds = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
    for ring in polygons.iter().flat_map(Json::items) {
        let mut previous_at_edge = true;
        let mut first = true;
        for point in ring.items() {
            let point: Array = point.0.unchecked_into();
            let (Some(longitude), Some(latitude)) = (point.get(0).as_f64(), point.get(1).as_f64()) else {
                continue;
            };
            let (x, y) = project(latitude, longitude);
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
            let at_edge = longitude.abs() > EDGE_LONGITUDE || latitude < EDGE_LATITUDE;
            if first {
                land.move_to(x, y);
            } else {
                land.line_to(x, y);
            }
            if first || (at_edge && previous_at_edge) {
                outline.move_to(x, y);
            } else {
                outline.line_to(x, y);
            }
            (first, previous_at_edge) = (false, at_edge);
        }
        land.close_path();
    }
    Some(Country { bounds, land, outline })
}

/// A name on the map.
pub struct Label {
    /// What is written.
    pub text: String,
    /// In units of the square at zoom 0.
    pub at: (f64, f64),
    /// 1 for the greatest.
    pub rank: f64,
    /// Whether it is a sea, which is written in italics.
    pub sea: bool,
}

/// Names of countries and seas, greatest first.
#[derive(Default)]
pub struct Labels {
    /// Seas and countries.
    pub names: Vec<Label>,
    /// Countries with their codes and the boxes (west, south, east, north) that show them, greatest first.
    countries: Vec<Json>,
}

impl Labels {
    /// Fetches `/basemap/labels.json`.
    pub async fn fetch() -> Result<Self, String> {
        let data = browser::get_json("/basemap/labels.json", None).await?;
        let read = |list: &'static str, sea: bool| {
            data.get(list).items().into_iter().filter_map(move |label| {
                Some(Label {
                    text: label.text("name")?,
                    at: project(label.number("lat")?, label.number("lon")?),
                    rank: label.number("rank")?,
                    sea,
                })
            })
        };
        let names = read("seas", true).chain(read("countries", false)).collect();
        Ok(Self { names, countries: data.get("countries").items() })
    }

    /// The box (west, south, east, north) that shows where in its country a point is.
    pub fn frame(&self, code: &str, latitude: f64, longitude: f64) -> Option<[f64; 4]> {
        let country = self.countries.iter().find(|country| country.text("a2").as_deref() == Some(code))?;
        let holds = |[west, south, east, north]: &[f64; 4]| {
            (*west..=*east).contains(&longitude) && (*south..=*north).contains(&latitude)
        };
        country.get("frames").items().iter().filter_map(degrees).find(holds)
    }
}

fn degrees(list: &Json) -> Option<[f64; 4]> {
    let degrees: Vec<f64> = list.items().iter().filter_map(|degrees| degrees.0.as_f64()).collect();
    degrees.try_into().ok()
}
