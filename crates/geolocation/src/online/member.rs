//! One provider in the pool: whether it may be asked, and in which of its ways.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use hostatlas_domain::{BreakerState, Limit, LimitUnit, LimitWindow, Precision, ProviderName, WaitReason};
use tokio::time::Instant;

use super::{OnlineProvider, Transport, breaker::Breaker};

/// What counts as left where nothing is limited or known.
const PLENTY: u32 = 1_000_000;

pub(super) struct Member {
    pub(super) provider: Arc<dyn OnlineProvider>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) lanes: Vec<Lane>,
    pub(super) breaker: Breaker,
    disabled: OnceLock<String>,
}

/// One endpoint of a provider.
pub(super) struct Lane {
    pub(super) batch: usize,
    pub(super) limits: Arc<[Limit]>,
    state: Mutex<LaneState>,
}

#[derive(Default)]
struct LaneState {
    closed: Option<Closure>,
    left: Option<u32>,
}

/// Who has it that a lane is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// The provider itself asked to be left alone.
    ByProvider,
    /// The ledger gave no permit, or somebody tries at present whether the provider answers again.
    ByUs,
    /// It does not answer: the breaker is open.
    ByOutage,
    /// Calls are not to come in a burst; there are permits.
    ForAMoment,
}

/// Why and until when somebody cannot be asked, and how much can be asked from then on.
#[derive(Clone, Debug)]
pub(super) struct Closure {
    /// Which way of asking.
    pub(super) lane: usize,
    pub(super) until: Instant,
    pub(super) reason: Closed,
    pub(super) why: String,
    /// Addresses that each window takes once it is open.
    pub(super) capacity: u64,
    /// How long each window is.
    pub(super) window: Duration,
}

impl Member {
    pub(super) fn new(provider: Arc<dyn OnlineProvider>, transport: Arc<dyn Transport>) -> Self {
        let lanes = provider
            .endpoints()
            .iter()
            .map(|endpoint| Lane {
                batch: usize::try_from(endpoint.batch.max(1)).unwrap_or(usize::MAX),
                limits: endpoint.limits.clone().into(),
                state: Mutex::default(),
            })
            .collect();
        Self { provider, transport, lanes, breaker: Breaker::default(), disabled: OnceLock::new() }
    }

    pub(super) fn name(&self) -> ProviderName {
        self.provider.name()
    }

    /// Whether its answers never place an address more finely than in its country.
    pub(super) fn is_coarse(&self) -> bool {
        self.provider.finest() == Precision::Country
    }

    /// Why it is not asked any more.
    pub(super) fn disabled(&self) -> Option<&str> {
        self.disabled.get().map(String::as_str)
    }

    /// Never asks it again. Whether it was still asked before.
    pub(super) fn disable(&self, why: String) -> bool {
        self.disabled.set(why).is_ok()
    }

    /// How many addresses its lanes have left, as far as is known.
    pub(super) fn left(&self, now: Instant) -> u32 {
        let lanes = self
            .lanes
            .iter()
            .filter(|lane| lane.closed(now).is_none_or(|closure| closure.reason == Closed::ForAMoment));
        lanes.map(Lane::left).fold(0, u32::saturating_add).clamp(1, PLENTY)
    }

    /// The lane to ask about `wanted` addresses, or why each is closed.
    pub(super) fn ready_lane(&self, wanted: usize, now: Instant) -> Result<usize, Vec<Closure>> {
        if let Some(until) = self.breaker.blocked_until(now) {
            let why = format!("{} does not answer; it is tried again after a while", self.name());
            let window = Duration::from_secs(1);
            let reason = match self.breaker.state(now).0 {
                BreakerState::Open => Closed::ByOutage,
                _ => Closed::ByUs,
            };
            return Err(vec![Closure { lane: 0, until, reason, why, capacity: u64::MAX, window }]);
        }
        let mut closures: Vec<Closure> = Vec::new();
        // A batch is not spent on one address while there are permits for single ones.
        let narrow_first = wanted == 1;
        for step in 0..self.lanes.len() {
            let index = if narrow_first { self.lanes.len() - 1 - step } else { step };
            match self.lanes[index].closed(now) {
                None => return Ok(index),
                Some(closure) => {
                    let soon = closure.reason == Closed::ForAMoment;
                    closures.push(Closure { lane: index, ..closure });
                    if narrow_first && soon {
                        break;
                    }
                }
            }
        }
        Err(closures)
    }
}

/// When the first of these closures ends that is worth waiting for: nobody knows when an outage ends.
pub(super) fn soonest<'a>(closures: impl IntoIterator<Item = &'a Closure>) -> Option<Instant> {
    let known = closures.into_iter().filter(|closure| closure.reason != Closed::ByOutage);
    known.map(|closure| closure.until).min()
}

impl Lane {
    pub(super) fn closed(&self, now: Instant) -> Option<Closure> {
        let mut state = self.state();
        if state.closed.as_ref().is_some_and(|closure| closure.until <= now) {
            state.closed = None;
        }
        state.closed.clone()
    }

    /// Remembers that nobody may call for a while, so that the ledger is not asked by everybody.
    pub(super) fn close(
        &self,
        provider: ProviderName,
        wait: Duration,
        reason: WaitReason,
        limit: &str,
        now: Instant,
    ) {
        let limit = self.limits.iter().find(|each| each.name == limit).or_else(|| self.limits.first());
        let (mut capacity, mut window) = limit.map_or((1, wait), |limit| self.takes(limit));
        let name = limit.map_or("its limit", |limit| &*limit.name);
        let (why, reason) = match reason {
            WaitReason::Used => {
                (format!("{provider} allows no more for now: `{name}` are used up"), Closed::ByUs)
            }
            WaitReason::Closed => {
                (format!("{provider} asked to be left alone for a while"), Closed::ByProvider)
            }
            WaitReason::Spacing => {
                (capacity, window) = (self.batch as u64, limit.map_or(wait, |limit| limit.spacing));
                (format!("{provider} takes the next call in a moment"), Closed::ForAMoment)
            }
        };
        let until = now + wait.max(Duration::from_millis(1));
        let mut state = self.state();
        // What the provider itself asked for is never shortened by what the ledger says.
        let asked = state.closed.as_ref().filter(|closure| {
            closure.reason == Closed::ByProvider
                && now < closure.until
                && (reason != Closed::ByProvider || until <= closure.until)
        });
        if asked.is_none() {
            let capacity = capacity.max(1);
            state.closed = Some(Closure { lane: 0, until, reason, why, capacity, window });
        }
        if reason != Closed::ForAMoment {
            // Once it is open again, all of it is left.
            state.left = None;
        }
    }

    /// How many addresses each window of a limit takes, and how long it is.
    fn takes(&self, limit: &Limit) -> (u64, Duration) {
        let addresses = match limit.unit {
            LimitUnit::Calls => u64::from(limit.permits).saturating_mul(self.batch as u64),
            LimitUnit::Addresses => u64::from(limit.permits),
        };
        let window = match limit.window {
            LimitWindow::Rolling(length) => length,
            LimitWindow::Day => Duration::from_hours(24),
            LimitWindow::Month => Duration::from_hours(30 * 24),
        };
        (addresses, window)
    }

    pub(super) fn set_left(&self, left: u32) {
        self.state().left = Some(left);
    }

    fn left(&self) -> u32 {
        let batch = u32::try_from(self.batch).unwrap_or(u32::MAX);
        self.state().left.unwrap_or_else(|| {
            let allowed = self.limits.iter().map(|limit| match limit.unit {
                LimitUnit::Calls => limit.permits.saturating_mul(batch),
                LimitUnit::Addresses => limit.permits,
            });
            allowed.min().unwrap_or(PLENTY)
        })
    }

    fn state(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
