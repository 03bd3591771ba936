//! `geolocate --queue-jobs` for a million hosts that have no live job, on either engine.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{MILLION, generate::Scan, path, process::run_measured_at, rate};

const TURNS: usize = 3;

/// Queues all hosts of a database that is there for this alone; cancels all jobs, and queues them anew.
pub fn queue_all(folder: &Path, binary: &Path, url: &str) -> Result<Value> {
    let scan = folder.join("enqueue.ndjson");
    Scan { lines: MILLION, repeats: false, sorted: false }.write(&scan)?;
    let said = |arguments: &[&str]| -> Result<(Value, f64)> {
        let run = run_measured_at(binary, url, arguments)?;
        Ok((serde_json::from_str(&run.output)?, run.seconds))
    };
    run_measured_at(binary, url, &["db", "migrate"])?;
    said(&["import", path(&scan)?, "--json"])?;
    let mut runs = Vec::new();
    for _ in 0..TURNS {
        let (cancelled, _) = said(&["jobs", "cancel", "--all", "--json"])?;
        let (queued, seconds) = said(&["geolocate", "--queue-jobs", "--force", "--json"])?;
        if cancelled["changed"] != json!(MILLION) || queued["queued"] != json!(MILLION) {
            bail!("not each host was queued, once: {cancelled} cancelled, {queued} queued");
        }
        runs.push(rate(MILLION, seconds));
    }
    // What those that are queued already take: the request is merged into each.
    let (merged, seconds) = said(&["geolocate", "--queue-jobs", "--force", "--json"])?;
    if merged["duplicate"] != json!(MILLION) {
        bail!("not each request was merged: {merged}");
    }
    Ok(json!({ "queued_per_second_runs": runs, "merged_per_second": rate(MILLION, seconds) }))
}
