//! The map and its places.

use hostatlas_domain::{HostSummary, MapAnswer, Page, PlaceId};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_services::Permission;

/// The marks of a box (`west,south,east,north`) at a zoom.
#[server(prefix = "/api/fn", endpoint = "map/answer")]
pub async fn answer_map(bbox: String, zoom: u8, q: String) -> Result<MapAnswer, ApiError> {
    authorize(Permission::ViewHosts)?;
    let bbox = bbox.parse().map_err(|error: hostatlas_domain::InvalidBoundingBox| {
        ApiError::new(hostatlas_domain::ProblemCode::InvalidRequest, &error.to_string())
    })?;
    Ok(services()?.map().answer(bbox, zoom, &q).await?)
}

/// A page of the hosts of a place.
#[server(prefix = "/api/fn", endpoint = "map/place_hosts")]
pub async fn place_hosts(id: PlaceId, cursor: String, limit: u32) -> Result<Page<HostSummary>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.map().place_hosts(id, Some(&cursor), limit).await?)
}
