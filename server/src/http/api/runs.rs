use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use hostatlas_domain::{Mode, Problem, Run, RunId};
use hostatlas_services::{Permission, RunRequest, Selection, Services};
use serde::{Deserialize, Serialize};

use crate::http::{AppState, errors::Refusal, extract};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/runs", post(start))
        .route("/runs/latest", get(latest))
        .route("/runs/{id}", get(show))
        .route("/runs/{id}/cancel", post(cancel))
}

/// Which hosts to look up, and how. At most one of `q`, `ips` and `selection`.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunBody {
    /// Hosts that match this query, which has a condition.
    q: Option<String>,
    /// These hosts, at least one.
    ips: Option<Vec<String>>,
    /// Hosts by the state of their location; `missing` if nothing names any.
    selection: Option<RunSelection>,
    /// How to go about it; `async_batch` if left out.
    mode: Option<RunMode>,
    /// Whether age and cache are bypassed.
    force: bool,
    /// Hosts in one batch.
    #[serde(deserialize_with = "extract::optional_whole_number")]
    #[schema(minimum = 1)]
    batch_size: Option<u32>,
}

/// Hosts by the state of their location.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunSelection {
    /// Pending and unlocated ones.
    Missing,
    /// Located ones whose location is stale.
    Stale,
    /// All public ones.
    All,
}

impl From<RunSelection> for Selection {
    fn from(selection: RunSelection) -> Self {
        match selection {
            RunSelection::Missing => Self::Missing,
            RunSelection::Stale => Self::Stale,
            RunSelection::All => Self::All,
        }
    }
}

/// How a run goes about it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// Looks up concurrently and writes directly.
    #[default]
    AsyncBatch,
    /// Queues a job for each host; a worker does the rest.
    QueueJobs,
}

impl From<RunMode> for Mode {
    fn from(mode: RunMode) -> Self {
        match mode {
            RunMode::AsyncBatch => Self::AsyncBatch,
            RunMode::QueueJobs => Self::QueueJobs,
        }
    }
}

/// Starts a run; there is one at a time.
#[utoipa::path(post, path = "/api/v1/runs", tag = "runs", request_body = Option<RunBody>, responses(
    (status = 202, description = "the run", body = Run),
    (status = 409, description = "a run is going on", body = Problem, content_type = "application/problem+json"),
))]
pub async fn start(
    State(services): State<Services>,
    extract::OptionalJson(body): extract::OptionalJson<RunBody>,
) -> Result<(StatusCode, Json<Run>), Refusal> {
    services.authorize(Permission::Geolocate)?;
    let RunBody { q, ips, selection, mode, force, batch_size } = body;
    if batch_size == Some(0) {
        return Err(Refusal::invalid("`batch_size` is 0", "use 1 or more, or leave it out"));
    }
    let named = [q.map(Selection::Query), ips.map(Selection::Addresses), selection.map(Selection::from)];
    let selection = Selection::only(named)?.unwrap_or(Selection::Missing);
    let mode = mode.unwrap_or_default().into();
    let request = RunRequest { selection, mode, force, batch_size };
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
