//! Whether REST keeps what its OpenAPI document says: the document is valid, and a server answers requests that are made from
//! it, good ones and bad ones, as it says.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::prepare::binary;
use crate::site::Profile;
use crate::{test_mmdb, workspace};

const REQUIREMENTS: &str = "xtask/openapi-requirements.txt";
const SETTINGS: &str = "xtask/schemathesis.toml";
/// Python packages of our own, since those of the system may not be changed.
const TOOLS: &str = "target/openapi-tools";
/// The database of the server that is asked; made anew each time.
const FOLDER: &str = "target/openapi-server";
const SCAN: &str = "samples/scans/banners.json";
const VALIDATE: &str = "import json, sys, urllib.request\n\
                        from openapi_spec_validator import validate\n\
                        validate(json.load(urllib.request.urlopen(sys.argv[1])))";
/// Requests are made from this number, so that a finding comes again.
const SEED: &str = "7";
/// Requests of each operation that are made at random, beside those that its document asks for one by one.
const EXAMPLES: &str = "25";

/// Installs the two programs; nothing when they are there.
pub fn install() -> Result<()> {
    let installed = Path::new(TOOLS).join("requirements.txt");
    let wanted = fs::read_to_string(REQUIREMENTS).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    if fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    let can = |module: &str| workspace::read(Command::new("python3").args(["-c", module])).is_ok();
    if !can("import venv, ensurepip") {
        workspace::install("python", &["python3", "python3-venv"]).context(
            "Python is needed to judge REST by its document: install Debian's `python3` and `python3-venv`",
        )?;
    }
    workspace::run_logged(Command::new("python3").args(["-m", "venv", "--clear", TOOLS]), "python")?;
    workspace::persist(|| {
        let mut install = Command::new(tool("pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS]);
        workspace::run_logged(&mut install, "python").map(drop)
    })?;
    fs::write(installed, wanted).context("cannot note what was installed")
}

/// Judges the debug server.
pub fn check() -> Result<()> {
    let _ = fs::remove_dir_all(FOLDER);
    fs::create_dir_all(FOLDER)?;
    test_mmdb::write(&Path::new(FOLDER).join("mmdb"))?;
    let scan = workspace::root().join(SCAN);
    hostatlas(&["import"]).arg(scan).stdout(Stdio::null()).status().context("cannot import")?;
    let drained = hostatlas(&["worker", "--drain"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !drained.success() {
        bail!("the hosts of {SCAN} could not be looked up ({drained})");
    }
    let server = Server::start()?;
    let document = format!("{}/api/openapi.json", server.url);
    workspace::run_logged(
        Command::new(tool("python")).args(["-c", VALIDATE, &document]),
        "openapi-validator",
    )?;
    let mut judge = Command::new(tool("schemathesis"));
    judge.args(["--config-file", SETTINGS, "run", &document, "--seed", SEED, "--max-examples", EXAMPLES]);
    workspace::run_logged(&mut judge, "schemathesis").map(drop)
}

fn tool(name: &str) -> PathBuf {
    Path::new(TOOLS).join("bin").join(name)
}

/// The debug binary in the folder of its own, with nothing else from our environment.
fn hostatlas(arguments: &[&str]) -> Command {
    let mut command = Command::new(workspace::root().join(binary(Profile::Debug)));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", workspace::root().join(FOLDER))
        .current_dir(FOLDER)
        .stdin(Stdio::null());
    command
}

/// Killed when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Result<Self> {
        let mut command = hostatlas(&["serve", "--listen", "127.0.0.1:0", "--no-worker"]);
        let mut child =
            command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().context("cannot serve")?;
        let stderr = child.stderr.take().context("the server has no standard error")?;
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let url = lines.find_map(|line| {
            let rest = line.split_once("hostatlas serves ")?.1;
            rest.split_whitespace().next().map(str::to_owned)
        });
        // What it says later is read, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(url) = url else {
            let _ = child.kill();
            bail!("the server did not start; `{}` is its folder", FOLDER);
        };
        Ok(Self { child, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
