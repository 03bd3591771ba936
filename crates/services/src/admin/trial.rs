use std::time::Duration;

use hostatlas_store::{Store, StoreError};
use tokio::{sync::Mutex, time::Instant};

use crate::Error;

/// For how long the outcome of a write that was tried holds: whoever asks whether we are ready may ask all the time.
const KEPT_FOR: Duration = Duration::from_secs(3);
/// How long a write may take: whoever asks does not wait much longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a write works, tried now and then.
#[derive(Default)]
pub(crate) struct WriteTrial(Mutex<Option<(Instant, Outcome)>>);

type Outcome = Result<(), Failed>;

/// What may be said to everybody of a write that failed.
#[derive(Clone)]
struct Failed {
    detail: String,
    hint: Option<String>,
}

impl WriteTrial {
    /// How the latest trial ended, after another one if that was a while ago. Requests that come together share one.
    pub(crate) async fn latest(&self, store: &dyn Store) -> Result<(), Error> {
        let mut latest = self.0.lock().await;
        let outcome = match &*latest {
            Some((at, outcome)) if at.elapsed() < KEPT_FOR => outcome.clone(),
            _ => {
                let outcome = attempt(store).await;
                *latest = Some((Instant::now(), outcome.clone()));
                outcome
            }
        };
        outcome.map_err(|Failed { detail, hint }| Error::Unavailable { detail, hint })
    }
}

async fn attempt(store: &dyn Store) -> Outcome {
    let error = match tokio::time::timeout(PATIENCE, store.try_write()).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => StoreError::TookTooLong { what: "a write that was tried did not end" },
    };
    let problem = Error::from(error).problem();
    Err(Failed { detail: problem.detail, hint: problem.hint })
}
