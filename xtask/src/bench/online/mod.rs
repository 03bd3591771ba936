//! Online providers, against the stand-in of `crates/provider-standin` on loopback: how much of what they allow is
//! used, how fast answers come in without limits, and what a provider that is out or a hundred thousand clicks cost.
//!
//! ```text
//! cargo build --package server --package hostatlas-provider-standin --locked --release
//! cargo run --package xtask --profile xtask --target-dir target/xtask --features bench -- bench online_
//! BENCH_WINDOW_SECONDS=60 cargo run … -- bench online_quota_worker    # ten minutes, published limits
//! ```
//!
//! Windows are six seconds long unless that variable says otherwise, and ten of them are measured. With sixty seconds
//! nothing is configured: the limits are the published ones.

mod faults;
mod processes;
mod quota;
mod speed;

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::processes::StandIn;
use super::{generate::Scan, path, process::run_measured};

type Bench = fn(&Online) -> Result<Value>;

/// The benchmarks, each with its name.
const ALL: [(&str, Bench); 6] = [
    ("online_quota_worker", Online::quota),
    ("online_quota_shared", Online::quota_shared),
    ("online_quota_restart", Online::quota_restart),
    ("online_speed", Online::speed),
    ("online_provider_out", Online::provider_out),
    ("online_clicks", Online::clicks),
];

/// Runs those benchmarks whose name is `wanted`.
pub fn run(binary: &Path, wanted: impl Fn(&str) -> bool, mut note: impl FnMut(&str, Value)) -> Result<()> {
    let chosen: Vec<_> = ALL.into_iter().filter(|(name, _)| wanted(name)).collect();
    if chosen.is_empty() {
        return Ok(());
    }
    let online = Online::new(binary)?;
    for (name, bench) in chosen {
        note(name, bench(&online)?);
    }
    fs::remove_dir_all(&online.folder)?;
    Ok(())
}

struct Online {
    folder: PathBuf,
    binary: PathBuf,
    stand_in: PathBuf,
    window: Duration,
}

/// A provider as it is configured.
struct Asked {
    name: &'static str,
    limits: Vec<String>,
}

impl Asked {
    fn new(name: &'static str, limits: &[&str]) -> Self {
        Self { name, limits: limits.iter().map(|limit| format!("{limit:?}")).collect() }
    }
}

impl Online {
    fn new(binary: &Path) -> Result<Self> {
        let built = ["release", "debug"].map(|profile| format!("target/{profile}/provider-standin"));
        let Some(stand_in) = built.iter().find(|file| Path::new(file).exists()) else {
            bail!(
                "no provider-standin: run `cargo build --package hostatlas-provider-standin --locked --release`"
            )
        };
        // Beside the folder of the others, which each run empties: ten minutes are long.
        let folder = PathBuf::from(format!("target/bench-online-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let folder = fs::canonicalize(folder)?;
        let copy = folder.join("hostatlas");
        fs::copy(binary, &copy)?;
        let seconds = match env::var("BENCH_WINDOW_SECONDS") {
            Ok(seconds) => seconds.parse().context("BENCH_WINDOW_SECONDS is no number")?,
            Err(_) => 6,
        };
        let window = Duration::from_secs(seconds);
        Ok(Self { folder, binary: copy, stand_in: fs::canonicalize(stand_in)?, window })
    }

    /// Writes what `--config` reads.
    fn configure(&self, stand_in: &StandIn, asked: &[Asked], workers: u32) -> Result<String> {
        let names: Vec<_> = asked.iter().map(|asked| format!("{:?}", asked.name)).collect();
        let mut text = format!("providers = [{}]\nmax_workers = {workers}\n", names.join(", "));
        for Asked { name, limits } in asked {
            let base = &stand_in.base;
            writeln!(text, "[provider.{name}]\nurl = \"{base}/{name}/\"\nallow_private = true")?;
            if !limits.is_empty() {
                writeln!(text, "limits = [{}]", limits.join(", "))?;
            }
        }
        let file = self.folder.join("hostatlas.toml");
        fs::write(&file, text)?;
        Ok(path(&file)?.to_owned())
    }

    /// A database of distinct hosts, all of which are due and have a job.
    fn hosts(&self, name: &str, count: u32) -> Result<PathBuf> {
        let template = self.folder.join(format!("hosts-{count}.db"));
        if !template.exists() {
            let scan = self.folder.join(format!("hosts-{count}.ndjson"));
            Scan { lines: count, repeats: false, sorted: false }.write(&scan)?;
            run_measured(&self.binary, &template, &["import", path(&scan)?, "--json"])?;
        }
        let database = self.folder.join(format!("{name}.db"));
        fs::copy(&template, &database)?;
        Ok(database)
    }

    fn coverage(&self, database: &Path) -> Result<Value> {
        let said = run_measured(&self.binary, database, &["stats", "coverage", "--json"])?;
        Ok(serde_json::from_str(&said.output)?)
    }

    /// Hosts about which an answer is stored.
    fn stored(&self, database: &Path) -> Result<u64> {
        let coverage = self.coverage(database)?;
        Ok(count(&coverage["located"]) + count(&coverage["unlocated"]))
    }
}

/// A provider that is not limited.
fn unlimited(name: &'static str) -> Asked {
    Asked::new(name, &["unlimited"])
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

fn sleep_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}
