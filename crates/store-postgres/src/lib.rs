//! How `PostgreSQL` stores hosts, locations and jobs.
//!
//! Any number of processes on any number of machines share one database. No operation relies on the state of a session,
//! so a pooler may stand between; every operation is one short transaction, on one way in ([`database`]).

mod admin;
mod check;
mod clock;
mod copy;
mod counters;
mod database;
mod error;
mod hosts;
mod imports;
mod indexes;
mod jobs;
mod listen;
mod location;
mod locations;
mod map;
mod observations;
mod open;
mod presence;
mod providers;
mod rows;
mod runs;
mod schedules;
mod schema;
mod session;
mod tidy;
mod undo;
mod workers;

pub use clock::ClockOffset;
pub use hostatlas_store::OpenMode;
pub use open::OpenOptions;

use std::sync::Arc;

use database::Database;

/// A store in one `PostgreSQL` database.
pub struct PostgresStore {
    pub(crate) database: Database,
    pub(crate) caches: locations::Caches,
    pub(crate) walk: providers::Walk,
    pub(crate) listener: listen::Listener,
    pub(crate) frontier: Arc<jobs::Frontier>,
}
