//! Where the last look ended, beside a long reader.
//!
//! While somebody holds an old snapshot, the entries of jobs that were claimed or ended stay in the indexes, dead, where
//! every look begins: each claim steps over all of them, 0.3 ms a thousand. Where that takes long, a look begins where
//! the one before ended. What belongs before that place and came later (a job that was given back, or made more urgent)
//! is found by the next look from the beginning: when nothing else is left, or after a while, such that looking from the
//! beginning takes a twentieth of the time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hostatlas_domain::JobKind;

/// A claim that steps over no more dead entries than this is a fast one.
pub(super) const STEPS: i64 = 20_000;
/// The share of the time that looks from the beginning may take: one in so many.
const SHARE: u32 = 20;
/// For so long at most nobody looks from the beginning.
const LONGEST: Duration = Duration::from_secs(5);

/// Up to when jobs became due that were claimed, by kind and priority; in ms since 1970.
pub(super) type Ends = HashMap<(JobKind, u8), i64>;

/// Where looks of this process begin.
#[derive(Default)]
pub(crate) struct Frontier {
    ready: Mutex<Ready>,
    leased: Mutex<Option<Leased>>,
}

#[derive(Default)]
struct Ready {
    /// Whether claims step over many dead entries.
    is_slow: bool,
    ends: Ends,
    /// Until then they begin at `ends`.
    until: Option<Instant>,
}

struct Leased {
    /// Leases that ended before this time were looked for, in ms since 1970.
    end: i64,
    until: Instant,
}

/// Where a claim begins.
#[derive(Clone, Default)]
pub(super) struct Beginning {
    /// None at the beginning.
    pub(super) ends: Option<Ends>,
    /// Whether to say where it ended.
    pub(super) says_ends: bool,
}

/// What a look for due jobs met.
pub(super) struct Met {
    /// Index entries, dead or alive.
    pub(super) entries: i64,
    /// Jobs that were claimed.
    pub(super) claimed: usize,
    pub(super) ends: Ends,
}

impl Frontier {
    pub(super) fn ready(&self) -> Beginning {
        let ready = lock(&self.ready);
        let is_on = ready.until.is_some_and(|until| Instant::now() < until);
        Beginning { ends: is_on.then(|| ready.ends.clone()), says_ends: ready.is_slow }
    }

    /// Notes a claim that began there and took so long.
    pub(super) fn note_claim(&self, beginning: &Beginning, met: Met, took: Duration) {
        let mut ready = lock(&self.ready);
        let alive = i64::try_from(met.claimed).unwrap_or(i64::MAX);
        if beginning.ends.is_some() {
            for (level, end) in met.ends {
                ready.ends.entry(level).and_modify(|known| *known = end.max(*known)).or_insert(end);
            }
        } else if met.entries.saturating_sub(alive) > STEPS {
            ready.is_slow = true;
            ready.until = beginning.says_ends.then(|| Instant::now() + pause(took));
            ready.ends = met.ends;
        } else {
            *ready = Ready::default();
        }
    }

    /// After which end of a lease to look for those that ran out; the first time that there is for the beginning.
    pub(super) fn leased(&self) -> i64 {
        match &*lock(&self.leased) {
            Some(leased) if Instant::now() < leased.until => leased.end,
            _ => i64::MIN,
        }
    }

    /// Notes that all leases were looked at that had ended before `end`, and how long that took.
    pub(super) fn note_leased(&self, end: i64, took: Duration) {
        *lock(&self.leased) = Some(Leased { end, until: Instant::now() + pause(took) });
    }
}

fn pause(took: Duration) -> Duration {
    took.saturating_mul(SHARE).min(LONGEST)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: (JobKind, u8) = (JobKind::Geolocation, 2);

    fn met(entries: i64, end: i64) -> Met {
        Met { entries, claimed: 10, ends: Ends::from([(LEVEL, end)]) }
    }

    #[test]
    fn a_claim_begins_where_the_last_ended_only_once_many_were_stepped_over() {
        let frontier = Frontier::default();
        let beginning = frontier.ready();
        frontier.note_claim(&beginning, met(STEPS + 10, 0), Duration::from_secs(1));
        assert!(!frontier.ready().says_ends);

        frontier.note_claim(&beginning, met(3 * STEPS, 0), Duration::from_secs(1));
        let asked = frontier.ready();
        assert!(asked.says_ends && asked.ends.is_none(), "where it ended was not said yet");
        frontier.note_claim(&asked, met(3 * STEPS, 100), Duration::from_secs(1));
        let next = frontier.ready();
        assert_eq!(next.ends, Some(Ends::from([(LEVEL, 100)])));
        frontier.note_claim(&next, met(10, 200), Duration::ZERO);
        assert_eq!(frontier.ready().ends, Some(Ends::from([(LEVEL, 200)])));
        frontier.note_claim(&beginning, met(10, 0), Duration::ZERO);
        assert!(frontier.ready().ends.is_none() && !frontier.ready().says_ends, "the reader is gone");
    }

    #[test]
    fn looks_from_the_beginning_take_a_small_share_of_the_time() {
        let frontier = Frontier::default();
        assert_eq!(frontier.leased(), i64::MIN);
        frontier.note_leased(7, Duration::from_secs(1));
        assert_eq!(frontier.leased(), 7);
        frontier.note_leased(8, Duration::ZERO);
        assert_eq!(frontier.leased(), i64::MIN);
        assert_eq!(pause(Duration::from_millis(10)), Duration::from_millis(200));
        assert_eq!(pause(Duration::from_hours(1)), LONGEST);
    }
}
