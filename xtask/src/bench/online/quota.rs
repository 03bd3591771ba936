//! How much of what a provider allows is used, by one process, by four, and by one that is killed again and again.

use std::{path::Path, time::Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Asked, Online, count, number,
    processes::{Running, StandIn},
    sleep_until,
};

/// How many windows are measured.
const WINDOWS: u64 = 10;
/// As published.
const MINUTE: u64 = 60;
const BATCHES: u64 = 15;
const ADDRESSES_A_BATCH: u64 = 100;
const LOOKUPS: u64 = 45;
/// More than ten windows allow, so that work never ends.
const PLENTY: u32 = 40_000;
/// Four processes share the hosts by these blocks.
const QUARTERS: [&str; 4] = ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2"];

impl Online {
    /// ip-api with its limits, in windows of the length that is measured.
    fn limited(&self) -> Asked {
        let seconds = self.window.as_secs();
        if seconds == MINUTE {
            return Asked::new("ip-api", &[]);
        }
        let (batches, lookups) =
            (format!("{BATCHES} batches/{seconds}s"), format!("{LOOKUPS} lookups/{seconds}s"));
        Asked::new("ip-api", &[&batches, &lookups])
    }

    fn start_limited(&self) -> Result<StandIn> {
        StandIn::start(&self.stand_in, &["--window-seconds", &self.window.as_secs().to_string()])
    }

    /// Ten windows with one worker.
    pub(super) fn quota(&self) -> Result<Value> {
        let stand_in = self.start_limited()?;
        let config = self.configure(&stand_in, &[self.limited()], 10)?;
        let database = self.hosts("quota", PLENTY)?;
        let mut worker = Running::start(self, &database, &["--config", &config, "worker"])?;
        stand_in.first_request()?;
        let began = Instant::now();
        let mut windows = Vec::new();
        for window in 1..=WINDOWS {
            sleep_until(began + self.window * u32::try_from(window)?);
            windows.push(count(&stand_in.of("ip-api")?["distinct_addresses"]));
        }
        let report = self.used(&stand_in, &database)?;
        worker.interrupt()?;
        Ok(json!({ "used": report, "distinct_addresses_after_each_window": windows }))
    }

    /// Ten windows with four processes that look up directly.
    pub(super) fn quota_shared(&self) -> Result<Value> {
        let stand_in = self.start_limited()?;
        let config = self.configure(&stand_in, &[self.limited()], 10)?;
        let database = self.hosts("shared", PLENTY)?;
        let mut processes = QUARTERS
            .iter()
            .map(|block| {
                let query = format!("net:{block} state:pending");
                let arguments = ["--config", &config, "geolocate", "--async-batch", "--query", &query];
                Running::start(self, &database, &arguments)
            })
            .collect::<Result<Vec<_>>>()?;
        stand_in.first_request()?;
        sleep_until(Instant::now() + self.window * u32::try_from(WINDOWS)?);
        let report = self.used(&stand_in, &database)?;
        let ended_early = processes.iter_mut().map(Running::has_ended).collect::<Result<Vec<_>>>()?;
        for process in &mut processes {
            process.interrupt()?;
        }
        let stored = self.stored(&database)?;
        Ok(json!({ "used": report, "ended_early": ended_early, "stored_after_they_were_stopped": stored }))
    }

    /// Four windows, in each of which the worker is killed and another one started.
    pub(super) fn quota_restart(&self) -> Result<Value> {
        let stand_in = self.start_limited()?;
        let config = self.configure(&stand_in, &[self.limited()], 10)?;
        let database = self.hosts("restart", PLENTY)?;
        let arguments = ["--config", &config, "worker"];
        let mut worker = Running::start(self, &database, &arguments)?;
        stand_in.first_request()?;
        let began = Instant::now();
        let mut kills = 0;
        for window in 0..4 {
            // At another share of each: in the burst, and when all is used up.
            sleep_until(began + self.window.mul_f64(f64::from(window) + 0.2 + 0.2 * f64::from(window)));
            drop(worker);
            kills += 1;
            worker = Running::start(self, &database, &arguments)?;
        }
        sleep_until(began + self.window * 6);
        let statistics = stand_in.of("ip-api")?;
        worker.interrupt()?;
        Ok(json!({
            "kills": kills,
            "refusals": statistics["refusals"],
            "violations": statistics["violations"],
            "share_of_what_was_allowed": share(count(&statistics["distinct_addresses"]), 6),
            "stand_in": statistics,
        }))
    }

    /// What was answered and stored, over what was allowed.
    fn used(&self, stand_in: &StandIn, database: &Path) -> Result<Value> {
        let statistics = stand_in.of("ip-api")?;
        let stored = self.stored(database)?;
        let answered = count(&statistics["distinct_addresses"]);
        Ok(json!({
            "windows": WINDOWS,
            "window_seconds": self.window.as_secs(),
            "allowed": WINDOWS * (BATCHES * ADDRESSES_A_BATCH + LOOKUPS),
            "answered": answered,
            "stored": stored,
            "answered_share": share(answered, WINDOWS),
            "stored_share": share(stored.min(answered), WINDOWS),
            "refusals": statistics["refusals"],
            "violations": statistics["violations"],
            "requests": statistics["requests"],
            "batches": statistics["batches"],
        }))
    }
}

fn share(addresses: u64, windows: u64) -> f64 {
    let share = number(addresses) / number(windows * (BATCHES * ADDRESSES_A_BATCH + LOOKUPS));
    (share * 10_000.0).round() / 10_000.0
}
