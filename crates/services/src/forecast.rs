//! How long locating what is left takes, at what providers allow.

use hostatlas_domain::{Limit, LimitUnit, LimitWindow, Timestamp, Window};

/// Databases and the store together: measured at 250,000 a second and more.
pub(crate) const DATABASE_HOSTS_A_SECOND: u64 = 200_000;
/// How many calls to one provider are under way at once, where nothing else limits them.
const CALLS_IN_FLIGHT: u64 = 4;

/// One way to ask a provider, and how far it is used.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    /// How many addresses one call asks about.
    pub(crate) batch: u32,
    /// What a call counts against, with what is counted.
    pub(crate) limits: Vec<(&'a Limit, Option<&'a Window>)>,
}

/// How many seconds `hosts` take over all ways together. `call_millis` is how long one call takes, as far as is known;
/// it matters where no limit does. `None` where neither is known.
pub(crate) fn seconds(ways: &[Way<'_>], hosts: u64, call_millis: Option<u32>, now: Timestamp) -> Option<u64> {
    if hosts == 0 {
        return Some(0);
    }
    let alone: Vec<u64> =
        ways.iter().filter_map(|way| seconds_of_one(way, hosts, call_millis, now)).collect();
    let fastest = *alone.iter().min()?;
    // Ways that share a budget are no faster together than the best of them.
    let shared = ways.len() > 1
        && ways[0].limits.iter().any(|(limit, _)| {
            ways[1..].iter().any(|way| way.limits.iter().any(|(other, _)| other.name == limit.name))
        });
    if shared || alone.contains(&0) {
        return Some(fastest);
    }
    #[expect(clippy::cast_precision_loss, reason = "a forecast in seconds needs no more than 52 bits")]
    let rate: f64 = alone.iter().map(|seconds| 1.0 / *seconds as f64).sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and bounded by `fastest`"
    )]
    Some(((1.0 / rate).ceil() as u64).min(fastest))
}

fn seconds_of_one(way: &Way<'_>, hosts: u64, call_millis: Option<u32>, now: Timestamp) -> Option<u64> {
    let batch = u64::from(way.batch.max(1));
    let by_limits =
        way.limits.iter().map(|(limit, window)| seconds_of_limit(limit, *window, batch, hosts, now));
    let by_time = call_millis.map(|millis| {
        (hosts.div_ceil(batch).saturating_mul(u64::from(millis)) / CALLS_IN_FLIGHT).div_ceil(1000).max(1)
    });
    by_limits.chain(by_time).max()
}

fn seconds_of_limit(limit: &Limit, window: Option<&Window>, batch: u64, hosts: u64, now: Timestamp) -> u64 {
    let each = match limit.unit {
        LimitUnit::Calls => batch,
        LimitUnit::Addresses => 1,
    };
    let hosts_of = |permits: u32| u64::from(permits).saturating_mul(each);
    let left = hosts_of(window.map_or(limit.permits, |window| window.left(limit, now)));
    let calls = hosts.div_ceil(batch);
    let spaced = u64::try_from(limit.spacing.as_millis()).unwrap_or(u64::MAX).saturating_mul(calls) / 1000;
    let Some(beyond) = hosts.checked_sub(left).filter(|beyond| *beyond > 0) else { return spaced.max(1) };
    let windows = beyond.div_ceil(hosts_of(limit.permits).max(1));
    let length = match limit.window {
        LimitWindow::Rolling(length) => length.as_secs().max(1),
        LimitWindow::Day => 86_400,
        LimitWindow::Month => 30 * 86_400,
    };
    let first = window.and_then(|window| window.resets_at(now)).map_or(length, |at| at.since(now).as_secs());
    first.min(length).saturating_add((windows - 1).saturating_mul(length)).max(spaced).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn limit(name: &'static str, permits: u32, window: LimitWindow) -> Limit {
        Limit { name: name.into(), unit: LimitUnit::Calls, permits, window, spacing: Duration::ZERO }
    }

    #[test]
    fn a_batch_a_few_times_a_minute_takes_as_many_minutes_as_windows() {
        let batches = limit("batches a minute", 15, LimitWindow::Rolling(Duration::from_mins(1)));
        let way = [Way { batch: 100, limits: vec![(&batches, None)] }];
        // 1,500 at once, and 26 further minutes for the other 38,700.
        assert_eq!(seconds(&way, 40_200, None, NOW), Some(26 * 60));
        assert_eq!(seconds(&way, 1_500, None, NOW), Some(1));
        assert_eq!(seconds(&way, 0, None, NOW), Some(0));
    }

    #[test]
    fn a_daily_budget_outweighs_a_fast_minute() {
        let (minute, day) = (
            limit("calls a minute", 60, LimitWindow::Rolling(Duration::from_mins(1))),
            limit("calls a day", 1_000, LimitWindow::Day),
        );
        let way = [Way { batch: 1, limits: vec![(&minute, None), (&day, None)] }];
        assert_eq!(seconds(&way, 3_000, None, NOW), Some(2 * 86_400));
    }

    #[test]
    fn two_ways_with_limits_of_their_own_are_faster_together() {
        let minute = LimitWindow::Rolling(Duration::from_mins(1));
        let (first, second) = (limit("batches", 10, minute), limit("singles", 10, minute));
        let ways =
            [Way { batch: 1, limits: vec![(&first, None)] }, Way { batch: 1, limits: vec![(&second, None)] }];
        assert_eq!(seconds(&ways, 110, None, NOW), Some(300));
        let shared =
            [Way { batch: 1, limits: vec![(&first, None)] }, Way { batch: 1, limits: vec![(&first, None)] }];
        assert_eq!(seconds(&shared, 110, None, NOW), Some(600));
    }

    #[test]
    fn without_any_limit_it_depends_on_how_long_calls_take() {
        let way = [Way { batch: 100, limits: Vec::new() }];
        assert_eq!(seconds(&way, 100_000, None, NOW), None);
        assert_eq!(seconds(&way, 100_000, Some(200), NOW), Some(50));
    }
}
