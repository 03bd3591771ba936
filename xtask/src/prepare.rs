//! Everything that `make run` and `make dev` need before the server starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::site::{self, Profile};
use crate::steps::Steps;
use crate::{data, workspace};

const DEMO: &str = "demo/hostatlas.db";
/// Stands while the sample is being imported, so that a database whose import was cut short is completed.
const DEMO_UNFINISHED: &str = "demo/import-unfinished";
const SAMPLE: &str = "samples/scans/public-5k.json";

/// Fetches the databases, builds server and site side by side, and imports the sample into a demo database.
pub fn run(profile: Profile) -> Result<()> {
    let steps = Steps::new();
    // Side by side because each has a long last phase on one core: linking, and optimizing the WASM as a whole.
    let built = std::thread::scope(|scope| {
        let data = scope.spawn(|| steps.run("databases", || data::fetch(data::Flags::default())));
        let site = scope.spawn(|| steps.run("site", || site::build_quietly(profile)));
        let server = steps.run("server", || workspace::run(&mut build_server(profile)));
        server & site.join().unwrap_or(false) & data.join().unwrap_or(false)
    });
    if built {
        steps.run("demo database", || import_sample(profile));
    }
    steps.close()
}

/// Where Cargo puts the product's binary.
pub fn binary(profile: Profile) -> PathBuf {
    let folder = match profile {
        Profile::Release => "release",
        Profile::Debug => "debug",
    };
    workspace::root().join("target").join(folder).join("hostatlas")
}

/// The command that builds the product's binary.
pub fn build_server(profile: Profile) -> Command {
    let mut command = workspace::cargo();
    command.args(["build", "--package", "server", "--locked"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    command
}

/// Imports the sample, but only into a database that this function created.
fn import_sample(profile: Profile) -> Result<()> {
    let unfinished = Path::new(DEMO_UNFINISHED);
    if Path::new(DEMO).exists() && !unfinished.exists() {
        println!("    {DEMO} is there already (make clean-demo removes it)");
        return Ok(());
    }
    fs::create_dir_all("demo")?;
    fs::write(unfinished, "").with_context(|| format!("cannot write {DEMO_UNFINISHED}"))?;
    workspace::run(
        Command::new(binary(profile))
            .args(["import", SAMPLE])
            .env("HOSTATLAS_DATABASE_URL", format!("sqlite://{DEMO}"))
            .env("HOSTATLAS_MMDB_DIR", "mmdb"),
    )?;
    fs::remove_file(unfinished)?;
    Ok(())
}
