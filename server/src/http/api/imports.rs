use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use hostatlas_domain::{Import, ImportId, Page, Problem};
use hostatlas_services::Services;

use super::places::PageParameters;
use crate::http::{
    AppState,
    errors::Refusal,
    extract::{self, Query},
};

pub fn router() -> Router<AppState> {
    Router::new().route("/imports", get(list)).route("/imports/{id}", get(show))
}

/// Imports, newest first.
#[utoipa::path(get, path = "/api/v1/imports", tag = "imports", params(PageParameters), responses(
    (status = 200, description = "a page", body = Page<Import>),
))]
pub async fn list(
    State(services): State<Services>,
    Query(parameters): Query<PageParameters>,
) -> Result<Json<Page<Import>>, Refusal> {
    let limit = extract::limit(parameters.limit())?;
    Ok(Json(services.imports().list(parameters.cursor(), limit).await?))
}

/// One import.
#[utoipa::path(get, path = "/api/v1/imports/{id}", tag = "imports", params(("id" = i64, Path, description = "its number")), responses(
    (status = 200, description = "the import", body = Import),
    (status = 404, description = "no such import", body = Problem, content_type = "application/problem+json"),
))]
pub async fn show(State(services): State<Services>, Path(id): Path<String>) -> Result<Json<Import>, Refusal> {
    Ok(Json(services.imports().get(ImportId(extract::number(&id, "an import")?)).await?))
}
