//! Batch runs.

use hostatlas_domain::{Run, RunId};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_services::{Permission, RunRequest, RunSelection};

/// Starts a batch run over the hosts that match `q`, or over `missing`, `stale` or `all` hosts where it is empty.
#[server(prefix = "/api/fn", endpoint = "runs/start")]
pub async fn start_run(
    #[server(default)] q: String,
    #[server(default)] selection: String,
    #[server(default)] force: bool,
) -> Result<Run, ApiError> {
    authorize(Permission::Geolocate)?;
    let request = RunRequest {
        q: Some(q).filter(|q| !q.is_empty()),
        selection: match selection.as_str() {
            "stale" => RunSelection::Stale,
            "all" => RunSelection::All,
            _ => RunSelection::Missing,
        },
        mode: hostatlas_domain::Mode::AsyncBatch,
        force,
        ips: Vec::new(),
        batch_size: None,
    };
    let run = services()?.runs().start(request).await?;
    leptos_axum::redirect("/coverage");
    Ok(run)
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
