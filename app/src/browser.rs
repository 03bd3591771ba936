//! The little that islands need of a browser: requests, timers, and events between islands of one page.

use js_sys::{JSON, Promise};
use leptos::web_sys;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Document, Headers, RequestInit, Response, Window};

/// Sent on the document when something that the server rendered may have changed.
pub const REFRESH: &str = "hostatlas:refresh";
/// Sent on the document after live parts of the page were exchanged.
pub const REFRESHED: &str = "hostatlas:refreshed";
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

/// What a refused request says.
#[derive(Deserialize)]
struct Refusal {
    detail: String,
    hint: Option<String>,
}

/// A sentence for a request that never reached the server.
const UNREACHABLE: &str = "The server does not answer. It may have been stopped.";

async fn send(url: &str, request: &RequestInit) -> Result<Response, String> {
    let answer = JsFuture::from(window().fetch_with_str_and_init(url, request)).await;
    let response: Response = answer.map_err(|_| UNREACHABLE.to_owned())?.unchecked_into();
    if response.ok() {
        return Ok(response);
    }
    let refusal: Option<Refusal> = read(&response).await.ok();
    Err(match refusal {
        Some(Refusal { detail, hint: Some(hint) }) => format!("{detail}. {hint}"),
        Some(Refusal { detail, hint: None }) => detail,
        None => format!("The server answered {}.", response.status()),
    })
}

async fn text(response: &Response) -> Result<String, String> {
    let body = response.text().map_err(|_| UNREACHABLE.to_owned())?;
    JsFuture::from(body).await.ok().and_then(|text| text.as_string()).ok_or_else(|| UNREACHABLE.to_owned())
}

async fn read<T: DeserializeOwned>(response: &Response) -> Result<T, String> {
    serde_json::from_str(&text(response).await?).map_err(|_| "The answer could not be read.".to_owned())
}

/// Asks for JSON.
pub async fn get_json<T: DeserializeOwned>(url: &str, signal: Option<&AbortSignal>) -> Result<T, String> {
    let request = RequestInit::new();
    request.set_signal(signal);
    read(&send(url, &request).await?).await
}

/// Asks for a page.
pub async fn get_text(url: &str) -> Result<String, String> {
    text(&send(url, &RequestInit::new()).await?).await
}

/// Asks for JSON and leaves it to JavaScript, for data that Rust would only hand on.
pub async fn get_value(url: &str) -> Result<JsValue, String> {
    JSON::parse(&get_text(url).await?).map_err(|_| "The answer could not be read.".to_owned())
}

/// Sends JSON and reads the answer.
pub async fn post_json<T: DeserializeOwned>(url: &str, body: &impl Serialize) -> Result<T, String> {
    let request = RequestInit::new();
    request.set_method("POST");
    let headers = Headers::new().map_err(|_| UNREACHABLE.to_owned())?;
    let _ = headers.set("content-type", "application/json");
    request.set_headers(&headers);
    let body = serde_json::to_string(body).map_err(|_| "The request could not be written.".to_owned())?;
    request.set_body(&JsValue::from_str(&body));
    read(&send(url, &request).await?).await
}

/// Waits.
pub async fn sleep(milliseconds: i32) {
    let timer = Promise::new(&mut |resolve, _| {
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
    });
    let _ = JsFuture::from(timer).await;
}

/// Calls `handler` on every document event of this name, as long as the page lives.
pub fn on_document(event: &str, handler: impl FnMut() + 'static) {
    let closure = Closure::<dyn FnMut()>::new(handler);
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

/// Whether the person asked for less motion.
pub fn prefers_reduced_motion() -> bool {
    window().match_media("(prefers-reduced-motion: reduce)").ok().flatten().is_some_and(|query| query.matches())
}

/// Writes the address bar without leaving a step to go back to.
pub fn replace_address(address: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(address));
    }
}
