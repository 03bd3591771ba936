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
    /// Whoever could know may not be asked yet: the address is still due.
    Deferred {
        /// For how long.
        wait: Duration,
        /// Why, and who it is.
        why: String,
    },
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
            Self::Located(_) | Self::NotApplicable(_) | Self::Deferred { .. } => None,
        }
    }

    /// The one word for it.
    pub const fn status(&self) -> LookupStatus {
        match self {
            Self::Located(_) => LookupStatus::Located,
            Self::Miss(_) => LookupStatus::Miss,
            Self::Failed { .. } => LookupStatus::Failed,
            Self::NotApplicable(_) => LookupStatus::NotApplicable,
            Self::Deferred { .. } => LookupStatus::Deferred,
        }
    }
}

impl From<Outcome> for Lookup {
    fn from(outcome: Outcome) -> Self {
        let Outcome { located, miss, failure, failures, deferred } = outcome;
        if let Some(located) = located {
            return Self::Located(located);
        }
        if let Some((wait, why)) = deferred {
            return Self::Deferred { wait, why };
        }
        match (miss, failure) {
            (Some(reason), None | Some(UnlocatedReason::NoDatabase)) => Self::Miss(reason),
            (_, failure) => Self::Failed { reason: failure.unwrap_or(UnlocatedReason::NoDatabase), failures },
        }
    }
}
