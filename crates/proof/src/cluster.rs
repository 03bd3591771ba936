//! A `PostgreSQL` server of the proof's own.

use anyhow::Context;
use hostatlas_test_postgres::{Cluster, psql};

/// Starts a server with an empty database; answers it and the database's URL.
pub(crate) fn start() -> anyhow::Result<(Cluster, String)> {
    let cluster =
        Cluster::start().context("PostgreSQL does not start: is Debian's `postgresql` installed?")?;
    psql(&cluster.url(), "CREATE DATABASE proof")?;
    let url = cluster.url_of("proof");
    Ok((cluster, url))
}
