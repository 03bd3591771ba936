//! Components draw the values that they are given, and never fetch.

mod badge;
#[cfg(feature = "ssr")]
mod chrome;
#[cfg(feature = "ssr")]
mod coverage_bar;
#[cfg(feature = "ssr")]
mod host_table;
mod icon;
#[cfg(feature = "ssr")]
mod job_table;
#[cfg(feature = "ssr")]
mod notice;
#[cfg(feature = "ssr")]
mod time;

#[cfg(feature = "ssr")]
pub use badge::{JobBadge, job_signs};
pub use badge::LocationBadge;
#[cfg(feature = "ssr")]
pub use chrome::{Attribution, Chrome, Tab, TopBar};
#[cfg(feature = "ssr")]
pub use coverage_bar::{CoverageBar, CoverageKeys};
#[cfg(feature = "ssr")]
pub use host_table::HostTable;
pub use icon::Icon;
#[cfg(feature = "ssr")]
pub use icon::Sprite;
#[cfg(feature = "ssr")]
pub use job_table::{JobTable, job_target, job_words};
#[cfg(feature = "ssr")]
pub use notice::FormNotice;
#[cfg(feature = "ssr")]
pub use time::Ago;
