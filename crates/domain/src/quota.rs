//! What a provider allows, and how much of it is used: the one law of the window counter, which every ledger applies.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::text::InvalidLimit;
use crate::Timestamp;

/// For how long a call may be on its way: before its answer came, it may have been counted as late as this after its
/// permit was taken. The client gives calls up sooner.
const LONGEST_CALL: Duration = Duration::from_secs(10);
/// A provider's `seconds to reset` is a whole number, of which nobody says how it was rounded.
const HEADER_ROUNDING: Duration = Duration::from_secs(1);
/// For how long a provider is left alone that refuses without saying for how long.
const CLOSED_UNLESS_TOLD: Duration = Duration::from_mins(1);
/// A provider that refuses is left alone for so long at least, whatever it says.
const SHORTEST_CLOSURE: Duration = Duration::from_secs(1);
/// By how much a provider's calendar may differ from ours.
const CALENDARS_DIFFER: Duration = Duration::from_secs(5);
/// A moment is a whole number of milliseconds, so the true one may be later by less than this.
const CLOCK_ROUNDING: Duration = Duration::from_millis(1);
/// How many entries a window keeps before it joins those that end at about the same time.
const MOST_ENTRIES: usize = 64;

/// One of the limits that a provider publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Which, in a few words: `batches a minute`. Equal names of one provider and account are one count.
    pub name: Cow<'static, str>,
    /// What is counted.
    pub unit: LimitUnit,
    /// How many of it in one window; at least 1.
    pub permits: u32,
    /// Which time a window covers.
    pub window: LimitWindow,
    /// The shortest time between two calls, so that a window's calls do not come in one burst.
    pub spacing: Duration,
}

/// What a [`Limit`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitUnit {
    /// Requests, whatever they ask for.
    Calls,
    /// Addresses that are asked about.
    Addresses,
}

/// Which time a [`Limit`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitWindow {
    /// As long as this, beginning whenever the provider lets it begin.
    Rolling(Duration),
    /// A calendar day in UTC.
    Day,
    /// A calendar month in UTC.
    Month,
}

/// How far a limit is used. Kept in the ledger, for each provider, account and limit.
///
/// When a provider's window begins cannot be known: with the first call that it sees, which may be any, or by a clock
/// of its own. So nothing is assumed: a call is counted against the limit until every window that can have counted it
/// is over. Whatever the provider's windows are, none of them ever sees more calls than it allows; and a caller who
/// always takes what is left loses one round trip a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Calls that a present window of the provider may have counted; what ended may linger.
    pub spent: Vec<Spent>,
    /// The provider asked not to be called before; the epoch where it did not.
    pub closed_until: Timestamp,
    /// When the next call may be made, by the limit's spacing.
    pub next_at: Timestamp,
}

/// Permits that a call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Names the call while it is under way: when its permit was taken, made unique. The epoch once its answer came.
    pub call: Timestamp,
    /// From when on the permits can be had again.
    pub until: Timestamp,
    /// How many.
    pub permits: u32,
}

/// Why a permit has to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// The window's permits are used up.
    Used,
    /// The provider asked to be left alone.
    Closed,
    /// The next call would come too soon after the last.
    Spacing,
}

/// Permits of all limits that a call counts against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permits {
    /// How many addresses the call may ask about; at least 1.
    pub addresses: u32,
    /// What names the call in the window of each limit, in their order; for [`Window::observe`].
    pub calls: Vec<Timestamp>,
    /// How many more addresses the limits allow at present, in calls as large as was wished.
    pub left: u32,
}

/// When a permit can be had, and why not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Not before then.
    pub until: Timestamp,
    /// Why.
    pub reason: WaitReason,
}

/// What one answer tells about the limits, by its headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// How many calls the provider says are left in its window.
    pub remaining: Option<u32>,
    /// How long until its window ends, in whole seconds.
    pub resets_in: Option<Duration>,
    /// It refused for want of quota, or said that none is left.
    pub closed: Option<Closed>,
}

/// For how long a provider wants to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// For so long.
    For(Duration),
    /// It does not say.
    Unsaid,
}

impl Limit {
    /// How many permits a call that asks about `addresses` takes.
    pub fn cost(&self, addresses: u32) -> u32 {
        match self.unit {
            LimitUnit::Calls => 1,
            LimitUnit::Addresses => addresses,
        }
    }
}

impl LimitWindow {
    /// Until when a call counts that the provider saw at latest at `seen`.
    fn counts_until(self, seen: Timestamp) -> Timestamp {
        match self {
            Self::Rolling(length) => seen.plus(length),
            Self::Day => seen.plus(CALENDARS_DIFFER).next_utc_day().plus(CALENDARS_DIFFER),
            Self::Month => seen.plus(CALENDARS_DIFFER).next_utc_month().plus(CALENDARS_DIFFER),
        }
    }

    /// Within how much time ends are taken for one, where there are many.
    fn grain(self) -> Duration {
        match self {
            Self::Rolling(length) => length / 32,
            Self::Day | Self::Month => Duration::ZERO,
        }
    }
}

impl Spent {
    /// When the permits can be had again if the call is answered soon: nobody should wait for the worst case.
    fn expected_end(&self, limit: &Limit, now: Timestamp) -> Timestamp {
        if self.call == Timestamp::default() {
            return self.until;
        }
        let expected = limit.window.counts_until(self.call.plus(CLOCK_ROUNDING));
        if now < expected { expected.min(self.until) } else { self.until }
    }
}

impl Observation {
    /// For how long the provider is left alone, if it asked for that: a second at least.
    pub fn closed_for(&self) -> Option<Duration> {
        let told = match self.closed? {
            Closed::For(duration) => Some(duration),
            Closed::Unsaid => self.resets_in.map(|left| left + HEADER_ROUNDING),
        };
        Some(told.unwrap_or(CLOSED_UNLESS_TOLD).max(SHORTEST_CLOSURE))
    }
}

impl Window {
    /// How many permits are left.
    pub fn left(&self, limit: &Limit, now: Timestamp) -> u32 {
        if now < self.closed_until { 0 } else { limit.permits.saturating_sub(self.used(now)) }
    }

    /// When all permits can be had again; `None` where they can already.
    pub fn resets_at(&self, now: Timestamp) -> Option<Timestamp> {
        let last = self.spent.iter().map(|spent| spent.until).max().unwrap_or_default();
        Some(last.max(self.closed_until)).filter(|until| now < *until)
    }

    /// Whether `cost` permits (at most [`Limit::permits`]) can be had now; changes nothing.
    pub fn check(&self, limit: &Limit, cost: u32, now: Timestamp) -> Result<(), Wait> {
        if now < self.closed_until {
            return Err(Wait { until: self.closed_until, reason: WaitReason::Closed });
        }
        let mut left = limit.permits.saturating_sub(self.used(now));
        let cost = cost.min(limit.permits);
        if left < cost {
            let counted = self.spent.iter().filter(|spent| now < spent.until);
            let mut ends: Vec<_> =
                counted.map(|spent| (spent.expected_end(limit, now), spent.permits)).collect();
            ends.sort_unstable();
            let enough = ends.into_iter().find(|(_, permits)| {
                left = left.saturating_add(*permits);
                left >= cost
            });
            return Err(Wait { until: enough.map_or(now, |(end, _)| end), reason: WaitReason::Used });
        }
        if now < self.next_at {
            return Err(Wait { until: self.next_at, reason: WaitReason::Spacing });
        }
        Ok(())
    }

    /// Takes `cost` permits, which [`Window::check`] allowed, and gives what names the call.
    pub fn take(&mut self, limit: &Limit, cost: u32, now: Timestamp) -> Timestamp {
        self.spent.retain(|spent| now < spent.until);
        let newest = self.spent.iter().map(|spent| spent.call).max().unwrap_or_default();
        let call = now.max(newest.plus(CLOCK_ROUNDING));
        let until = limit.window.counts_until(now.plus(LONGEST_CALL));
        self.spent.push(Spent { call, until, permits: cost });
        self.next_at = now.plus(limit.spacing);
        call
    }

    /// Takes up what an answer told that came at `received` to the call that [`Window::take`] named `call`.
    ///
    /// Only for calls that were answered, whatever the answer was: one that was given up may be counted even later
    /// than that.
    pub fn observe(&mut self, limit: &Limit, call: Timestamp, received: Timestamp, observation: Observation) {
        if let Some(closed) = observation.closed_for() {
            self.closed_until = self.closed_until.max(received.plus(closed));
        }
        let seen = received.plus(CLOCK_ROUNDING);
        if let Some(spent) =
            self.spent.iter_mut().find(|spent| spent.call == call && call > Timestamp::default())
        {
            spent.call = Timestamp::default();
            spent.until = spent.until.min(limit.window.counts_until(seen));
        }
        if let LimitWindow::Rolling(length) = limit.window
            && let Some(remaining) = observation.remaining
        {
            // Somebody else uses the same allowance if the provider counts more than was taken here.
            let counted = limit.permits.saturating_sub(remaining);
            let permits = counted.saturating_sub(self.used(received));
            if permits > 0 {
                let left = observation.resets_in.map_or(length, |left| (left + HEADER_ROUNDING).min(length));
                self.spent.push(Spent { call: Timestamp::default(), until: seen.plus(left), permits });
            }
        }
        self.join(limit);
    }

    /// Gives the permits back of the call that [`Window::take`] named `call`: nothing of it was sent. The spacing to the
    /// next call stays.
    pub fn give_back(&mut self, call: Timestamp) {
        self.spent.retain(|spent| spent.call != call || call == Timestamp::default());
    }

    /// How many permits are taken.
    pub fn used(&self, now: Timestamp) -> u32 {
        let counted = self.spent.iter().filter(|spent| now < spent.until);
        counted.fold(0, |sum, spent| sum.saturating_add(spent.permits))
    }

    /// Joins answered calls that end at about the same time, so that a large limit is no long list.
    fn join(&mut self, limit: &Limit) {
        let grain = i64::try_from(limit.window.grain().as_millis()).unwrap_or(i64::MAX).max(1);
        if self.spent.len() <= MOST_ENTRIES && grain > 1 {
            return;
        }
        self.spent.sort_by_key(|spent| (spent.call, spent.until));
        self.spent.dedup_by(|later, earlier| {
            let answered = later.call == Timestamp::default() && earlier.call == Timestamp::default();
            let joined = answered && later.until.as_millis() / grain == earlier.until.as_millis() / grain;
            if joined {
                earlier.until = earlier.until.max(later.until);
                earlier.permits = earlier.permits.saturating_add(later.permits);
            }
            joined
        });
    }
}

/// Takes the permits of one call about `addresses` from the windows of all its limits, or from none of them. Where a
/// limit counts addresses and has fewer left, the call may ask about fewer.
///
/// The error has the position of the limit that has to be waited for longest. `windows` are in the limits' order.
pub fn take_permits(
    limits: &[Limit],
    windows: &mut [Window],
    addresses: u32,
    now: Timestamp,
) -> Result<Permits, (usize, Wait)> {
    let wished = addresses.max(1);
    let granted =
        limits.iter().zip(windows.iter()).fold(wished, |granted, (limit, window)| match limit.unit {
            LimitUnit::Calls => granted,
            LimitUnit::Addresses => granted.min(window.left(limit, now).max(1)),
        });
    let waits = limits.iter().zip(windows.iter()).enumerate().filter_map(|(index, (limit, window))| {
        window.check(limit, limit.cost(granted), now).err().map(|wait| (index, wait))
    });
    if let Some(wait) = waits.max_by_key(|(_, wait)| wait.until) {
        return Err(wait);
    }
    let calls = limits
        .iter()
        .zip(windows.iter_mut())
        .map(|(limit, window)| window.take(limit, limit.cost(granted), now))
        .collect();
    let left = limits.iter().zip(windows.iter()).map(|(limit, window)| {
        let left = window.left(limit, now);
        match limit.unit {
            LimitUnit::Calls => left.saturating_mul(wished),
            LimitUnit::Addresses => left,
        }
    });
    Ok(Permits { addresses: granted, calls, left: left.min().unwrap_or(u32::MAX) })
}

mod text;

#[cfg(test)]
mod tests;
