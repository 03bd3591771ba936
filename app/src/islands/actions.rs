//! Answers to clicks on what the server rendered; one listener a page.

use leptos::{task::spawn_local, web_sys::Event};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, HtmlInputElement, SubmitEvent, UrlSearchParams};

use super::{geolocate, page, run};
use crate::browser;

/// Listens for clicks and ticks.
pub fn listen() {
    browser::on_event("click", |event| {
        if let Some(button) = browser::closest(&event, "form[data-geolocate] button[type=submit]") {
            event.prevent_default();
            geolocate::ask(&button);
        } else if let Some(button) = browser::closest(&event, "form[data-run] button[type=submit]") {
            event.prevent_default();
            run::start(&button);
        } else if let Some(button) = browser::closest(&event, "form[data-run-cancel] button[type=submit]") {
            event.prevent_default();
            run::cancel(&button);
        } else if let Some(button) = browser::closest(&event, "button[data-copy]") {
            copy(button);
        }
    });
    browser::on_event("change", |event| select_all(&event));
    browser::on_event("submit", send);
}

/// Sends a form that changes what this page shows, and takes the page that it leads to over, part by part.
///
/// Without scripts the browser does the same by loading that page.
fn send(event: Event) {
    let Some(form) = browser::closest(&event, "form[data-swap]") else { return };
    event.prevent_default();
    if form.has_attribute("data-busy") {
        return;
    }
    let event: SubmitEvent = event.unchecked_into();
    let button = event.submitter();
    let named = |name: &str| {
        button.as_ref().and_then(|button| button.get_attribute(name)).filter(|it| !it.is_empty())
    };
    let Ok(fields) = UrlSearchParams::new() else { return };
    for input in browser::all(&browser::document(), "input[name]") {
        let Ok(input) = input.dyn_into::<HtmlInputElement>() else { continue };
        if input.form().is_some_and(|owner| owner.is_same_node(Some(&form))) {
            fields.append(&input.name(), &input.value());
        }
    }
    if let Some((name, value)) = named("name").zip(named("value")) {
        fields.append(&name, &value);
    }
    let action = form.get_attribute("action").unwrap_or_default();
    spawn_local(async move {
        let _ = form.set_attribute("data-busy", "");
        for open in browser::all(&browser::document(), "details[open]") {
            let _ = open.remove_attribute("open");
        }
        match browser::post_form(&action, &fields).await {
            Ok((page, address)) => page::take_over(&page, &address),
            // Not sent again by the browser itself: it may have been heard, and may cost.
            Err(why) => {
                if let Some(root) = browser::document().document_element() {
                    browser::write(&root, "#notice", &why);
                }
            }
        }
        let _ = form.remove_attribute("data-busy");
    });
}

/// Copies a command, and says so.
fn copy(button: Element) {
    let text = button.get_attribute("data-copy").unwrap_or_default();
    let writing = browser::window().navigator().clipboard().write_text(&text);
    spawn_local(async move {
        if JsFuture::from(writing).await.is_ok() {
            let say = |word: &str, icon: &str| {
                if let Some(around) = button.parent_element() {
                    browser::write(&around, "[role=status]", word);
                }
                if let Ok(Some(shape)) = button.query_selector("use") {
                    let _ = shape.set_attribute("href", icon);
                }
            };
            say("Copied", "#i-completed");
            browser::sleep(1_500).await;
            say("", "#i-copy");
        }
    });
}

/// Ticks every checkbox of a form.
fn select_all(event: &Event) {
    let Some(all) = browser::closest(event, "input[data-select-all]") else { return };
    let form = all.get_attribute("data-select-all").unwrap_or_default();
    let on = all.dyn_into::<HtmlInputElement>().is_ok_and(|all| all.checked());
    for tick in browser::all(&browser::document(), &format!("input[type=checkbox][form={form}]")) {
        if let Ok(tick) = tick.dyn_into::<HtmlInputElement>() {
            tick.set_checked(on);
        }
    }
}
