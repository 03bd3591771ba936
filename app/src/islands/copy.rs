use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen_futures::JsFuture;

use crate::{browser, components::Icon};

/// A command to run in a terminal, and a button that copies it.
#[island]
pub fn Command(
    /// The command.
    text: String,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let command = text.clone();
    let copy = move |_| {
        let writing = browser::window().navigator().clipboard().write_text(&command);
        spawn_local(async move {
            if JsFuture::from(writing).await.is_ok() {
                copied.set(true);
                browser::sleep(1_500).await;
                copied.set(false);
            }
        });
    };
    let label = format!("Copy: {text}");
    view! {
        <span class="cmd">
            <code tabindex="0">{text}</code>
            <button
                type="button"
                class="btn btn--icon btn--quiet btn--sm needs-script"
                aria-label=label.clone()
                title=label
                on:click=copy
            >
                {move || if copied.get() { view! { <Icon name="completed" /> } } else { view! { <Icon name="copy" /> } }}
            </button>
            <span class="visually-hidden" role="status">
                {move || copied.get().then_some("Copied")}
            </span>
        </span>
    }
}
