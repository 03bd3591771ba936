use std::{
    io::{self, Read},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hostatlas_domain::{BadLine, LineCounts, LineOutcome, LineReason, ScanFormat, Sighting, Timestamp};
use hostatlas_scan::{Record, ScanError, ScanReader};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    group::{Batch, next_batch},
    growing::GrowingFile,
    merge::Runs,
    packed::Buffer,
};
use crate::clock;

/// Bad records that are kept for the report.
const FIRST_BAD: usize = 10;
/// Reasons of a kind that are told apart; the rest is counted as one.
const MOST_REASONS: usize = 10;
/// How far the clock of whoever scanned may be ahead of ours.
const CLOCKS_APART: Duration = Duration::from_hours(24);
const IN_THE_FUTURE: &str = "its time is in the future: the time of reading stands for it";
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
    /// Tells what becomes of a file that grows; without it the end of the input is its end.
    pub(super) growing: Option<GrowingFile>,
    pub(super) cancel: CancellationToken,
    pub(super) position: Arc<Position>,
}

/// How far a reader is, for progress.
#[derive(Default)]
pub(super) struct Position {
    pub(super) bytes: AtomicU64,
    pub(super) records: AtomicU64,
    /// How often a growing file was written anew.
    pub(super) written_anew: AtomicU64,
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
    pub(super) tally: Tally,
    pub(super) truncated: bool,
    pub(super) failure: Option<Failure>,
}

/// Why an input could not be read to its end.
#[derive(Debug)]
pub(super) enum Failure {
    Scan(ScanError),
    Spill(io::Error),
}

/// What the records so far were, beside sightings.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// `skipped` and `bad`.
    pub(super) lines: LineCounts,
    pub(super) first_bad: Vec<BadLine>,
    pub(super) reasons: Vec<LineReason>,
}

impl Tally {
    /// The sighting of a record that was read at `read_at`, if it is one, and whether something in it was mended.
    fn take(&mut self, record: Record, read_at: Timestamp) -> Option<(Sighting, bool)> {
        match record {
            Record::Sighting { line, mut sighting, mut repaired } => {
                // It would stay the newest for ever.
                if sighting.seen_at.is_some_and(|seen_at| seen_at > read_at.plus(CLOCKS_APART)) {
                    sighting.seen_at = None;
                    repaired = true;
                    self.note(LineOutcome::Repaired, line, IN_THE_FUTURE);
                }
                return Some((sighting, repaired));
            }
            Record::Skipped { line, reason } => {
                self.lines.skipped += 1;
                self.note(LineOutcome::Skipped, line, &reason);
            }
            Record::NotUnderstood { line, reason } => {
                self.lines.skipped += 1;
                self.note(LineOutcome::NotUnderstood, line, &reason);
            }
            Record::Bad { line, reason } => {
                self.lines.bad += 1;
                if self.first_bad.len() < FIRST_BAD {
                    self.first_bad.push(BadLine { line, reason });
                }
            }
        }
        None
    }

    fn note(&mut self, outcome: LineOutcome, line: u64, reason: &str) {
        let mut kinds = 0;
        for known in self.reasons.iter_mut().filter(|known| known.outcome == outcome) {
            kinds += 1;
            if known.reason == reason || kinds > MOST_REASONS {
                known.count += 1;
                return;
            }
        }
        let reason = if kinds < MOST_REASONS { reason } else { "other reasons" };
        self.reasons.push(LineReason { outcome, reason: reason.to_owned(), count: 1, line });
    }
}

/// Never ends where a growing file ends at the moment, but waits there.
struct Following {
    reader: Box<dyn Read + Send>,
    shared: Arc<Shared>,
}

/// What a reader and whoever asks it for records both know.
struct Shared {
    growing: Option<Mutex<GrowingFile>>,
    /// The same file from its start, once it was written anew.
    anew: Mutex<Option<Box<dyn Read + Send>>>,
    /// When bytes came last, in milliseconds since 1970.
    read_at: AtomicI64,
    cancel: CancellationToken,
    position: Arc<Position>,
}

impl Read for Following {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.reader.read(buffer)?;
            self.shared.read_at.store(clock::now().as_millis(), Ordering::Relaxed);
            let Some(growing) = &self.shared.growing else { return Ok(read) };
            if read > 0 || self.shared.cancel.is_cancelled() {
                return Ok(read);
            }
            // At once, too: what the file began with has to be known before it can be written anew.
            for pause in [Duration::ZERO, GROWTH_POLL] {
                std::thread::sleep(pause);
                if let Some(reader) = lock(growing).written_anew()? {
                    *lock(&self.shared.anew) = Some(Box::new(reader));
                    return Ok(0);
                }
            }
        }
    }
}

impl Shared {
    /// Reads on in the file that was written anew, if it was.
    fn take_anew(&self) -> Option<Box<dyn Read + Send>> {
        let reader = lock(&self.anew).take()?;
        self.position.written_anew.fetch_add(1, Ordering::Relaxed);
        Some(reader)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks, and what they guard is sound at every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Recognises what `reader` reads. Of a file that is written anew meanwhile, it is the new one.
fn recognise(
    mut reader: Box<dyn Read + Send>,
    format: Option<ScanFormat>,
    shared: &Arc<Shared>,
) -> Result<ScanReader<Following>, ScanError> {
    loop {
        match ScanReader::new(Following { reader, shared: shared.clone() }, format) {
            Ok(scan) if scan.format() != ScanFormat::Empty => return Ok(scan),
            none => match shared.take_anew() {
                Some(anew) => reader = anew,
                None => return none,
            },
        }
    }
}

impl Source {
    fn open(self) -> Result<(Open, ScanFormat), ScanError> {
        let Self { reader, format, growing, cancel, position } = self;
        let shared = Arc::new(Shared {
            growing: growing.map(Mutex::new),
            anew: Mutex::new(None),
            read_at: AtomicI64::new(clock::now().as_millis()),
            cancel,
            position,
        });
        let scan = recognise(reader, format, &shared)?;
        let found = scan.format();
        Ok((Open { scan, format, shared, read: 0, bytes_before: 0 }, found))
    }
}

/// An input whose format is known.
struct Open {
    scan: ScanReader<Following>,
    /// The format that was asked for.
    format: Option<ScanFormat>,
    shared: Arc<Shared>,
    read: u64,
    /// What was read of the file before it was written anew.
    bytes_before: u64,
}

impl Open {
    fn next(&mut self) -> Result<Option<Record>, ScanError> {
        loop {
            let record = self.scan.next_record()?;
            self.read += u64::from(record.is_some());
            if self.read.is_multiple_of(CHECK_EVERY) || record.is_none() {
                let position = &self.shared.position;
                position.records.store(self.read, Ordering::Relaxed);
                let bytes = self.bytes_before + self.scan.compressed_bytes_read();
                position.bytes.store(bytes, Ordering::Relaxed);
            }
            if record.is_some() {
                return Ok(record);
            }
            let Some(reader) = self.shared.take_anew() else { return Ok(None) };
            self.bytes_before += self.scan.compressed_bytes_read();
            // A reader of its own: nothing that the old file left unfinished may run into the new one.
            self.scan = recognise(reader, self.format, &self.shared)?;
        }
    }

    /// When the newest record was read: what stands for a time that is missing or cannot be.
    fn read_at(&self) -> Timestamp {
        Timestamp::from_millis(self.shared.read_at.load(Ordering::Relaxed))
    }

    fn should_stop(&self) -> bool {
        self.read.is_multiple_of(CHECK_EVERY) && self.shared.cancel.is_cancelled()
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
    if open.shared.cancel.is_cancelled() {
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
    let _ = sender.blocking_send(Message::End(Ending { tally, truncated, failure }));
}

fn gather(open: &mut Open, tally: &mut Tally, runs: &mut Runs) -> Result<(), Failure> {
    while let Some(record) = open.next().map_err(Failure::Scan)? {
        let read_at = open.read_at();
        if let Some((sighting, repaired)) = tally.take(record, read_at) {
            runs.buffer().push(&sighting, repaired, read_at);
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
    /// All that was read so far.
    pub(super) tally: Tally,
    pub(super) ending: Option<Ending>,
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, LiveState> {
        lock(&self.state)
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
            tally: state.tally.clone(),
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
                let read_at = open.read_at();
                if let Some((sighting, repaired)) = state.tally.take(record, read_at) {
                    state.buffer.push(&sighting, repaired, read_at);
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

#[cfg(test)]
mod tests {
    use hostatlas_domain::{Address, SightingRecord};

    use super::*;

    const READ_AT: Timestamp = Timestamp::from_secs(1_795_434_000);

    fn sighting(seconds: i64) -> Record {
        let address = Address::from(std::net::IpAddr::from([192, 0, 2, 1]));
        let seen_at = Some(Timestamp::from_secs(seconds));
        Record::Sighting {
            line: 7,
            sighting: Sighting { address, seen_at, record: SightingRecord::Up },
            repaired: false,
        }
    }

    #[test]
    fn a_time_more_than_a_day_ahead_of_the_reading_clock_is_repaired() {
        let mut tally = Tally::default();
        let day = 24 * 60 * 60;
        let mut taken = |ahead: i64| {
            let (sighting, repaired) = tally.take(sighting(READ_AT.as_secs() + ahead), READ_AT)?;
            Some((sighting.seen_at.map(|seen_at| seen_at.as_secs() - READ_AT.as_secs()), repaired))
        };
        let found = [-5, day, day + 1, 4_102_444_800 - READ_AT.as_secs()].map(&mut taken);
        assert_eq!(
            found,
            [Some((Some(-5), false)), Some((Some(day), false)), Some((None, true)), Some((None, true))]
        );
        let reason = LineReason {
            outcome: LineOutcome::Repaired,
            reason: IN_THE_FUTURE.to_owned(),
            count: 2,
            line: 7,
        };
        assert_eq!(tally.reasons, [reason]);
    }

    #[test]
    fn reasons_are_counted_and_their_number_is_bounded() {
        let mut tally = Tally::default();
        for number in 0..40_u64 {
            let reason = format!("port is `{}`", number % 20);
            tally.take(Record::Skipped { line: number + 1, reason }, READ_AT);
        }
        tally.take(Record::NotUnderstood { line: 50, reason: "what".to_owned() }, READ_AT);
        let reason = |outcome, reason: &str, count, line| LineReason {
            outcome,
            reason: reason.to_owned(),
            count,
            line,
        };
        assert_eq!((tally.reasons.len(), tally.lines.skipped), (12, 41));
        assert_eq!(tally.reasons[0], reason(LineOutcome::Skipped, "port is `0`", 2, 1));
        assert_eq!(tally.reasons[10], reason(LineOutcome::Skipped, "other reasons", 20, 11));
        assert_eq!(tally.reasons[11], reason(LineOutcome::NotUnderstood, "what", 1, 50));
    }
}
