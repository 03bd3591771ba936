use async_trait::async_trait;
use hostatlas_domain::{GeolocateSummary, Mode, Run, RunId, RunState};

use crate::StoreError;

/// How far a run is.
#[derive(Clone, Debug)]
pub struct RunProgress {
    /// The run.
    pub id: RunId,
    /// What it did so far; `seconds` since it began.
    pub summary: GeolocateSummary,
    /// `Running` while it goes on.
    pub state: RunState,
    /// What ended it, if an error did.
    pub error: Option<String>,
}

/// Direct batch runs from the web.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// Begins a run over `total` hosts. [`StoreError::RunInProgress`] if one goes on in a process that still reports;
    /// one that has not reported for ten seconds is marked interrupted first.
    async fn run_start(&self, mode: Mode, total: u64) -> Result<RunId, StoreError>;

    /// Notes progress, at least every two seconds while it goes on. Answers whether cancelling was asked for.
    async fn run_report(&self, progress: RunProgress) -> Result<bool, StoreError>;

    /// Asks a run to stop; one that is over is left as it is.
    async fn run_cancel(&self, id: RunId) -> Result<Run, StoreError>;

    /// One run; it is shown as interrupted when it has not reported for ten seconds.
    async fn run_get(&self, id: RunId) -> Result<Run, StoreError>;

    /// The latest run.
    async fn run_latest(&self) -> Result<Option<Run>, StoreError>;
}
