use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, HeaderValue, header},
    routing::get,
};
use hostatlas_domain::Attribution;
use hostatlas_services::{Error, Permission, Services};

use super::coverage::Items;
use crate::http::{AppState, errors::Refusal};

/// One for each attribution of an export. Its file holds data alone, so that every parser reads it.
const ATTRIBUTION: HeaderName = HeaderName::from_static("x-attribution");
/// Where the same stands as JSON.
const LINK: HeaderValue =
    HeaderValue::from_static("</api/v1/attributions>; rel=\"license\"; type=\"application/json\"");

pub fn router() -> Router<AppState> {
    Router::new().route("/attributions", get(list))
}

/// Whose data is shown, in the words that the licences of the databases and providers in use ask for.
#[utoipa::path(get, path = "/api/v1/attributions", tag = "attributions", responses(
    (status = 200, description = "the attributions; none where no licence asks for one", body = Items<Attribution>),
))]
pub async fn list(State(services): State<Services>) -> Result<Json<Items<Attribution>>, Refusal> {
    services.authorize(Permission::ViewHosts)?;
    Ok(Json(Items::new(services.admin().attributions().await?)))
}

/// The headers by which a file carries its attributions.
pub async fn headers(services: &Services) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let attributions = services.admin().attributions().await?;
    let mut headers: Vec<_> = attributions
        .iter()
        .filter_map(|attribution| HeaderValue::from_str(&attribution.to_string()).ok())
        .map(|value| (ATTRIBUTION, value))
        .collect();
    if !headers.is_empty() {
        headers.push((header::LINK, LINK));
    }
    Ok(headers)
}
