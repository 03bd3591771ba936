//! Leaves a provider alone for a while that does not answer.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hostatlas_domain::BreakerState;
use rand::Rng;
use tokio::time::Instant;

/// So many failures in a row open the breaker.
const IN_A_ROW: u32 = 5;
/// Of so many calls, more than half must have failed to open it.
const REMEMBERED: usize = 20;
/// For how long it stays open, before jitter: repair is noticed within 35 s.
const OPEN_FOR: Duration = Duration::from_secs(30);

/// The circuit breaker of one provider. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Breaker {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    recent: VecDeque<bool>,
    failures_in_a_row: u32,
    state: State,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    /// One call is under way that decides.
    Probing,
}

/// Leave to call. Dropped without a word, it counts as if it never was.
pub(super) struct Leave {
    breaker: Breaker,
    probes: bool,
    ended: bool,
}

impl Breaker {
    /// Until when nobody may call; `None` where somebody may.
    pub(super) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        match self.inner().state {
            State::Closed => None,
            State::Open { until } => Some(until).filter(|until| now < *until),
            // However long the probe takes, it is worth another look soon.
            State::Probing => Some(now + Duration::from_secs(1)),
        }
    }

    /// Leave to call, unless it is open or a probe is under way.
    pub(super) fn leave(&self, now: Instant) -> Option<Leave> {
        if self.blocked_until(now).is_some() {
            return None;
        }
        let mut inner = self.inner();
        let probes = matches!(inner.state, State::Open { .. });
        if probes {
            inner.state = State::Probing;
        }
        drop(inner);
        Some(Leave { breaker: self.clone(), probes, ended: false })
    }

    /// What a page shows, and for how long an open one stays so.
    pub(super) fn state(&self, now: Instant) -> (BreakerState, Duration) {
        match self.inner().state {
            State::Closed => (BreakerState::Closed, Duration::ZERO),
            State::Open { until } if now < until => (BreakerState::Open, until - now),
            State::Open { .. } | State::Probing => (BreakerState::HalfOpen, Duration::ZERO),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn note(&mut self, answered: bool, probes: bool, now: Instant) {
        if answered {
            self.failures_in_a_row = 0;
        } else {
            self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        }
        if probes && answered {
            self.recent.clear();
            self.state = State::Closed;
            return;
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(answered);
        let failed = self.recent.iter().filter(|answered| !**answered).count();
        let often = self.recent.len() == REMEMBERED && failed * 2 > REMEMBERED;
        let trips = matches!(self.state, State::Closed) && (self.failures_in_a_row >= IN_A_ROW || often);
        if !answered && (probes || trips) {
            // Earlier and never later, so that many processes do not probe at once.
            let share = rand::rng().random_range(0.8..=1.0);
            self.state = State::Open { until: now + OPEN_FOR.mul_f64(share) };
            self.recent.clear();
        }
    }
}

impl Leave {
    /// Notes whether the call was answered; being refused for want of quota is an answer.
    pub(super) fn end(mut self, answered: bool, now: Instant) {
        self.ended = true;
        self.breaker.inner().note(answered, self.probes, now);
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if self.probes && !self.ended {
            self.breaker.inner().state = State::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(breaker: &Breaker, answered: bool) -> bool {
        let now = Instant::now();
        breaker.leave(now).map(|leave| leave.end(answered, now)).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_and_one_probe_closes_it() {
        let breaker = Breaker::default();
        assert!((0..5).all(|_| call(&breaker, false)));
        assert!(!call(&breaker, true), "open");
        tokio::time::advance(OPEN_FOR).await;
        let probe = breaker.leave(Instant::now()).expect("half open");
        assert!(!call(&breaker, true), "one probe at a time");
        probe.end(true, Instant::now());
        assert!((0..5).all(|_| call(&breaker, true)));
    }

    #[tokio::test(start_paused = true)]
    async fn over_half_of_the_last_twenty_open_it() {
        let breaker = Breaker::default();
        let pattern = [false, false, true, false];
        let made = (0..100).take_while(|index| call(&breaker, pattern[index % 4])).count();
        assert_eq!(made, 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_opens_it_again_and_one_that_is_dropped_leaves_the_next() {
        let breaker = Breaker::default();
        (0..5).for_each(|_| assert!(call(&breaker, false)));
        tokio::time::advance(OPEN_FOR).await;
        drop(breaker.leave(Instant::now()));
        assert!(call(&breaker, false), "the next one probes");
        assert!(!call(&breaker, true), "open again");
        let (state, left) = breaker.state(Instant::now());
        assert_eq!(state, BreakerState::Open);
        assert!((OPEN_FOR.mul_f64(0.79)..=OPEN_FOR).contains(&left));
    }
}
