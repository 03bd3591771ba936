//! The pages of hostatlas: rendered on the server (`ssr`), with islands that come to life in the browser (`hydrate`).
//!
//! `pages` fetch and hold the state of the address bar, `components` draw the values they are given, `islands` are the
//! parts that move, `api` has the server functions, and `map` is the only module that knows Leaflet and the canvas.

// The type of a page is its whole tree; optimizing builds walk deeper into it than the default allows.
#![recursion_limit = "512"]

pub mod api;
#[cfg(feature = "ssr")]
mod app;
#[cfg_attr(
    not(feature = "hydrate"),
    allow(dead_code, reason = "the chart, which uses the rest, is in the browser only")
)]
mod browser;
#[allow(
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "a component owns its properties, and markup is long without being complicated"
)]
mod components;
mod error;
mod format;
pub mod islands;
#[cfg(feature = "hydrate")]
mod map;
#[cfg(feature = "ssr")]
#[allow(
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "a component owns its properties, and markup is long without being complicated"
)]
mod pages;
mod run_words;

#[cfg(feature = "ssr")]
pub use app::{App, shell};
pub use error::ApiError;
