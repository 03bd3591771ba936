use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use hostatlas_domain::{CandidateComparison, Databases, Problem};
use hostatlas_services::{Permission, Services};

use crate::http::{AppState, errors::Refusal};

pub fn router() -> Router<AppState> {
    Router::new().route("/databases", get(list)).route("/databases/{name}/compare", post(compare))
}

/// The database files in use, the candidates, and the latest comparison of this process.
#[utoipa::path(get, path = "/api/v1/databases", tag = "databases", responses(
    (status = 200, description = "the files", body = Databases),
))]
pub async fn list(State(services): State<Services>) -> Result<Json<Databases>, Refusal> {
    Ok(Json(services.mmdb().databases().await?))
}

/// Begins to compare a candidate with where the hosts are; there is one comparison at a time, and nothing is changed.
#[utoipa::path(post, path = "/api/v1/databases/{name}/compare", tag = "databases", params(("name" = String, Path, description = "the name of a listed candidate")), responses(
    (status = 202, description = "the comparison", body = CandidateComparison),
    (status = 404, description = "no candidate is called so", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "a comparison is going on", body = Problem, content_type = "application/problem+json"),
))]
pub async fn compare(
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<CandidateComparison>), Refusal> {
    services.authorize(Permission::Administer)?;
    Ok((StatusCode::ACCEPTED, Json(services.mmdb().compare_candidate(&name).await?)))
}
