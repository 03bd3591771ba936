//! When something is done again.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use croner::Cron;
use hostatlas_domain::{ScheduleRule, Timestamp};

/// Why a rule has no next time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoNextTime {
    /// It cannot be read.
    #[error("`{rule}` is no schedule: {reason}")]
    Unreadable {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such day: the 30th of February.
    #[error("`{0}` never comes")]
    Never(String),
}

/// How long from `now` until it is done again. The minutes and days of a cron rule are those of UTC.
pub(crate) fn next_in(rule: &ScheduleRule, now: Timestamp) -> Result<Duration, NoNextTime> {
    let fields = match rule {
        ScheduleRule::Every(every) => return Ok(*every),
        ScheduleRule::Cron(fields) => fields,
    };
    let shown = || hostatlas_domain::sanitize(fields, 100);
    let cron = Cron::from_str(fields).map_err(|error| NoNextTime::Unreadable {
        rule: shown(),
        reason: hostatlas_domain::sanitize(&error.to_string(), 200),
    })?;
    let from: DateTime<Utc> = DateTime::from_timestamp_millis(now.as_millis()).unwrap_or_default();
    let next = cron.find_next_occurrence(&from, false).map_err(|_| NoNextTime::Never(shown()))?;
    Ok(Timestamp::from_millis(next.timestamp_millis()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 11:40:01.500 UTC, a Monday.
    const NOW: Timestamp = Timestamp::from_millis(1_795_434_001_500);

    fn next(rule: &str) -> Result<String, NoNextTime> {
        let rule: ScheduleRule = rule.parse().expect("five fields or an interval");
        next_in(&rule, NOW).map(|wait| NOW.plus(wait).to_string())
    }

    #[test]
    fn an_interval_is_counted_from_now() {
        assert_eq!(next("every 15m").as_deref(), Ok("2026-11-23T11:55:01.5Z"));
    }

    #[test]
    fn a_cron_rule_is_read_in_utc() {
        let cases = [
            ("* * * * *", "2026-11-23T11:41:00Z"),
            ("30 3 * * *", "2026-11-24T03:30:00Z"),
            ("0 12 * * 1", "2026-11-23T12:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
        ];
        for (rule, expected) in cases {
            assert_eq!(next(rule).as_deref(), Ok(expected), "{rule}");
        }
    }

    #[test]
    fn the_minute_that_is_now_is_over() {
        let rule: ScheduleRule = "40 11 * * *".parse().expect("five fields");
        let noon = Timestamp::from_millis(1_795_434_000_000);
        assert_eq!(next_in(&rule, noon), Ok(Duration::from_hours(24)));
    }

    #[test]
    fn a_rule_that_never_comes_or_is_none_is_refused() {
        assert_eq!(next("0 0 30 2 *"), Err(NoNextTime::Never("0 0 30 2 *".to_owned())));
        for rule in ["61 * * * *", "0 0 * * 8", "a b c d e", "* * * * @"] {
            assert!(matches!(next(rule), Err(NoNextTime::Unreadable { .. })), "{rule}");
        }
    }
}
