use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{
    Address, BreakerState, Limit, Observation, ProviderAnswer, ProviderAnswerStatus, ProviderName,
    ProviderTally, Timestamp, WaitReason, Window,
};

use crate::StoreError;

/// A wish to call a provider.
#[derive(Clone, Debug)]
pub struct TakePermits {
    /// Whom.
    pub provider: ProviderName,
    /// With which account.
    pub account: u32,
    /// What the call counts against. Each name at most once.
    pub limits: Arc<[Limit]>,
    /// How many addresses it is to ask about, at least 1.
    pub addresses: u32,
}

/// How a wish to call a provider was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PermitsTaken {
    /// The call may be made, at once.
    Granted {
        /// How many addresses it may ask about: at least 1, and fewer than were wished for where a limit that counts
        /// addresses has fewer left.
        addresses: u32,
        /// What names the call in the window of each limit, in their order; for [`SettleCall::windows`].
        windows: Vec<Timestamp>,
        /// How many more addresses the limits allow at present, if each further call asks about as many as this one
        /// wished for.
        left: u32,
    },
    /// Not now; nothing was taken.
    Wait {
        /// For how long. Asking earlier is no use; afterwards somebody else may have been faster.
        wait: Duration,
        /// Why.
        reason: WaitReason,
        /// Which limit has it so: the one that lasts longest.
        limit: String,
    },
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct SettleCall {
    /// Whom.
    pub provider: ProviderName,
    /// With which account.
    pub account: u32,
    /// What the call counted against.
    pub limits: Arc<[Limit]>,
    /// The windows of [`PermitsTaken::Granted`]; empty for a call that was not answered, whose permits stay counted for
    /// as long as it may still arrive.
    pub windows: Vec<Timestamp>,
    /// Nothing of it was sent, because no connection could be made: its permits can be had again at once.
    pub unsent: bool,
    /// How long ago its answer came.
    pub age: Duration,
    /// What its headers told.
    pub observation: Observation,
    /// What it adds to the tally.
    pub tally: ProviderTally,
    /// What went wrong, if something did, at most [`ERROR_BYTES`](crate::ERROR_BYTES). Holds no key.
    pub error: Option<String>,
    /// The breaker of the caller's process after it, and for how long it stays open.
    pub breaker: (BreakerState, Duration),
    /// Why the provider is not asked any more: its key was refused.
    pub disabled_because: Option<String>,
}

/// What the ledger holds about one account of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRow {
    /// Which provider.
    pub provider: ProviderName,
    /// Which account.
    pub account: u32,
    /// What it was asked so far.
    pub tally: ProviderTally,
    /// Its limits by name, also those that are configured no more, and how far each is used.
    pub windows: Vec<(String, Window)>,
    /// The store's time, by which the windows are to be judged.
    pub read_at: Timestamp,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// When its last answer came.
    pub last_call_at: Option<Timestamp>,
    /// The breaker of the process that settled last.
    pub breaker: BreakerState,
    /// Until when that stays open; `None` unless it is.
    pub breaker_until: Option<Timestamp>,
    /// Why it is not asked, as that process saw it.
    pub disabled_because: Option<String>,
}

/// An answer to keep; given just now.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAnswer {
    /// About which address.
    pub address: Address,
    /// Who said it.
    pub provider: ProviderName,
    /// What.
    pub status: ProviderAnswerStatus,
}

/// A kept answer.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAnswer {
    /// About which address.
    pub address: Address,
    /// Who said what, and when.
    pub answer: ProviderAnswer,
    /// How long ago that was.
    pub age: Duration,
}

/// The ledger of online providers: permits, tallies and answers, shared by all processes of an installation.
///
/// Counting is the law of [`hostatlas_domain::Window`], applied by [`crate::permits`] to rows that the operation
/// has locked: a backend with row locks takes them in the order of the names, and makes a missing row first, so that
/// two processes that take a first permit at once are one after the other.
#[async_trait]
pub trait ProviderStore: Send + Sync {
    /// Takes the permits of one call: from all its limits at once, or from none of them. Durable before it answers, so
    /// that no crash forgets a call that was made.
    ///
    /// The windows are read by a clock that does not go back, not even between processes: a permit that somebody took
    /// later than this process's clock says holds it up until then.
    async fn provider_take(&self, params: TakePermits) -> Result<PermitsTaken, StoreError>;

    /// Notes what came of a call: windows, tally and state, in one transaction. `error` and its time
    /// stay until the next one, `disabled_because` and the breaker are those of the last call.
    async fn provider_settle(&self, call: SettleCall) -> Result<(), StoreError>;

    /// All accounts that were ever called, by provider and account.
    async fn provider_list(&self) -> Result<Vec<ProviderRow>, StoreError>;

    /// The answers that are kept about these addresses, by address and provider.
    async fn answers_get(&self, addresses: Vec<Address>) -> Result<Vec<StoredAnswer>, StoreError>;

    /// Keeps answers: the newest of each address and provider, of several in one call the last. Housekeeping
    /// ([`crate::AdminStore::tidy`]) removes those about addresses that are no host, a day after they were given.
    async fn answers_keep(&self, answers: Vec<NewAnswer>) -> Result<(), StoreError>;
}
