//! Every check there is, in the order that ends soonest on two cores.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use hostatlas_test_postgres::SERVER_VARIABLE;

use crate::prepare::{binary, build_server};
use crate::site::{self, Profile};
use crate::steps::Steps;
use crate::{contract, nginx, postgres, test_mmdb, workspace};

/// `frontend` is WASM only; `xtask` has its own target directory, so that it never rebuilds the product's crates.
const PRODUCT: [&str; 5] = ["--workspace", "--exclude", "frontend", "--exclude", "xtask"];
const XTASK_TARGET: &str = "target/xtask";
/// Where the browser tests look for their location databases (`end2end/playwright.config.ts`).
const TEST_MMDB: &str = "target/test-mmdb";

/// Formatting, lints, tests, documentation tests, and the browser tests on the built site.
pub fn run() -> Result<()> {
    let steps = Steps::new();
    std::thread::scope(|scope| {
        let tools = scope.spawn(|| steps.run("browser and its test runner", install_browser));
        let judges = scope.spawn(|| steps.run("judges of the OpenAPI document", contract::install));
        let site = scope.spawn(|| steps.run("site", || site::build_quietly(Profile::Release)));
        steps.run("formatting", format_check);
        let tested = rust_tests(&steps);
        if tested && judges.join().unwrap_or(false) {
            steps.run("REST against its document", contract::check);
        }
        steps.run("clippy", clippy_product);
        let site = site.join().unwrap_or(false);
        let tools = tools.join().unwrap_or(false);
        if tested && site && tools {
            steps.run("end to end", end_to_end);
        } else {
            println!("end to end: not run, because what it needs failed");
        }
    });
    steps.close()
}

/// REST against its document alone.
pub fn contract() -> Result<()> {
    let steps = Steps::new();
    let built = steps.run("server", || workspace::run(&mut build_server(Profile::Debug)));
    if built & steps.run("judges of the OpenAPI document", contract::install) {
        steps.run("REST against its document", contract::check);
    }
    steps.close()
}

/// The browser tests alone.
pub fn browser() -> Result<()> {
    let steps = Steps::new();
    let ready = std::thread::scope(|scope| {
        let tools = scope.spawn(|| steps.run("browser and its test runner", install_browser));
        let site = scope.spawn(|| steps.run("site", || site::build_quietly(Profile::Release)));
        let server = steps.run("server", || workspace::run(&mut build_server(Profile::Debug)));
        server & site.join().unwrap_or(false) & tools.join().unwrap_or(false)
    });
    if ready {
        steps.run("end to end", end_to_end);
    }
    steps.close()
}

/// Formatting, clippy for both targets, and licences where `cargo-deny` is installed.
pub fn lint() -> Result<()> {
    let steps = Steps::new();
    steps.run("formatting", format_check);
    steps.run("clippy", clippy_product);
    steps.run("clippy for the browser", || {
        workspace::run(
            workspace::cargo()
                .args(["clippy", "--package", "frontend", "--package", "hostatlas-app", "--lib", "--locked"])
                .args(["--features", "hostatlas-app/hydrate"])
                .args(["--target", "wasm32-unknown-unknown", "--target-dir", "target/wasm"])
                .args(["--", "--deny", "warnings"]),
        )
    });
    steps.run("clippy for xtask", || {
        workspace::run(
            workspace::cargo()
                .args(["clippy", "--package", "xtask", "--all-targets", "--locked", "--profile", "xtask"])
                .args(["--target-dir", XTASK_TARGET, "--", "--deny", "warnings"]),
        )
    });
    if workspace::cargo().args(["deny", "--version"]).output().is_ok_and(|output| output.status.success()) {
        steps.run("licences and bans", || {
            workspace::run(workspace::cargo().args(["deny", "check", "licenses", "bans", "sources"]))
        });
    } else {
        println!("licences and bans: not checked, cargo-deny is not installed");
    }
    steps.close()
}

fn format_check() -> Result<()> {
    workspace::run(workspace::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy_product() -> Result<()> {
    workspace::run(workspace::cargo().arg("clippy").args(PRODUCT).args([
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// Runs with nextest where it is installed, else with Cargo's own runner, which has the documentation tests in it.
fn rust_tests(steps: &Steps) -> bool {
    let mut server = None;
    let started = steps.run("PostgreSQL and nginx for the tests", || {
        postgres::install()?;
        nginx::install()?;
        server = Some(postgres::start()?);
        Ok(())
    });
    // Without a server its tests fail, each with the same words: the step above says it better.
    let Some(server) = server else { return started };
    let with_server = |mut command: Command| {
        command.env(SERVER_VARIABLE, server.url());
        command
    };
    let nextest = workspace::cargo()
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    let mut passed = if nextest {
        let tests = steps.run("tests", || {
            let mut nextest = with_server(workspace::cargo());
            workspace::run(nextest.args(["nextest", "run", "--no-fail-fast", "--locked"]).args(PRODUCT))
        });
        let documentation = steps.run("documentation tests", || {
            workspace::run(workspace::cargo().args(["test", "--doc", "--locked"]).args(PRODUCT))
        });
        tests & documentation
    } else {
        steps.run("tests", || {
            let mut test = with_server(workspace::cargo());
            workspace::run(test.args(["test", "--no-fail-fast", "--locked"]).args(PRODUCT))
        })
    };
    passed &= steps.run("tests of xtask", || {
        workspace::run(
            workspace::cargo()
                .args(["test", "--package", "xtask", "--locked", "--profile", "xtask"])
                .args(["--target-dir", XTASK_TARGET]),
        )
    });
    passed
}

/// Debian's Chromium and the packages of `end2end`; nothing when both are there.
fn install_browser() -> Result<()> {
    if !workspace::has("chromium") {
        install_chromium()?;
    }
    let lock = Path::new("end2end/package-lock.json");
    let installed = Path::new("end2end/node_modules/.package-lock.json");
    let newer = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if newer(installed).is_some() && newer(installed) >= newer(lock) {
        return Ok(());
    }
    workspace::persist(|| {
        workspace::run_logged(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund"])
                // Debian's browser is used: the runner's own is a download of its own.
                .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
                .current_dir("end2end"),
            "npm",
        )
        .map(drop)
    })
}

fn install_chromium() -> Result<()> {
    workspace::install("chromium", &["chromium"])
        .context("chromium is needed for the browser tests: install it with apt-get")
}

/// Runs Playwright against the debug server. The variable has no `HOSTATLAS_` before it: that is the product's own.
fn end_to_end() -> Result<()> {
    test_mmdb::write(Path::new(TEST_MMDB))?;
    // Online providers are played by the stand-in; the specs look for it in the same folder as the server.
    workspace::run(workspace::cargo().args([
        "build",
        "--locked",
        "--package",
        "hostatlas-provider-standin",
    ]))?;
    workspace::run(
        Command::new("npx")
            .args(["--no-install", "playwright", "test"])
            .env("E2E_BINARY", binary(Profile::Debug))
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
            .current_dir("end2end"),
    )
}
