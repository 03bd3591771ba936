use leptos::{
    prelude::*,
    web_sys::{Event, HtmlElement},
};
use wasm_bindgen::JsCast;
use web_sys::{HtmlDialogElement, HtmlInputElement, KeyboardEvent, Storage};

use crate::browser;

/// What the browser remembers for those who turned the shortcuts off.
const OFF: &str = "shortcuts-off";
/// How long `g` waits for its letter.
const PATIENCE_MILLISECONDS: f64 = 1_500.0;
/// Where keys belong to what holds the focus.
const BUSY: &str = "input,textarea,select,dialog,[contenteditable]";

/// Keys that lead to the search box, to the pages and to the list of keys. The server rendered all that they need.
#[island]
pub fn Shortcuts() -> impl IntoView {
    Effect::new(move |_| {
        let mut since = f64::NEG_INFINITY;
        browser::on_event("keydown", move |event| {
            if press(&event, &mut since) {
                event.prevent_default();
            }
        });
        browser::on_event("click", |event| {
            if browser::closest(&event, "#shortcuts-open").is_some() {
                open();
            } else if let Some(choice) = browser::closest(&event, "#shortcuts-on") {
                keep(choice.unchecked_ref::<HtmlInputElement>().checked());
            }
        });
    });
}

fn storage() -> Option<Storage> {
    browser::window().local_storage().ok().flatten()
}

fn are_off() -> bool {
    storage().and_then(|storage| storage.get_item(OFF).ok().flatten()).is_some()
}

fn keep(on: bool) {
    if let Some(storage) = storage() {
        let _ = if on { storage.remove_item(OFF) } else { storage.set_item(OFF, "") };
    }
}

fn open() {
    let found = |id| browser::document().get_element_by_id(id);
    if let (Some(dialog), Some(choice)) = (found("shortcuts"), found("shortcuts-on")) {
        choice.unchecked_ref::<HtmlInputElement>().set_checked(!are_off());
        let _ = dialog.unchecked_ref::<HtmlDialogElement>().show_modal();
    }
}

/// Whether the key was a shortcut. `since` is when `g` was pressed.
fn press(event: &Event, since: &mut f64) -> bool {
    let Some(pressed) = event.dyn_ref::<KeyboardEvent>() else { return false };
    if pressed.ctrl_key()
        || pressed.alt_key()
        || pressed.meta_key()
        || event.default_prevented()
        || browser::closest(event, BUSY).is_some()
        || are_off()
    {
        return false;
    }
    let now = event.time_stamp();
    let goes = now - std::mem::replace(since, f64::NEG_INFINITY) < PATIENCE_MILLISECONDS;
    let key = pressed.key();
    match key.as_str() {
        "?" => open(),
        "g" => *since = now,
        "/" => return act("#q", HtmlElement::focus),
        letter if goes && letter.len() == 1 && letter.as_bytes()[0].is_ascii_lowercase() => {
            return act(&format!("[data-key={letter}]"), |link| {
                link.click();
                Ok(())
            });
        }
        _ => return false,
    }
    true
}

fn act(selector: &str, act: impl FnOnce(&HtmlElement) -> Result<(), wasm_bindgen::JsValue>) -> bool {
    let found = browser::document().query_selector(selector).ok().flatten();
    found.is_some_and(|element| act(element.unchecked_ref()).is_ok())
}
