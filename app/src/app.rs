use axum::http::request::Parts;
use leptos::{config::LeptosOptions, hydration::HydrationScripts, prelude::*};
use leptos_meta::{HashedStylesheet, MetaTags, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Route, Router, Routes},
    path,
};

use crate::{
    components::Sprite,
    pages::{
        CoveragePage, DatabasesPage, HostPage, HostsPage, JobPage, JobsPage, MapPage, NotFoundPage,
        ProvidersPage, SchedulesPage, WorkersPage,
    },
};

/// The theme that the person chose; none follows the system.
fn chosen_theme() -> Option<&'static str> {
    let parts = use_context::<Parts>()?;
    let cookies = parts.headers.get("cookie")?.to_str().ok()?;
    let theme = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("theme="))?;
    ["light", "dark"].into_iter().find(|known| *known == theme)
}

/// The document around every page.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en" data-density="comfortable" data-theme=chosen_theme()>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="description" content="Hosts that a scan found, on a world map" />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <HashedStylesheet options=options.clone() id="style" />
                <MetaTags />
                <HydrationScripts options islands=true />
            </head>
            <body>
                <Sprite />
                <App />
            </body>
        </html>
    }
}

/// All pages. Each waits until its content is there, so that it is whole without scripts.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Router>
            <Routes fallback=NotFoundPage>
                <Route path=path!("/") view=MapPage ssr=SsrMode::Async />
                <Route path=path!("/hosts") view=HostsPage ssr=SsrMode::Async />
                <Route path=path!("/hosts/:ip") view=HostPage ssr=SsrMode::Async />
                <Route path=path!("/coverage") view=CoveragePage ssr=SsrMode::Async />
                <Route path=path!("/jobs") view=JobsPage ssr=SsrMode::Async />
                <Route path=path!("/jobs/:id") view=JobPage ssr=SsrMode::Async />
                <Route path=path!("/providers") view=ProvidersPage ssr=SsrMode::Async />
                <Route path=path!("/workers") view=WorkersPage ssr=SsrMode::Async />
                <Route path=path!("/schedules") view=SchedulesPage ssr=SsrMode::Async />
                <Route path=path!("/databases") view=DatabasesPage ssr=SsrMode::Async />
            </Routes>
        </Router>
    }
}
