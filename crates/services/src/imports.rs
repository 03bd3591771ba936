mod group;
mod growing;
mod merge;
mod packed;
mod read;
mod write;

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hostatlas_domain::{Import, ImportId, ImportReport, ImportState, Page, ScanFormat, Undone};
use hostatlas_store::StartImport;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use self::growing::GrowingFile;
use self::{
    group::{Seen, next_batch},
    merge::sorted_in_memory,
    read::{Ending, Failure, Live, Message, Position, Source, read_all, read_live},
    write::Writer,
};
use crate::{
    Error, Permission, Services,
    request::{parse_cursor, parse_limit},
    sites::{Which, place_sites},
};

/// A live import commits at least so often.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// How often progress is told while nothing is written.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Reading scan output into the store.
#[derive(Clone)]
pub struct Imports {
    services: Services,
}

/// What to import.
pub struct ImportInput {
    /// What to call it: a file name, or `-`.
    pub source_name: String,
    /// Where it comes from; may be compressed.
    pub reader: Box<dyn Read + Send>,
    /// Its size in bytes, if it is a file.
    pub size: Option<u64>,
    /// With `follow`, the file that grows: its end is waited at, and it is read from its start when it is written anew.
    /// Without it the input is a pipe, whose end is the end.
    pub growing: Option<GrowingFile>,
    /// Its format; none: recognised by content.
    pub format: Option<ScanFormat>,
    /// Whether to store what comes while it comes, at least once a second.
    pub follow: bool,
    /// Stops it. With `follow` that is its normal end.
    pub cancel: CancellationToken,
}

/// What an import is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportPhase {
    /// Reading and sorting; nothing is stored yet.
    Reading,
    /// Storing in the order of addresses.
    Writing,
    /// Reading and storing what comes.
    Following,
}

/// How far an import is.
#[derive(Clone, Debug)]
pub struct ImportProgress {
    /// What it is doing.
    pub phase: ImportPhase,
    /// The import, once it has begun.
    pub id: Option<ImportId>,
    /// What was recognised.
    pub format: Option<ScanFormat>,
    /// Bytes read, still compressed.
    pub bytes_read: u64,
    /// Bytes to read, if that is known.
    pub size: Option<u64>,
    /// Records read.
    pub records_read: u64,
    /// Records whose observations are stored.
    pub records_stored: u64,
    /// Records to store, once reading is over.
    pub records_to_store: Option<u64>,
    /// Hosts made so far.
    pub hosts_new: u64,
    /// Jobs queued so far.
    pub jobs_queued: u64,
    /// How often the file was written anew while it was followed.
    pub written_anew: u64,
}

impl Imports {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// Reads an input and stores what it saw: hosts, services, and a job for each public host that is due.
    ///
    /// What is stored stays, whatever happens later; importing the same input again completes it. Fails if the input
    /// is no scan output, cannot be read to its end (after storing what came before), or was cancelled.
    pub async fn run(
        &self,
        input: ImportInput,
        mut on_progress: impl FnMut(&ImportProgress) + Send,
    ) -> Result<ImportReport, Error> {
        self.services.authorize(Permission::Import)?;
        let position = Arc::new(Position::default());
        let source = Source {
            reader: input.reader,
            format: input.format,
            growing: input.growing.filter(|_| input.follow),
            cancel: input.cancel,
            position: position.clone(),
        };
        let run = Run {
            services: self.services.clone(),
            name: input.source_name,
            cancel: source.cancel.clone(),
            position,
            progress: ImportProgress {
                phase: if input.follow { ImportPhase::Following } else { ImportPhase::Reading },
                id: None,
                format: None,
                bytes_read: 0,
                size: input.size.filter(|_| !input.follow),
                records_read: 0,
                records_stored: 0,
                records_to_store: None,
                hosts_new: 0,
                jobs_queued: 0,
                written_anew: 0,
            },
            told: Instant::now(),
            tell: &mut on_progress,
        };
        let report = if input.follow { run.follow(source).await } else { run.bulk(source).await };
        place_sites(&self.services, Which::New).await;
        self.services.jobs_changed();
        report
    }

    /// Removes what only this import brought.
    pub async fn undo(&self, id: ImportId) -> Result<Undone, Error> {
        self.services.authorize(Permission::Import)?;
        let undone = self.services.store().import_undo(id).await?;
        self.services.jobs_changed();
        Ok(undone)
    }

    /// Imports, newest first; `limit` is 1 to 1000.
    pub async fn list(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Import>, Error> {
        Ok(self.services.store().imports_list(parse_cursor(cursor)?, parse_limit(limit)?).await?)
    }

    /// One import.
    pub async fn get(&self, id: ImportId) -> Result<Import, Error> {
        Ok(self.services.store().import_get(id).await?)
    }
}

/// One import on its way.
struct Run<'a> {
    services: Services,
    name: String,
    cancel: CancellationToken,
    position: Arc<Position>,
    progress: ImportProgress,
    told: Instant,
    tell: &'a mut (dyn FnMut(&ImportProgress) + Send),
}

impl Run<'_> {
    /// Reads all, then writes in the order of addresses: in masscan's random order, each transaction would touch
    /// every page of the index.
    async fn bulk(mut self, source: Source) -> Result<ImportReport, Error> {
        let (sender, mut receiver) = mpsc::channel(1);
        let size = Arc::new(AtomicUsize::new(write::FIRST_BATCH));
        let thread_size = size.clone();
        let spill = self.services.config().spill_directory.clone();
        // A thread of its own and not of the runtime's pool: the process may end while it waits in a read.
        spawn_reader(move || read_all(source, &spill, &thread_size, &sender))?;
        let mut writer: Option<Writer> = None;
        let mut tick = tokio::time::interval(PROGRESS_INTERVAL);
        loop {
            let message = tokio::select! {
                message = receiver.recv() => message,
                () = self.cancel.cancelled() => None,
                _ = tick.tick() => {
                    if let Some(writer) = &mut writer {
                        writer.look().await?;
                        self.stay_known(writer).await;
                    }
                    self.tell(writer.as_ref(), true);
                    continue;
                }
            };
            match (message, &mut writer) {
                (Some(Message::Format(format)), writer) => *writer = Some(self.start(format).await?),
                (Some(Message::Sorted(sightings)), _) => {
                    self.progress.phase = ImportPhase::Writing;
                    self.progress.records_to_store = Some(sightings);
                }
                (Some(Message::Batch(batch)), Some(writer)) => {
                    writer.record(batch).await?;
                    size.store(writer.batch_size(), Ordering::Relaxed);
                    self.tell(Some(writer), false);
                }
                (Some(Message::End(ending)), Some(writer)) => return self.end(writer, ending).await,
                (Some(Message::End(ending)), None) => return Err(self.never_began(ending)),
                (None, Some(writer)) => return self.interrupted(writer).await,
                (Some(Message::Batch(_)) | None, None) => return Err(stopped_early(&self.name)),
            }
        }
    }

    /// Writes what has come twice a second, each flush in the order of addresses.
    async fn follow(mut self, source: Source) -> Result<ImportReport, Error> {
        let live = Arc::new(Live::default());
        let _abandon = Abandon(live.clone());
        let reader = live.clone();
        spawn_reader(move || read_live(source, &reader))?;
        let mut writer: Option<Writer> = None;
        let mut seen = Seen::default();
        let mut tick = tokio::time::interval(FLUSH_INTERVAL);
        loop {
            tokio::select! {
                () = live.news.notified() => {}
                _ = tick.tick() => {}
                () = self.cancel.cancelled() => {}
            }
            let cancelled = self.cancel.is_cancelled();
            if writer.is_none()
                && let Some(format) = live.format()
            {
                writer = Some(self.start(format).await?);
            }
            let taken = live.take();
            let Some(writer) = &mut writer else {
                match taken.ending {
                    Some(ending) => return Err(self.never_began(ending)),
                    None if cancelled => return Err(stopped_early(&self.name)),
                    None => continue,
                }
            };
            seen = self.flush(writer, taken.buffer, seen).await?;
            if cancelled || taken.ending.is_some() {
                let ending = Ending { tally: taken.tally, ..taken.ending.unwrap_or_default() };
                return self.end(writer, ending).await;
            }
            writer.note_reader(taken.tally);
            self.tell(Some(writer), true);
            writer.note_progress().await?;
        }
    }

    async fn flush(
        &mut self,
        writer: &mut Writer,
        buffer: packed::Buffer,
        mut seen: Seen,
    ) -> Result<Seen, Error> {
        if buffer.is_empty() {
            return Ok(seen);
        }
        let mut sorted = sorted_in_memory(buffer).map_err(|error| self.spill_failed(&error))?;
        loop {
            let size = writer.batch_size();
            let grouped = tokio::task::spawn_blocking(move || {
                let batch = next_batch(&mut sorted, size, Some(&mut seen));
                (batch, sorted, seen)
            });
            let batch;
            (batch, sorted, seen) = grouped.await.map_err(|error| Error::Internal(error.into()))?;
            let batch = batch.map_err(|error| self.spill_failed(&error))?;
            if batch.observations.is_empty() {
                // What comes next may be about the same hosts, and is newer.
                writer.settle().await?;
                return Ok(seen);
            }
            writer.record(batch).await?;
        }
    }

    /// Says that the import goes on while nothing of it is written, or it would be taken for dead. Reading goes on without
    /// the store, so a report that cannot be made ends nothing.
    async fn stay_known(&self, writer: &mut Writer) {
        if let Err(error) = writer.note_progress().await {
            warn!(error = &error as &dyn std::error::Error, "How far the import is could not be noted");
        }
    }

    async fn start(&mut self, format: ScanFormat) -> Result<Writer, Error> {
        let params = StartImport { source: self.name.clone(), format };
        let id = self.services.store().import_start(params).await?;
        self.progress.id = Some(id);
        self.progress.format = Some(format);
        Ok(Writer::new(self.services.clone(), id))
    }

    async fn end(&mut self, writer: &mut Writer, ending: Ending) -> Result<ImportReport, Error> {
        writer.settle().await?;
        writer.note_reader(ending.tally);
        let state = if ending.failure.is_none() { ImportState::Done } else { ImportState::Interrupted };
        let import = writer.finish(ending.truncated, state).await?;
        self.tell(Some(writer), true);
        match ending.failure {
            None => Ok(import.report),
            Some(Failure::Scan(source)) => Err(Error::Scan { name: self.name.clone(), source }),
            Some(Failure::Spill(error)) => Err(self.spill_failed(&error)),
        }
    }

    fn never_began(&self, ending: Ending) -> Error {
        match ending.failure {
            Some(Failure::Scan(source)) => Error::Scan { name: self.name.clone(), source },
            Some(Failure::Spill(error)) => self.spill_failed(&error),
            None => stopped_early(&self.name),
        }
    }

    async fn interrupted(&mut self, writer: &mut Writer) -> Result<ImportReport, Error> {
        if !self.cancel.is_cancelled() {
            return Err(Error::Internal("the reader of an import broke down".into()));
        }
        writer.settle().await?;
        let import = writer.finish(false, ImportState::Interrupted).await?;
        let stored = import.report.hosts_seen;
        Err(Error::Interrupted {
            detail: format!(
                "import {} of `{}` was stopped; {stored} hosts of it are stored",
                import.report.id.0, self.name
            ),
            hint: Some("import the same input again to complete it".to_owned()),
        })
    }

    fn spill_failed(&self, error: &std::io::Error) -> Error {
        let directory = self.services.config().spill_directory.display();
        Error::Unavailable {
            detail: format!("sorted records cannot be kept in `{directory}`: {error}"),
            hint: Some("free space there, or name another directory with `TMPDIR`".to_owned()),
        }
    }

    fn tell(&mut self, writer: Option<&Writer>, now: bool) {
        if !now && self.told.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.told = Instant::now();
        self.progress.bytes_read = self.position.bytes.load(Ordering::Relaxed);
        self.progress.records_read = self.position.records.load(Ordering::Relaxed);
        self.progress.written_anew = self.position.written_anew.load(Ordering::Relaxed);
        if let Some(writer) = writer {
            self.progress.records_stored = writer.lines().ok + writer.lines().duplicate;
            self.progress.hosts_new = writer.recorded().hosts_new;
            self.progress.jobs_queued = writer.recorded().jobs_queued;
        }
        (self.tell)(&self.progress);
    }
}

/// Lets the reader end when its import ends, however that does.
struct Abandon(Arc<Live>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn spawn_reader(read: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let spawned = std::thread::Builder::new().name("import".to_owned()).spawn(read);
    spawned.map(drop).map_err(|error| Error::Internal(error.into()))
}

fn stopped_early(name: &str) -> Error {
    Error::Interrupted { detail: format!("the import of `{name}` was stopped before it began"), hint: None }
}
