//! REST: one file a noun. A handler authorizes, calls one service and answers.

pub mod attributions;
pub mod coverage;
pub mod databases;
pub mod events;
pub mod export;
pub mod health;
pub mod hosts;
pub mod imports;
pub mod jobs;
pub mod map;
pub mod places;
pub mod providers;
pub mod runs;
pub mod schedules;
pub mod workers;

use axum::{Router, middleware, routing::any};

use super::{AppState, errors, openapi};

/// `/api/v1`, `/api/openapi.json` and the two health checks.
pub fn router() -> Router<AppState> {
    let v1 = Router::new()
        .merge(hosts::router())
        .merge(export::router())
        .merge(places::router())
        .merge(providers::router())
        .merge(databases::router())
        .merge(runs::router())
        .merge(map::router())
        .merge(coverage::router())
        .merge(attributions::router())
        .merge(jobs::router())
        .merge(workers::router())
        .merge(schedules::router())
        .merge(imports::router())
        .merge(events::router());
    Router::new()
        .nest("/api/v1", v1)
        .merge(openapi::router())
        .merge(health::router())
        .layer(middleware::from_fn(openapi::refuse_unknown))
        .route("/api/{*rest}", any(errors::not_found))
}
