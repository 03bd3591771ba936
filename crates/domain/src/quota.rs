//! What a provider allows, and how much of it is used: the one law of the window counter, which every ledger applies.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Added to the first, unconfirmed end of a window: the provider's own window may have begun as late as its answer
/// may take.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);
/// A provider's `seconds to reset` is a whole number, of which nobody says how it was rounded.
const HEADER_ROUNDING: Duration = Duration::from_secs(1);
/// For how long a provider is left alone that refuses without saying for how long.
const CLOSED_UNLESS_TOLD: Duration = Duration::from_secs(60);

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
    /// As long as this, from the first call on. The provider's own headers move its end.
    Rolling(Duration),
    /// A calendar day in UTC.
    Day,
    /// A calendar month in UTC.
    Month,
}

/// How far a window is used. Kept in the ledger, for each provider, account and limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When its first permit was taken; the epoch where none ever was. Tells windows apart.
    pub opened_at: Timestamp,
    /// From when on a new window may begin.
    pub ends_at: Timestamp,
    /// Whether an answer has confirmed `ends_at`, which is a cautious guess before.
    pub confirmed: bool,
    /// Permits taken.
    pub used: u32,
    /// The provider asked not to be called before; the epoch where it did not.
    pub closed_until: Timestamp,
    /// When the next call may be made, by the limit's spacing.
    pub next_at: Timestamp,
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
    /// When a window that opens `at` ends by the calendar or the clock alone.
    pub fn end(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Rolling(length) => at.plus(length),
            Self::Day => at.next_utc_day(),
            Self::Month => at.next_utc_month(),
        }
    }
}

impl Window {
    /// How many permits are left, and until when they have to last.
    pub fn left(&self, limit: &Limit, now: Timestamp) -> u32 {
        if now < self.closed_until {
            0
        } else if now >= self.ends_at {
            limit.permits
        } else {
            limit.permits.saturating_sub(self.used)
        }
    }

    /// Whether `cost` permits (at most [`Limit::permits`]) can be had now; changes nothing.
    pub fn check(&self, limit: &Limit, cost: u32, now: Timestamp) -> Result<(), Wait> {
        if now < self.closed_until {
            return Err(Wait { until: self.closed_until, reason: WaitReason::Closed });
        }
        if self.left(limit, now) < cost.min(limit.permits) {
            return Err(Wait { until: self.ends_at, reason: WaitReason::Used });
        }
        if now < self.next_at {
            return Err(Wait { until: self.next_at, reason: WaitReason::Spacing });
        }
        Ok(())
    }

    /// Takes `cost` permits, which [`Window::check`] allowed.
    pub fn take(&mut self, limit: &Limit, cost: u32, now: Timestamp) {
        if now >= self.ends_at {
            let (ends_at, confirmed) = match limit.window {
                LimitWindow::Rolling(length) => (now.plus(length).plus(LONGEST_ANSWER), false),
                LimitWindow::Day | LimitWindow::Month => (limit.window.end(now), true),
            };
            *self = Self { opened_at: now, ends_at, confirmed, used: 0, ..*self };
        }
        self.used = self.used.saturating_add(cost);
        self.next_at = now.plus(limit.spacing);
    }

    /// Takes up what an answer told that came at `received` to a call of the window opened at `opened_at`.
    ///
    /// The provider's window began when it saw the first call, which is at latest when that call's answer came. So
    /// the earliest of all the ends that the answers name is still not before the true one, and comes close to it.
    pub fn observe(
        &mut self,
        limit: &Limit,
        opened_at: Timestamp,
        received: Timestamp,
        observation: Observation,
    ) {
        if let Some(closed) = observation.closed {
            let told = match closed {
                Closed::For(duration) => Some(duration),
                Closed::Unsaid => observation.resets_in.map(|left| left + HEADER_ROUNDING),
            };
            self.closed_until = self.closed_until.max(received.plus(told.unwrap_or(CLOSED_UNLESS_TOLD)));
        }
        let LimitWindow::Rolling(length) = limit.window else { return };
        if opened_at != self.opened_at {
            return;
        }
        let end = received.plus(observation.resets_in.map_or(length, |left| left + HEADER_ROUNDING));
        if !self.confirmed || end < self.ends_at {
            self.ends_at = end;
            self.confirmed = true;
        }
        if let Some(remaining) = observation.remaining {
            // Somebody else may be using the same allowance.
            self.used = self.used.max(limit.permits.saturating_sub(remaining));
        }
    }
}
