use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlInputElement;

use crate::browser;

/// Ticks every checkbox of a form.
#[island]
pub fn SelectAll(
    /// The id of the form.
    form: String,
) -> impl IntoView {
    let toggle = move |event: leptos::ev::Event| {
        let on = event_target_checked(&event);
        let selector = format!("input[type=checkbox][form={form}]");
        let Ok(boxes) = browser::document().query_selector_all(&selector) else { return };
        for index in 0..boxes.length() {
            if let Some(tick) = boxes.item(index).and_then(|node| node.dyn_into::<HtmlInputElement>().ok()) {
                tick.set_checked(on);
            }
        }
    };
    view! { <input class="check needs-script" type="checkbox" aria-label="Select all on this page" on:change=toggle /> }
}
