use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use hostatlas_domain::{Mode, Problem, Run, RunId};
use hostatlas_services::{Permission, RunRequest, RunSelection, Services};
use serde::Deserialize;

use crate::http::{AppState, errors::Refusal, extract};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/runs", post(start))
        .route("/runs/latest", get(latest))
        .route("/runs/{id}", get(show))
        .route("/runs/{id}/cancel", post(cancel))
}

/// Which hosts to look up, and how.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunBody {
    /// Hosts that match this query.
    q: Option<String>,
    /// These hosts; not together with `q`.
    ips: Vec<String>,
    /// Which hosts when neither is given: `missing` (default), `stale` or `all`.
    #[schema(value_type = String, example = "missing")]
    selection: RunSelection,
    /// `async_batch` (default) or `queue_jobs`.
    #[schema(value_type = String, example = "async_batch")]
    mode: Mode,
    /// Whether age and cache are bypassed.
    force: bool,
    /// Hosts in one batch.
    #[schema(minimum = 1)]
    batch_size: Option<u32>,
}

impl Default for RunBody {
    fn default() -> Self {
        Self {
            q: None,
            ips: Vec::new(),
            selection: RunSelection::default(),
            mode: Mode::AsyncBatch,
            force: false,
            batch_size: None,
        }
    }
}

/// Starts a run; there is one at a time.
#[utoipa::path(post, path = "/api/v1/runs", tag = "runs", request_body = RunBody, responses(
    (status = 202, description = "the run", body = Run),
    (status = 409, description = "a run is going on", body = Problem, content_type = "application/problem+json"),
))]
pub async fn start(
    State(services): State<Services>,
    extract::Json(body): extract::Json<RunBody>,
) -> Result<(StatusCode, Json<Run>), Refusal> {
    services.authorize(Permission::Geolocate)?;
    let RunBody { q, ips, selection, mode, force, batch_size } = body;
    if batch_size == Some(0) {
        return Err(Refusal::invalid("`batch_size` is 0", "use 1 or more, or leave it out"));
    }
    let request = RunRequest { q, ips, selection, mode, force, batch_size };
    Ok((StatusCode::ACCEPTED, Json(services.runs().start(request).await?)))
}

/// How far a run is.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = i64, Path, description = "its number")), responses(
    (status = 200, description = "the run", body = Run),
    (status = 404, description = "no such run", body = Problem, content_type = "application/problem+json"),
))]
pub async fn show(State(services): State<Services>, Path(id): Path<String>) -> Result<Json<Run>, Refusal> {
    Ok(Json(services.runs().get(RunId(extract::number(&id, "a run")?)).await?))
}

/// The latest run; null before the first.
#[utoipa::path(get, path = "/api/v1/runs/latest", tag = "runs", responses((status = 200, description = "the run", body = Option<Run>)))]
pub async fn latest(State(services): State<Services>) -> Result<Json<Option<Run>>, Refusal> {
    Ok(Json(services.runs().latest().await?))
}

/// Asks a run to stop; one that is over stays as it is.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "runs", params(("id" = i64, Path, description = "its number")), responses(
    (status = 200, description = "the run", body = Run),
    (status = 404, description = "no such run", body = Problem, content_type = "application/problem+json"),
))]
pub async fn cancel(State(services): State<Services>, Path(id): Path<String>) -> Result<Json<Run>, Refusal> {
    services.authorize(Permission::Geolocate)?;
    Ok(Json(services.runs().cancel(RunId(extract::number(&id, "a run")?)).await?))
}
