//! The built binary: exit code, standard output and standard error together.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod configuration;
mod contract;
mod doctor;
mod geolocate;
mod hosts;
mod import;
mod jobs;
mod lookup;
mod mixed_versions;
mod mmdb;
mod providers;
mod schedules;
mod worker;

use support::Ended;

/// What a command did, as one text to look at.
fn shown(ended: &Ended) -> String {
    let code = ended.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    format!("exit code: {code}\n----- stdout -----\n{}\n----- stderr -----\n{}", ended.stdout, ended.stderr)
}
