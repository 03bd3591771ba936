//! What the online providers said of one address, taken together.

use std::sync::Arc;

use hostatlas_domain::{Located, Precision, ProviderName, UnlocatedReason};

use crate::{Answer, Deferral, LookupError};

/// What is known of one address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) located: Option<Arc<Located>>,
    pub(crate) miss: Option<UnlocatedReason>,
    pub(crate) failure: Option<UnlocatedReason>,
    pub(crate) failures: Vec<(ProviderName, String)>,
    /// Somebody could know more who may not be asked before.
    pub(crate) deferred: Option<Deferral>,
}

impl Outcome {
    /// Whether nobody else need be asked.
    pub(crate) fn is_settled(&self) -> bool {
        self.located.as_ref().is_some_and(|located| !is_coarse(located))
    }

    /// Adds one provider's answer.
    pub(crate) fn note(&mut self, provider: ProviderName, answer: Result<Answer, LookupError>) {
        match answer {
            // A country is kept until somebody knows better; among countries the first stays.
            Ok(Answer::Found(located)) => {
                let better = self.located.as_ref().is_none_or(|kept| is_coarse(kept) && !is_coarse(&located));
                if better {
                    self.located = Some(located);
                }
            }
            Ok(Answer::Miss(reason)) => {
                self.miss.get_or_insert(reason);
            }
            Err(error) => self.fail(provider, error.reason(), error.to_string()),
        }
    }

    pub(crate) fn fail(&mut self, provider: ProviderName, reason: UnlocatedReason, said: String) {
        // A missing database is the weakest failure: it says nothing about those who could be asked.
        if self.failure.is_none_or(|reason| reason == UnlocatedReason::NoDatabase) {
            self.failure = Some(reason);
        }
        self.failures.push((provider, said));
    }

    /// Adds what others said after.
    pub(crate) fn merge(&mut self, other: Self) {
        let Self { located, miss, failure, failures, deferred } = other;
        if let Some(located) = located {
            let provider = located.provider;
            self.note(provider, Ok(Answer::Found(located)));
        }
        self.miss = self.miss.or(miss);
        if self.failure.is_none_or(|reason| reason == UnlocatedReason::NoDatabase) {
            self.failure = failure.or(self.failure);
        }
        self.failures.extend(failures);
        self.deferred = deferred;
    }
}

/// Whether an answer knows a country alone.
fn is_coarse(located: &Located) -> bool {
    located.place.precision == Precision::Country
}
