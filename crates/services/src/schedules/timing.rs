//! When something is done again.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use croner::{Cron, errors::CronError};
use hostatlas_domain::{ScheduleRule, Timestamp};

/// Why a rule has no next time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoNextTime {
    /// It cannot be read.
    #[error("`{rule}` is not a schedule rule: {reason}")]
    Unreadable {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such day: the 30th of February.
    #[error("the rule `{0}` never comes due")]
    Never(String),
}

/// How long from `now` until it is done again. The minutes and days of a cron rule are those of UTC.
pub(crate) fn next_in(rule: &ScheduleRule, now: Timestamp) -> Result<Duration, NoNextTime> {
    let fields = match rule {
        ScheduleRule::Every(every) => return Ok(*every),
        ScheduleRule::Cron(fields) => fields,
    };
    let shown = || hostatlas_domain::sanitize(fields, 100);
    let cron = Cron::from_str(fields)
        .map_err(|error| NoNextTime::Unreadable { rule: shown(), reason: unreadable(fields, &error) })?;
    let from: DateTime<Utc> = DateTime::from_timestamp_millis(now.as_millis()).unwrap_or_default();
    let next = cron.find_next_occurrence(&from, false).map_err(|_| NoNextTime::Never(shown()))?;
    Ok(Timestamp::from_millis(next.timestamp_millis()).since(now))
}

/// When a task that is resumed at `now` is done next, counted from then. `None` leaves the time that it has: an interval
/// goes on from where it stood, and what was missed while it was paused is done at once.
pub(crate) fn next_in_after_pause(
    rule: &ScheduleRule,
    next_at: Timestamp,
    now: Timestamp,
) -> Result<Option<Duration>, NoNextTime> {
    match rule {
        ScheduleRule::Cron(_) if next_at > now => next_in(rule, now).map(Some),
        ScheduleRule::Cron(_) | ScheduleRule::Every(_) => Ok(None),
    }
}

/// The five fields of a cron rule: what each is called, and what it may hold.
const CRON_FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12, or JAN to DEC"),
    ("weekday", "0 to 7, or SUN to SAT; 0 and 7 are Sunday"),
];

/// Why the fields cannot be read. The parser names no field, so each is tried beside four that are good.
fn unreadable(fields: &str, error: &CronError) -> String {
    let wrong = fields.split_ascii_whitespace().zip(CRON_FIELDS).enumerate().find(|(index, (field, _))| {
        let mut alone = ["*"; CRON_FIELDS.len()];
        alone[*index] = field;
        Cron::from_str(&alone.join(" ")).is_err()
    });
    match wrong {
        Some((_, (field, (name, range)))) => {
            format!("the {name} is `{}`, but has to be {range}", hostatlas_domain::sanitize(field, 100))
        }
        None => hostatlas_domain::sanitize(&error.to_string(), 200),
    }
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
    }

    #[test]
    fn what_is_wrong_with_a_rule_names_the_field_its_range_and_what_was_given() {
        let cases = [
            ("61 3 * * *", "the minute is `61`, but has to be 0 to 59"),
            ("*/5,99 3 * * *", "the minute is `*/5,99`, but has to be 0 to 59"),
            ("0 24 * * *", "the hour is `24`, but has to be 0 to 23"),
            ("0 3 32 * *", "the day of the month is `32`, but has to be 1 to 31"),
            ("0 3 0 * *", "the day of the month is `0`, but has to be 1 to 31"),
            ("0 3 * 13 *", "the month is `13`, but has to be 1 to 12, or JAN to DEC"),
            ("0 3 * * 8", "the weekday is `8`, but has to be 0 to 7, or SUN to SAT; 0 and 7 are Sunday"),
            ("a b c d e", "the minute is `a`, but has to be 0 to 59"),
            ("0 3 * * @", "the weekday is `@`, but has to be 0 to 7, or SUN to SAT; 0 and 7 are Sunday"),
        ];
        for (rule, reason) in cases {
            let (rule, reason) = (rule.to_owned(), reason.to_owned());
            assert_eq!(next(&rule), Err(NoNextTime::Unreadable { rule, reason }));
        }
    }

    #[test]
    fn a_task_that_is_resumed_comes_at_the_time_of_its_rule_and_loses_nothing() {
        let daily: ScheduleRule = "0 3 * * *".parse().expect("five fields");
        let after = |rule: &ScheduleRule, next_at: Timestamp| next_in_after_pause(rule, next_at, NOW);
        let in_a_day = NOW.plus(Duration::from_hours(24));
        let resumed = after(&daily, in_a_day).map(|wait| wait.map(|wait| NOW.plus(wait).to_string()));
        assert_eq!(resumed, Ok(Some("2026-11-24T03:00:00Z".to_owned())));
        let missed = Timestamp::from_millis(NOW.as_millis() - 1);
        assert_eq!(after(&daily, missed), Ok(None));
        let every: ScheduleRule = "every 1d".parse().expect("an interval");
        assert_eq!(after(&every, in_a_day), Ok(None));
    }
}
