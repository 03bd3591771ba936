//! Whose data is shown.

use hostatlas_domain::Attribution;
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_services::Permission;

/// Whose data is shown, in the words that its licences ask for.
#[server(prefix = "/api/fn", endpoint = "attributions/list")]
pub async fn list_attributions() -> Result<Vec<Attribution>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.admin().attributions().await?)
}
