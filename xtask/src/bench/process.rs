//! Runs the binary and reads what the kernel says of it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// What one run of the binary took.
pub struct Measured {
    /// Wall time.
    pub seconds: f64,
    /// User and system time.
    pub cpu_seconds: f64,
    /// The most that was resident at any time.
    pub resident_mib: f64,
    /// What it wrote to stdout.
    pub output: String,
}

/// How often a running process is looked at.
const SAMPLE: Duration = Duration::from_millis(5);

/// The binary on a database, with the installed location databases.
pub fn command(binary: &Path, database: &Path, arguments: &[&str]) -> Command {
    command_at(binary, &sqlite_url(database), arguments)
}

/// The same on a database of either backend.
pub fn command_at(binary: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .env("HOSTATLAS_DATABASE_URL", url)
        .env_remove("HOSTATLAS_DATABASE_DIRECT_URL")
        .env("HOSTATLAS_MMDB_DIR", "mmdb")
        .stdin(Stdio::null());
    command
}

/// How a database file is named in the settings.
pub fn sqlite_url(database: &Path) -> String {
    format!("sqlite://{}", database.display())
}

/// Starts the binary without waiting for it.
pub fn spawn(binary: &Path, database: &Path, arguments: &[&str]) -> Result<Child> {
    let mut command = command(binary, database, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start hostatlas")
}

/// Runs the binary to its end.
pub fn run_measured(binary: &Path, database: &Path, arguments: &[&str]) -> Result<Measured> {
    run_measured_at(binary, &sqlite_url(database), arguments)
}

/// The same on a database of either backend.
pub fn run_measured_at(binary: &Path, url: &str, arguments: &[&str]) -> Result<Measured> {
    let begun = Instant::now();
    let mut child =
        command_at(binary, url, arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut stdout = child.stdout.take().context("no stdout")?;
    let reader = thread::spawn(move || {
        let mut output = String::new();
        stdout.read_to_string(&mut output).map(|_| output)
    });
    let (mut cpu_seconds, mut resident_mib) = (0.0_f64, 0.0_f64);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        cpu_seconds = cpu_of(child.id()).unwrap_or(cpu_seconds);
        resident_mib = memory_of(child.id(), "VmHWM:").unwrap_or(resident_mib);
        thread::sleep(SAMPLE);
    };
    let seconds = begun.elapsed().as_secs_f64();
    let output = reader.join().map_err(|_| anyhow::anyhow!("the reader of stdout panicked"))??;
    if !status.success() {
        bail!("`hostatlas {}` ended with {status}: {output}", arguments.join(" "));
    }
    Ok(Measured { seconds, cpu_seconds, resident_mib, output })
}

/// User and system seconds, from `/proc/PID/stat` (fields 14 and 15, in hundredths; proc(5)).
pub fn cpu_of(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let ticks: Vec<f64> =
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    (ticks.len() == 2).then(|| (ticks[0] + ticks[1]) / 100.0)
}

/// A field of `/proc/PID/status`, in MiB.
fn memory_of(process: u32, field: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((kib / 1024.0 * 10.0).round() / 10.0)
}

/// A running `serve`, stopped when dropped.
pub struct Server {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub base: String,
    child: Child,
}

impl Server {
    /// Starts a server on a free port and waits until it is ready.
    pub fn start(binary: &Path, database: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_at(binary, &sqlite_url(database), arguments)
    }

    /// The same on a database of either backend.
    pub fn start_at(binary: &Path, url: &str, arguments: &[&str]) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = format!("127.0.0.1:{port}");
        let mut all = vec!["serve", "--listen", &listen];
        all.extend(arguments);
        let mut child = command_at(binary, url, &all).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("no stderr")?;
        // Read for as long as it writes: a full pipe would stop it.
        thread::spawn(move || BufReader::new(stderr).lines().for_each(drop));
        let base = format!("http://{listen}");
        for _ in 0..600 {
            if ureq::get(format!("{base}/readyz")).call().is_ok() {
                return Ok(Self { base, child });
            }
            if let Some(status) = child.try_wait()? {
                bail!("`hostatlas serve` ended with {status}");
            }
            thread::sleep(Duration::from_millis(100));
        }
        bail!("`hostatlas serve` was not ready within a minute")
    }

    /// Anonymous memory: what the kernel cannot drop.
    pub fn anonymous_mib(&self) -> Result<f64> {
        memory_of(self.child.id(), "RssAnon:").context("no RssAnon in /proc")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
