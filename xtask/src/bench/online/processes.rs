//! The stand-in for the providers, and commands that run until they are told to stop.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    super::{
        http::Client,
        process::{cpu_of, spawn},
    },
    Online, count,
};

/// The stand-in as a process of its own, ended when dropped.
pub(super) struct StandIn {
    pub(super) base: String,
    client: Client,
    child: Child,
}

impl StandIn {
    pub(super) fn start(binary: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start provider-standin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        // It says where it listens in what it prints to be pasted.
        let mut lines = stdout.lines();
        let control = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, address) = line.split_once("curl http://")?;
            Some(address.split_once("/control")?.0.to_owned())
        });
        thread::spawn(move || lines.for_each(drop));
        let base = format!("http://{}", control.context("provider-standin did not say where it listens")?);
        Ok(Self { client: Client::new(&base), base, child })
    }

    pub(super) fn control(&self, command: &Value) -> Result<()> {
        self.client.post("/control", &command.to_string()).map(drop)
    }

    /// What a provider counted.
    pub(super) fn of(&self, provider: &str) -> Result<Value> {
        let state: Value = serde_json::from_str(&self.client.get_plain("/control")?)?;
        Ok(state["providers"][provider]["statistics"].clone())
    }

    /// Waits until somebody asks any provider.
    pub(super) fn first_request(&self) -> Result<()> {
        for _ in 0..3_000 {
            let state: Value = serde_json::from_str(&self.client.get_plain("/control")?)?;
            let providers = state["providers"].as_object().context("no providers")?;
            if providers.values().any(|provider| count(&provider["statistics"]["requests"]) > 0) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("nobody asked the stand-in within half a minute")
    }

    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        cpu_of(self.child.id())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs until it is told to stop; killed when dropped.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(online: &Online, database: &Path, arguments: &[&str]) -> Result<Self> {
        spawn(&online.binary, database, arguments).map(Self)
    }

    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Asks it to stop, as Ctrl-C does, and waits until it did.
    pub(super) fn interrupt(&mut self) -> Result<()> {
        Command::new("kill").args(["-INT", &self.0.id().to_string()]).status()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
