use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How far a store's clock runs ahead of the system's: zero, unless a test moves it.
#[derive(Clone, Debug, Default)]
pub struct ClockOffset(Arc<AtomicI64>);

impl ClockOffset {
    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Sets the clock back, as an operator or a time server may; what the store answers never goes back with it.
    pub fn set_back(&self, duration: Duration) {
        self.0.fetch_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

/// The clock of one store.
pub(crate) struct Clock {
    offset: ClockOffset,
    latest: AtomicI64,
}

impl Clock {
    pub(crate) fn new(offset: ClockOffset) -> Self {
        Self { offset, latest: AtomicI64::new(0) }
    }

    /// Milliseconds since 1970. The system clock may be set back under us; what we answer never goes back, since a
    /// lease or a `run_at` in the past of the last answer would be judged twice.
    pub(crate) fn now(&self) -> i64 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let system = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
        let now = system.saturating_add(self.offset.0.load(Ordering::Relaxed));
        self.latest.fetch_max(now, Ordering::Relaxed).max(now)
    }
}
