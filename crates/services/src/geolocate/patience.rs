//! Waiting for leave to ask online providers, on behalf of a person who looks on.

use std::time::Duration;

use hostatlas_domain::{Address, UnlocatedReason};
use hostatlas_geolocation::{Deferral, DeferralCause, LocateOptions, Locator, Lookup};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long one round waits for permits: short, so that answers arrive as they come and the wait is counted down.
const ROUND: Duration = Duration::from_secs(2);
/// For how long answers that are on their way are waited for once the wait was given up.
const GRACE: Duration = Duration::from_secs(3);

/// What a lookup waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// How many addresses have no answer yet.
    pub addresses: usize,
    /// How long until somebody may be asked again.
    pub left: Duration,
    /// Why, in words that name the provider.
    pub why: String,
}

impl Waiting {
    /// The shortest wait among `deferrals`, for quota alone: nobody knows when an outage ends.
    pub(super) fn soonest<'a>(deferrals: impl Iterator<Item = &'a Deferral>) -> Option<Self> {
        let mut addresses = 0;
        let counted = deferrals.filter(|deferral| deferral.cause == DeferralCause::Quota);
        let soonest = counted.inspect(|_| addresses += 1).min_by_key(|deferral| deferral.wait)?;
        let (left, why) = (soonest.wait, soonest.why.clone());
        Some(Self { addresses, left, why })
    }
}

/// Looks addresses up and waits, as long as the options say, for the quota of those who could know. `on_wait` hears of
/// each wait. When `cancel` ends the wait, what is known by then is the answer, and the rest is deferred.
pub(super) async fn patiently(
    locator: &Locator,
    addresses: &[Address],
    options: LocateOptions,
    cancel: &CancellationToken,
    on_wait: &mut (dyn FnMut(&Waiting) + Send),
) -> Vec<Lookup> {
    let deadline = Instant::now() + options.patience;
    let mut lookups: Vec<Lookup> = vec![interrupted(); addresses.len()];
    let mut open: Vec<usize> = (0..addresses.len()).collect();
    loop {
        let asked: Vec<Address> = open.iter().map(|index| addresses[*index]).collect();
        let left = deadline.saturating_duration_since(Instant::now());
        let options = LocateOptions { patience: left.min(ROUND), ..options };
        let too_late = async {
            cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let found = tokio::select! {
            found = locator.locate_with(&asked, options) => found,
            () = too_late => return lookups,
        };
        for (index, lookup) in open.iter().zip(found) {
            lookups[*index] = lookup;
        }
        open.retain(|index| is_for_quota(&lookups[*index]));
        let left = deadline.saturating_duration_since(Instant::now());
        let waiting = Waiting::soonest(open.iter().filter_map(|index| deferral(&lookups[*index])));
        match waiting {
            Some(waiting) if waiting.left <= left && !cancel.is_cancelled() => on_wait(&waiting),
            _ => return lookups,
        }
    }
}

/// What is said of an address whose lookup was given up.
fn interrupted() -> Lookup {
    let why = "interrupted before anybody answered".to_owned();
    Lookup::Deferred(Deferral { wait: Duration::ZERO, why, cause: DeferralCause::Quota })
}

/// The deferral of a lookup that ended in one.
pub(super) const fn deferral(lookup: &Lookup) -> Option<&Deferral> {
    match lookup {
        Lookup::Deferred(deferral) => Some(deferral),
        _ => None,
    }
}

/// Whether the address only has to wait until a provider may be asked again.
pub(super) fn is_for_quota(lookup: &Lookup) -> bool {
    deferral(lookup).is_some_and(|deferral| deferral.cause == DeferralCause::Quota)
}

/// The answer to a question about one address.
pub(super) fn one(mut lookups: Vec<Lookup>) -> Lookup {
    lookups.pop().unwrap_or(Lookup::Failed { reason: UnlocatedReason::Failed, failures: Vec::new() })
}
