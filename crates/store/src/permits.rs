//! One clock for all who count: what every backend does with the windows that it has read, before it writes them back.
//! The counting itself is [`hostatlas_domain::take_permits`] and [`Window::observe`].

use std::time::Duration;

use hostatlas_domain::{Limit, LimitWindow, Timestamp, Window, take_permits};

use crate::{PermitsTaken, SettleCall, TakePermits};

/// A step back of the clock up to this is waited out, so that two processes that see different times never take in
/// two windows what belongs in one. A longer one is a clock that was wrong: what it counted is moved to the present.
const LONGEST_STEP: Duration = Duration::from_hours(1);
/// By how much a provider's calendar may differ from ours.
const CALENDARS_DIFFER: Duration = Duration::from_secs(5);

/// Takes the permits of a call from `windows`, which stand in the order of its limits; from all of them or from none.
/// They may have changed either way.
pub fn take(params: &TakePermits, windows: &mut [Window], clock: Timestamp) -> PermitsTaken {
    let now = steady(&params.limits, windows, clock);
    match take_permits(&params.limits, windows, params.addresses, now) {
        Ok(permits) => {
            PermitsTaken::Granted { addresses: permits.addresses, windows: permits.calls, left: permits.left }
        }
        Err((index, wait)) => PermitsTaken::Wait {
            wait: wait.until.since(clock),
            reason: wait.reason,
            limit: params.limits.get(index).map(|limit| limit.name.clone().into_owned()).unwrap_or_default(),
        },
    }
}

/// Takes up what a call's headers told of `windows`, which stand in the order of its limits; gives the permits of a call
/// back that was not sent.
pub fn settle(call: &SettleCall, windows: &mut [Window], clock: Timestamp) {
    if call.unsent {
        for (window, name) in windows.iter_mut().zip(&call.windows) {
            window.give_back(*name);
        }
        return;
    }
    let received = steady(&call.limits, windows, clock).minus(call.age);
    for ((limit, window), name) in call.limits.iter().zip(windows).zip(&call.windows) {
        window.observe(limit, *name, received, call.observation);
    }
}

/// The time by which these windows are counted: `clock`, or when the last permit was taken if that is later.
fn steady(limits: &[Limit], windows: &mut [Window], clock: Timestamp) -> Timestamp {
    let mut now = clock;
    for (limit, window) in limits.iter().zip(windows) {
        let taken = window.next_at.minus(limit.spacing);
        let step = taken.since(clock);
        if step > LONGEST_STEP {
            move_back(window, limit.window, step, clock);
        } else {
            now = now.max(taken);
        }
    }
    now
}

/// Moves a window by `step` into the past; what counts for a calendar's day or month counts to its end.
fn move_back(window: &mut Window, length: LimitWindow, step: Duration, clock: Timestamp) {
    let end = match length {
        LimitWindow::Rolling(_) => clock,
        LimitWindow::Day => clock.next_utc_day().plus(CALENDARS_DIFFER),
        LimitWindow::Month => clock.next_utc_month().plus(CALENDARS_DIFFER),
    };
    for spent in &mut window.spent {
        spent.until = spent.until.minus(step).max(end);
    }
    window.closed_until = window.closed_until.minus(step);
    window.next_at = window.next_at.minus(step);
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, sync::Arc};

    use hostatlas_domain::{LimitUnit, ProviderName};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

    fn wish(window: LimitWindow) -> TakePermits {
        let (name, unit) = (Cow::Borrowed("calls"), LimitUnit::Calls);
        let limits = Arc::from([Limit { name, unit, permits: 1, window, spacing: Duration::ZERO }]);
        TakePermits { provider: ProviderName::IpApi, account: 0, limits, addresses: 1 }
    }

    fn wait(params: &TakePermits, windows: &mut [Window], clock: Timestamp) -> Option<Duration> {
        match take(params, windows, clock) {
            PermitsTaken::Wait { wait, .. } => Some(wait),
            PermitsTaken::Granted { .. } => None,
        }
    }

    #[test]
    fn a_clock_that_is_behind_gets_no_second_window() {
        let params = wish(LimitWindow::Rolling(Duration::from_mins(1)));
        let (mut windows, behind) = ([Window::default()], NOW.minus(Duration::from_mins(20)));
        assert_eq!(wait(&params, &mut windows, NOW), None);
        let waited = wait(&params, &mut windows, behind).expect("a second call in one window");
        assert!(waited > Duration::from_mins(20), "{waited:?}");
        assert!(wait(&params, &mut windows, NOW).is_some());
    }

    #[test]
    fn what_a_clock_behind_takes_is_counted_by_the_one_ahead() {
        let params = wish(LimitWindow::Rolling(Duration::from_mins(1)));
        let limits = Arc::from([Limit { permits: 2, ..params.limits[0].clone() }]);
        let params = TakePermits { limits, ..params };
        let (mut windows, behind) = ([Window::default()], NOW.minus(Duration::from_mins(20)));
        assert_eq!(wait(&params, &mut windows, NOW), None);
        assert_eq!(wait(&params, &mut windows, behind), None);
        assert!(wait(&params, &mut windows, NOW.plus(Duration::from_secs(30))).is_some());
    }

    #[test]
    fn a_clock_that_was_years_ahead_blocks_for_one_window_alone() {
        let ahead = NOW.plus(Duration::from_hours(24 * 3650));
        for (window, most) in [
            (LimitWindow::Rolling(Duration::from_mins(1)), Duration::from_secs(70)),
            (LimitWindow::Day, Duration::from_hours(25)),
        ] {
            let (params, mut windows) = (wish(window), [Window::default()]);
            assert_eq!(wait(&params, &mut windows, ahead), None);
            let waited = wait(&params, &mut windows, NOW).expect("what was taken was forgotten");
            assert!(waited <= most, "{waited:?}");
        }
    }
}
