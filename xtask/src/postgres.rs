//! A PostgreSQL server for the tests: Debian's packages, a cluster of our own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use hostatlas_test_postgres::{Cluster, SERVER_VARIABLE, bin_folder, has_pooler};

use crate::workspace;

/// Where Debian's package asks whether it shall make a cluster and start it with the machine.
const CLUSTER_SETTINGS: &str = "/etc/postgresql-common/createcluster.d";

/// The server and the pooler; nothing when both are there.
pub fn install() -> Result<()> {
    let needed =
        "PostgreSQL and pgbouncer are needed for the tests: install Debian's `postgresql` and `pgbouncer`";
    if bin_folder().is_err() {
        if !Path::new(CLUSTER_SETTINGS).exists() {
            // It brings the folder along, and makes no cluster by itself.
            workspace::install("postgresql", &["postgresql-common"]).context(needed)?;
        }
        let no_cluster = format!(
            "mkdir -p {CLUSTER_SETTINGS} && \
             echo create_main_cluster = false > {CLUSTER_SETTINGS}/hostatlas-tests.conf"
        );
        workspace::run_as_root("sh", &["-c", &no_cluster], "postgresql").context(needed)?;
        workspace::install("postgresql", &["postgresql"]).context(needed)?;
    }
    if !has_pooler() {
        workspace::install("pgbouncer", &["pgbouncer"]).context(needed)?;
    }
    Ok(())
}

/// A server that runs for as long as this value lives.
pub fn start() -> Result<Cluster> {
    Cluster::start().context("no PostgreSQL server could be started for the tests")
}

/// Runs a command that finds a server in its environment.
pub fn run(command: &[&str]) -> Result<()> {
    let [program, arguments @ ..] = command else { bail!("there is no command to run") };
    install()?;
    let server = start()?;
    workspace::run(Command::new(program).args(arguments).env(SERVER_VARIABLE, server.url()))
}
