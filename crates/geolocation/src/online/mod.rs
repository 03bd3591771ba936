//! Online providers: services that are asked over the network, within what they allow.

mod exchange;
mod ledger;

pub use exchange::{Endpoint, HttpRequest, HttpResponse, OnlineProvider, Refusal, Reply};
pub use ledger::{KeptAnswer, Ledger, LedgerError, NewAnswer, Permit, SettleCall, TakeCall, Taken};
