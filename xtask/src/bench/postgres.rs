//! The second backend, through the examples of its crate, on a server of the bench's own; and in the same run another
//! program's queue on the same server, in turns with ours.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use hostatlas_test_postgres::{Cluster, SERVER_VARIABLE, psql};
use serde_json::{Value, json};

use super::{
    HUNDRED_THOUSAND, MILLION, enqueue, examples,
    generate::Scan,
    path,
    process::{Measured, command_at, run_measured_at},
    processes, rate, transactions_of,
};

/// As a small server would be set up: what counts, durability, is PostgreSQL's default.
const SETTINGS: &str = "shared_buffers = 512MB\nmax_wal_size = 4GB\nmax_connections = 100\n";
/// Jobs that each queue drains in one turn.
const JOBS: &str = "200000";
/// How often each queue has its turn; the medians are compared.
const TURNS: usize = 3;
/// With how many connections the example drains ours.
const CONNECTIONS: [u64; 3] = [1, 2, 4];
/// The other queues' program, as [`build_peers`] leaves it.
pub const PEER_BINARY: &str = "target/peers/release/hostatlas-peers";

/// The benchmarks of this module.
const NAMES: [&str; 8] = [
    "postgres_import",
    "postgres_import_file",
    "postgres_enqueue",
    "postgres_locate",
    "postgres_queue",
    "postgres_claim_behind_millions",
    "postgres_processes",
    "postgres_peers",
];

/// Runs those of [`NAMES`] that are wanted.
pub fn run(
    folder: &Path,
    binary: &Path,
    wanted: impl Fn(&str) -> bool,
    note: &mut impl FnMut(&str, Value),
) -> Result<()> {
    if !NAMES.into_iter().any(&wanted) {
        return Ok(());
    }
    let server = start()?;
    let url = server.url();
    let example = |name: &str, arguments: &[&str]| {
        examples::documents("hostatlas-store-postgres", name, arguments, &[(SERVER_VARIABLE, url.as_str())])
    };
    if wanted("postgres_import") {
        note("postgres_import", json!(example("postgres_import_speed", &["1000000", "2"])?));
    }
    if wanted("postgres_import_file") {
        note("postgres_import_file", import_file(&server, folder, binary)?);
    }
    if wanted("postgres_enqueue") {
        let runs = in_new_database(&server, "enqueue", |url| enqueue::queue_all(folder, binary, url))?;
        note("postgres_enqueue", runs);
    }
    if wanted("postgres_locate") {
        note("postgres_locate", json!(example("postgres_locate_speed", &[])?));
    }
    if wanted("postgres_queue") {
        note("postgres_queue", json!(example("postgres_queue_speed", &[])?));
    }
    if wanted("postgres_claim_behind_millions") {
        let arguments = ["1000000", "5000", "claims"];
        note("postgres_claim_behind_millions", json!(example("postgres_queue_speed", &arguments)?));
    }
    if wanted("postgres_processes") {
        note("postgres_processes", processes::compare(&server, folder, binary)?);
    }
    if wanted("postgres_peers") {
        build_peers()?;
        let mut turns = Vec::new();
        for turn in 0..TURNS {
            let ours =
                example("postgres_queue_speed", &[JOBS])?.pop().context("the example printed nothing")?;
            turns.push((ours, graphile(&server, turn)?));
        }
        note("postgres_peers", compared(&turns));
    }
    Ok(())
}

/// The turns of both queues, the median of each, and how many times the other's ours is, turn by turn. Of ours each turn
/// counts with the connections that are best in the median of all turns: the peer runs at its best settings, too.
fn compared(turns: &[(Value, Value)]) -> Value {
    let theirs: Vec<f64> =
        turns.iter().filter_map(|(_, theirs)| theirs["jobs_per_second"].as_f64()).collect();
    let drained = |ours: &Value, connections: u64| {
        let runs = ours["claim and finish"].as_array().into_iter().flatten();
        let of_these = runs.filter(|run| run["connections"] == connections);
        median(of_these.filter_map(|run| run["rate"]["per_second"].as_f64()).collect())
    };
    let ours_with = |connections| -> Vec<f64> {
        turns.iter().filter_map(|(ours, _)| drained(ours, connections)).collect()
    };
    let ours = CONNECTIONS.map(ours_with).into_iter().max_by(|left, right| {
        let median = |rates: &Vec<f64>| median(rates.clone()).unwrap_or_default();
        median(left).total_cmp(&median(right))
    });
    let ours = ours.unwrap_or_default();
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    json!({
        "hostatlas_jobs_per_second": ours,
        "graphile_worker_jobs_per_second": theirs,
        "ratios": ratios,
        "median_ratio": median(ratios.clone()),
        "turns": turns.iter()
            .map(|(ours, theirs)| json!({ "hostatlas": ours, "graphile_worker": theirs }))
            .collect::<Vec<_>>(),
    })
}

/// The middle value, the lower of two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// A server of the bench's own, of packages that are installed where they are missing.
pub fn start() -> Result<Cluster> {
    crate::postgres::install()?;
    Cluster::start_with(SETTINGS).context("no PostgreSQL server could be started")
}

/// `hostatlas import` of a million lines with a fifth of repeats in masscan's random order, as it is measured on SQLite;
/// and what a short one of a tenth of them says of its transactions.
fn import_file(server: &Cluster, folder: &Path, binary: &Path) -> Result<Value> {
    let (scan, short) = (folder.join("postgres.ndjson"), folder.join("postgres-short.ndjson"));
    Scan { lines: MILLION, repeats: true, sorted: false }.write(&scan)?;
    Scan { lines: HUNDRED_THOUSAND, repeats: true, sorted: false }.write(&short)?;
    let mut runs = Vec::new();
    for turn in 0..TURNS {
        runs.push(in_new_database(server, &format!("import_{turn}"), |url| {
            run_measured_at(binary, url, &["db", "migrate"])?;
            run_measured_at(binary, url, &["import", path(&scan)?, "--json"])
        })?);
    }
    let logged = in_new_database(server, "import_logged", |url| {
        run_measured_at(binary, url, &["db", "migrate"])?;
        transactions_of(&mut command_at(binary, url, &["import", path(&short)?, "--json"]))
    })?;
    fs::remove_file(&scan)?;
    fs::remove_file(&short)?;
    runs.sort_by(|left: &Measured, right| left.seconds.total_cmp(&right.seconds));
    let median = &runs[runs.len() / 2];
    Ok(json!({
        "lines_per_second": rate(MILLION, median.seconds),
        "lines_per_second_runs": runs.iter().map(|run| rate(MILLION, run.seconds)).collect::<Vec<_>>(),
        "cpu_seconds": median.cpu_seconds,
        "resident_mib": median.resident_mib,
        "said": serde_json::from_str::<Value>(&median.output).unwrap_or(Value::Null),
        "transactions_of_100k": logged["transactions"],
        "slowest_transaction_ms_of_100k": logged["slowest_ms"],
    }))
}

/// Does `work` in a database that is there for it alone.
pub fn in_new_database<T>(server: &Cluster, name: &str, work: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    psql(&server.url(), &format!("CREATE DATABASE {name}"))?;
    let done = work(&server.url_of(name));
    psql(&server.url(), &format!("DROP DATABASE {name} WITH (FORCE)"))?;
    done
}

/// Builds the other queues, in their own workspace.
pub fn build_peers() -> Result<()> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path", "bench/peers/Cargo.toml"])
        .args(["--target-dir", "target/peers"])
        .status()
        .context("cannot start cargo")?;
    if built.success() { Ok(()) } else { bail!("the peers could not be built") }
}

/// Its queue in a database of its own.
fn graphile(server: &Cluster, turn: usize) -> Result<Value> {
    let name = format!("peer_{turn}");
    psql(&server.url(), &format!("CREATE DATABASE {name}"))?;
    let output = Command::new(PEER_BINARY)
        .args(["graphile", &server.url_of(&name), JOBS])
        .output()
        .context("cannot start the peer")?;
    psql(&server.url(), &format!("DROP DATABASE {name} WITH (FORCE)"))?;
    if !output.status.success() {
        bail!("the peer failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("what the peer prints is no JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(rates: [(u64, f64); 4], theirs: f64) -> (Value, Value) {
        let runs = rates
            .map(|(connections, rate)| json!({ "connections": connections, "rate": { "per_second": rate } }));
        (json!({ "claim and finish": runs }), json!({ "jobs_per_second": theirs }))
    }

    #[test]
    fn a_turn_is_compared_with_the_peers_of_the_same_turn() {
        let turns = [
            turn([(1, 10.0), (2, 30.0), (4, 20.0), (2, 40.0)], 10.0),
            turn([(1, 10.0), (2, 60.0), (4, 90.0), (2, 60.0)], 40.0),
            turn([(1, 10.0), (2, 40.0), (4, 20.0), (2, 40.0)], 20.0),
        ];
        let report = compared(&turns);
        assert_eq!(report["hostatlas_jobs_per_second"], json!([30.0, 60.0, 40.0]));
        assert_eq!(report["ratios"], json!([3.0, 1.5, 2.0]));
        assert_eq!(report["median_ratio"], json!(2.0));
    }
}
