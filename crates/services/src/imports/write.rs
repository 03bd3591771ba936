use std::time::Duration;

use hostatlas_domain::{Import, ImportId, ImportState, LineCounts};
use hostatlas_store::{FinishImport, RecordSightings, Recorded};
use tokio::time::Instant;
use tracing::{Instrument, debug};

use super::{
    group::{Batch, MOST_OBSERVATIONS},
    read::Tally,
};
use crate::{Error, Services, flight::Flight};

/// Observations in the first transaction; how long it takes tells the size of the next.
pub(super) const FIRST_BATCH: usize = 4_000;
const SMALLEST_BATCH: usize = 500;
/// A transaction should take about so long: other processes wait for it, and 50 ms is its limit.
const TARGET: Duration = Duration::from_millis(38);
/// The same where batches do not wait for each other: others wait for one only if they want the same hosts.
const TARGET_BESIDE_OTHERS: Duration = Duration::from_millis(60);
/// How often the import's row is brought up to date.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);

/// Writes the batches of one import, and keeps its counts.
pub(super) struct Writer {
    services: Services,
    id: ImportId,
    flight: Flight<Written>,
    target: Duration,
    lines: LineCounts,
    tally: Tally,
    recorded: Recorded,
    size: usize,
    transactions: u32,
    slowest: Duration,
    noted: Instant,
}

/// A batch that is in the store.
struct Written {
    lines: LineCounts,
    recorded: Recorded,
    observations: usize,
    took: Duration,
}

impl Writer {
    pub(super) fn new(services: Services, id: ImportId) -> Self {
        let at_once = services.store().batches_at_once();
        Self {
            services,
            id,
            flight: Flight::new(at_once),
            target: if at_once > 1 { TARGET_BESIDE_OTHERS } else { TARGET },
            lines: LineCounts::default(),
            tally: Tally::default(),
            recorded: Recorded::default(),
            size: FIRST_BATCH,
            transactions: 0,
            slowest: Duration::ZERO,
            noted: Instant::now(),
        }
    }

    /// How many observations the next batch should have.
    pub(super) fn batch_size(&self) -> usize {
        self.size
    }

    pub(super) fn lines(&self) -> LineCounts {
        self.lines
    }

    pub(super) fn recorded(&self) -> Recorded {
        self.recorded
    }

    /// What the reader alone knows: skipped and bad records, and why.
    pub(super) fn note_reader(&mut self, tally: Tally) {
        self.lines.skipped = tally.lines.skipped;
        self.lines.bad = tally.lines.bad;
        self.tally = tally;
    }

    /// Begins to store a batch, in one transaction, and waits until another may follow. What it says of earlier batches
    /// it says late: [`Writer::settle`] tells whether all of them are stored.
    pub(super) async fn record(&mut self, batch: Batch) -> Result<(), Error> {
        let Batch { observations, lines } = batch;
        let (Some(first), Some(last)) = (observations.first(), observations.last()) else { return Ok(()) };
        let (first, last) = (first.address, last.address);
        while !self.flight.has_room_behind(first) {
            self.written().await?;
        }
        let params = RecordSightings {
            import: self.id,
            observations,
            scope: self.services.config().scope.clone(),
            due: self.services.due_policy(),
        };
        let store = self.services.store().clone();
        let recording = async move {
            let observations = params.observations.len();
            let began = Instant::now();
            let recorded = store.sightings_record(params).await?;
            Ok(Written { lines, recorded, observations, took: began.elapsed() })
        };
        self.flight.begin(last, recording.in_current_span());
        while self.flight.is_full() {
            self.written().await?;
        }
        self.note_progress().await
    }

    /// Waits until every batch is stored.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        while self.written().await? {}
        Ok(())
    }

    /// Counts what is stored by now, without waiting.
    pub(super) async fn look(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.flight.ended() {
            self.take(ended).await?;
        }
        Ok(())
    }

    /// Waits for one batch; false if none is under way.
    async fn written(&mut self) -> Result<bool, Error> {
        let Some(ended) = self.flight.next().await else { return Ok(false) };
        self.take(ended).await.map(|()| true)
    }

    async fn take(&mut self, ended: Result<Written, Error>) -> Result<(), Error> {
        let error = match ended {
            Ok(written) => {
                self.count(&written);
                return Ok(());
            }
            Err(error) => error,
        };
        // The import ends with this error; what is under way beside it is stored or not, but not cut off.
        while let Some(ended) = self.flight.next().await {
            if let Ok(written) = ended {
                self.count(&written);
            }
        }
        Err(error)
    }

    fn count(&mut self, written: &Written) {
        let Written { lines, recorded, observations, took } = written;
        self.size = next_size(self.size, *observations, *took, self.target);
        self.transactions += 1;
        self.slowest = self.slowest.max(*took);
        self.lines.ok += lines.ok;
        self.lines.repaired += lines.repaired;
        self.lines.duplicate += lines.duplicate;
        self.recorded.hosts_new += recorded.hosts_new;
        self.recorded.hosts_seen += recorded.hosts_seen;
        self.recorded.services_new += recorded.services_new;
        self.recorded.services_seen += recorded.services_seen;
        self.recorded.jobs_queued += recorded.jobs_queued;
        self.services.jobs_changed();
    }

    /// Brings the import's row up to date, at most once a second.
    pub(super) async fn note_progress(&mut self) -> Result<(), Error> {
        if self.noted.elapsed() < NOTE_INTERVAL {
            return Ok(());
        }
        self.finish(false, ImportState::Running).await.map(drop)
    }

    /// Brings the import's row up to date.
    pub(super) async fn finish(&mut self, truncated: bool, state: ImportState) -> Result<Import, Error> {
        self.noted = Instant::now();
        if state == ImportState::Done {
            // Others wait for the longest of them; `make bench` reads this.
            let (transactions, slowest_ms) = (self.transactions, self.slowest.as_secs_f64() * 1_000.0);
            debug!(transactions, slowest_ms, "Import {} is written", self.id.0);
        }
        let params = FinishImport {
            id: self.id,
            lines: self.lines,
            truncated,
            first_bad: self.tally.first_bad.clone(),
            reasons: self.tally.reasons.clone(),
            state,
        };
        Ok(self.services.store().import_finish(params).await?)
    }
}

/// The size of the next batch: in proportion to how long `count` took instead of `target`, at most a half more or less
/// at a time.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are a few thousand"
)]
fn next_size(size: usize, count: usize, took: Duration, target: Duration) -> usize {
    // A last small batch says nothing about large ones.
    if count * 2 < size {
        return size;
    }
    let fitting = count as f64 * target.as_secs_f64() / took.as_secs_f64().max(0.001);
    let (least, most) = (size as f64 * 0.5, size as f64 * 1.5);
    (fitting.clamp(least, most) as usize).clamp(SMALLEST_BATCH, MOST_OBSERVATIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_they_are_quick_and_shrink_when_they_are_slow() {
        let took =
            [1, 38, 76, 10_000].map(|millis| next_size(4_000, 4_000, Duration::from_millis(millis), TARGET));
        assert_eq!(took, [6_000, 4_000, 2_000, 2_000]);
    }

    #[test]
    fn a_batch_has_500_to_10000_observations() {
        let sizes = [(10_000, 1), (500, 10_000)];
        let sizes = sizes.map(|(size, millis)| next_size(size, size, Duration::from_millis(millis), TARGET));
        assert_eq!(sizes, [10_000, 500]);
    }
}
