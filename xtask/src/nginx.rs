//! nginx for the test of pages behind a proxy. Debian's package is unpacked below `target/` and not installed: installed, it
//! would start a web server with the machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace;

/// Where the test looks for it (`server/tests/web/proxy.rs`).
const FOLDER: &str = "target/nginx";

/// Unpacks it; nothing when there is one.
pub fn install() -> Result<()> {
    let unpacked = format!("{FOLDER}/usr/sbin/nginx");
    if [unpacked.as_str(), "/usr/sbin/nginx"].into_iter().any(|program| Path::new(program).is_file()) {
        return Ok(());
    }
    fetch().context("nginx is needed for the tests: install Debian's `nginx`")
}

fn fetch() -> Result<()> {
    std::fs::create_dir_all(FOLDER)?;
    workspace::persist(|| {
        workspace::run_as_root("apt-get", &["update"], "nginx")?;
        let mut download = Command::new("apt-get");
        workspace::run_logged(download.args(["download", "nginx"]).current_dir(FOLDER), "nginx").map(drop)
    })?;
    let unpack = "for package in nginx_*.deb; do dpkg-deb --extract \"$package\" .; done";
    workspace::run_logged(Command::new("sh").args(["-ec", unpack]).current_dir(FOLDER), "nginx").map(drop)
}
