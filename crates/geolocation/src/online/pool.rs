//! The online providers of one locator, and what their enquiries share.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hostatlas_domain::{Address, ProviderName};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};
use tracing::warn;

use super::{
    CacheConfig, Ledger, OnlineProvider, ProviderInfo, Transport,
    cache::Answers,
    enquiry::{Enquiries, MOST_MEMBERS},
    flights::{Boarding, Flight, Flights, Waiting},
    member::Member,
    outcome::Outcome,
    promises::Promises,
};
use crate::{Deferral, DeferralCause, LocateOptions};

/// Retries allowed for each call that is made.
const RETRIES_PER_CALL: f64 = 0.1;
/// Retries allowed each second beside.
const RETRIES_PER_SECOND: f64 = 1.0;
/// Retries that can be saved up.
const MOST_RETRIES: f64 = 10.0;
/// Addresses in one question to the ledger.
const LEDGER_QUESTION: usize = 1_000;

/// A call that is under way at the end of somebody's patience is still waited for.
const LONGEST_CALL: Duration = Duration::from_secs(10);

pub(crate) struct Pool {
    pub(super) members: Vec<Member>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) answers: Answers,
    pub(super) promises: Promises,
    flights: Flights,
    workers: Semaphore,
    retries: Mutex<Retries>,
    credits: Mutex<Vec<f64>>,
}

struct Retries {
    saved: f64,
    counted: Instant,
}

/// What a pool is made of.
pub(crate) struct PoolConfig {
    /// The providers, in the order of asking, with how each is reached.
    pub(crate) providers: Vec<(Arc<dyn OnlineProvider>, Arc<dyn Transport>)>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) cache: CacheConfig,
    /// Calls that may be under way at once.
    pub(crate) workers: NonZeroUsize,
}

impl Pool {
    pub(crate) fn new(config: PoolConfig) -> Self {
        let PoolConfig { providers, ledger, cache, workers } = config;
        let members: Vec<Member> = providers
            .into_iter()
            .take(MOST_MEMBERS)
            .map(|(provider, transport)| Member::new(provider, transport))
            .collect();
        Self {
            credits: Mutex::new(vec![0.0; members.len()]),
            members,
            ledger,
            answers: Answers::new(cache),
            promises: Promises::default(),
            flights: Flights::default(),
            workers: Semaphore::new(workers.get().min(Semaphore::MAX_PERMITS)),
            retries: Mutex::new(Retries { saved: 1.0, counted: Instant::now() }),
        }
    }

    /// What its providers are and how they do.
    pub(crate) fn infos(&self) -> Vec<ProviderInfo> {
        self.members.iter().map(ProviderInfo::of_member).collect()
    }

    /// The position of a provider.
    pub(crate) fn position(&self, provider: ProviderName) -> Option<usize> {
        self.members.iter().position(|member| member.name() == provider)
    }

    /// The providers that may be asked, with their positions.
    pub(crate) fn names(&self) -> Vec<(usize, ProviderName)> {
        self.members.iter().map(Member::name).enumerate().collect()
    }

    /// What the providers, or the one at `only`, say of `addresses`, in their order.
    ///
    /// Dropping the future ends its calls; whoever waits for one of its addresses then enquires on its own.
    pub(crate) async fn locate(
        &self,
        addresses: &[Address],
        options: LocateOptions,
        only: Option<usize>,
    ) -> Vec<Outcome> {
        let deadline = Instant::now() + options.patience;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; addresses.len()];
        let mut open: Vec<usize> = (0..addresses.len()).collect();
        while !open.is_empty() {
            let mut ours: Vec<(usize, Address, Flight)> = Vec::new();
            let mut theirs: Vec<(usize, Waiting)> = Vec::new();
            for index in open.drain(..) {
                match self.flights.board((addresses[index], only)) {
                    Boarding::Leads(flight) => ours.push((index, addresses[index], flight)),
                    Boarding::Follows(waiting) => theirs.push((index, waiting)),
                }
            }
            if !ours.is_empty() {
                for (index, outcome) in Enquiries::new(self, options, only, deadline).run(ours).await {
                    outcomes[index] = Some(outcome);
                }
            }
            for (index, mut waiting) in theirs {
                let told = timeout_at(deadline + LONGEST_CALL, waiting.wait_for(Option::is_some)).await;
                let Ok(told) = told else {
                    // Whoever enquires is more patient than we are.
                    let why = "somebody else is asking about it".to_owned();
                    let deferral = Deferral { wait: LONGEST_CALL, why, cause: DeferralCause::Quota };
                    outcomes[index] = Some(Outcome { deferred: Some(deferral), ..Outcome::default() });
                    continue;
                };
                match told.ok().and_then(|told| told.clone()) {
                    Some(outcome) if !is_worth_waiting(&outcome, deadline) => {
                        outcomes[index] = Some(outcome);
                    }
                    _ => open.push(index),
                }
            }
        }
        outcomes.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// How many of `addresses` would be sent to somebody: those of which no answer is kept that settles them.
    pub(crate) async fn unknown(&self, addresses: &[Address]) -> usize {
        self.recall(addresses).await;
        let now = Instant::now();
        let known = |address: &&Address| {
            let mut all = true;
            let mut outcome = Outcome::default();
            for member in self.members.iter().filter(|member| member.disabled().is_none()) {
                match self.answers.get(**address, member.name(), now) {
                    Some(answer) => outcome.note(member.name(), Ok(answer)),
                    None => all = false,
                }
            }
            all || outcome.is_settled()
        };
        addresses.len() - addresses.iter().filter(known).count()
    }

    /// Fetches what the ledger kept of addresses that this process does not remember.
    pub(super) async fn recall(&self, addresses: &[Address]) {
        let now = Instant::now();
        let forgotten: Vec<Address> = addresses
            .iter()
            .copied()
            .filter(|address| {
                self.members.iter().any(|member| self.answers.get(*address, member.name(), now).is_none())
            })
            .collect();
        for question in forgotten.chunks(LEDGER_QUESTION) {
            match self.ledger.answers(question).await {
                Ok(kept) => {
                    let now = Instant::now();
                    for kept in kept {
                        self.answers.take_over(kept, now);
                    }
                }
                // Asking again is only slower; whether that may be is for the permits to say.
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "Kept answers cannot be read: {error}");
                    return;
                }
            }
        }
    }

    /// A place among the calls that may be under way at once, if one is free.
    pub(super) fn try_worker(&self) -> Option<SemaphorePermit<'_>> {
        self.workers.try_acquire().ok()
    }

    /// A place among the calls that may be under way at once.
    pub(super) async fn worker(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.workers.acquire().await.ok()
    }

    /// Saves up for retries, with every call.
    pub(super) fn count_call(&self) {
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        retries.saved = (retries.saved + RETRIES_PER_CALL).min(MOST_RETRIES);
    }

    /// Whether one more retry is within the budget, which is then spent.
    pub(super) fn spend_retry(&self) -> bool {
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = now.duration_since(retries.counted).as_secs_f64();
        retries.counted = now;
        retries.saved = (retries.saved + since * RETRIES_PER_SECOND).min(MOST_RETRIES);
        let affordable = retries.saved >= 1.0;
        if affordable {
            retries.saved -= 1.0;
        }
        affordable
    }

    /// Which of the candidates, each with what it has left, is next, so that all are asked in that proportion.
    pub(super) fn rotate(&self, candidates: &[(usize, u32)]) -> Option<usize> {
        let mut credits = self.credits.lock().unwrap_or_else(PoisonError::into_inner);
        let total: f64 = candidates.iter().map(|(_, left)| f64::from(*left)).sum();
        for (position, left) in candidates {
            credits[*position] += f64::from(*left) / total.max(1.0);
        }
        let next = candidates
            .iter()
            .map(|(position, _)| *position)
            .reduce(|best, other| if credits[other] > credits[best] { other } else { best })?;
        credits[next] -= 1.0;
        Some(next)
    }
}

/// Whether somebody less patient was told to come back at a time that suits us.
fn is_worth_waiting(outcome: &Outcome, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    outcome.deferred.as_ref().is_some_and(|deferral| {
        deferral.cause == DeferralCause::Quota && deferral.wait > Duration::ZERO && deferral.wait <= left
    })
}
