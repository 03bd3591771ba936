use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{
    Address, BreakerState, Limit, Observation, ProviderAnswer, ProviderName, ProviderTally, Timestamp,
    WaitReason,
};

/// Where permits are counted and answers kept. Shared by all processes of one installation when a database is behind
/// it; [`MemoryLedger`](super::MemoryLedger) serves one process.
///
/// Every implementation applies the law of [`hostatlas_domain::Window`], by one clock.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Takes the permits of one call from all its limits at once, or from none of them.
    async fn take(&self, call: TakeCall) -> Result<Taken, LedgerError>;

    /// Notes what came of a call: what its headers told of the limits, and what it adds to the provider's tally.
    async fn settle(&self, call: SettleCall) -> Result<(), LedgerError>;

    /// Answers that are kept for `address`, of any provider, with how old they are.
    async fn answers(&self, addresses: &[Address]) -> Result<Vec<KeptAnswer>, LedgerError>;

    /// Keeps answers, the newest of each address and provider.
    async fn keep(&self, answers: Vec<NewAnswer>) -> Result<(), LedgerError>;
}

/// A wish to call a provider.
#[derive(Clone, Debug)]
pub struct TakeCall {
    /// Whom.
    pub provider: ProviderName,
    /// With which account.
    pub account: u32,
    /// What the call counts against.
    pub limits: Arc<[Limit]>,
    /// How many addresses it is to ask about. Where a limit counts addresses and has fewer left, fewer are granted.
    pub addresses: u32,
}

/// How a wish was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The call may be made, at once.
    Granted(Permit),
    /// Not now.
    Wait {
        /// For how long.
        wait: Duration,
        /// Why.
        reason: WaitReason,
        /// Which limit has it so.
        limit: String,
    },
}

/// Leave to make one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// How many addresses it may ask about; at least 1.
    pub addresses: u32,
    /// What names the call in the window of each limit, in their order: [`hostatlas_domain::Permits::calls`].
    pub windows: Vec<Timestamp>,
    /// How many more addresses the limits allow at present, for the rotation.
    pub left: u32,
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
    /// The windows of its [`Permit`]; empty for a call that was not answered, whose permits stay counted for as long
    /// as it may still arrive.
    pub windows: Vec<Timestamp>,
    /// Nothing of it was sent, because no connection could be made: its permits can be had again at once.
    pub unsent: bool,
    /// How long ago its answer came.
    pub age: Duration,
    /// What its headers told.
    pub observation: Observation,
    /// What it adds to the tally.
    pub tally: ProviderTally,
    /// What went wrong, if something did. Holds no key.
    pub error: Option<String>,
    /// The breaker of this process after it, and for how long it stays open.
    pub breaker: (BreakerState, Duration),
    /// Why the provider is not asked any more: its key was refused.
    pub disabled_because: Option<String>,
}

/// A kept answer.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptAnswer {
    /// About which address.
    pub address: Address,
    /// Who said what, and when.
    pub answer: ProviderAnswer,
    /// How long ago that was.
    pub age: Duration,
}

/// An answer to keep; given just now.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAnswer {
    /// About which address.
    pub address: Address,
    /// Who said it.
    pub provider: ProviderName,
    /// What.
    pub status: hostatlas_domain::ProviderAnswerStatus,
}

/// The ledger could not be read or written. No call may be made without its leave.
#[derive(Debug, thiserror::Error)]
#[error("the count of provider calls cannot be kept")]
pub struct LedgerError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
