//! When work whose process says nothing is taken for interrupted: runs and imports alike.

use hostatlas_domain::ImportState;

use super::corrupt;
use crate::StoreError;

/// After so long without a report a process is taken for dead: five reports that did not come.
const SILENCE_MILLIS: i64 = 10_000;

/// Work that goes on and reported last before this time is interrupted at `now`; both in ms since 1970.
#[must_use]
pub fn interrupted_before(now: i64) -> i64 {
    now.saturating_sub(SILENCE_MILLIS)
}

/// The state of an import at `now`, and when it ended; its own is stored by number, with when it last reported. Nobody
/// writes the end of an import whose process died: it is the last report.
///
/// # Errors
///
/// A state that no version of ours writes.
pub fn import_state(
    stored: u8,
    reported_at: i64,
    finished_at: Option<i64>,
    now: i64,
) -> Result<(ImportState, Option<i64>), StoreError> {
    let state = ImportState::from_number(stored).ok_or_else(|| corrupt("an import state"))?;
    if state == ImportState::Running && reported_at < interrupted_before(now) {
        Ok((ImportState::Interrupted, Some(reported_at)))
    } else {
        Ok((state, finished_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_import_that_goes_on_in_silence_is_interrupted() {
        let at = |state: ImportState, now| {
            import_state(state.number(), 5_000, None, now).expect("a state that we write")
        };
        assert_eq!(at(ImportState::Running, 15_000), (ImportState::Running, None));
        assert_eq!(at(ImportState::Running, 15_001), (ImportState::Interrupted, Some(5_000)));
        assert_eq!(at(ImportState::Undone, 99_000), (ImportState::Undone, None));
        assert!(import_state(9, 0, None, 0).is_err());
    }
}
