use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hostatlas_domain::{GeolocateSummary, Mode, Run, RunId, RunState};
use hostatlas_store::RunProgress;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{Error, GeolocateRequest, Permission, Selection, Services};

/// How often a run reports: one that is silent for ten seconds counts as interrupted.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Direct batch runs from the web; one at a time, in the background of the process that started it.
#[derive(Clone)]
pub struct Runs {
    services: Services,
}

/// A request for a run.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Which hosts.
    pub selection: Selection,
    /// [`Mode::AsyncBatch`] or [`Mode::QueueJobs`].
    pub mode: Mode,
    /// Whether age is bypassed.
    pub force: bool,
    /// Hosts in one transaction.
    pub batch_size: Option<u32>,
}

impl Runs {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// Begins a run and returns at once. [`Error::Conflict`] if one is going on.
    pub async fn start(&self, request: RunRequest) -> Result<Run, Error> {
        self.services.authorize(Permission::Geolocate)?;
        if !matches!(request.mode, Mode::AsyncBatch | Mode::QueueJobs) {
            return Err(Error::NotSupported {
                detail: format!("a run cannot be `{}`", request.mode),
                hint: Some("use `async_batch` or `queue_jobs`".to_owned()),
            });
        }
        let request = GeolocateRequest {
            mode: request.mode,
            selection: request.selection,
            batch_size: request.batch_size.and_then(|size| NonZeroUsize::new(size as usize)),
            delay: Duration::ZERO,
            force: request.force,
            max_age: None,
            max_workers: None,
        };
        let plan = self.services.geolocate().plan(&request).await?;
        let store = self.services.store();
        let id = store.run_start(request.mode, plan.total.unwrap_or_default()).await?;
        tokio::spawn(carry_out(self.services.clone(), id, request));
        self.services.changed();
        Ok(store.run_get(id).await?)
    }

    /// One run.
    pub async fn get(&self, id: RunId) -> Result<Run, Error> {
        Ok(self.services.store().run_get(id).await?)
    }

    /// Asks a run to stop, in whichever process it is; one that is over is left as it is.
    pub async fn cancel(&self, id: RunId) -> Result<Run, Error> {
        self.services.authorize(Permission::Geolocate)?;
        let run = self.services.store().run_cancel(id).await?;
        self.services.changed();
        Ok(run)
    }

    /// The latest run.
    pub async fn latest(&self) -> Result<Option<Run>, Error> {
        Ok(self.services.store().run_latest().await?)
    }
}

/// Runs to the end, reporting every second; a wish to cancel comes back with the report.
async fn carry_out(services: Services, id: RunId, request: GeolocateRequest) {
    let cancel = CancellationToken::new();
    let latest = Mutex::new(GeolocateSummary::new(request.mode));
    let current = || latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let geolocate = services.geolocate();
    let work = geolocate.run(request, cancel.clone(), |progress| {
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = progress.summary.clone();
    });
    tokio::pin!(work);
    let mut tick = tokio::time::interval(REPORT_INTERVAL);
    let ended = loop {
        tokio::select! {
            ended = &mut work => break ended,
            _ = tick.tick() => {
                let progress = RunProgress { id, summary: current(), state: RunState::Running, error: None };
                match services.store().run_report(progress).await {
                    Ok(true) => cancel.cancel(),
                    Ok(false) => {}
                    Err(error) => warn!(error = &error as &dyn std::error::Error, "Run {} could not report", id.0),
                }
            }
        }
    };
    let (summary, state, error) = match ended {
        Ok(summary) if cancel.is_cancelled() => (summary, RunState::Cancelled, None),
        Ok(summary) => (summary, RunState::Done, None),
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "Run {} failed", id.0);
            (current(), RunState::Failed, Some(error.problem().detail))
        }
    };
    if let Err(error) = services.store().run_report(RunProgress { id, summary, state, error }).await {
        warn!(error = &error as &dyn std::error::Error, "The end of run {} could not be noted", id.0);
    }
    services.changed();
}
