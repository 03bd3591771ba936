use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use hostatlas_domain::{Host, HostAnswers, LookupCost, LookupView, Problem, ProviderStatus};
use hostatlas_services::{Permission, PinLocation, Selection, Services};
use serde::Deserialize;

use super::coverage::Items;
use crate::http::{
    AppState,
    errors::Refusal,
    extract::{self, Query},
};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/providers", get(list))
        .route("/providers/{name}/test", post(test))
        .route("/cost", get(cost))
        .route("/hosts/{ip}/answers", get(answers))
        .route("/hosts/{ip}/ask-all", post(ask_all))
        .route("/hosts/{ip}/geolocate/cost", get(cost_of_host))
        .route("/hosts/{ip}/location", axum::routing::put(pin).delete(unpin))
}

/// How every provider does: the configured ones in the order of asking, then those that could be.
#[utoipa::path(get, path = "/api/v1/providers", tag = "providers", responses(
    (status = 200, description = "the providers", body = Items<ProviderStatus>),
))]
pub async fn list(State(services): State<Services>) -> Result<Json<Items<ProviderStatus>>, Refusal> {
    Ok(Json(Items::new(services.providers().list().await?)))
}

/// About which address.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestBody {
    /// A public address.
    #[schema(example = "8.8.8.8")]
    ip: String,
}

/// Asks one configured provider about one address, within its limits. Nothing is stored about any host.
#[utoipa::path(post, path = "/api/v1/providers/{name}/test", tag = "providers", params(("name" = String, Path, description = "its name")),
    request_body = TestBody, responses(
    (status = 200, description = "what it said, or why it was not asked", body = LookupView),
    (status = 404, description = "it is not configured", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "a private address", body = Problem, content_type = "application/problem+json"),
))]
pub async fn test(
    State(services): State<Services>,
    Path(name): Path<String>,
    extract::Json(body): extract::Json<TestBody>,
) -> Result<Json<LookupView>, Refusal> {
    services.authorize(Permission::Geolocate)?;
    Ok(Json(services.providers().test(&name, &body.ip).await?))
}

/// What each provider said of a host, the location that it has first.
#[utoipa::path(get, path = "/api/v1/hosts/{ip}/answers", tag = "hosts", params(("ip" = String, Path, description = "its address")), responses(
    (status = 200, description = "the answers", body = HostAnswers),
    (status = 404, description = "no scan saw it", body = Problem, content_type = "application/problem+json"),
))]
pub async fn answers(
    State(services): State<Services>,
    Path(ip): Path<String>,
) -> Result<Json<HostAnswers>, Refusal> {
    Ok(Json(services.providers().answers(&ip).await?))
}

/// Asks every configured provider about a host, past the cache and within the limits. The finest answer becomes its
/// location, unless it is pinned.
#[utoipa::path(post, path = "/api/v1/hosts/{ip}/ask-all", tag = "hosts", params(("ip" = String, Path, description = "its address")), responses(
    (status = 200, description = "the answers, and who could not be asked", body = HostAnswers),
    (status = 404, description = "no scan saw it", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "a private address", body = Problem, content_type = "application/problem+json"),
))]
pub async fn ask_all(
    State(services): State<Services>,
    Path(ip): Path<String>,
) -> Result<Json<HostAnswers>, Refusal> {
    services.authorize(Permission::Geolocate)?;
    Ok(Json(services.providers().ask_all(&ip).await?))
}

/// Where a person says that a host is.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinBody {
    /// Degrees north.
    latitude: f64,
    /// Degrees east.
    longitude: f64,
    /// City.
    city: Option<String>,
    /// Region, state or province.
    region: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    #[schema(example = "DE")]
    country_code: Option<String>,
}

/// Puts a host where a person says it is; no lookup moves it until it is let go.
#[utoipa::path(put, path = "/api/v1/hosts/{ip}/location", tag = "hosts", params(("ip" = String, Path, description = "its address")),
    request_body = PinBody, responses(
    (status = 200, description = "the host", body = Host),
    (status = 400, description = "no place on earth", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no scan saw it", body = Problem, content_type = "application/problem+json"),
))]
pub async fn pin(
    State(services): State<Services>,
    Path(ip): Path<String>,
    extract::Json(body): extract::Json<PinBody>,
) -> Result<Json<Host>, Refusal> {
    services.authorize(Permission::Geolocate)?;
    let PinBody { latitude, longitude, city, region, country_code } = body;
    let location = PinLocation { latitude, longitude, city, region, country_code };
    Ok(Json(services.providers().pin(&ip, location).await?))
}

/// Lets a pinned host go. It stays where it is until it is looked up again, for which a job is queued.
#[utoipa::path(delete, path = "/api/v1/hosts/{ip}/location", tag = "hosts", params(("ip" = String, Path, description = "its address")), responses(
    (status = 200, description = "the host", body = Host),
    (status = 404, description = "no scan saw it", body = Problem, content_type = "application/problem+json"),
))]
pub async fn unpin(State(services): State<Services>, Path(ip): Path<String>) -> Result<Json<Host>, Refusal> {
    services.authorize(Permission::Geolocate)?;
    Ok(Json(services.providers().unpin(&ip).await?))
}

/// How the lookup is meant.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForceParameter {
    /// Whether the cache is bypassed; `false` if left out.
    force: Option<bool>,
}

/// What looking a host up would send to whom. Nothing is sent to find out.
#[utoipa::path(get, path = "/api/v1/hosts/{ip}/geolocate/cost", tag = "hosts", params(("ip" = String, Path, description = "its address"), ForceParameter), responses(
    (status = 200, description = "the cost", body = LookupCost),
))]
pub async fn cost_of_host(
    State(services): State<Services>,
    Path(ip): Path<String>,
    Query(parameters): Query<ForceParameter>,
) -> Result<Json<LookupCost>, Refusal> {
    Ok(Json(services.providers().cost_of(&ip, parameters.force.unwrap_or(false)).await?))
}

/// Which hosts.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CostParameters {
    /// Hosts that match; empty: those that are missing, never looked up or without a place.
    q: Option<String>,
    /// Whether the cache is bypassed; `false` if left out.
    force: Option<bool>,
}

/// What looking many hosts up would send to whom. Databases are asked, nothing is sent.
#[utoipa::path(get, path = "/api/v1/cost", tag = "providers", params(CostParameters), responses(
    (status = 200, description = "the cost", body = LookupCost),
    (status = 400, description = "the query is not understood", body = Problem, content_type = "application/problem+json"),
))]
pub async fn cost(
    State(services): State<Services>,
    Query(parameters): Query<CostParameters>,
) -> Result<Json<LookupCost>, Refusal> {
    let q = parameters.q.filter(|q| !q.trim().is_empty());
    let selection = q.map_or(Selection::Missing, Selection::Query);
    Ok(Json(services.providers().cost(&selection, parameters.force.unwrap_or(false)).await?))
}
