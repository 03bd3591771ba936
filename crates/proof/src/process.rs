//! Processes that are killed, asked to stop and looked at.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// How often an end is looked for.
const LOOK: Duration = Duration::from_millis(2);
/// Bytes of standard error that are kept.
const KEPT: usize = 64 * 1024;
/// The signal that nobody can catch.
const SIGKILL: i32 = 9;

/// What SIGKILL met. Only the first is a kill: who had ended was not killed, and may have had a reason of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// A living process, which it ended.
    Living,
    /// One that had ended by itself.
    Ended(ExitStatus),
}

/// A running process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Starts it; its standard error has to be piped.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().with_context(|| format!("`{program}` does not start"))?;
        let stderr = child.stderr.take().context("standard error is not piped")?;
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = mpsc::channel();
        let kept = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < KEPT {
                    kept.push_str(&line);
                    kept.push('\n');
                }
                drop(kept);
                // Nobody may be waiting for a line.
                let _ = sender.send(line);
            }
        });
        Ok(Self { child, said, reader: Some(reader), lines })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error so far, from the beginning.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rest of the first line that holds `mark`.
    pub(crate) fn wait_for(&self, mark: &str, patience: Duration) -> anyhow::Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some((_, rest)) = line.split_once(mark) {
                        return Ok(rest.to_owned());
                    }
                }
                Err(_) => bail!("it never said `{mark}`: {}", self.said()),
            }
        }
    }

    /// SIGKILL, and the end.
    pub(crate) fn kill(&mut self) -> anyhow::Result<Met> {
        let ended = self.child.try_wait()?;
        if ended.is_none() {
            self.child.kill()?;
        }
        let status = self.child.wait()?;
        self.read_rest();
        // Even now it may have ended first: then its status is another.
        let was_killed = ended.is_none() && status.signal() == Some(SIGKILL);
        Ok(if was_killed { Met::Living } else { Met::Ended(status) })
    }

    /// Sends SIGTERM.
    pub(crate) fn ask_to_stop(&self) -> anyhow::Result<()> {
        self.signal("-TERM")
    }

    /// Sends a signal by the name that `kill` knows.
    pub(crate) fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status()?;
        anyhow::ensure!(sent.success(), "the signal {signal} could not be sent");
        Ok(())
    }

    /// How it ended, if it did within `patience`.
    pub(crate) async fn ended_within(&mut self, patience: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.read_rest();
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn read_rest(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of memory that a process has resident.
pub(crate) fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Descriptors that a process has open.
pub(crate) fn open_descriptors(process: u32) -> Option<usize> {
    fs::read_dir(format!("/proc/{process}/fd")).ok().map(Iterator::count)
}
