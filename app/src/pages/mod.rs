//! Pages fetch, and hold the state of the address bar; components draw.

mod coverage;
mod host;
mod hosts;
mod job;
mod jobs;
mod map;
mod not_found;
mod problem;

pub use coverage::CoveragePage;
pub use host::HostPage;
pub use hosts::HostsPage;
pub use job::JobPage;
pub use jobs::JobsPage;
pub use map::MapPage;
pub use not_found::NotFoundPage;

use std::future::Future;

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::ApiError;

/// Hosts or jobs on a page of a list.
const LIMIT: u32 = 50;

/// One value of the address bar; empty if it is not there.
fn query(name: &str) -> String {
    use_query_map().with_untracked(|query| query.get(name)).unwrap_or_default().trim().to_owned()
}

/// One part of the path.
fn parameter(name: &str) -> String {
    use_params_map().with_untracked(|parameters| parameters.get(name)).unwrap_or_default()
}

/// Waits for what a page shows, and shows why there is nothing if that fails.
fn page<T, F, V>(load: F, show: impl Fn(T) -> V + Send + Sync + 'static) -> impl IntoView
where
    T: Send + 'static,
    F: Future<Output = Result<T, ApiError>> + Send + 'static,
    V: IntoView + 'static,
{
    let load = StoredValue::new(std::sync::Mutex::new(Some(Box::pin(load))));
    let show = StoredValue::new(show);
    let shown = move || {
        let load = load.with_value(|load| load.lock().ok().and_then(|mut load| load.take()));
        Suspend::new(async move {
            let loaded = match load {
                Some(load) => load.await,
                None => Err(ApiError::new(hostatlas_domain::ProblemCode::Internal, "the page was asked for twice")),
            };
            match loaded {
                Ok(loaded) => show.with_value(|show| show(loaded)).into_any(),
                Err(error) => view! { <problem::ProblemView error /> }.into_any(),
            }
        })
    };
    view! { <Suspense>{shown}</Suspense> }
}
