//! What a worker does with geolocation jobs.

use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{Address, JobKind, ProviderName, UnlocatedReason};
use hostatlas_geolocation::{Deferral, DeferralCause, LocateOptions, Lookup};
use hostatlas_queue::{Handler, JobError, Outcome};
use hostatlas_store::{Attempt, ClaimMode, ClaimedJob};
use tokio_util::sync::CancellationToken;

use crate::{Services, geolocate::said_by};

/// Geolocations in one claim, lookup pass and write: measured best on SQLite, in transactions under 100 ms.
const GEOLOCATION_BATCH: u32 = 10_000;
/// The same where several machines work on one database. A worker that dies leaves its batches behind, to be run again a
/// hundred at a time: of 10,000 the last waits for seconds. Batches of this size cost some three percent of the rate.
const SHARED_BATCH: u32 = 2_500;
/// A batch of database lookups takes milliseconds; longer than this, something is broken.
const GEOLOCATION_DEADLINE: Duration = Duration::from_mins(1);
/// Geolocations in one claim where online providers are asked. Their answers come slowly, and what cannot be asked now
/// costs a write; still enough for several full requests to the widest provider at once.
const ONLINE_BATCH: u32 = 2_000;
/// How many of those are asked about together, so that a slow provider does not keep the whole claim.
const ONLINE_SLICE: usize = 500;
/// No slice is begun after so long: the claim is written, and the rest waits for the next.
const ONLINE_BUDGET: Duration = Duration::from_secs(30);
/// A slice is given up after so long. The answers that came are kept, and the next attempt finds them.
const ONLINE_SLICE_LIMIT: Duration = Duration::from_mins(2);
/// Longer than budget and slice together.
const ONLINE_DEADLINE: Duration = Duration::from_mins(3);
/// How long a job waits for a permit while it is claimed; what takes longer is put off until the permit exists.
const ONLINE_PATIENCE: Duration = Duration::from_secs(2);
/// The same while draining: a drain leaves what is put off, so it bears the pause between two calls of one window.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
/// Up to so many jobs in a batch each say in words what was found. In bulk one word does, since equal results are
/// written together.
const DETAILED_RESULTS: usize = 100;

/// Locates the hosts of a batch: in one sorted pass over the databases, and where online providers are configured
/// within what they allow. What has to wait for a permit is put off until there is one, and burns no attempt.
///
/// A missing database is no failure of the job: eight attempts would only find the same. The host is unlocated with
/// that reason, the job is done, and the host is due again after an hour, or at once when a database appears.
pub(super) struct GeolocationHandler {
    services: Services,
    /// How long a permit of an online provider is waited for.
    patience: Duration,
}

#[async_trait]
impl Handler for GeolocationHandler {
    fn kind(&self) -> JobKind {
        JobKind::Geolocation
    }

    fn batch_size(&self) -> u32 {
        if self.services.locator().has_online() {
            ONLINE_BATCH
        } else if self.services.store().batches_at_once() > 1 {
            SHARED_BATCH
        } else {
            GEOLOCATION_BATCH
        }
    }

    fn deadline(&self) -> Duration {
        if self.services.locator().has_online() { ONLINE_DEADLINE } else { GEOLOCATION_DEADLINE }
    }

    fn mode(&self) -> ClaimMode {
        if self.services.locator().has_online() { ClaimMode::Lease } else { ClaimMode::Peek }
    }

    async fn run(&self, jobs: &[ClaimedJob], cancel: CancellationToken) -> Vec<(Outcome, Option<Attempt>)> {
        let mut order: Vec<usize> =
            (0..jobs.len()).filter(|&index| jobs[index].force || !jobs[index].satisfied).collect();
        order.sort_unstable_by_key(|&index| jobs[index].address);
        let lookups = if self.services.locator().has_online() {
            self.ask(jobs, &mut order, &cancel).await
        } else {
            let addresses: Vec<Address> = order.iter().map(|&index| jobs[index].address).collect();
            self.services.geolocate().locate_offline(addresses).await
        };
        let build = self.services.locator().database_build();
        let detailed = jobs.len() <= DETAILED_RESULTS;
        let mut outcomes: Vec<_> =
            jobs.iter().map(|_| (Outcome::Done("located since it was queued".to_owned()), None)).collect();
        for (index, lookup) in order.into_iter().zip(lookups) {
            outcomes[index] = outcome(lookup, build, detailed);
        }
        outcomes
    }
}

impl GeolocationHandler {
    /// Where a worker drains, it waits longer for a permit.
    pub(super) const fn new(services: Services, drain: bool) -> Self {
        Self { services, patience: if drain { DRAIN_PATIENCE } else { ONLINE_PATIENCE } }
    }

    /// Asks slice by slice, forced jobs first since they bypass the cache; `order` becomes that of the answers.
    async fn ask(
        &self,
        jobs: &[ClaimedJob],
        order: &mut Vec<usize>,
        cancel: &CancellationToken,
    ) -> Vec<Lookup> {
        let (forced, other): (Vec<usize>, Vec<usize>) = order.iter().partition(|&&index| jobs[index].force);
        *order = forced.iter().chain(&other).copied().collect();
        let slices = forced
            .chunks(ONLINE_SLICE)
            .map(|slice| (slice, true))
            .chain(other.chunks(ONLINE_SLICE).map(|slice| (slice, false)));
        let began = tokio::time::Instant::now();
        let mut lookups = Vec::with_capacity(order.len());
        for (slice, force) in slices {
            let later = |wait: Duration, why: &str| {
                let cause = DeferralCause::Quota;
                vec![Lookup::Deferred(Deferral { wait, why: why.to_owned(), cause }); slice.len()]
            };
            if cancel.is_cancelled() {
                lookups.extend(later(Duration::ZERO, "the worker is stopping"));
            } else if began.elapsed() > ONLINE_BUDGET {
                lookups.extend(later(Duration::ZERO, "others are asked about first"));
            } else {
                let addresses: Vec<Address> = slice.iter().map(|&index| jobs[index].address).collect();
                let options = LocateOptions { force, patience: self.patience, batch_size: None };
                let located = self.services.locator().locate_with(&addresses, options);
                let bounded = tokio::time::timeout(ONLINE_SLICE_LIMIT, located);
                lookups.extend(match cancel.run_until_cancelled(bounded).await {
                    Some(Ok(found)) => found,
                    Some(Err(_)) => later(Duration::from_secs(5), "the providers answer slowly"),
                    None => later(Duration::ZERO, "the worker is stopping"),
                });
            }
        }
        lookups
    }
}

fn outcome(
    lookup: Lookup,
    build: Option<hostatlas_domain::Timestamp>,
    detailed: bool,
) -> (Outcome, Option<Attempt>) {
    let unlocated = |reason| Some(Attempt::Unlocated { reason, database_build: build });
    match lookup {
        Lookup::Located(located) => {
            let result =
                if detailed { format!("located: {}", located.place.label()) } else { "located".to_owned() };
            (Outcome::Done(result), Some(Attempt::Located(located)))
        }
        Lookup::Miss(reason) => (Outcome::Done("no provider knows it".to_owned()), unlocated(reason)),
        Lookup::Deferred(deferral) => (Outcome::Snooze(deferral.wait, deferral.why), None),
        Lookup::NotApplicable(class) => (Outcome::Done(format!("not applicable: {}", class.slug())), None),
        Lookup::Failed { reason: UnlocatedReason::NoDatabase, .. } => {
            let reason = UnlocatedReason::NoDatabase;
            (Outcome::Done("no database for its address family is installed".to_owned()), unlocated(reason))
        }
        Lookup::Failed { reason, failures } => {
            let error = JobError::new(said_by(&failures), reason);
            // The same file gives the same damaged answer; an online provider may be better tomorrow.
            let permanent = reason == UnlocatedReason::Malformed
                && failures.iter().all(|(provider, _)| *provider == ProviderName::Mmdb);
            (if permanent { Outcome::Discard(error) } else { Outcome::Retry(error) }, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::AddressClass;

    use super::*;

    fn failed(reason: UnlocatedReason) -> Lookup {
        Lookup::Failed { reason, failures: vec![(ProviderName::Mmdb, "said why".to_owned())] }
    }

    #[test]
    fn a_missing_database_burns_no_attempt_and_is_written_down() {
        let (outcome, effect) = outcome(failed(UnlocatedReason::NoDatabase), None, true);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        let reason = UnlocatedReason::NoDatabase;
        assert_eq!(effect, Some(Attempt::Unlocated { reason, database_build: None }));
    }

    #[test]
    fn a_miss_is_an_answer() {
        let build = Some(hostatlas_domain::Timestamp::from_secs(9));
        let (outcome, effect) = outcome(Lookup::Miss(UnlocatedReason::NoRecord), build, true);
        assert_eq!(outcome, Outcome::Done("no provider knows it".to_owned()));
        let reason = UnlocatedReason::NoRecord;
        assert_eq!(effect, Some(Attempt::Unlocated { reason, database_build: build }));
    }

    #[test]
    fn a_damaged_answer_is_given_up_and_a_silent_provider_is_asked_again() {
        let error = |reason| JobError::new("mmdb: said why", reason);
        let malformed = outcome(failed(UnlocatedReason::Malformed), None, true);
        let unreachable = outcome(failed(UnlocatedReason::Unreachable), None, true);
        assert_eq!(malformed, (Outcome::Discard(error(UnlocatedReason::Malformed)), None));
        assert_eq!(unreachable, (Outcome::Retry(error(UnlocatedReason::Unreachable)), None));
    }

    #[test]
    fn a_special_address_is_done_without_an_effect() {
        let (outcome, effect) = outcome(Lookup::NotApplicable(AddressClass::Private), None, true);
        assert_eq!((outcome, effect), (Outcome::Done("not applicable: private".to_owned()), None));
    }
}
