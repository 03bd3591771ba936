use std::{
    fs,
    io::{Error, Result},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use tempfile::TempDir;

use crate::programs::{Account, bin_folder, command, free_port, run};

/// How often another port is tried when somebody else took the one that was free.
const PORTS_TRIED: u32 = 5;

/// As a careful administrator sets them, for a small machine.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = '256MB'
max_wal_size = '4GB'
fsync = on
synchronous_commit = on
log_line_prefix = '%m [%p] %d '
timezone = 'UTC'
";

/// A running server, stopped and removed when this is dropped. Its superuser is `postgres`, without a password.
pub struct Cluster {
    folder: TempDir,
    bin: PathBuf,
    account: Option<Account>,
    port: u16,
}

impl Cluster {
    /// Makes a database cluster and starts its server.
    pub fn start() -> Result<Self> {
        Self::start_with("")
    }

    /// As [`Cluster::start`], with further lines for `postgresql.conf`.
    pub fn start_with(settings: &str) -> Result<Self> {
        let account = Account::unprivileged()?;
        let folder = tempfile::Builder::new().prefix("hostatlas-postgres-").tempdir()?;
        if let Some(account) = account {
            account.own(folder.path())?;
        }
        let mut cluster = Self { folder, bin: bin_folder()?, account, port: 0 };
        let data = cluster.data();
        run(command(&cluster.bin.join("initdb"), account)
            .arg("--pgdata")
            .arg(&data)
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--data-checksums", "--no-sync"]))?;
        let socket = format!("unix_socket_directories = '{}'\n", cluster.folder.path().display());
        let file = data.join("postgresql.conf");
        let defaults = fs::read_to_string(&file)?;
        fs::write(&file, format!("{defaults}{SETTINGS}{socket}{settings}\n"))?;
        for _ in 0..PORTS_TRIED {
            cluster.port = free_port()?;
            if cluster.start_again().is_ok() {
                return Ok(cluster);
            }
        }
        Err(Error::other(format!("the server does not start:\n{}", cluster.log())))
    }

    /// The superuser's URL to the database `postgres`.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The superuser's URL to a database.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens on loopback.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server's programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The folder of its files.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Everything that the server wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Starts the server after [`Cluster::stop_immediately`], and waits until it accepts connections.
    pub fn start_again(&self) -> Result<()> {
        let port = format!("-p {}", self.port);
        let mut start = self.control();
        start.arg("--log").arg(self.log_file()).args(["--options", &port, "--timeout=60", "--wait", "start"]);
        // The server inherits what is open, and a pipe that it holds would never end.
        let status = start.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if status.success() { Ok(()) } else { Err(Error::other(self.log())) }
    }

    /// Stops the server as a crash does: nothing is written any more, every connection is cut.
    pub fn stop_immediately(&self) -> Result<()> {
        run(self.control().args(["--mode=immediate", "--wait", "stop"])).map(drop)
    }

    /// Stops the server in good order, and copies its files aside, under a name that is free.
    pub fn stop_and_copy(&self, name: &str) -> Result<()> {
        run(self.control().args(["--mode=fast", "--wait", "stop"]))?;
        copy(&self.data(), &self.folder.path().join(name))
    }

    /// Stops the server in good order, and puts files in its place that [`Cluster::stop_and_copy`] copied.
    pub fn stop_and_put_back(&self, name: &str) -> Result<()> {
        run(self.control().args(["--mode=fast", "--wait", "stop"]))?;
        fs::remove_dir_all(self.data())?;
        copy(&self.folder.path().join(name), &self.data())
    }

    /// Crashes the server, and starts it again; it recovers before it accepts connections.
    pub fn restart_immediate(&self) -> Result<()> {
        self.stop_immediately()?;
        self.start_again()
    }

    /// Starts the server after [`Cluster::stop_immediately`] as a standby that follows nobody: it can only be read.
    /// `SELECT pg_promote()` ends that.
    pub fn start_as_standby(&self) -> Result<()> {
        let signal = self.data().join("standby.signal");
        fs::write(&signal, "")?;
        self.own(&signal)?;
        self.start_again()
    }

    /// Makes a file the server's own, and unreadable for others, as it wants its key.
    pub fn own(&self, file: &Path) -> Result<()> {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
        self.account.map_or(Ok(()), |account| account.own(file))
    }

    /// Lets the server read its settings again, after `change` edited them in the folder of its files.
    pub fn reload(&self, change: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        change(&self.data())?;
        run(self.control().arg("reload")).map(drop)
    }

    fn control(&self) -> std::process::Command {
        let mut control = command(&self.bin.join("pg_ctl"), self.account);
        control.arg("--pgdata").arg(self.data());
        control
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// With owners and rights, without which the server refuses its files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    run(std::process::Command::new("cp").arg("--archive").arg(from).arg(to)).map(drop)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // One that crashed has nothing to stop; its folder goes in either case.
        let _ = self.stop_immediately();
    }
}
