mod amend;
mod known;

use std::sync::LazyLock;

use axum::{Json, Router, routing::get};
use serde_json::Value;
use utoipa::OpenApi;

pub use known::refuse_unknown;

use super::{
    AppState,
    api::{
        attributions, coverage, databases, events, export, health, hosts, imports, jobs, map, places,
        providers, runs, schedules, workers,
    },
};

/// What REST offers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "hostatlas",
        description = "Hosts that a scan found, and where they are. Errors are problem+json (RFC 9457)."
    ),
    paths(
        hosts::search,
        hosts::show,
        export::export,
        hosts::geolocate,
        providers::answers,
        providers::ask_all,
        providers::pin,
        providers::unpin,
        providers::cost_of_host,
        providers::list,
        providers::test,
        providers::cost,
        databases::list,
        databases::compare,
        places::show,
        places::hosts,
        runs::start,
        runs::latest,
        runs::show,
        runs::cancel,
        map::answer,
        attributions::list,
        coverage::show,
        coverage::recent,
        coverage::countries,
        coverage::providers,
        jobs::list,
        jobs::show,
        jobs::stats,
        jobs::kinds,
        jobs::enqueue,
        jobs::retry,
        jobs::cancel,
        jobs::pause,
        jobs::resume,
        jobs::cap,
        workers::list,
        schedules::list,
        schedules::change,
        schedules::pause,
        schedules::resume,
        schedules::run,
        imports::list,
        imports::show,
        events::listen,
        health::alive,
        health::ready,
    ),
    components(schemas(hostatlas_domain::Problem))
)]
struct Document;

/// The document that is served, and by which requests are judged.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    amend::amend(&mut document);
    document
});

pub fn router() -> Router<AppState> {
    Router::new().route("/api/openapi.json", get(|| async { Json(&*DOCUMENT) }))
}
