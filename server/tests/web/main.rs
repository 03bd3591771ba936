//! The whole server on a free port: a file a noun.

#[path = "../support/mod.rs"]
mod support;

mod attributions;
mod coverage;
mod databases;
mod events;
mod full_disk;
mod hosts;
mod imports;
mod jobs;
mod links;
mod load;
mod map;
mod providers;
mod proxy;
mod runs;
mod schedules;
mod security;
mod serving;
mod ssr;
mod workers;
