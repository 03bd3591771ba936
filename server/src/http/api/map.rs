use axum::{Json, Router, extract::State, routing::get};
use hostatlas_domain::{BoundingBox, MapAnswer, Problem, sanitize};
use hostatlas_services::Services;
use serde::Deserialize;

use crate::http::{AppState, errors::Refusal, extract::Query};

/// The deepest zoom of any map.
const DEEPEST_ZOOM: f64 = 24.0;

pub fn router() -> Router<AppState> {
    Router::new().route("/map", get(answer))
}

/// Which part of the map.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MapParameters {
    /// `west,south,east,north` in degrees; west > east crosses the antimeridian. None: the world.
    bbox: Option<String>,
    /// 0 (the world) to 24; none: 2.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 24)]
    zoom: Option<String>,
    /// Only hosts that match.
    q: Option<String>,
}

/// The marks of a box at a zoom: at most 500, whose hosts are all located hosts in the box.
#[utoipa::path(get, path = "/api/v1/map", tag = "map", params(MapParameters), responses(
    (status = 200, description = "the marks", body = MapAnswer),
    (status = 400, description = "no box, no zoom or no query", body = Problem, content_type = "application/problem+json"),
))]
pub async fn answer(
    State(services): State<Services>,
    Query(parameters): Query<MapParameters>,
) -> Result<Json<MapAnswer>, Refusal> {
    let bbox = match parameters.bbox.as_deref().map(str::trim).filter(|bbox| !bbox.is_empty()) {
        None => BoundingBox::WORLD,
        Some(text) => text.parse::<BoundingBox>().map_err(|error| {
            Refusal::invalid(error.to_string(), "write it as `-10,40,20,60`: west, south, east, north")
        })?,
    };
    let zoom = zoom(parameters.zoom.as_deref())?;
    Ok(Json(services.map().answer(bbox, zoom, parameters.q.as_deref().unwrap_or_default()).await?))
}

/// Maps zoom in fractions; clusters have whole steps.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 24 is checked")]
fn zoom(text: Option<&str>) -> Result<u8, Refusal> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(2) };
    match text.parse::<f64>() {
        Ok(zoom) if (0.0..=DEEPEST_ZOOM).contains(&zoom) => Ok(zoom.floor() as u8),
        _ => Err(Refusal::invalid(format!("`zoom` is `{}`", sanitize(text, 32)), "use a zoom from 0 to 24")),
    }
}
