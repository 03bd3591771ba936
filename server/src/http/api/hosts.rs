use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use hostatlas_domain::{EnqueuedJob, Host, HostSort, HostSummary, Page, Problem, UnknownHostSort};
use hostatlas_services::{Permission, Services};
use serde::Deserialize;

use crate::http::{
    AppState,
    errors::Refusal,
    extract::{self, Query},
};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/hosts", get(search))
        .route("/hosts/{ip}", get(show))
        .route("/hosts/{ip}/geolocate", post(geolocate))
}

/// Which page of the host list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchParameters {
    /// Terms that must all hold, as in `country:DE port:443 net:192.0.2.0/24`; empty: all hosts.
    q: Option<String>,
    /// `address` (default); without `q` also `first_seen`, `last_seen` or `located_at`.
    sort: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 1000, default 50.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

/// Hosts that match, a page at a time. A page may hold fewer than `limit` and still have a next one.
#[utoipa::path(get, path = "/api/v1/hosts", tag = "hosts", params(SearchParameters), responses(
    (status = 200, description = "a page", body = Page<HostSummary>),
    (status = 400, description = "the query is not understood or not supported", body = Problem, content_type = "application/problem+json"),
))]
pub async fn search(
    State(services): State<Services>,
    Query(parameters): Query<SearchParameters>,
) -> Result<Json<Page<HostSummary>>, Refusal> {
    let sort = match parameters.sort.as_deref().filter(|sort| !sort.is_empty()) {
        None => HostSort::default(),
        Some(sort) => sort.parse().map_err(|error: UnknownHostSort| {
            Refusal::invalid(error.to_string(), "without `sort` a list is by address")
        })?,
    };
    let limit = extract::limit(parameters.limit.as_deref())?;
    let q = parameters.q.as_deref().unwrap_or_default();
    Ok(Json(services.hosts().search(q, sort, parameters.cursor.as_deref(), limit).await?))
}

/// All that is known of a host.
#[utoipa::path(get, path = "/api/v1/hosts/{ip}", tag = "hosts", params(("ip" = String, Path, description = "its address")), responses(
    (status = 200, description = "the host", body = Host),
    (status = 404, description = "no scan saw it", body = Problem, content_type = "application/problem+json"),
))]
pub async fn show(State(services): State<Services>, Path(ip): Path<String>) -> Result<Json<Host>, Refusal> {
    Ok(Json(services.hosts().get(&ip).await?))
}

/// How to look it up.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GeolocateBody {
    /// Whether age and cache are bypassed.
    force: bool,
}

/// Queues a lookup of a host, ahead of everything that no person asked for.
#[utoipa::path(post, path = "/api/v1/hosts/{ip}/geolocate", tag = "hosts", params(("ip" = String, Path, description = "its address")),
    request_body = Option<GeolocateBody>, responses(
    (status = 202, description = "the job; `duplicate` if it was already live", body = EnqueuedJob),
    (status = 404, description = "no scan saw it", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "a private address", body = Problem, content_type = "application/problem+json"),
))]
pub async fn geolocate(
    State(services): State<Services>,
    Path(ip): Path<String>,
    extract::OptionalJson(body): extract::OptionalJson<GeolocateBody>,
) -> Result<(StatusCode, Json<EnqueuedJob>), Refusal> {
    services.authorize(Permission::Geolocate)?;
    Ok((StatusCode::ACCEPTED, Json(services.jobs().geolocate_host(&ip, body.force).await?)))
}
