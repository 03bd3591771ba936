//! What providers said lately, in this process.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Address, Located, Location, ProviderAnswerStatus, ProviderName};
use moka::sync::Cache;
use tokio::time::Instant;

use super::KeptAnswer;
use crate::Answer;

/// For how long answers are believed without asking again. Failures are never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// For how long a place is.
    pub located_for: Duration,
    /// For how long it is that a provider knows none.
    pub missed_for: Duration,
    /// How many answers are kept in memory, at some hundred bytes each.
    pub entries: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { located_for: Duration::from_hours(24), missed_for: Duration::from_hours(1), entries: 100_000 }
    }
}

/// Answers by address and provider.
pub(super) struct Answers {
    config: CacheConfig,
    kept: Cache<(Address, ProviderName), Kept>,
}

#[derive(Clone)]
struct Kept {
    answer: Answer,
    until: Instant,
}

impl Answers {
    pub(super) fn new(config: CacheConfig) -> Self {
        Self { config, kept: Cache::new(config.entries) }
    }

    pub(super) fn get(&self, address: Address, provider: ProviderName, now: Instant) -> Option<Answer> {
        self.kept.get(&(address, provider)).filter(|kept| now < kept.until).map(|kept| kept.answer)
    }

    /// Keeps an answer that was given `age` ago, and gives it back unless it is too old.
    pub(super) fn keep(
        &self,
        address: Address,
        provider: ProviderName,
        answer: Answer,
        age: Duration,
        now: Instant,
    ) -> Option<Answer> {
        let believed = match &answer {
            Answer::Found(_) => self.config.located_for,
            Answer::Miss(_) => self.config.missed_for,
        };
        let left = believed.checked_sub(age).filter(|left| !left.is_zero())?;
        self.kept.insert((address, provider), Kept { answer: answer.clone(), until: now + left });
        Some(answer)
    }

    /// Takes over what a ledger kept.
    pub(super) fn take_over(&self, kept: KeptAnswer, now: Instant) {
        let answer = match kept.answer.status {
            ProviderAnswerStatus::Miss(reason) => Answer::Miss(reason),
            ProviderAnswerStatus::Located(location) => match location.into_located() {
                Some(located) => Answer::Found(Arc::new(located)),
                None => return,
            },
        };
        self.keep(kept.address, kept.answer.provider, answer, kept.age, now);
    }
}

/// The form in which a ledger keeps an answer.
pub(super) fn status_of(answer: &Answer) -> ProviderAnswerStatus {
    match answer {
        Answer::Miss(reason) => ProviderAnswerStatus::Miss(*reason),
        Answer::Found(located) => {
            let Located { place, network, timezone, provider, accuracy_km, database_build } =
                Located::clone(located);
            ProviderAnswerStatus::Located(Box::new(Location {
                place: Some(place),
                network,
                timezone,
                provider,
                accuracy_km,
                database_build,
            }))
        }
    }
}
