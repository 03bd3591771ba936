use std::{sync::Arc, time::Duration};

use hostatlas_domain::{AddressClass, Located, LookupStatus, ProviderName, UnlocatedReason};

use crate::online::Outcome;

/// How a lookup ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A place was found.
    ///
    /// Equal answers usually share one allocation, so whoever stores many can compare pointers first; two
    /// allocations may still hold equal answers.
    Located(Arc<Located>),
    /// Every provider that answered knows no place: [`UnlocatedReason::NoRecord`] or
    /// [`UnlocatedReason::NullIsland`].
    Miss(UnlocatedReason),
    /// No provider located it, and at least one could not answer.
    Failed {
        /// What a host is stored with.
        reason: UnlocatedReason,
        /// What each provider that failed said, in the order of asking. Empty if none is configured.
        failures: Vec<(ProviderName, String)>,
    },
    /// A private or special-purpose address: nobody was asked.
    NotApplicable(AddressClass),
    /// Whoever could know cannot be asked yet: the address is still due.
    Deferred(Deferral),
}

/// For how long an address should wait, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// After so long somebody may be asked.
    pub wait: Duration,
    /// Why, in words that name the provider.
    pub why: String,
    /// What has to pass.
    pub cause: DeferralCause,
}

/// What has to pass before somebody may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeferralCause {
    /// The providers allow no more calls for now. When that ends is known.
    Quota,
    /// Every provider that could still know does not answer. When that ends is not known, so it is not worth waiting
    /// for: the wait is only the time until the provider is tried again.
    Outage,
}

impl Lookup {
    /// The place and network, if there is one.
    pub const fn located(&self) -> Option<&Arc<Located>> {
        match self {
            Self::Located(located) => Some(located),
            _ => None,
        }
    }

    /// Why there is no place; `None` for a located address, for one that has none by its class, and for one that is
    /// still due.
    pub const fn reason(&self) -> Option<UnlocatedReason> {
        match self {
            Self::Miss(reason) | Self::Failed { reason, .. } => Some(*reason),
            Self::Located(_) | Self::NotApplicable(_) | Self::Deferred(_) => None,
        }
    }

    /// The one word for it.
    pub const fn status(&self) -> LookupStatus {
        match self {
            Self::Located(_) => LookupStatus::Located,
            Self::Miss(_) => LookupStatus::Miss,
            Self::Failed { .. } => LookupStatus::Failed,
            Self::NotApplicable(_) => LookupStatus::NotApplicable,
            Self::Deferred(_) => LookupStatus::Deferred,
        }
    }
}

impl From<Outcome> for Lookup {
    fn from(outcome: Outcome) -> Self {
        let Outcome { located, miss, failure, failures, deferred } = outcome;
        if let Some(located) = located {
            return Self::Located(located);
        }
        if let Some(deferral) = deferred {
            return Self::Deferred(deferral);
        }
        match (miss, failure) {
            (Some(reason), None | Some(UnlocatedReason::NoDatabase)) => Self::Miss(reason),
            (_, failure) => Self::Failed { reason: failure.unwrap_or(UnlocatedReason::NoDatabase), failures },
        }
    }
}
