//! How `SQLite` stores hosts, locations and jobs.
//!
//! One task owns the only connection that writes ([`database`]); readers have a small pool of their own. Processes of
//! one machine share the file under the locks of [`lock`].

mod admin;
mod backup;
mod check;
mod clock;
mod copy;
mod counters;
mod database;
mod error;
mod filesystem;
mod hosts;
mod imports;
mod jobs;
mod locations;
mod lock;
mod map;
mod observations;
mod open;
mod packed;
mod providers;
mod restore;
mod rows;
mod runs;
mod schedules;
mod schema;
mod standing;
mod tidy;
mod undo;
mod workers;
mod writer;

pub use clock::ClockOffset;
pub use hostatlas_store::OpenMode;
pub use open::{OpenOptions, path_of};
pub use restore::{Restore, Restored, restore};

use database::Database;

/// A store in one `SQLite` file.
pub struct SqliteStore {
    database: Database,
    caches: locations::Caches,
    walk: providers::Walk,
}
