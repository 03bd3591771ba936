//! The second backend, through the examples of its crate, on a server of the bench's own; and in the same run another
//! program's queue on the same server, in turns with ours.

use std::process::Command;

use anyhow::{Context, Result, bail};
use hostatlas_test_postgres::{Cluster, SERVER_VARIABLE, psql};
use serde_json::{Value, json};

use super::examples;

/// As a small server would be set up: what counts, durability, is PostgreSQL's default.
const SETTINGS: &str = "shared_buffers = 512MB\nmax_wal_size = 4GB\nmax_connections = 100\n";
/// Jobs that each queue drains in one turn.
const JOBS: &str = "200000";
/// How often each queue has its turn; the medians are compared.
const TURNS: usize = 3;
const PEER_BINARY: &str = "target/peers/release/hostatlas-peers";

/// Runs what is wanted of: `postgres_import`, `postgres_locate`, `postgres_queue`, `postgres_peers`.
pub fn run(wanted: impl Fn(&str) -> bool, note: &mut impl FnMut(&str, Value)) -> Result<()> {
    let names = ["postgres_import", "postgres_locate", "postgres_queue", "postgres_peers"];
    if !names.into_iter().any(&wanted) {
        return Ok(());
    }
    let server = Cluster::start_with(SETTINGS).context("no PostgreSQL server could be started")?;
    let url = server.url();
    let example = |name: &str, arguments: &[&str]| {
        examples::documents("hostatlas-store-postgres", name, arguments, &[(SERVER_VARIABLE, url.as_str())])
    };
    if wanted("postgres_import") {
        note("postgres_import", json!(example("import_speed", &["1000000", "2"])?));
    }
    if wanted("postgres_locate") {
        note("postgres_locate", json!(example("locate_speed", &[])?));
    }
    if wanted("postgres_queue") {
        note("postgres_queue", json!(example("queue_speed", &[])?));
    }
    if wanted("postgres_peers") {
        build_peers()?;
        let mut turns = Vec::new();
        for turn in 0..TURNS {
            let ours = example("queue_speed", &[JOBS])?;
            turns.push(json!({ "hostatlas": ours, "graphile_worker": graphile(&server, turn)? }));
        }
        note("postgres_peers", json!(turns));
    }
    Ok(())
}

fn build_peers() -> Result<()> {
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
