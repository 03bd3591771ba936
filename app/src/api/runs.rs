//! Batch runs.

use hostatlas_domain::{Run, RunId};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_domain::ProblemCode;
#[cfg(feature = "ssr")]
use hostatlas_services::{Permission, RunRequest, Selection};

/// Starts a batch run over the hosts that match `q`, or over `missing`, `stale` or `all` hosts: one of the two.
#[server(prefix = "/api/fn", endpoint = "runs/start")]
pub async fn start_run(
    #[server(default)] q: String,
    #[server(default)] selection: String,
    #[server(default)] force: bool,
) -> Result<Run, ApiError> {
    authorize(Permission::Geolocate)?;
    let named = match selection.as_str() {
        "" => None,
        "missing" => Some(Selection::Missing),
        "stale" => Some(Selection::Stale),
        "all" => Some(Selection::All),
        _ => return Err(refused("the form was not filled in as this page sends it")),
    };
    let query = Some(q).filter(|q| !q.trim().is_empty()).map(Selection::Query);
    let selection = Selection::only([query, named])?.ok_or_else(|| refused("no hosts are named"))?;
    let request = RunRequest { selection, mode: hostatlas_domain::Mode::AsyncBatch, force, batch_size: None };
    let run = services()?.runs().start(request).await?;
    leptos_axum::redirect("/coverage");
    Ok(run)
}

#[cfg(feature = "ssr")]
fn refused(detail: &str) -> ApiError {
    ApiError::new(ProblemCode::InvalidRequest, detail)
}

/// Stops a run; what it found is kept.
#[server(prefix = "/api/fn", endpoint = "runs/cancel")]
pub async fn cancel_run(id: RunId) -> Result<Run, ApiError> {
    authorize(Permission::Geolocate)?;
    Ok(services()?.runs().cancel(id).await?)
}

/// The latest run.
#[server(prefix = "/api/fn", endpoint = "runs/latest")]
pub async fn latest_run() -> Result<Option<Run>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.runs().latest().await?)
}
