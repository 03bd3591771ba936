//! The entry point of the browser's part: it brings the islands of a page to life, and nothing else.

// As in `hostatlas-app`, whose pages are compiled here.
#![recursion_limit = "512"]

// Named so that the islands, which register themselves, are linked in.
use hostatlas_app as _;
use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the page once the module is loaded.
#[wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_islands();
}
