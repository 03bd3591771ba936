//! Answers from MMDB files: a set of city, country and ASN databases, routed by address family.
//!
//! - What a file holds is told by its records, never by its name or type string.
//! - A file is mapped from a private copy. Whatever happens to the operator's file (replaced, removed, cut short in
//!   place), the mapping stays whole.
//! - A file is taken into use only after a check; a bad new file leaves the old one in use and is shown.

mod bulk;
mod cache;
mod database;
mod generation;
mod private_copy;
mod record;
mod set;
mod source;
mod status;
mod table;
mod table_writer;
mod tree;
mod wire;

pub use bulk::{Bulk, PlaceAnswer, PlaceView};
pub(crate) use record::Record;
pub use set::{MmdbConfig, MmdbSet};
pub use status::{AddressFamilies, DatabaseStatus, Problem, ReloadOutcome, Role};
pub(crate) use wire::{Keys, WireRecord};
