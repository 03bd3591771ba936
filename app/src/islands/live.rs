use leptos::{prelude::*, web_sys::VisibilityState};

use super::stream;
use crate::browser;

/// Listens to what changes and tells the page's other islands.
///
/// It stops while it is paused and while the page is hidden, and catches up afterwards.
#[island]
pub fn LiveChip() -> impl IntoView {
    let paused = RwSignal::new(false);
    let update = move |catch_up: bool| {
        let listens =
            !paused.get_untracked() && browser::document().visibility_state() == VisibilityState::Visible;
        if listens && !stream::listens() {
            stream::listen();
            if catch_up {
                stream::catch_up();
            }
        } else if !listens && stream::listens() {
            stream::stop();
        }
    };
    Effect::new(move |_| {
        update(false);
        browser::on_document("visibilitychange", move || update(true));
    });
    let toggle = move |_| {
        paused.update(|paused| *paused = !*paused);
        update(true);
    };
    let word = move || if paused.get() { "Paused" } else { "Live" };
    let label = move || if paused.get() { "Paused: resume live updates" } else { "Live: pause updates" };
    view! {
        <button
            type="button"
            class="live btn btn--quiet btn--sm needs-script"
            data-paused=move || paused.get().then_some("")
            aria-label=label
            title=label
            on:click=toggle
        >
            {word}
        </button>
    }
}
