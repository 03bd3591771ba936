//! The web: pages, REST, events and files, behind the guards that every request passes.

pub mod api;
mod body;
mod client;
mod errors;
mod extract;
mod guard;
mod headers;
mod limits;
mod listen;
mod openapi;
mod pages;
mod patient;
mod shares;
mod site;

use std::sync::Arc;

use axum::{Router, extract::FromRef, middleware};
use hostatlas_services::Services;
use leptos::prelude::LeptosOptions;
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};

pub use guard::{AllowedHosts, host_of};
pub use listen::serve;
pub use site::Site;

/// What handlers need.
#[derive(Clone)]
pub struct AppState {
    services: Services,
    options: LeptosOptions,
    limits: Arc<limits::Limits>,
    shutdown: CancellationToken,
}

impl FromRef<AppState> for Services {
    fn from_ref(state: &AppState) -> Self {
        state.services.clone()
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.options.clone()
    }
}

/// Everything that is served. Streams end when `shutdown` fires.
pub fn router(services: Services, site: &Site, allowed: AllowedHosts, shutdown: CancellationToken) -> Router {
    let limits = Arc::new(limits::Limits::default());
    let state = AppState { services, options: site.leptos_options(), limits: Arc::clone(&limits), shutdown };
    // The last layer is the first that a request meets.
    let routes = pages::add(api::router(), &state, site)
        .with_state(state)
        .layer(middleware::from_fn(pages::stay_here))
        .layer(CatchPanicLayer::custom(errors::panicked))
        .layer(middleware::from_fn(limits::deadline))
        .layer(middleware::from_fn_with_state(Arc::clone(&limits), limits::shed_load))
        .layer(middleware::from_fn_with_state(limits, body::read))
        .layer(middleware::from_fn_with_state(Arc::new(allowed), guard::check))
        .layer(middleware::from_fn(errors::complete))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(headers::add));
    routes.layer(middleware::from_fn(errors::name_request))
}
