use leptos::prelude::*;

/// The pages about the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueTab {
    /// The jobs themselves.
    Jobs,
    /// Who runs them.
    Workers,
    /// What is done again and again.
    Schedules,
}

/// Leads from one page about the queue to the others; they share one entry of the top bar.
#[component]
pub fn QueueTabs(
    /// Which is shown.
    current: QueueTab,
) -> impl IntoView {
    let link = |to: QueueTab, href: &'static str, word: &'static str| {
        view! {
            <a href=href aria-current=(to == current).then_some("page")>
                {word}
            </a>
        }
    };
    view! {
        <nav class="tabs subnav push" aria-label="Queue">
            {link(QueueTab::Jobs, "/jobs", "Jobs")} {link(QueueTab::Workers, "/workers", "Workers")}
            {link(QueueTab::Schedules, "/schedules", "Schedules")}
        </nav>
    }
}
