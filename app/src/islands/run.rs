//! Batch runs: start, follow with progress, cancel.

use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, HtmlInputElement};

use crate::{
    browser::{self, Json, REFRESH},
    format::{NBSP, duration, share},
    run_words::{details, headline},
};

/// How often a run is looked at.
const LOOKS_MILLISECONDS: i32 = 400;

/// The card of a run on this page.
fn card() -> Option<Element> {
    browser::document().get_element_by_id("run")
}

/// Starts what a form asks for: the hosts of its field `q`, or its `selection`; the button says whether by force.
pub fn start(button: &Element) {
    let Ok(Some(form)) = button.closest("form") else { return };
    let field = |name: &str| {
        let input = form.query_selector(&format!("input[name={name}]")).ok().flatten()?;
        input.dyn_into::<HtmlInputElement>().ok().map(|input| input.value())
    };
    let mut fields = vec![("force", (button.get_attribute("value").as_deref() == Some("true")).into())];
    fields.extend(["q", "selection"].into_iter().filter_map(|name| Some((name, field(name)?.into()))));
    spawn_local(async move {
        let Some(card) = card() else { return };
        match browser::post_json("/api/v1/runs", &fields).await {
            Ok(run) => {
                let id = run.count("id");
                draw(&card, &run);
                follow(card, id).await;
            }
            Err(refused) => refuse(&card, &refused),
        }
    });
}

/// Asks the run to stop.
pub fn cancel(button: &Element) {
    let id = button
        .closest("#run")
        .ok()
        .flatten()
        .and_then(|card| card.get_attribute("data-run-id"))
        .unwrap_or_default();
    spawn_local(async move {
        if let (Err(refused), Some(card)) =
            (browser::post_json(&format!("/api/v1/runs/{id}/cancel"), &[]).await, card())
        {
            refuse(&card, &refused);
        }
    });
}

/// Follows the run that the server rendered as going on.
pub fn follow_what_runs() {
    let Some(card) = card().filter(|card| card.has_attribute("data-running")) else { return };
    let id = card.get_attribute("data-run-id").and_then(|id| id.parse().ok()).unwrap_or(0);
    spawn_local(follow(card, id));
}

async fn follow(card: Element, id: u64) {
    loop {
        match browser::get_json(&format!("/api/v1/runs/{id}"), None).await {
            Ok(run) => {
                draw(&card, &run);
                if run.text("state").as_deref() != Some("running") {
                    break;
                }
            }
            Err(refused) => {
                refuse(&card, &refused);
                break;
            }
        }
        browser::sleep(LOOKS_MILLISECONDS).await;
    }
    browser::announce(REFRESH);
}

/// Sets the drawing of a chip.
pub fn icon(chip: &Element, shape: &str, spins: bool) {
    if let Ok(Some(shown)) = chip.query_selector("use") {
        let _ = shown.set_attribute("href", shape);
    }
    if let Ok(Some(icon)) = chip.query_selector(".icon") {
        let _ = icon.set_attribute("class", if spins { "icon spin" } else { "icon" });
    }
}

fn refuse(card: &Element, why: &str) {
    let _ = card.set_attribute("data-tone", "bad");
    icon(card, "#i-warn", false);
    browser::write(card, "p", why);
    browser::write(card, "small", "");
    browser::show(card, true);
    offer_cancel(card, false);
}

fn offer_cancel(card: &Element, offered: bool) {
    for part in ["form", ".meter"] {
        if let Ok(Some(part)) = card.query_selector(part) {
            browser::show(&part, offered);
        }
    }
}

fn draw(card: &Element, run: &Json) {
    let state = run.text("state").unwrap_or_default();
    let (tone, shape) = match state.as_str() {
        "running" => ("", "#i-running"),
        "done" => ("ok", "#i-completed"),
        "cancelled" => ("mute", "#i-cancelled"),
        _ => ("bad", "#i-warn"),
    };
    let _ = if tone.is_empty() {
        card.remove_attribute("data-tone")
    } else {
        card.set_attribute("data-tone", tone)
    };
    let _ = card.set_attribute("data-run-id", &run.count("id").to_string());
    let (considered, total) = (run.count("considered"), run.count("total"));
    icon(card, shape, state == "running");
    browser::write(card, "p", &headline(&state, considered, total, run.text("error")));
    let mut text =
        details(considered, total, [run.count("located"), run.count("unlocated"), run.count("failed")]);
    if state == "running" {
        if let Some(rate) = run.number("rate").filter(|rate| *rate > 0.0) {
            text = format!("{text} · {rate:.0}{NBSP}a second");
        }
        if let Some(left) = run.number("seconds_left") {
            text = format!("{text} · {} left", duration(left));
        }
    }
    browser::write(card, "small", &text);
    if let Ok(Some(bar)) = card.query_selector(".meter > span") {
        let bar: HtmlElement = bar.unchecked_into();
        let _ = bar.style().set_property("--v", &format!("{:.1}", share(considered, total)));
    }
    offer_cancel(card, state == "running");
    browser::show(card, true);
}
