//! What a run counts, and whom it tells.

use std::time::Duration;

use hostatlas_domain::{GeolocateSummary, Mode};
use hostatlas_geolocation::Lookup;
use tokio::time::Instant;

use super::Waiting;

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub struct GeolocateProgress {
    /// What it did so far; `seconds` since it began.
    pub summary: GeolocateSummary,
    /// How many hosts there are to do, as far as the counters know.
    pub total: Option<u64>,
    /// What the run waits for at present.
    pub waiting: Option<Waiting>,
}

/// Counts and clock of a run, and whom to tell.
pub(super) struct Tracker<'a> {
    pub(super) progress: GeolocateProgress,
    began: Instant,
    told: Instant,
    tell: &'a mut (dyn FnMut(&GeolocateProgress) + Send),
}

impl<'a> Tracker<'a> {
    /// How often progress is told at most.
    const INTERVAL: Duration = Duration::from_millis(100);

    /// Begins the clock of a run over `total` hosts.
    pub(super) fn begin(
        mode: Mode,
        total: Option<u64>,
        tell: &'a mut (dyn FnMut(&GeolocateProgress) + Send),
    ) -> Self {
        let progress = GeolocateProgress { summary: GeolocateSummary::new(mode), total, waiting: None };
        Self { progress, began: Instant::now(), told: Instant::now(), tell }
    }

    /// Tells how far the run is, unless that was told a moment ago.
    pub(super) fn tell(&mut self) {
        if self.told.elapsed() >= Self::INTERVAL {
            self.tell_now();
        }
    }

    pub(super) fn tell_now(&mut self) {
        self.told = Instant::now();
        self.progress.summary.seconds = self.began.elapsed().as_secs_f64();
        (self.tell)(&self.progress);
    }

    /// Tells what the run waits for, until something is counted.
    pub(super) fn wait(&mut self, waiting: &Waiting) {
        self.progress.waiting = Some(waiting.clone());
        self.tell_now();
    }

    pub(super) fn count(&mut self, lookup: &Lookup) {
        self.progress.waiting = None;
        count(&mut self.progress.summary, lookup);
    }
}

/// Counts one address by what became of it.
pub(super) fn count(summary: &mut GeolocateSummary, lookup: &Lookup) {
    summary.considered += 1;
    match lookup {
        Lookup::Located(_) => summary.located += 1,
        Lookup::Miss(_) => summary.unlocated += 1,
        Lookup::Failed { .. } => summary.failed += 1,
        Lookup::NotApplicable(_) => summary.skipped += 1,
        Lookup::Deferred { .. } => summary.deferred += 1,
    }
}
