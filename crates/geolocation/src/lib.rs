//! Where is this address: the providers that know, and the one [`Locator`] that asks them.
//!
//! Nothing here knows the store, the queue or a clock; time is an argument or a fact of a file. A provider is one
//! file (or one folder) that implements [`Provider`]; [`mmdb`] answers from database files on this machine.
//!
//! Addresses that are not public never reach a provider.

mod country_centre;
mod locator;
pub mod mmdb;
pub mod online;
mod provider;

pub use country_centre::country_centre;
pub use locator::{Locator, LocatorBuilder, Lookup};
pub use mmdb::{AddressFamilies, DatabaseStatus, MmdbConfig, MmdbSet, Problem, ReloadOutcome, Role};
pub use provider::{Answer, LookupError, Provider};
