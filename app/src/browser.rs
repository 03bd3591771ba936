//! The little that islands need of a browser: requests, timers, events between islands, and reading JSON.
//!
//! Answers are read through JavaScript's own objects. A parser of our own would weigh more in the first view than the
//! map.

use js_sys::{Array, JSON, Object, Promise, Reflect};
use leptos::web_sys::{self, Document, Element, Window};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, DomParser, Headers, RequestInit, Response, SupportedType, UrlSearchParams};

/// Sent on the document when something that the server rendered may have changed.
pub const REFRESH: &str = "hostatlas:refresh";
/// Sent on the document after live parts of the page were exchanged.
pub const REFRESHED: &str = "hostatlas:refreshed";
/// Sent on the document when the stream of events is open, at first or again.
pub const OPENED: &str = "hostatlas:opened";
/// Sent on the document when the theme changed: canvases read their colours again.
pub const THEME: &str = "hostatlas:theme";

/// The name of the document event for a topic of `/api/v1/events`.
pub fn topic_event(topic: &str) -> String {
    format!("hostatlas:{topic}")
}

pub fn window() -> Window {
    leptos::prelude::window()
}

pub fn document() -> Document {
    leptos::prelude::document()
}

/// A JSON value. What is not there, or is of another kind, is none.
#[derive(Clone, Debug)]
pub struct Json(pub JsValue);

impl Json {
    /// One field of an object.
    pub fn get(&self, name: &str) -> Self {
        Self(Reflect::get(&self.0, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED))
    }

    /// A field that is text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).0.as_string()
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).0.as_f64()
    }

    /// A field that is a count, 0 if it is not there.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts are whole, positive and below 2^53"
    )]
    pub fn count(&self, name: &str) -> u64 {
        self.number(name).map_or(0, |number| number as u64)
    }

    /// The items of a list.
    #[cfg_attr(not(feature = "hydrate"), expect(dead_code, reason = "only islands in the browser call it"))]
    pub fn items(&self) -> Vec<Self> {
        self.0.dyn_ref::<Array>().map(|array| array.iter().map(Self).collect()).unwrap_or_default()
    }
}

/// A sentence for a request that never reached the server.
const UNREACHABLE: &str = "The server does not answer. It may have been stopped.";
const UNREADABLE: &str = "The answer could not be read.";

async fn send(url: &str, request: &RequestInit) -> Result<String, String> {
    Ok(send_on(url, request).await?.0)
}

/// The body of an answer, and the address that it came from in the end.
async fn send_on(url: &str, request: &RequestInit) -> Result<(String, String), String> {
    let answer = JsFuture::from(window().fetch_with_str_and_init(url, request)).await;
    let response: Response = answer.map_err(|_| UNREACHABLE.to_owned())?.unchecked_into();
    let body = response.text().map_err(|_| UNREACHABLE.to_owned())?;
    let body = JsFuture::from(body)
        .await
        .ok()
        .and_then(|text| text.as_string())
        .ok_or_else(|| UNREACHABLE.to_owned())?;
    if response.ok() {
        return Ok((body, response.url()));
    }
    let problem = Json(JSON::parse(&body).unwrap_or(JsValue::UNDEFINED));
    Err(match (problem.text("detail"), problem.text("hint")) {
        (Some(detail), Some(hint)) => format!("{detail}. {hint}"),
        (Some(detail), None) => detail,
        _ => format!("The server answered {}.", response.status()),
    })
}

fn parse(body: &str) -> Result<Json, String> {
    JSON::parse(body).map(Json).map_err(|_| UNREADABLE.to_owned())
}

/// Asks for JSON.
pub async fn get_json(url: &str, signal: Option<&AbortSignal>) -> Result<Json, String> {
    let request = RequestInit::new();
    request.set_signal(signal);
    parse(&send(url, &request).await?)
}

/// Asks for a page. Nothing in it runs; it is only a place to take parts from.
pub async fn get_page(url: &str) -> Result<Document, String> {
    parse_page(&send(url, &RequestInit::new()).await?)
}

fn parse_page(body: &str) -> Result<Document, String> {
    let page = DomParser::new().and_then(|parser| parser.parse_from_string(body, SupportedType::TextHtml));
    page.map_err(|_| UNREADABLE.to_owned())
}

/// Sends a form as the browser would, and answers the page that it leads to with its address.
pub async fn post_form(action: &str, fields: &UrlSearchParams) -> Result<(Document, String), String> {
    let request = RequestInit::new();
    request.set_method("POST");
    let headers = Headers::new().map_err(|_| UNREACHABLE.to_owned())?;
    let _ = headers.set("accept", "text/html");
    request.set_headers(&headers);
    request.set_body(fields);
    let (body, address) = send_on(action, &request).await?;
    Ok((parse_page(&body)?, address))
}

/// Sends an object of these fields as JSON and reads the answer.
pub async fn post_json(url: &str, fields: &[(&str, JsValue)]) -> Result<Json, String> {
    let body = Object::new();
    for (name, value) in fields {
        let _ = Reflect::set(&body, &JsValue::from_str(name), value);
    }
    let request = RequestInit::new();
    request.set_method("POST");
    let headers = Headers::new().map_err(|_| UNREACHABLE.to_owned())?;
    let _ = headers.set("content-type", "application/json");
    request.set_headers(&headers);
    request.set_body(&JSON::stringify(&body).map_err(|_| UNREADABLE.to_owned())?.into());
    parse(&send(url, &request).await?)
}

/// Waits.
pub async fn sleep(milliseconds: i32) {
    let timer = Promise::new(&mut |resolve, _| {
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
    });
    let _ = JsFuture::from(timer).await;
}

/// Calls `handler` on every document event of this name, as long as the page lives.
pub fn on_document(event: &str, mut handler: impl FnMut() + 'static) {
    on_event(event, move |_| handler());
}

/// Calls `handler` with every document event of this name, as long as the page lives.
pub fn on_event(event: &str, handler: impl FnMut(web_sys::Event) + 'static) {
    let closure = Closure::<dyn FnMut(web_sys::Event)>::new(handler);
    let _ = document().add_event_listener_with_callback(event, closure.as_ref().unchecked_ref());
    // Islands are never taken down without their page.
    closure.forget();
}

/// Tells the other islands of this page.
pub fn announce(event: &str) {
    if let Ok(event) = web_sys::Event::new(event) {
        let _ = document().dispatch_event(&event);
    }
}

/// The nearest element around what an event happened to.
pub fn closest(event: &web_sys::Event, selector: &str) -> Option<Element> {
    let element: Element = event.target()?.dyn_into().ok()?;
    element.closest(selector).ok().flatten()
}

/// All elements that a selector finds.
pub fn all(document: &Document, selector: &str) -> Vec<Element> {
    let Ok(nodes) = document.query_selector_all(selector) else { return Vec::new() };
    (0..nodes.length())
        .filter_map(|index| nodes.item(index))
        .filter_map(|node| node.dyn_into().ok())
        .collect()
}

/// Writes text into the part of an element that a selector finds.
pub fn write(within: &Element, selector: &str, text: &str) {
    if let Ok(Some(part)) = within.query_selector(selector) {
        part.set_text_content(Some(text));
    }
}

/// Shows or hides an element.
pub fn show(element: &Element, shown: bool) {
    let _ = if shown { element.remove_attribute("hidden") } else { element.set_attribute("hidden", "") };
}

/// Whether the person asked for less motion.
#[cfg_attr(not(feature = "hydrate"), expect(dead_code, reason = "only islands in the browser call it"))]
pub fn prefers_reduced_motion() -> bool {
    window()
        .match_media("(prefers-reduced-motion: reduce)")
        .ok()
        .flatten()
        .is_some_and(|query| query.matches())
}

/// Calls `handler` whenever the system turns from light to dark or back, as long as the page lives.
#[cfg_attr(not(feature = "hydrate"), expect(dead_code, reason = "only islands in the browser call it"))]
pub fn on_system_theme(handler: impl FnMut() + 'static) {
    let Ok(Some(query)) = window().match_media("(prefers-color-scheme: dark)") else { return };
    let changed = Closure::<dyn FnMut()>::new(handler);
    let _ = query.add_event_listener_with_callback("change", changed.as_ref().unchecked_ref());
    changed.forget();
}

/// Writes the address bar without leaving a step to go back to.
pub fn replace_address(address: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(address));
    }
}
