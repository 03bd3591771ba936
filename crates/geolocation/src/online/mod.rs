//! Online providers: services that are asked over the network, within what they allow.

mod borders;
mod exchange;
mod judge;
mod ledger;
mod providers;

pub use borders::kilometres_outside;
pub use exchange::{Endpoint, HttpRequest, HttpResponse, OnlineProvider, Refusal, Reply};
pub use ledger::{KeptAnswer, Ledger, LedgerError, NewAnswer, Permit, SettleCall, TakeCall, Taken};
pub use providers::{
    ConfigError, CustomBatch, CustomConfig, CustomFailure, CustomFields, CustomLimit, CustomWindow,
    ProviderConfig, custom, provider,
};
