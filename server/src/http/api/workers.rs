use axum::{Json, Router, extract::State, routing::get};
use hostatlas_domain::WorkerStatus;
use hostatlas_services::Services;

use super::coverage::Items;
use crate::http::{AppState, errors::Refusal};

pub fn router() -> Router<AppState> {
    Router::new().route("/workers", get(list))
}

/// The processes that run jobs, by host name and start.
#[utoipa::path(get, path = "/api/v1/workers", tag = "workers", responses((status = 200, description = "the processes", body = Items<WorkerStatus>)))]
pub async fn list(State(services): State<Services>) -> Result<Json<Items<WorkerStatus>>, Refusal> {
    Ok(Json(Items::new(services.workers().list().await?)))
}
