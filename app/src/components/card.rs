use leptos::prelude::*;

/// A titled part of a page.
#[component]
pub fn Card(
    /// The id of its title.
    id: &'static str,
    /// Its title.
    #[prop(into)]
    title: String,
    /// What stands beside the title.
    #[prop(optional)]
    beside: Option<AnyView>,
    /// What it holds.
    children: Children,
) -> impl IntoView {
    view! {
        <section class="card" aria-labelledby=id>
            <div class="card__head">
                <h2 id=id>{title}</h2>
                {beside}
            </div>
            {children()}
        </section>
    }
}
