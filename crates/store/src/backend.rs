//! For backends alone: the rules about what they have read, before they write or answer it. Each stands here because it
//! has to be the same on every engine; whatever depends on the engine, all SQL among it, stands in the backends.

mod changed;
mod copy_key;
mod coverage;
mod facets;
mod ids;
mod known;
mod line_notes;
mod past;
mod pattern;
mod place;
mod resolving;
mod runs;
mod schedules;
mod selected;
mod services;
mod silence;
mod special;
mod wait;
mod windows;
mod workers;
mod writing;

pub use changed::{cancelled, retried};
pub use copy_key::{copy_key, copy_key_text};
pub use coverage::{RecentRow, country_coverage, coverage, hour_of, stale_before};
pub use facets::{FacetGroup, FacetWalk};
pub use ids::{IdHasher, IdMap, IdSet};
pub use known::{Answer, Caches, KnownPlace, Learned};
pub use line_notes::{line_notes, line_notes_text};
pub use past::{Latest, Past};
pub use pattern::escape_like;
pub use place::PlaceRow;
pub use resolving::{Answers, Resolving};
pub use runs::RunRow;
pub use schedules::ScheduleRow;
pub use selected::next_selected;
pub use services::{KnownService, WrittenService, speaks_tls, write_service};
pub use silence::{import_state, interrupted_before};
pub use special::{SpecialHost, SpecialOutcome};
pub use wait::Wait;
pub use windows::{spent_text, stored_window};
pub use workers::{WorkerTexts, worker_forgotten_at, worker_kinds, worker_running, worker_state};
pub use writing::Writing;

use crate::StoreError;

/// Something stored that no version of ours writes.
#[must_use]
pub fn corrupt(what: &str) -> StoreError {
    StoreError::Engine(format!("the database holds {what} that this program does not know").into())
}
