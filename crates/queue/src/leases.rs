use std::{
    collections::{HashMap, HashSet},
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
/// How often all leases are renewed, in one statement, and how often a worker reports.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
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
    ///
    /// What was claimed again in the meantime, under another token, is held on.
    pub(crate) fn drop_all(&self, jobs: impl Iterator<Item = (JobId, LeaseToken)>) {
        let mut held = self.lock();
        for (id, token) in jobs {
            if held.get(&id).is_some_and(|lease| lease.token == token) {
                held.remove(&id);
            }
        }
    }

    /// Whether this lease is still held.
    pub(crate) fn holds(&self, id: JobId, token: LeaseToken) -> bool {
        self.lock().get(&id).is_some_and(|lease| lease.token == token)
    }

    /// Renews all leases once, and drops those that were lost.
    pub(crate) async fn renew(&self, store: &dyn JobStore) {
        let jobs: Vec<_> = self.lock().iter().map(|(id, held)| (*id, held.token)).collect();
        if jobs.is_empty() {
            return;
        }
        let asked = Instant::now();
        // A store that hangs must not keep the next heartbeat from coming.
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
    }

    fn apply(&self, jobs: &[(JobId, LeaseToken)], lost: &[JobId], asked: Instant) {
        let lost: HashSet<_> = lost.iter().collect();
        let mut held = self.lock();
        for (id, token) in jobs {
            // What ended since, or was claimed again under another token, is not what was asked about.
            let Some(lease) = held.get_mut(id).filter(|lease| lease.token == *token) else { continue };
            lease.renewed = asked;
            if lost.contains(id) {
                warn!(job.id = id.0, "The lease of job {id} was lost; its work is dropped");
                lease.stop.cancel();
                held.remove(id);
            }
        }
    }

    /// Stops work whose lease was not renewed for so long that a rescue may soon give it to somebody else.
    pub(crate) fn drop_untrusted(&self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId(1);

    /// A finish makes its job claimable at once, and it may be in these hands again before the first is forgotten.
    #[tokio::test]
    async fn what_was_claimed_again_is_not_taken_for_what_ended() {
        let (leases, stop) = (Leases::default(), CancellationToken::new());
        let (first, again) = ((JOB, LeaseToken(1)), (JOB, LeaseToken(2)));
        leases.hold([first].into_iter(), Instant::now(), &CancellationToken::new());
        leases.hold([again].into_iter(), Instant::now(), &stop);

        leases.drop_all([first].into_iter());
        leases.apply(&[first], &[JOB], Instant::now());

        assert!(leases.holds(JOB, again.1) && !leases.holds(JOB, first.1) && !stop.is_cancelled());
        leases.apply(&[again], &[JOB], Instant::now());
        assert!(!leases.holds(JOB, again.1) && stop.is_cancelled());
    }
}
