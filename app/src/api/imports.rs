//! Imports.

use hostatlas_domain::{Import, Page};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_services::Permission;

/// A page of the imports, newest first.
#[server(prefix = "/api/fn", endpoint = "imports/list")]
pub async fn list_imports(cursor: String, limit: u32) -> Result<Page<Import>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.imports().list(Some(&cursor), limit).await?)
}
