use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hostatlas_domain::{JobId, LeaseToken};
use hostatlas_store::{JobStore, RenewJobs};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// For how long a claim holds without a heartbeat. The jobs of a dead worker are to run again within 35 seconds: what is
/// left of them is for the next look, and for standing in line behind others that died with their worker.
pub(crate) const LEASE: Duration = Duration::from_secs(25);
/// How often all leases are renewed, in one statement.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);
/// Work whose lease was not renewed for so long stops itself, well before a rescue gives it to somebody else.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_secs(20);

/// The leases that this worker holds. Time is monotonic: a step of the system clock must not end or extend work.
#[derive(Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<JobId, Held>>,
}

struct Held {
    token: LeaseToken,
    renewed: Instant,
    stop: CancellationToken,
}

impl Leases {
    /// Notes leases that were just taken; `stop` fires when one of them is lost for good.
    pub(crate) fn hold(
        &self,
        jobs: impl Iterator<Item = (JobId, LeaseToken)>,
        claimed: Instant,
        stop: &CancellationToken,
    ) {
        let mut held = self.lock();
        for (id, token) in jobs {
            held.insert(id, Held { token, renewed: claimed, stop: stop.clone() });
        }
    }

    /// Forgets leases whose jobs were finished or given back.
    pub(crate) fn drop_all(&self, jobs: impl Iterator<Item = JobId>) {
        let mut held = self.lock();
        for id in jobs {
            held.remove(&id);
        }
    }

    /// Whether this lease is still held.
    pub(crate) fn holds(&self, id: JobId) -> bool {
        self.lock().contains_key(&id)
    }

    /// Renews all leases once, and drops those that were lost or are too old to be trusted.
    pub(crate) async fn renew(&self, store: &dyn JobStore) {
        let jobs: Vec<_> = self.lock().iter().map(|(id, held)| (*id, held.token)).collect();
        if jobs.is_empty() {
            return;
        }
        let asked = Instant::now();
        // A store that hangs must not keep the next heartbeat, or the end of untrusted work, from coming.
        let renewed = tokio::time::timeout(
            HEARTBEAT / 2,
            store.jobs_renew(RenewJobs { jobs: jobs.clone(), lease: LEASE }),
        )
        .await;
        match renewed {
            Ok(Ok(lost)) => self.apply(&jobs, &lost, asked),
            Ok(Err(error)) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "The heartbeat of {} jobs failed",
                    jobs.len()
                );
            }
            Err(_) => warn!("The heartbeat of {} jobs took too long", jobs.len()),
        }
        self.drop_untrusted();
    }

    fn apply(&self, jobs: &[(JobId, LeaseToken)], lost: &[JobId], asked: Instant) {
        let mut held = self.lock();
        for (id, token) in jobs {
            if let Some(lease) = held.get_mut(id).filter(|lease| lease.token == *token) {
                lease.renewed = asked;
            }
        }
        for id in lost {
            if let Some(lease) = held.remove(id) {
                warn!(job.id = id.0, "The lease of job {id} was lost; its work is dropped");
                lease.stop.cancel();
            }
        }
    }

    fn drop_untrusted(&self) {
        self.lock().retain(|id, lease| {
            let trusted = lease.renewed.elapsed() < GIVE_UP_AFTER;
            if !trusted {
                warn!(job.id = id.0, "Job {id} could not be renewed in time; its work is dropped");
                lease.stop.cancel();
            }
            trusted
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Held>> {
        // Nothing panics while it holds the lock, and a map of leases is sound at every step.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
