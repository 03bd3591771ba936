//! Database files: which there are, and what a new one would change.

use hostatlas_domain::{CandidateComparison, Databases};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_services::Permission;

/// The files in use, the candidates, and the latest comparison.
#[server(prefix = "/api/fn", endpoint = "databases/list")]
pub async fn list_databases() -> Result<Databases, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.mmdb().databases().await?)
}

/// Begins to compare the candidate of this name. A form is led to the page that shows how far it is.
#[server(prefix = "/api/fn", endpoint = "databases/compare")]
pub async fn compare_database(name: String) -> Result<CandidateComparison, ApiError> {
    authorize(Permission::Administer)?;
    let begun = services()?.mmdb().compare_candidate(&name).await?;
    leptos_axum::redirect("/databases");
    Ok(begun)
}
