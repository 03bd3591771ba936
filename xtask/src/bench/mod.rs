//! `make bench`: measures the release binary from outside, as its users meet it, and prints one JSON report.
//!
//! Nearly every figure is of whole processes on real files: what an import reads, a worker drains, a browser fetches.
//! Those that need to look inside come from examples of the crates.

mod enqueue;
mod examples;
mod generate;
mod http;
mod online;
mod postgres;
mod process;
mod processes;
mod wake;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use self::{
    generate::Scan,
    http::{Client, Latencies},
    process::{Measured, Server, run_measured, sqlite_url},
};

/// Lines and hosts of the large data set.
const MILLION: u32 = 1_000_000;
/// Of the small one, against which growth is measured.
const HUNDRED_THOUSAND: u32 = 100_000;
const BINARY: &str = "target/release/hostatlas";
const REPORT: &str = "target/bench/report.json";

/// Runs every benchmark, or only those whose name contains `only`.
pub fn run(only: Option<&str>) -> Result<()> {
    if !Path::new(BINARY).exists() {
        bail!("{BINARY} is missing: run `cargo build -p server --locked --release` first");
    }
    if !Path::new("mmdb").exists() {
        bail!("mmdb/ is missing: run `cargo xtask data` first");
    }
    let folder = PathBuf::from("target/bench");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let bench = Bench { folder, binary: fs::canonicalize(BINARY)? };
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    let mut report = serde_json::Map::new();
    let mut note = |name: &str, value: Value| {
        println!("{}", json!({ name: &value }));
        report.insert(name.to_owned(), value);
        // After each, since a later one may fail, after minutes.
        if let Err(error) = write_report(&report) {
            println!("{error:#}");
        }
    };

    if wanted("import") {
        note("import", bench.import()?);
    }
    if wanted("enqueue") {
        let database = bench.database("enqueue");
        note("enqueue", enqueue::queue_all(&bench.folder, &bench.binary, &sqlite_url(&database))?);
        remove(&database);
    }
    if wanted("locate") || wanted("web") {
        let small = bench.locate(HUNDRED_THOUSAND)?;
        let large = bench.locate(MILLION)?;
        note("locate", json!({ "growth_of_cpu": growth(&small, &large), "100k": small, "1m": large }));
    }
    if wanted("click") {
        note("click_during_import", bench.click_during_import()?);
    }
    if wanted("lookups") {
        note("lookups", examples::lookups()?);
    }
    if wanted("queue") {
        note("queue", examples::queue()?);
    }
    if wanted("claim_behind_millions") {
        note("claim_behind_millions", examples::claims(&bench.folder)?);
    }
    if wanted("web") {
        let small = bench.web(HUNDRED_THOUSAND)?;
        let large = bench.web(MILLION)?;
        note("web", json!({ "100k": small, "1m": large }));
    }
    postgres::run(&bench.folder, &bench.binary, wanted, &mut note)?;
    wake::run(&bench.folder, &bench.binary, wanted, &mut note)?;
    online::run(&bench.binary, wanted, &mut note)?;
    println!("the report is in {REPORT}");
    Ok(())
}

fn write_report(report: &serde_json::Map<String, Value>) -> Result<()> {
    fs::write(REPORT, serde_json::to_string_pretty(report)?).with_context(|| format!("cannot write {REPORT}"))
}

struct Bench {
    folder: PathBuf,
    binary: PathBuf,
}

impl Bench {
    fn database(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.db"))
    }

    fn hostatlas(&self, database: &Path, arguments: &[&str]) -> Result<Measured> {
        run_measured(&self.binary, database, arguments)
    }

    /// One million lines with a fifth of repeats, in masscan's random order and sorted; five runs of the first.
    fn import(&self) -> Result<Value> {
        let random = self.folder.join("random.ndjson");
        let sorted = self.folder.join("sorted.ndjson");
        Scan { lines: MILLION, repeats: true, sorted: false }.write(&random)?;
        Scan { lines: MILLION, repeats: true, sorted: true }.write(&sorted)?;
        let mut runs = Vec::new();
        for turn in 0..3 {
            let database = self.database(&format!("import-{turn}"));
            runs.push(self.hostatlas(&database, &["import", path(&random)?, "--json"])?);
            remove(&database);
        }
        let database = self.database("import-sorted");
        let in_order = self.hostatlas(&database, &["import", path(&sorted)?, "--json"])?;
        remove(&database);
        runs.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
        let median = &runs[runs.len() / 2];
        let database = self.database("import-logged");
        let logged = transactions(&self.binary, &database, &random)?;
        remove(&database);
        Ok(json!({
            "transactions": logged["transactions"],
            "slowest_transaction_ms": logged["slowest_ms"],
            "lines_per_second": rate(MILLION, median.seconds),
            "lines_per_second_runs": runs.iter().map(|run| rate(MILLION, run.seconds)).collect::<Vec<_>>(),
            "lines_per_second_sorted": rate(MILLION, in_order.seconds),
            "cpu_seconds": median.cpu_seconds,
            "resident_mib": median.resident_mib,
            "said": serde_json::from_str::<Value>(&median.output).unwrap_or(Value::Null),
        }))
    }

    /// Import, worker and direct batch over distinct hosts, each on a database of its own.
    fn locate(&self, hosts: u32) -> Result<Value> {
        let scan = self.folder.join(format!("hosts-{hosts}.ndjson"));
        Scan { lines: hosts, repeats: false, sorted: false }.write(&scan)?;
        let queued = self.database(&format!("queued-{hosts}"));
        let import = self.hostatlas(&queued, &["import", path(&scan)?, "--json"])?;
        let direct = self.database(&format!("direct-{hosts}"));
        fs::copy(&queued, &direct)?;
        let worker = self.hostatlas(&queued, &["worker", "--drain"])?;
        let batch = self.hostatlas(&direct, &["geolocate", "--async-batch", "--json"])?;
        let coverage = self.hostatlas(&queued, &["stats", "coverage", "--json"])?;
        remove(&direct);
        Ok(json!({
            "hosts": hosts,
            "import_lines_per_second": rate(hosts, import.seconds),
            "worker_hosts_per_second": rate(hosts, worker.seconds),
            "async_batch_hosts_per_second": rate(hosts, batch.seconds),
            "cpu_seconds": {
                "import": import.cpu_seconds, "worker": worker.cpu_seconds, "async_batch": batch.cpu_seconds,
            },
            "resident_mib": { "worker": worker.resident_mib, "async_batch": batch.resident_mib },
            "async_batch_said": serde_json::from_str::<Value>(&batch.output).unwrap_or(Value::Null),
            "coverage": serde_json::from_str::<Value>(&coverage.output).unwrap_or(Value::Null),
        }))
    }

    /// Clicks on hosts in one process while another imports a million lines.
    fn click_during_import(&self) -> Result<Value> {
        let database = self.database("click");
        let few = self.folder.join("few.ndjson");
        Scan { lines: 500, repeats: false, sorted: false }.write(&few)?;
        self.hostatlas(&database, &["import", path(&few)?, "--json"])?;
        let scan = self.folder.join("click.ndjson");
        Scan { lines: MILLION, repeats: true, sorted: false }.write(&scan)?;
        let server = Server::start(&self.binary, &database, &["--no-worker"])?;
        let client = Client::new(&server.base);
        let hosts = generate::addresses(500);
        let mut import = process::spawn(&self.binary, &database, &["import", path(&scan)?, "--json"])?;
        let mut latencies = Latencies::default();
        for host in hosts.iter().cycle() {
            if import.try_wait()?.is_some() || latencies.len() >= 5_000 {
                break;
            }
            latencies
                .time(|| client.post(&format!("/api/v1/hosts/{host}/geolocate"), "{\"force\":false}"))?;
            std::thread::sleep(Duration::from_millis(5));
        }
        import.wait()?;
        Ok(latencies.report())
    }

    /// Map, lists, first view and memory of a server over located hosts.
    fn web(&self, hosts: u32) -> Result<Value> {
        let database = self.database(&format!("queued-{hosts}"));
        let server = Server::start(&self.binary, &database, &["--no-worker"])?;
        let client = Client::new(&server.base);
        let (mut map, mut largest) = (Latencies::default(), 0);
        for view in generate::views(300) {
            let answer = map.time(|| client.get(&format!("/api/v1/map?{view}")))?;
            largest = largest.max(answer.len());
        }
        let mut lists = serde_json::Map::new();
        for (name, queries) in generate::queries(hosts) {
            let mut latencies = Latencies::default();
            for query in queries.iter().cycle().take(100) {
                latencies.time(|| client.get(&format!("/api/v1/hosts?limit=50&q={query}")))?;
            }
            lists.insert(name.to_owned(), latencies.report());
        }
        let mut pages = serde_json::Map::new();
        for (name, page) in [("map", "/"), ("hosts", "/hosts"), ("coverage", "/coverage"), ("jobs", "/jobs")]
        {
            let mut latencies = Latencies::default();
            for _ in 0..30 {
                latencies.time(|| client.get(page))?;
            }
            pages.insert(name.to_owned(), latencies.report());
        }
        Ok(json!({
            "map": map.report(),
            "map_largest_brotli_bytes": largest,
            "lists": lists,
            "pages": pages,
            "first_view_brotli_bytes": first_view(&client)?,
            "anonymous_mib": server.anonymous_mib()?,
        }))
    }
}

/// What a browser fetches for the first view of the map, in brotli bytes.
fn first_view(client: &Client) -> Result<Value> {
    let html = client.get_plain("/")?;
    let mut parts = serde_json::Map::new();
    let mut total = client.get("/")?.len();
    parts.insert("html".to_owned(), json!(total));
    let mut code = 0;
    for path in http::assets(&html) {
        let bytes = client.get(&path)?.len();
        if path.starts_with("/pkg/") && !path.contains(".css") {
            code += bytes;
        }
        total += bytes;
        parts.insert(path, json!(bytes));
    }
    for path in ["/basemap/countries-110m.json", "/basemap/labels.json"] {
        let bytes = client.get(path)?.len();
        total += bytes;
        parts.insert(path.to_owned(), json!(bytes));
    }
    let answer = client.get("/api/v1/map?bbox=-180,-85,180,85&zoom=2")?.len();
    parts.insert("map answer".to_owned(), json!(answer));
    Ok(json!({ "total": total + answer, "wasm_and_glue": code, "parts": parts }))
}

/// The exponent by which CPU cost grows with the number of hosts.
fn growth(small: &Value, large: &Value) -> Value {
    let exponent = |step: &str| {
        let cpu = |of: &Value| of["cpu_seconds"][step].as_f64().unwrap_or(f64::NAN);
        (cpu(large) / cpu(small)).log10() / f64::from(MILLION / HUNDRED_THOUSAND).log10()
    };
    json!({ "import": exponent("import"), "worker": exponent("worker"), "async_batch": exponent("async_batch") })
}

/// How many transactions an import takes and how long the slowest of them does.
fn transactions(binary: &Path, database: &Path, scan: &Path) -> Result<Value> {
    transactions_of(&mut process::command(binary, database, &["import", path(scan)?, "--json"]))
}

/// The same of any import, as its log says at the end.
fn transactions_of(import: &mut Command) -> Result<Value> {
    let output = import.env("HOSTATLAS_LOG", "hostatlas_services=debug").output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    let line =
        log.lines().rfind(|line| line.contains("slowest_ms")).context("the log lacks its transactions")?;
    Ok(serde_json::from_str(line)?)
}

fn rate(count: u32, seconds: f64) -> f64 {
    (f64::from(count) / seconds).round()
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

fn remove(database: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", database.display()));
    }
}

/// How long `work` takes.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let begun = Instant::now();
    let done = work()?;
    Ok((done, begun.elapsed()))
}
