//! A whole installation in a temporary folder, with the binary that is to be proven.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::{Options, addresses, process::Process};

/// Long enough for a loaded machine; nothing waits this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A folder with location databases and, once something is imported, a database of hosts.
pub(crate) struct Installation {
    binary: PathBuf,
    folder: Folder,
    variables: Vec<(String, String)>,
}

enum Folder {
    Temporary(tempfile::TempDir),
    Given(PathBuf),
}

impl Installation {
    /// In a temporary folder.
    pub(crate) fn new(options: &Options) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hostatlas-proof-").tempdir()?;
        Self::with(options, Folder::Temporary(folder))
    }

    /// In a folder that is somebody else's to remove.
    pub(crate) fn within(options: &Options, folder: &Path) -> anyhow::Result<Self> {
        Self::with(options, Folder::Given(folder.to_owned()))
    }

    fn with(options: &Options, folder: Folder) -> anyhow::Result<Self> {
        ensure!(
            options.binary.is_file(),
            "there is no `{}`: build it with `cargo build --package server`, or name another with --binary",
            options.binary.display()
        );
        let installation = Self { binary: options.binary.clone(), folder, variables: Vec::new() };
        addresses::write_databases(&installation.path("mmdb"))?;
        Ok(installation)
    }

    /// Sets an environment variable for everything that is started from now on.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    /// A file or folder in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match &self.folder {
            Folder::Temporary(folder) => folder.path().join(name),
            Folder::Given(folder) => folder.join(name),
        }
    }

    /// The `SQLite` file that is used unless [`Installation::set`] says otherwise.
    pub(crate) fn database(&self) -> PathBuf {
        self.path("hostatlas.db")
    }

    /// The binary with no environment but a home and what was set.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path(""))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Starts it.
    pub(crate) fn start(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        Process::start(self.command(arguments))
    }

    /// Runs it to its end, however it ends.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(arguments).stdout(Stdio::piped()).output()?)
    }

    /// Runs it to its end, which has to be a good one; answers its standard output.
    pub(crate) fn run_well(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(arguments)?;
        ensure!(
            output.status.success(),
            "`hostatlas {}` ended with {}: {}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Imports addresses by their numbers, in one list.
    pub(crate) fn import(&self, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
        let name = format!("list-{}.txt", numbers.start);
        addresses::write_list(&self.path(&name), numbers)?;
        self.run_well(&["import", &name])?;
        Ok(())
    }

    /// Starts `serve` on a free port; answers it and where it listens.
    pub(crate) fn serve(&self) -> anyhow::Result<(Process, SocketAddr)> {
        let server = self.start(&["serve", "--listen", "127.0.0.1:0"])?;
        let rest = server.wait_for("hostatlas serves http://", PATIENCE)?;
        let address = rest.split_whitespace().next().context("it said no address")?;
        Ok((server, address.parse()?))
    }
}
