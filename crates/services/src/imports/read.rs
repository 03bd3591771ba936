use std::{
    io::{self, Read},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hostatlas_domain::{BadLine, LineCounts, ScanFormat, Sighting, Timestamp};
use hostatlas_scan::{Record, ScanError, ScanReader};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    group::{Batch, next_batch},
    merge::Runs,
    packed::Buffer,
};

/// Bad records that are kept for the report.
const FIRST_BAD: usize = 10;
/// How often a reader looks whether it should stop.
const CHECK_EVERY: u64 = 1_024;
/// How long to wait at the end of a growing file before looking again.
const GROWTH_POLL: Duration = Duration::from_millis(100);
/// A live reader waits when so many bytes of sightings have not been written yet: a quarter of a million, or fewer with
/// banners.
const LIVE_BACKLOG: usize = 8 * 1024 * 1024;
/// A live reader asks for a flush before its second is over when it has so many.
pub(super) const LIVE_FLUSH: usize = 20_000;

/// What a reader reads.
pub(super) struct Source {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) format: Option<ScanFormat>,
    /// Whether the end of the input is only where it ends at the moment.
    pub(super) growing: bool,
    pub(super) started: Timestamp,
    pub(super) cancel: CancellationToken,
    pub(super) position: Arc<Position>,
}

/// How far a reader is, for progress.
#[derive(Default)]
pub(super) struct Position {
    pub(super) bytes: AtomicU64,
    pub(super) records: AtomicU64,
}

/// What a bulk reader sends.
pub(super) enum Message {
    Format(ScanFormat),
    /// Reading is over; this many sightings will be written.
    Sorted(u64),
    Batch(Batch),
    End(Ending),
}

/// How an input ended.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// `skipped` and `bad`.
    pub(super) lines: LineCounts,
    pub(super) first_bad: Vec<BadLine>,
    pub(super) truncated: bool,
    pub(super) failure: Option<Failure>,
}

/// Why an input could not be read to its end.
#[derive(Debug)]
pub(super) enum Failure {
    Scan(ScanError),
    Spill(io::Error),
}

/// Never ends where a growing file ends at the moment, but waits there.
struct Following {
    reader: Box<dyn Read + Send>,
    growing: bool,
    cancel: CancellationToken,
}

impl Read for Following {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.reader.read(buffer)?;
            if read > 0 || !self.growing || self.cancel.is_cancelled() {
                return Ok(read);
            }
            std::thread::sleep(GROWTH_POLL);
        }
    }
}

/// What the records so far were, beside sightings.
#[derive(Default)]
struct Tally {
    lines: LineCounts,
    first_bad: Vec<BadLine>,
}

impl Tally {
    /// The sighting of a record, if it is one.
    fn take(&mut self, record: Record) -> Option<(Sighting, bool)> {
        match record {
            Record::Sighting { sighting, repaired, .. } => return Some((sighting, repaired)),
            Record::Skipped { .. } => self.lines.skipped += 1,
            Record::Bad { line, reason } => {
                self.lines.bad += 1;
                if self.first_bad.len() < FIRST_BAD {
                    self.first_bad.push(BadLine { line, reason });
                }
            }
        }
        None
    }
}

impl Source {
    fn open(self) -> Result<(Open, ScanFormat), ScanError> {
        let Self { reader, format, growing, started, cancel, position } = self;
        let following = Following { reader, growing, cancel: cancel.clone() };
        let scan = ScanReader::new(following, format)?;
        let format = scan.format();
        Ok((Open { scan, started, cancel, position, read: 0 }, format))
    }
}

/// An input whose format is known.
struct Open {
    scan: ScanReader<Following>,
    started: Timestamp,
    cancel: CancellationToken,
    position: Arc<Position>,
    read: u64,
}

impl Open {
    fn next(&mut self) -> Result<Option<Record>, ScanError> {
        let record = self.scan.next_record()?;
        self.read += u64::from(record.is_some());
        if self.read.is_multiple_of(CHECK_EVERY) || record.is_none() {
            self.position.records.store(self.read, Ordering::Relaxed);
            self.position.bytes.store(self.scan.compressed_bytes_read(), Ordering::Relaxed);
        }
        Ok(record)
    }

    fn should_stop(&self) -> bool {
        self.read.is_multiple_of(CHECK_EVERY) && self.cancel.is_cancelled()
    }
}

/// Reads an input to its end, sorts it as a whole, and sends it in batches by address. Blocks: runs on its own thread.
///
/// `size` may be changed from outside while it goes on. Nobody listening any more ends it.
pub(super) fn read_all(source: Source, spill: &Path, size: &AtomicUsize, sender: &mpsc::Sender<Message>) {
    let (mut open, format) = match source.open() {
        Ok(opened) => opened,
        Err(error) => {
            let failure = Some(Failure::Scan(error));
            let _ = sender.blocking_send(Message::End(Ending { failure, ..Ending::default() }));
            return;
        }
    };
    if sender.blocking_send(Message::Format(format)).is_err() {
        return;
    }
    let mut tally = Tally::default();
    let mut runs = Runs::new(spill);
    let mut failure = gather(&mut open, &mut tally, &mut runs).err();
    if open.cancel.is_cancelled() {
        return;
    }
    let truncated = open.scan.truncated();
    let read = open.read;
    drop(open);
    match send_batches(runs, read - tally.lines.skipped - tally.lines.bad, size, sender) {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => failure = failure.or(Some(Failure::Spill(error))),
    }
    let Tally { lines, first_bad } = tally;
    let _ = sender.blocking_send(Message::End(Ending { lines, first_bad, truncated, failure }));
}

fn gather(open: &mut Open, tally: &mut Tally, runs: &mut Runs) -> Result<(), Failure> {
    while let Some(record) = open.next().map_err(Failure::Scan)? {
        if let Some((sighting, repaired)) = tally.take(record) {
            runs.buffer().push(&sighting, repaired, open.started);
            runs.spill_if_full().map_err(Failure::Spill)?;
        }
        if open.should_stop() {
            break;
        }
    }
    Ok(())
}

/// Answers whether somebody still listens.
fn send_batches(
    runs: Runs,
    sightings: u64,
    size: &AtomicUsize,
    sender: &mpsc::Sender<Message>,
) -> io::Result<bool> {
    if sender.blocking_send(Message::Sorted(sightings)).is_err() {
        return Ok(false);
    }
    let mut sorted = runs.into_sorted()?;
    loop {
        let batch = next_batch(&mut sorted, size.load(Ordering::Relaxed), None)?;
        if batch.observations.is_empty() {
            return Ok(true);
        }
        if sender.blocking_send(Message::Batch(batch)).is_err() {
            return Ok(false);
        }
    }
}

/// What a live reader has read and nobody has written yet.
#[derive(Default)]
pub(super) struct Live {
    state: Mutex<LiveState>,
    room: Condvar,
    /// Notified when the format is known, when there is much to write, and at the end.
    pub(super) news: Notify,
}

#[derive(Default)]
struct LiveState {
    format: Option<ScanFormat>,
    buffer: Buffer,
    tally: Tally,
    ending: Option<Ending>,
    /// Whether nobody will take anything any more.
    abandoned: bool,
}

/// What was read since the last time.
pub(super) struct Taken {
    pub(super) buffer: Buffer,
    pub(super) lines: LineCounts,
    pub(super) first_bad: Vec<BadLine>,
    pub(super) ending: Option<Ending>,
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, LiveState> {
        // Nothing panics while it holds the lock, and what it guards is sound at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The format, once it is known.
    pub(super) fn format(&self) -> Option<ScanFormat> {
        self.lock().format
    }

    /// All that was read since the last call; the reader goes on.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.lock();
        let taken = Taken {
            buffer: std::mem::take(&mut state.buffer),
            lines: state.tally.lines,
            first_bad: state.tally.first_bad.clone(),
            ending: state.ending.take(),
        };
        self.room.notify_one();
        taken
    }

    /// Lets a waiting reader end.
    pub(super) fn abandon(&self) {
        self.lock().abandoned = true;
        self.room.notify_one();
    }

    fn end(&self, ending: Ending) {
        self.lock().ending = Some(ending);
        self.news.notify_one();
    }
}

/// Reads an input while it comes. Blocks: runs on its own thread, which may stay in a read for as long as a pipe is silent.
pub(super) fn read_live(source: Source, live: &Live) {
    let (mut open, format) = match source.open() {
        Ok(opened) => opened,
        Err(error) => return live.end(Ending { failure: Some(Failure::Scan(error)), ..Ending::default() }),
    };
    live.lock().format = Some(format);
    live.news.notify_one();
    let failure = loop {
        match open.next() {
            Ok(Some(record)) => {
                let mut state = live.lock();
                if let Some((sighting, repaired)) = state.tally.take(record) {
                    state.buffer.push(&sighting, repaired, open.started);
                }
                if state.buffer.len() == LIVE_FLUSH {
                    live.news.notify_one();
                }
                while state.buffer.bytes() >= LIVE_BACKLOG && !state.abandoned {
                    state = live.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.abandoned {
                    return;
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(Failure::Scan(error)),
        }
        if open.should_stop() {
            break None;
        }
    };
    // What is told to a taker stands in the tally; the ending adds what only the end knows.
    live.end(Ending { truncated: open.scan.truncated(), failure, ..Ending::default() });
}
