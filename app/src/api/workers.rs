//! The processes that run jobs.

use hostatlas_domain::WorkerStatus;
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_services::Permission;

/// All of them, by host name and start.
#[server(prefix = "/api/fn", endpoint = "workers/list")]
pub async fn list_workers() -> Result<Vec<WorkerStatus>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.workers().list().await?)
}
