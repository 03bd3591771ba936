//! The stream of events, one for all pages of a browser.
//!
//! Over HTTP/1.1 a browser has six connections to a server. A stream holds one for ever, so with one stream a page the
//! seventh page would not load. The page that holds a lock has the stream and passes on what it hears; when it goes,
//! the next page in line gets the lock. A browser without locks (they need https, or this machine) opens one a page.

use std::cell::{Cell, RefCell};

use hostatlas_domain::Topic;
use js_sys::{Function, Promise};
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{AbortController, BroadcastChannel, Event, EventSource};

use crate::browser::{self, Json, OPENED, REFRESH};

/// The name of the lock and of the channel.
const NAME: &str = "hostatlas:events";
/// What pages tell each other beside topics: the stream is open, at first or again.
const STREAM_OPENED: &str = "opened";
/// A page has come and wants to know whether the stream is open.
const ASKS: &str = "asks";
/// The answer, of interest to a page that has not heard of the stream yet.
const IS_OPEN: &str = "is open";
/// How long to wait before a stream is asked for again that the server refused: a browser does not do so itself.
const REFUSED_MILLISECONDS: i32 = 5_000;

thread_local! {
    // A browser's object belongs to its thread. Kept in a `StoredValue` it would be dropped on another one by the
    // server, which panics.
    static SOURCE: RefCell<Option<EventSource>> = const { RefCell::new(None) };
    static CHANNEL: RefCell<Option<BroadcastChannel>> = const { RefCell::new(None) };
    /// Takes this page out of the line for the lock.
    static WAITING: RefCell<Option<AbortController>> = const { RefCell::new(None) };
    /// Gives the lock back.
    static RELEASE: RefCell<Option<Function>> = const { RefCell::new(None) };
    /// Whether this page listens.
    static LISTENS: Cell<bool> = const { Cell::new(false) };
    /// Whether this page has ever heard that the stream is open.
    static HEARD: Cell<bool> = const { Cell::new(false) };
    /// How many times this page began to listen: what was begun before is over.
    static TURN: Cell<u32> = const { Cell::new(0) };
}

/// Whether this page listens.
pub fn listens() -> bool {
    LISTENS.get()
}

/// Listens, until [`stop`]: tells the other islands of this page what changes.
pub fn listen() {
    LISTENS.set(true);
    let turn = TURN.get().wrapping_add(1);
    TURN.set(turn);
    if stand_in_line(turn).is_some() {
        tell_others(ASKS);
    } else {
        lead(turn);
    }
}

/// Stops listening. If this page had the stream, the next in line opens one.
pub fn stop() {
    LISTENS.set(false);
    if let Some(waiting) = WAITING.take() {
        waiting.abort();
    }
    if let Some(source) = SOURCE.take() {
        source.close();
    }
    if let Some(release) = RELEASE.take() {
        let _ = release.call0(&JsValue::NULL);
    }
}

/// Tells the other islands that anything may have changed.
pub fn catch_up() {
    for topic in Topic::ALL {
        browser::announce(&browser::topic_event(topic.slug()));
    }
    browser::announce(REFRESH);
}

/// Asks for the lock, and leads when it comes. None in a browser that cannot share.
fn stand_in_line(turn: u32) -> Option<()> {
    let locks = Json(browser::window().navigator().into()).get("locks");
    let request: Function = locks.get("request").0.dyn_into().ok()?;
    if CHANNEL.with_borrow(Option::is_none) {
        CHANNEL.set(Some(open_channel()?));
    }
    let waiting = AbortController::new().ok()?;
    let granted = Closure::once_into_js(move || -> JsValue {
        // The lock came although this page left the line at the same time.
        if TURN.get() != turn || !LISTENS.get() {
            return JsValue::UNDEFINED;
        }
        lead(turn);
        Promise::new(&mut |release, _| RELEASE.set(Some(release))).into()
    });
    // Of its options a request reads `signal`, which the controller has.
    let held = request.call3(&locks.0, &JsValue::from_str(NAME), &waiting, &granted).ok()?;
    WAITING.set(Some(waiting));
    // Leaving the line is an error to the browser, and none to us.
    let ignored = Closure::<dyn FnMut(JsValue)>::new(|_| {});
    let _ = held.unchecked_into::<Promise>().catch(&ignored);
    ignored.forget();
    Some(())
}

/// Opens the channel on which the page with the stream tells the others.
fn open_channel() -> Option<BroadcastChannel> {
    let channel = BroadcastChannel::new(NAME).ok()?;
    // As an event of any kind: a closure for messages alone would weigh more in the first view than what it does.
    let told = Closure::<dyn FnMut(Event)>::new(|message: Event| {
        if let Some(word) = Json(message.into()).text("data") {
            hear(&word);
        }
    });
    channel.set_onmessage(Some(told.as_ref().unchecked_ref()));
    told.forget();
    Some(channel)
}

/// Opens the stream. The browser reconnects on its own when it breaks.
fn lead(turn: u32) {
    let Ok(source) = EventSource::new("/api/v1/events") else { return };
    let opened = Closure::<dyn FnMut()>::new(|| tell_all(STREAM_OPENED));
    source.set_onopen(Some(opened.as_ref().unchecked_ref()));
    opened.forget();
    let failed = Closure::<dyn FnMut()>::new(move || {
        // Refused: what breaks off is opened again by the browser.
        if stream_is(EventSource::CLOSED) {
            spawn_local(async move {
                browser::sleep(REFUSED_MILLISECONDS).await;
                if TURN.get() == turn && LISTENS.get() {
                    lead(turn);
                }
            });
        }
    });
    source.set_onerror(Some(failed.as_ref().unchecked_ref()));
    failed.forget();
    for topic in Topic::ALL {
        let heard = Closure::<dyn FnMut()>::new(move || tell_all(topic.slug()));
        let _ = source.add_event_listener_with_callback(topic.slug(), heard.as_ref().unchecked_ref());
        // A few bytes for each time that the stream is opened anew.
        heard.forget();
    }
    SOURCE.set(Some(source));
}

/// Whether this page has the stream, in this state.
fn stream_is(state: u16) -> bool {
    SOURCE.with_borrow(|source| source.as_ref().is_some_and(|source| source.ready_state() == state))
}

/// Tells this page and the others.
fn tell_all(word: &str) {
    hear(word);
    tell_others(word);
}

fn tell_others(word: &str) {
    CHANNEL.with_borrow(|channel| {
        if let Some(channel) = channel {
            let _ = channel.post_message(&JsValue::from_str(word));
        }
    });
}

/// Tells the islands of this page what it was told.
fn hear(word: &str) {
    if !LISTENS.get() {
        return;
    }
    match word {
        // Nobody listened between the end of one stream and the beginning of the next.
        STREAM_OPENED if HEARD.replace(true) => catch_up(),
        IS_OPEN if HEARD.replace(true) => {}
        STREAM_OPENED | IS_OPEN => browser::announce(OPENED),
        ASKS => {
            if stream_is(EventSource::OPEN) {
                tell_others(IS_OPEN);
            }
        }
        // Nobody listens to a topic that only a page of another version knows.
        topic => browser::announce(&browser::topic_event(topic)),
    }
}
