//! Components draw the values that they are given, and never fetch, but for `Attributions`, which every page has. Most
//! are drawn on the server alone.

#[cfg(feature = "ssr")]
mod answers;
#[cfg(feature = "ssr")]
mod badge;
#[cfg(feature = "ssr")]
mod card;
#[cfg(feature = "ssr")]
mod chrome;
#[cfg(feature = "ssr")]
mod controls;
#[cfg(feature = "ssr")]
mod cost;
#[cfg(feature = "ssr")]
mod coverage_bar;
#[cfg(feature = "ssr")]
mod facts;
#[cfg(feature = "ssr")]
mod host_table;
mod icon;
#[cfg(feature = "ssr")]
mod job_table;
#[cfg(feature = "ssr")]
mod notice;
#[cfg(feature = "ssr")]
mod place_panel;
#[cfg(feature = "ssr")]
mod position;
#[cfg(feature = "ssr")]
mod providers;
#[cfg(feature = "ssr")]
mod query_chips;
#[cfg(feature = "ssr")]
mod queue_tabs;
#[cfg(feature = "ssr")]
mod schedule_list;
#[cfg(feature = "ssr")]
mod shortcuts;
#[cfg(feature = "ssr")]
mod table;
#[cfg(feature = "ssr")]
mod time;
#[cfg(feature = "ssr")]
mod words;
#[cfg(feature = "ssr")]
mod worker_table;

#[cfg(feature = "ssr")]
pub use self::{
    answers::{AnswersTable, Says, disagreement, took},
    badge::{Badge, JobBadge, LocationBadge, job_signs},
    card::Card,
    chrome::{Attributions, Chrome, Live, Tab, TopBar},
    controls::{Command, GeolocateControls, PlaceControls, RunCard},
    cost::{cost_words, costs_words, left},
    coverage_bar::{CoverageBar, CoverageKeys},
    facts::{Fact, MomentFact},
    host_table::HostTable,
    icon::Sprite,
    job_table::{JobTable, JobsOfHost, job_target, job_words, job_worker},
    notice::FormNotice,
    place_panel::{MapPanel, OpenPlace, Panel},
    position::{position_accuracy, position_name},
    providers::{ProviderList, WhoSaw},
    query_chips::QueryChips,
    queue_tabs::{QueueTab, QueueTabs},
    schedule_list::ScheduleList,
    shortcuts::ShortcutsDialog,
    table::{Column, DataTable},
    time::{Ago, Exactly},
    words::Words,
    worker_table::WorkerTable,
};
pub use icon::Icon;
