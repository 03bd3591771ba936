use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use hostatlas_domain::{HostSummary, Page, Place, PlaceId, Problem};
use hostatlas_services::Services;
use serde::{Deserialize, Serialize};

use crate::http::{
    AppState,
    errors::Refusal,
    extract::{self, Query},
};

pub fn router() -> Router<AppState> {
    Router::new().route("/places/{id}", get(show)).route("/places/{id}/hosts", get(hosts))
}

/// A place and how many hosts stand on it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PlaceAnswer {
    place_id: PlaceId,
    /// What a person calls it.
    label: String,
    hosts: u64,
    /// Degrees north.
    latitude: f64,
    /// Degrees east.
    longitude: f64,
    #[serde(flatten)]
    place: Names,
}

/// What a place is called.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Names {
    precision: hostatlas_domain::Precision,
    city: Option<String>,
    region: Option<String>,
    country_code: Option<String>,
    country: Option<String>,
}

impl From<Place> for Names {
    fn from(place: Place) -> Self {
        Self {
            precision: place.precision,
            city: place.city,
            region: place.region,
            country_code: place.country.map(|country| country.to_string()),
            country: place.country.map(|country| country.name().to_owned()),
        }
    }
}

/// Which page.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParameters {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 1000, default 50.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

impl PageParameters {
    /// Where the page starts.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// How many, as it was written.
    pub fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }
}

/// One place.
#[utoipa::path(get, path = "/api/v1/places/{id}", tag = "map", params(("id" = i64, Path, description = "`place_id`")), responses(
    (status = 200, description = "the place", body = PlaceAnswer),
    (status = 404, description = "no such place", body = Problem, content_type = "application/problem+json"),
))]
pub async fn show(
    State(services): State<Services>,
    Path(id): Path<String>,
) -> Result<Json<PlaceAnswer>, Refusal> {
    let view = services.map().place(PlaceId(extract::number(&id, "a place")?)).await?;
    Ok(Json(PlaceAnswer {
        place_id: view.place_id,
        label: view.label,
        hosts: view.hosts,
        latitude: view.place.coordinate.latitude(),
        longitude: view.place.coordinate.longitude(),
        place: view.place.into(),
    }))
}

/// The hosts of a place, by address.
#[utoipa::path(get, path = "/api/v1/places/{id}/hosts", tag = "map", params(("id" = i64, Path, description = "`place_id`"), PageParameters), responses(
    (status = 200, description = "a page", body = Page<HostSummary>),
    (status = 404, description = "no such place", body = Problem, content_type = "application/problem+json"),
))]
pub async fn hosts(
    State(services): State<Services>,
    Path(id): Path<String>,
    Query(parameters): Query<PageParameters>,
) -> Result<Json<Page<HostSummary>>, Refusal> {
    let id = PlaceId(extract::number(&id, "a place")?);
    let limit = extract::limit(parameters.limit())?;
    Ok(Json(services.map().place_hosts(id, parameters.cursor(), limit).await?))
}
