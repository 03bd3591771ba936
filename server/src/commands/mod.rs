//! One file a command.

pub mod config;
pub mod db;
pub mod doctor;
pub mod geolocate;
pub mod hosts;
pub mod import;
pub mod jobs;
pub mod lookup;
pub mod mmdb;
pub mod providers;
pub mod schedules;
pub mod serve;
pub mod stats;
pub mod worker;
pub mod workers;

mod addresses;
