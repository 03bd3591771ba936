use std::time::Duration;

/// First delay. Long enough that a provider restart is over before we return.
pub const BACKOFF_BASE: Duration = Duration::from_secs(15);
/// Longest delay. A job that waits longer than this is better discarded and seen.
pub const BACKOFF_CAP: Duration = Duration::from_hours(6);
/// A retry at once would meet the same failure.
const SHORTEST_DELAY: Duration = Duration::from_secs(1);

/// The longest delay before attempt `attempt + 1`: doubles from [`BACKOFF_BASE`] up to [`BACKOFF_CAP`].
pub fn backoff(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(20);
    BACKOFF_BASE.saturating_mul(1 << doublings).min(BACKOFF_CAP)
}

/// The delay that is used: full jitter, so that jobs which failed together do not return together.
///
/// `random` is from 0 to 1; the answer is at least a second and at most `longest`.
pub fn jittered(longest: Duration, random: f64) -> Duration {
    longest.mul_f64(random.clamp(0.0, 1.0)).max(SHORTEST_DELAY)
}

/// `interval`, 20 % shorter to 20 % longer, so that processes that began together do not poll together.
pub(crate) fn spread(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(0.8 + 0.4 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn backoff_doubles_then_stops_at_the_cap() {
        let delays: Vec<u64> =
            [0, 1, 2, 3, 11, 12, u32::MAX].map(|attempt| backoff(attempt).as_secs()).into();
        assert_eq!(delays, [15, 15, 30, 60, 15_360, 21_600, 21_600]);
    }

    proptest! {
        #[test]
        fn jitter_stays_between_a_second_and_the_backoff(attempt: u32, random in 0.0_f64..=1.0) {
            let delay = jittered(backoff(attempt), random);
            prop_assert!(delay >= Duration::from_secs(1) && delay <= backoff(attempt));
        }

        #[test]
        fn polls_are_spread_by_a_fifth(random in 0.0_f64..=1.0) {
            let interval = spread(Duration::from_secs(1), random);
            prop_assert!(interval >= Duration::from_millis(799) && interval <= Duration::from_millis(1_201));
        }
    }
}
