use axum::{Router, extract::State, routing::get};
use hostatlas_services::Services;

use crate::http::{AppState, errors::Refusal};

pub fn router() -> Router<AppState> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "alive", body = str)))]
pub async fn alive() -> &'static str {
    "ok\n"
}

/// The database can be read, and a write was tried within the last three seconds and worked.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "ready", body = str),
    (status = 503, description = "the database cannot be read or written", body = hostatlas_domain::Problem, content_type = "application/problem+json"),
))]
pub async fn ready(State(services): State<Services>) -> Result<&'static str, Refusal> {
    services.admin().ready().await?;
    Ok("ready\n")
}
