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

use std::{
    env, fmt, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    generate::Scan,
    http::Client,
    path,
    process::{Server, run_measured, spawn},
    rate, remove, timed,
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
const CLICKS: u64 = 100_000;
const CLICKERS: u64 = 8;
/// Four processes share the hosts by these blocks.
const QUARTERS: [&str; 4] = ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2"];
/// The benchmarks, each with its name.
const ALL: [(&str, fn(&Online) -> Result<Value>); 6] = [
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
            text +=
                &format!("[provider.{name}]\nurl = \"{}/{name}/\"\nallow_private = true\n", stand_in.base);
            if !limits.is_empty() {
                text += &format!("limits = [{}]\n", limits.join(", "));
            }
        }
        let file = self.folder.join("hostatlas.toml");
        fs::write(&file, text)?;
        Ok(path(&file)?.to_owned())
    }

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

    fn start_limited(&self) -> Result<StandIn> {
        StandIn::start(&self.stand_in, &["--window-seconds", &self.window.as_secs().to_string()])
    }

    /// Ten windows with one worker.
    fn quota(&self) -> Result<Value> {
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
    fn quota_shared(&self) -> Result<Value> {
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
        let ended_early =
            processes.iter_mut().map(|process| process.has_ended()).collect::<Result<Vec<_>>>()?;
        for process in &mut processes {
            process.interrupt()?;
        }
        let stored = self.stored(&database)?;
        Ok(json!({ "used": report, "ended_early": ended_early, "stored_after_they_were_stopped": stored }))
    }

    /// Four windows, in each of which the worker is killed and another one started.
    fn quota_restart(&self) -> Result<Value> {
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

    /// Hosts located each second, without limits.
    fn speed(&self) -> Result<Value> {
        let mut report = serde_json::Map::new();
        for (latency, hosts, goal) in [("20", 200_000, 14_250), ("100", 80_000, 3_400)] {
            let mut runs = serde_json::Map::new();
            for workers in [4, 10] {
                let modes: [(&str, &[&str]); 2] = [
                    ("async_batch", &["geolocate", "--async-batch", "--json"]),
                    ("worker", &["worker", "--drain"]),
                ];
                for (mode, arguments) in modes {
                    runs.insert(
                        format!("{mode}_{workers}_in_flight"),
                        self.unlimited_run(latency, hosts, workers, arguments)?,
                    );
                }
            }
            report.insert(format!("{latency}_ms"), json!({ "goal": goal, "runs": runs }));
        }
        Ok(Value::Object(report))
    }

    fn unlimited_run(&self, latency: &str, hosts: u32, workers: u32, arguments: &[&str]) -> Result<Value> {
        let stand_in = StandIn::start(&self.stand_in, &["--unlimited", "--latency-ms", latency])?;
        let config = self.configure(&stand_in, &[unlimited("ip-api")], workers)?;
        let database = self.hosts("speed", hosts)?;
        let arguments = [&["--config", &config], arguments].concat();
        let measured = run_measured(&self.binary, &database, &arguments)?;
        let statistics = stand_in.of("ip-api")?;
        let coverage = self.coverage(&database)?;
        remove(&database);
        Ok(json!({
            "hosts_per_second": rate(hosts, measured.seconds),
            "cpu_seconds": measured.cpu_seconds,
            "stand_in_cpu_seconds": stand_in.cpu_seconds(),
            "resident_mib": measured.resident_mib,
            "requests": statistics["requests"],
            "located": coverage["located"],
            "unlocated": coverage["unlocated"],
            "pending": coverage["pending"],
        }))
    }

    /// Two providers asked about one address at a time, one of which is out for forty seconds.
    fn provider_out(&self) -> Result<Value> {
        let stand_in = StandIn::start(&self.stand_in, &["--unlimited", "--latency-ms", "20"])?;
        let config = self.configure(&stand_in, &[unlimited("ip-api"), unlimited("freeipapi")], 4)?;
        let database = self.hosts("out", 60_000)?;
        stand_in.control(&json!({ "provider": "ip-api", "fault": "unavailable" }))?;
        let arguments = ["--config", &config, "geolocate", "--async-batch", "--batch-size", "1"];
        let mut process = Running::start(self, &database, &arguments)?;
        stand_in.first_request()?;
        let began = Instant::now();
        sleep_until(began + Duration::from_secs(10));
        let until_open = count(&stand_in.of("ip-api")?["faulted"]);
        sleep_until(began + Duration::from_secs(40));
        let (out, other) = (stand_in.of("ip-api")?, stand_in.of("freeipapi")?);
        let calls = count(&out["requests"]) + count(&other["requests"]);
        let answered = count(&other["distinct_addresses"]);
        stand_in.control(&json!({ "provider": "ip-api", "fault": "none" }))?;
        let repaired = Instant::now();
        let back = loop {
            if count(&stand_in.of("ip-api")?["addresses_answered"]) > 0 {
                break Some(repaired.elapsed().as_secs_f64());
            }
            if repaired.elapsed() > Duration::from_mins(2) || process.has_ended()? {
                break None;
            }
            thread::sleep(Duration::from_millis(50));
        };
        process.interrupt()?;
        Ok(json!({
            "failures_until_the_breaker_opened": until_open,
            "failures_in_40_seconds": out["faulted"],
            "calls_while_out": calls,
            "hosts_answered_while_out": answered,
            "calls_per_host": number(calls) / number(answered.max(1)),
            "seconds_until_back": back,
        }))
    }

    /// Clicks on one host that no database locates.
    fn clicks(&self) -> Result<Value> {
        let stand_in = StandIn::start(&self.stand_in, &["--latency-ms", "20"])?;
        let config = self.configure(&stand_in, &[Asked::new("ip-api", &[])], 10)?;
        let database = self.folder.join("clicks.db");
        let scan = self.folder.join("click.ndjson");
        Scan { lines: 1, repeats: false, sorted: false }.write(&scan)?;
        run_measured(&self.binary, &database, &["import", path(&scan)?, "--json"])?;
        let host = super::generate::addresses(1)[0];
        let server = Server::start(&self.binary, &database, &["--config", &config])?;
        let clicked = AtomicU64::new(0);
        let ((), took) = timed(|| {
            thread::scope(|scope| {
                let clickers: Vec<_> =
                    (0..CLICKERS).map(|_| scope.spawn(|| click(&server, &host, &clicked))).collect();
                clickers.into_iter().try_for_each(|clicker| {
                    clicker.join().map_err(|_| anyhow::anyhow!("a clicker panicked"))?
                })
            })
        })?;
        // What was queued last may still be worked on.
        thread::sleep(Duration::from_secs(3));
        let statistics = stand_in.of("ip-api")?;
        Ok(json!({
            "clicks": clicked.into_inner(),
            "calls": statistics["requests"],
            "clicks_per_second": (number(CLICKS) / took.as_secs_f64()).round(),
            "coverage": self.coverage(&database)?,
        }))
    }
}

fn click(server: &Server, host: &impl fmt::Display, clicked: &AtomicU64) -> Result<()> {
    let client = Client::new(&server.base);
    let way = format!("/api/v1/hosts/{host}/geolocate");
    for _ in 0..CLICKS / CLICKERS {
        client.post(&way, "{\"force\":false}")?;
        clicked.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// A provider that is not limited.
fn unlimited(name: &'static str) -> Asked {
    Asked::new(name, &["unlimited"])
}

fn share(addresses: u64, windows: u64) -> f64 {
    let share = number(addresses) / number(windows * (BATCHES * ADDRESSES_A_BATCH + LOOKUPS));
    (share * 10_000.0).round() / 10_000.0
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

/// The stand-in as a process of its own, ended when dropped.
struct StandIn {
    base: String,
    client: Client,
    child: Child,
}

impl StandIn {
    fn start(binary: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start provider-standin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        // It says where it listens in what it prints to be pasted.
        let mut lines = stdout.lines();
        let control = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, address) = line.split_once("curl http://")?;
            Some(address.split_once("/control")?.0.to_owned())
        });
        thread::spawn(move || lines.for_each(drop));
        let base = format!("http://{}", control.context("provider-standin did not say where it listens")?);
        Ok(Self { client: Client::new(&base), base, child })
    }

    fn control(&self, command: &Value) -> Result<()> {
        self.client.post("/control", &command.to_string()).map(drop)
    }

    /// What a provider counted.
    fn of(&self, provider: &str) -> Result<Value> {
        let state: Value = serde_json::from_str(&self.client.get_plain("/control")?)?;
        Ok(state["providers"][provider]["statistics"].clone())
    }

    /// Waits until somebody asks any provider.
    fn first_request(&self) -> Result<()> {
        for _ in 0..3_000 {
            let state: Value = serde_json::from_str(&self.client.get_plain("/control")?)?;
            let providers = state["providers"].as_object().context("no providers")?;
            if providers.values().any(|provider| count(&provider["statistics"]["requests"]) > 0) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("nobody asked the stand-in within half a minute")
    }

    fn cpu_seconds(&self) -> Option<f64> {
        super::process::cpu_of(self.child.id())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs until it is told to stop; killed when dropped.
struct Running(Child);

impl Running {
    fn start(online: &Online, database: &Path, arguments: &[&str]) -> Result<Self> {
        spawn(&online.binary, database, arguments).map(Self)
    }

    fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Asks it to stop, as Ctrl-C does, and waits until it did.
    fn interrupt(&mut self) -> Result<()> {
        Command::new("kill").args(["-INT", &self.0.id().to_string()]).status()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
