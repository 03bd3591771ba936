//! Hosts.

use hostatlas_domain::{EnqueuedJob, Host, HostSort, HostSummary, Page};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_services::Permission;

/// A page of the host list: those that match `q`, by `sort` where `q` is empty, from `cursor` on.
#[server(prefix = "/api/fn", endpoint = "hosts/search")]
pub async fn search_hosts(
    q: String,
    sort: HostSort,
    cursor: String,
    limit: u32,
) -> Result<Page<HostSummary>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.hosts().search(&q, sort, Some(&cursor), limit).await?)
}

/// All that is known of a host.
#[server(prefix = "/api/fn", endpoint = "hosts/get")]
pub async fn get_host(ip: String) -> Result<Host, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.hosts().get(&ip).await?)
}

/// Queues a geolocation job for a host; `force` bypasses age and cache. A form is led to the job.
#[server(prefix = "/api/fn", endpoint = "hosts/geolocate")]
pub async fn geolocate_host(ip: String, #[server(default)] force: bool) -> Result<EnqueuedJob, ApiError> {
    authorize(Permission::ManageJobs)?;
    let queued = services()?.jobs().geolocate_host(&ip, force).await?;
    leptos_axum::redirect(&format!("/jobs/{}", queued.job));
    Ok(queued)
}
