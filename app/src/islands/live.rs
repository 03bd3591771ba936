use std::cell::RefCell;

use hostatlas_domain::Topic;
use leptos::{prelude::*, web_sys::VisibilityState};
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::EventSource;

use crate::browser::{self, OPENED, REFRESH};

thread_local! {
    // A browser's object belongs to its thread. Kept in a `StoredValue` it would be dropped on another one by the
    // server, which panics.
    static CONNECTION: RefCell<Option<EventSource>> = const { RefCell::new(None) };
}

/// Listens to `/api/v1/events` and tells the page's other islands; the one connection of a page.
///
/// It stops while it is paused and while the page is hidden, and catches up afterwards.
#[island]
pub fn LiveChip() -> impl IntoView {
    let paused = RwSignal::new(false);
    let update = move |catch_up: bool| {
        let listens =
            !paused.get_untracked() && browser::document().visibility_state() == VisibilityState::Visible;
        let listening = CONNECTION.with_borrow(Option::is_some);
        if listens && !listening {
            CONNECTION.set(listen());
            if catch_up {
                for topic in Topic::ALL {
                    browser::announce(&browser::topic_event(topic.slug()));
                }
                browser::announce(REFRESH);
            }
        } else if !listens && let Some(source) = CONNECTION.take() {
            source.close();
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

/// Opens the stream. The browser reconnects on its own when it breaks.
fn listen() -> Option<EventSource> {
    let source = EventSource::new("/api/v1/events").ok()?;
    let opened = Closure::<dyn FnMut()>::new(|| browser::announce(OPENED));
    source.set_onopen(Some(opened.as_ref().unchecked_ref()));
    opened.forget();
    for topic in Topic::ALL {
        let heard =
            Closure::<dyn FnMut()>::new(move || browser::announce(&browser::topic_event(topic.slug())));
        let _ = source.add_event_listener_with_callback(topic.slug(), heard.as_ref().unchecked_ref());
        // A few bytes for each time that the stream is opened anew.
        heard.forget();
    }
    Some(source)
}
