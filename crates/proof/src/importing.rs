//! Lists of addresses that are imported one after the other, by a process that may be killed or cut off.
//!
//! A list whose import did not end well is imported again from its beginning, as its user would do it.

use std::{
    path::PathBuf,
    process::ExitStatus,
    time::{Duration, Instant},
};

use crate::{
    addresses,
    installation::Installation,
    process::{Met, Process},
};

/// So many failures of one list, one after the other, are no accident: it would go on for ever.
const MOST_FAILURES: u32 = 20;

/// The lists, and the import that runs.
pub(crate) struct Importing {
    lists: Vec<PathBuf>,
    /// Where its database is, unless the installation's is meant.
    url: Option<String>,
    next: usize,
    running: Option<Running>,
    /// Imports of the next list that failed by themselves.
    failures: u32,
}

struct Running {
    process: Process,
    began: Instant,
}

/// An import that ended by itself, and not well.
pub(crate) struct Failed {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
    /// When it was started.
    pub(crate) began: Instant,
}

/// What SIGKILL met.
pub(crate) enum Killed {
    /// An import at work.
    Import,
    /// None, or one that had ended well.
    Nothing,
    /// One that had ended by itself, and not well.
    Failed(Failed),
}

impl Importing {
    /// Writes so many lists, which have so many addresses together.
    pub(crate) fn of(installation: &Installation, addresses: u64, lists: u64) -> anyhow::Result<Self> {
        let size = addresses.div_ceil(lists);
        let write = |list: u64| {
            let path = installation.path(&format!("list-{list}.txt"));
            addresses::write_list(&path, list * size..((list + 1) * size).min(addresses))?;
            anyhow::Ok(path)
        };
        let lists = (0..lists).map(write).collect::<anyhow::Result<_>>()?;
        Ok(Self { lists, url: None, next: 0, running: None, failures: 0 })
    }

    /// The same, into the database at a URL of their own.
    pub(crate) fn with_url(self, url: String) -> Self {
        Self { url: Some(url), ..self }
    }

    /// Whether all lists are imported.
    pub(crate) fn is_over(&self) -> bool {
        self.next >= self.lists.len()
    }

    /// Whether an import was started whose end nobody has seen.
    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Begins the next list where no import runs any more, but none beyond `lists`. Answers the import that ended and
    /// should not have.
    pub(crate) async fn advance(
        &mut self,
        lists: u64,
        installation: &Installation,
    ) -> anyhow::Result<Option<Failed>> {
        if let Some(import) = &mut self.running {
            let Some(status) = import.process.ended_within(Duration::ZERO).await? else { return Ok(None) };
            if let Some(failed) = self.ended(status)? {
                return Ok(Some(failed));
            }
        }
        if let Some(list) = self.lists.get(self.next)
            && (self.next as u64) < lists
        {
            let mut command = installation.command(&["import", &list.to_string_lossy()]);
            command.envs(self.url.iter().map(|url| ("HOSTATLAS_DATABASE_URL", url)));
            self.running = Some(Running { process: Process::start(command)?, began: Instant::now() });
        }
        Ok(None)
    }

    /// Kills the one that runs.
    pub(crate) fn kill(&mut self) -> anyhow::Result<Killed> {
        let Some(import) = &mut self.running else { return Ok(Killed::Nothing) };
        match import.process.kill()? {
            Met::Living => {
                self.running = None;
                Ok(Killed::Import)
            }
            Met::Ended(status) => Ok(self.ended(status)?.map_or(Killed::Nothing, Killed::Failed)),
        }
    }

    /// Takes away the one that ended by itself. If that was no good end, its list is still the next.
    fn ended(&mut self, status: ExitStatus) -> anyhow::Result<Option<Failed>> {
        let Some(Running { process, began }) = self.running.take() else { return Ok(None) };
        if status.success() {
            (self.next, self.failures) = (self.next + 1, 0);
            return Ok(None);
        }
        self.failures += 1;
        let said = process.said();
        anyhow::ensure!(self.failures < MOST_FAILURES, "a list cannot be imported, {status}: {said}");
        Ok(Some(Failed { status, said, began }))
    }
}
