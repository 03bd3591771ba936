//! One worker process against four on one PostgreSQL database, the same hosts each time, in turns.

use std::{path::Path, process::Stdio, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use hostatlas_test_postgres::{Cluster, psql};
use serde_json::{Value, json};

use super::{
    HUNDRED_THOUSAND,
    generate::Scan,
    path,
    postgres::in_new_database,
    process::{command_at, run_measured_at},
    rate,
};

const HOSTS: u32 = 3 * HUNDRED_THOUSAND;
/// How many processes there are in each turn.
const TURNS: [usize; 6] = [1, 4, 1, 4, 1, 4];

/// Hosts located a second, end to end, by one process and by four.
pub fn compare(server: &Cluster, folder: &Path, binary: &Path) -> Result<Value> {
    let scan = folder.join("processes.ndjson");
    Scan { lines: HOSTS, repeats: false, sorted: false }.write(&scan)?;
    let mut turns = Vec::new();
    for (turn, processes) in TURNS.into_iter().enumerate() {
        let seconds = in_new_database(server, &format!("processes_{turn}"), |url| {
            run_measured_at(binary, url, &["db", "migrate"])?;
            run_measured_at(binary, url, &["import", path(&scan)?, "--json"])?;
            let seconds = drain(binary, url, processes)?;
            // A claim leaves a token, so a job that nobody has run twice has the first.
            let once = "SELECT count(*) FROM job WHERE state = 4 AND lease_token = 1 AND attempt = 1";
            let done = psql(url, once)?;
            ensure!(done.trim() == HOSTS.to_string(), "{} of {HOSTS} jobs were run, once", done.trim());
            Ok(seconds)
        })?;
        turns.push(json!({ "processes": processes, "hosts_per_second": rate(HOSTS, seconds) }));
    }
    Ok(json!(turns))
}

/// Seconds until no job is left.
fn drain(binary: &Path, url: &str, processes: usize) -> Result<f64> {
    let began = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..processes {
        let mut worker = command_at(binary, url, &["worker", "--drain"]);
        workers.push(
            worker.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start hostatlas")?,
        );
    }
    for mut worker in workers {
        let ended = worker.wait()?;
        if !ended.success() {
            bail!("a worker ended with {ended}");
        }
    }
    Ok(began.elapsed().as_secs_f64())
}
