//! Online providers: services that are asked over the network, within what they allow.

mod borders;
mod breaker;
mod cache;
mod call;
mod client;
mod enquiry;
mod exchange;
mod flights;
mod info;
mod judge;
mod ledger;
mod member;
mod memory_ledger;
mod outcome;
mod pool;
mod promises;
mod providers;

pub use borders::kilometres_outside;
pub use cache::CacheConfig;
pub use client::{HttpTransport, OnlineOptions, Transport};
pub use exchange::{Endpoint, HttpRequest, HttpResponse, OnlineProvider, Refusal, Reply};
pub use info::{ProviderInfo, published};
pub use ledger::{KeptAnswer, Ledger, LedgerError, NewAnswer, Permit, SettleCall, TakeCall, Taken};
pub use memory_ledger::MemoryLedger;
pub(crate) use outcome::Outcome;
pub(crate) use pool::{Pool, PoolConfig};
pub use providers::{
    ConfigError, CustomBatch, CustomConfig, CustomFailure, CustomFields, ProviderConfig, custom, provider,
};
