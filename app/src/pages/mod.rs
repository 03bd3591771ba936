//! Pages fetch, and hold the state of the address bar; components draw.

mod coverage;
mod databases;
mod host;
mod hosts;
mod job;
mod jobs;
mod map;
mod not_found;
mod problem;
mod providers;
mod schedules;
mod workers;

pub use coverage::CoveragePage;
pub use databases::DatabasesPage;
pub use host::HostPage;
pub use hosts::HostsPage;
pub use job::JobPage;
pub use jobs::JobsPage;
pub use map::MapPage;
pub use not_found::NotFoundPage;
pub use providers::ProvidersPage;
pub use schedules::SchedulesPage;
pub use workers::WorkersPage;

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
fn page<T, V>(
    load: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    show: impl FnOnce(T) -> V + Send + 'static,
) -> impl IntoView
where
    T: Send + 'static,
    V: IntoView + 'static,
{
    // Not inside a <Suspense>: that would ask twice, and there is nothing to show before the answer.
    Suspend::new(async move {
        match load.await {
            Ok(loaded) => show(loaded).into_any(),
            Err(error) => view! { <problem::ProblemView error /> }.into_any(),
        }
    })
}
