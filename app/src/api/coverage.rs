//! Coverage.

use hostatlas_domain::{CountryCoverage, Coverage, ProviderCoverage, RecentResult};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_services::Permission;

/// How much of what was found is located.
#[server(prefix = "/api/fn", endpoint = "coverage/get")]
pub async fn get_coverage() -> Result<Coverage, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.coverage().get().await?)
}

/// Located hosts by country, most first.
#[server(prefix = "/api/fn", endpoint = "coverage/countries")]
pub async fn coverage_countries() -> Result<Vec<CountryCoverage>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.coverage().countries().await?)
}

/// Located hosts by provider.
#[server(prefix = "/api/fn", endpoint = "coverage/providers")]
pub async fn coverage_providers() -> Result<Vec<ProviderCoverage>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.coverage().providers().await?)
}

/// The latest results.
#[server(prefix = "/api/fn", endpoint = "coverage/recent")]
pub async fn coverage_recent(limit: u32) -> Result<Vec<RecentResult>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.coverage().recent(limit).await?)
}
