//! Moments in the reader's own time. The server knows none but UTC.

use js_sys::Date;
use wasm_bindgen::JsValue;
use web_sys::Element;

use crate::browser::{self, REFRESHED};

/// Writes the moments that the page shows on the clock in local time, now and after each exchange, and tells it of any
/// other moment to who points at it.
pub fn listen() {
    write();
    browser::on_document(REFRESHED, write);
    browser::on_event("mouseover", |event| {
        if let Some(time) = browser::closest(&event, "time[title]:not([data-told])")
            && let Some(local) = local(&time)
            && let Some(utc) = time.get_attribute("title")
        {
            let _ = time.set_attribute("title", &format!("{utc}\n{local}"));
            let _ = time.set_attribute("data-told", "");
        }
    });
}

fn write() {
    for time in browser::all(&browser::document(), "time[data-local]") {
        if let Some(local) = local(&time) {
            time.set_text_content(Some(&local));
        }
    }
}

/// `2026-11-24 15:00:00 UTC+1`; none where the reader's time is UTC.
fn local(time: &Element) -> Option<String> {
    let moment = Date::new(&JsValue::from_str(&time.get_attribute("datetime")?));
    // Minutes that UTC is ahead of the reader, on that day.
    let behind = moment.get_timezone_offset();
    if behind == 0.0 || behind.is_nan() {
        return None;
    }
    let shifted = Date::new(&JsValue::from_f64(moment.get_time() - behind * 60_000.0));
    let shown = shifted.to_iso_string().as_string()?;
    let (day, clock) = (shown.get(..10)?, shown.get(11..19)?);
    let (sign, minutes) = (if behind > 0.0 { '-' } else { '+' }, behind.abs());
    let part = if minutes % 60.0 == 0.0 { String::new() } else { format!(":{}", minutes % 60.0) };
    Some(format!("{day} {clock} UTC{sign}{}{part}", (minutes / 60.0).floor()))
}
