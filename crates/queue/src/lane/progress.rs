use std::collections::HashMap;

use hostatlas_domain::JobId;
use hostatlas_store::StoreError;
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tracing::error;

/// What changes while a lane runs.
pub(super) struct Progress {
    /// Each answers how many jobs it had.
    pub(super) running: JoinSet<Result<u64, StoreError>>,
    /// With [`ClaimMode::Peek`]: what is in flight, and must not be claimed again.
    pub(super) in_flight: HashMap<Id, Vec<JobId>>,
    /// Claims that answered jobs: a turn of the oldest in which nothing could be had is not lost.
    pub(super) claims: u64,
    /// Claims that failed, one after the other.
    pub(super) failed_claims: u32,
    /// Batches that could not be written, one after the other.
    pub(super) failed_batches: u32,
    pub(super) started: Instant,
    /// When jobs were last had, or none was due.
    pub(super) claimed_last: Instant,
    /// Jobs that did not kill this worker.
    pub(super) survived: u64,
    /// Whether the next job is one that has to run alone, as far as is known.
    pub(super) next_alone: bool,
    /// Whether the watchdog has barked since.
    pub(super) warned: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            running: JoinSet::new(),
            in_flight: HashMap::new(),
            claims: 0,
            failed_claims: 0,
            failed_batches: 0,
            started: Instant::now(),
            claimed_last: Instant::now(),
            survived: 0,
            next_alone: false,
            warned: false,
        }
    }

    /// Takes a batch that ended off the list of those that run; an error if it could not be written.
    pub(super) fn note_end(
        &mut self,
        done: Result<(Id, Result<u64, StoreError>), JoinError>,
    ) -> Result<(), StoreError> {
        let id = match &done {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        self.in_flight.remove(&id);
        match done {
            Ok((_, Ok(jobs))) => {
                self.survived += jobs;
                self.failed_batches = 0;
            }
            Ok((_, Err(error))) => {
                self.failed_batches += 1;
                error!(
                    error = &error as &dyn std::error::Error,
                    "A batch of finished jobs could not be written; it will run again"
                );
                return Err(error);
            }
            Err(error) => error!(error = &error as &dyn std::error::Error, "A batch broke down"),
        }
        Ok(())
    }
}
