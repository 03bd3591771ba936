use std::cell::Cell;

use leptos::{
    prelude::*,
    task::spawn_local,
    web_sys::{Document, Element, HtmlElement},
};
use wasm_bindgen::JsCast;

use super::{actions, run, times};
use crate::browser::{self, OPENED, REFRESH, REFRESHED};

/// How long to gather changes before the page is asked for again. The server coalesces to a second as well.
const GATHER_MILLISECONDS: i32 = 250;

thread_local! {
    /// How many times a form's page was taken over.
    static TAKEN_OVER: Cell<u32> = const { Cell::new(0) };
}

/// How asking for the page again ended.
enum Exchange {
    /// What arrived is shown.
    Shown,
    /// A form led elsewhere in the meantime: what arrived is older than what is shown.
    Overtaken,
    /// Nothing arrived.
    Missing,
}

/// Keeps what the server rendered up to date, and answers clicks without loading a page.
///
/// On each topic named in `data-topics` of the element `#live` it asks for the same page again and exchanges only the
/// parts that are marked with `data-live` and an id, and the cells of rows in a table marked `data-live-rows`. Rows
/// never move: a row that is new is counted in `#new-rows`, which leads to it. What holds the focus stays.
#[island]
pub fn LivePage() -> impl IntoView {
    let running = StoredValue::new(false);
    let again = StoredValue::new(false);
    let refresh = move || {
        if running.get_value() {
            again.set_value(true);
            return;
        }
        running.set_value(true);
        spawn_local(async move {
            loop {
                browser::sleep(GATHER_MILLISECONDS).await;
                again.set_value(false);
                let looks_again = match exchange().await {
                    // What goes on is looked at again by itself, as long as there is an answer.
                    Exchange::Shown => again.get_value() || goes_on(),
                    Exchange::Overtaken => true,
                    Exchange::Missing => again.get_value(),
                };
                if !looks_again {
                    break;
                }
            }
            running.set_value(false);
        });
    };
    Effect::new(move |_| {
        let told = |name: &str| {
            browser::document().get_element_by_id("live").and_then(|live| live.get_attribute(name))
        };
        let topics = told("data-topics").unwrap_or_default();
        if let Some(seconds) = told("data-every").and_then(|every| every.parse::<i32>().ok()) {
            spawn_local(async move {
                loop {
                    browser::sleep(seconds.saturating_mul(1_000)).await;
                    if !browser::document().hidden() {
                        refresh();
                    }
                }
            });
        }
        for topic in topics.split_ascii_whitespace() {
            browser::on_document(&browser::topic_event(topic), refresh);
        }
        // What changed between the rendering of the page and the opening of the stream is in neither. The map asks for
        // its marks after it was rendered, and again whenever it moves.
        if !topics.contains("map") {
            browser::on_document(OPENED, refresh);
        }
        browser::on_document(REFRESH, refresh);
        if goes_on() {
            refresh();
        }
        actions::listen();
        times::listen();
        run::follow_what_runs();
    });
}

/// Takes the page as it is now.
async fn exchange() -> Exchange {
    let Ok(address) = browser::window().location().href() else { return Exchange::Missing };
    let before = TAKEN_OVER.get();
    let Ok(fresh) = browser::get_page(&address).await else { return Exchange::Missing };
    // The answer to a form, such as what is wrong with it, is not wiped out by a page that was asked for before it.
    if TAKEN_OVER.get() != before {
        return Exchange::Overtaken;
    }
    show(&fresh);
    Exchange::Shown
}

/// Whether the page shows something that changes without a topic of its own, until it is done.
fn goes_on() -> bool {
    browser::document().query_selector("[data-goes-on]").is_ok_and(|found| found.is_some())
}

/// Takes over the page that a form led to, with its address.
pub fn take_over(fresh: &Document, address: &str) {
    TAKEN_OVER.set(TAKEN_OVER.get().wrapping_add(1));
    browser::replace_address(address);
    show(fresh);
    if goes_on() {
        browser::announce(REFRESH);
    }
}

fn show(fresh: &Document) {
    let shown = browser::document();
    for part in browser::all(&shown, "[data-live]") {
        if let Some(new) = fresh.get_element_by_id(&part.id()) {
            replace(&shown, &part, &new);
        }
    }
    exchange_rows(&shown, fresh);
    browser::announce(REFRESHED);
}

fn exchange_rows(shown: &Document, fresh: &Document) {
    let mut unseen = 0;
    let rows = browser::all(fresh, "[data-live-rows] tbody tr[id]");
    for new in &rows {
        let Some(row) = shown.get_element_by_id(&new.id()) else {
            unseen += 1;
            continue;
        };
        // The first cell is the checkbox: it belongs to the person.
        for index in 1..row.children().length() {
            if let (Some(cell), Some(new)) = (row.children().item(index), new.children().item(index)) {
                replace(shown, &cell, &new);
            }
        }
    }
    if let Some(note) = shown.get_element_by_id("new-rows") {
        browser::show(&note, unseen > 0);
        let more = if unseen == rows.len() { "+" } else { "" };
        browser::write(&note, "[data-new-count]", &format!("{unseen}{more} new, show them"));
    }
}

fn replace(shown: &Document, old: &Element, new: &Element) {
    let open = old.query_selector("details[open]").is_ok_and(|found| found.is_some());
    if open || old.has_attribute("open") || old.is_equal_node(Some(new)) {
        return;
    }
    let focused = shown.active_element().filter(|focused| old.contains(Some(focused)));
    // What a person writes or opens stays as it is. A button with a name hands the focus on to its twin.
    let twin = focused.as_ref().map(|focused| {
        if focused.has_attribute("type") && focused.local_name() == "button" {
            focused.id()
        } else {
            String::new()
        }
    });
    if twin.as_ref().is_some_and(String::is_empty) {
        return;
    }
    if let Ok(node) = shown.import_node_with_deep(new, true) {
        let _ = old.replace_with_with_node_1(&node);
    }
    if let Some(twin) = twin.and_then(|id| shown.get_element_by_id(&id)) {
        let _ = twin.unchecked_into::<HtmlElement>().focus();
    }
}
