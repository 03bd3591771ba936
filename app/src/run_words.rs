//! What is said of a batch run: once by the server, then by the browser that follows it.

use crate::format::{counted, grouped};

/// What a run is doing, or did.
pub fn headline(state: &str, considered: u64, total: u64, error: Option<String>) -> String {
    match state {
        "running" => format!("Looking up {}", counted(total, "host", "hosts")),
        "done" => format!("Looked up {}", counted(considered, "host", "hosts")),
        "cancelled" => "The run was cancelled; what it found is kept".to_owned(),
        "interrupted" => "The run was interrupted; what it found is kept".to_owned(),
        _ => error.unwrap_or_else(|| "The run failed".to_owned()),
    }
}

/// How far a run is: considered, of how many, and located, without a place, failed.
pub fn details(considered: u64, total: u64, [located, unlocated, failed]: [u64; 3]) -> String {
    let [considered, total, located, unlocated, failed] =
        [considered, total, located, unlocated, failed].map(grouped);
    format!("{considered} of {total} done, {located} located, {unlocated} without a place, {failed} failed")
}
