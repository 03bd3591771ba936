use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A moment, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// It is given to whatever needs it and never read here. In JSON it is RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
pub struct Timestamp(i64);

/// Text that is no RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time such as 2026-11-23T14:00:00Z")]
pub struct InvalidTimestamp(String);

/// 9999-12-31T23:59:59.999Z: later moments have no RFC 3339 form.
const LATEST: i64 = 253_402_300_799_999;

impl Timestamp {
    /// Milliseconds since the epoch; what lies before 1970 or after 9999 is moved to that edge.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < 0 {
            Self(0)
        } else if millis > LATEST {
            Self(LATEST)
        } else {
            Self(millis)
        }
    }

    /// Seconds since the epoch, as scanners write them.
    pub const fn from_secs(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> i64 {
        self.0 / 1000
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The moment `duration` earlier, 1970 at the earliest.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Midnight UTC at the end of its day.
    #[must_use]
    pub fn next_utc_day(self) -> Self {
        const DAY: i64 = 86_400_000;
        Self::from_millis((self.0 / DAY + 1) * DAY)
    }

    /// Midnight UTC at the end of its month.
    #[must_use]
    pub fn next_utc_month(self) -> Self {
        let date = self.date_time().date();
        let first = date.replace_day(1).ok().and_then(|first| {
            let next = first.checked_add(time::Duration::days(31))?;
            next.replace_day(1).ok()
        });
        first.map_or(Self(LATEST), |first| Self::from_secs(first.midnight().assume_utc().unix_timestamp()))
    }

    fn date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// As a person reads it: `2026-11-23 14:00:00 UTC`.
    pub fn to_readable(self) -> String {
        let moment = self.date_time();
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second()
        )
    }

    /// The day alone: `2026-11-23`.
    pub fn to_date(self) -> String {
        let moment = self.date_time();
        format!("{:04}-{:02}-{:02}", moment.year(), u8::from(moment.month()), moment.day())
    }

    /// How long ago, in one short unit: `now`, `4 s`, `12 min`, `2 h`, `41 d`.
    ///
    /// Number and unit stay together (a no-break space). A moment in the future is `now`.
    pub fn age(self, now: Self) -> String {
        let seconds = now.since(self).as_secs();
        match seconds {
            0 => "now".to_owned(),
            1..60 => format!("{seconds}\u{a0}s"),
            60..3600 => format!("{}\u{a0}min", seconds / 60),
            3600..172_800 => format!("{}\u{a0}h", seconds / 3600),
            _ => format!("{}\u{a0}d", seconds / 86_400),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.date_time().format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp(text.to_owned()))?;
        let millis = moment.unix_timestamp_nanos() / 1_000_000;
        Ok(Self::from_millis(i64::try_from(millis).unwrap_or(LATEST)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_its_text() {
        let moment = Timestamp::from_millis(1_795_434_087_250);
        assert_eq!(moment.to_string().parse::<Timestamp>().expect("own text"), moment);
    }

    #[test]
    fn moments_outside_the_calendar_move_to_its_edge() {
        assert_eq!(
            [i64::MIN, i64::MAX].map(|millis| Timestamp::from_millis(millis).to_string()),
            ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"]
        );
    }

    #[test]
    fn an_age_takes_the_largest_fitting_unit() {
        let now = Timestamp::from_secs(1_000_000_000);
        let ages = [0, 59, 60, 3_600, 172_799, 172_800].map(|s| now.minus(Duration::from_secs(s)).age(now));
        assert_eq!(ages, ["now", "59\u{a0}s", "1\u{a0}min", "1\u{a0}h", "47\u{a0}h", "2\u{a0}d"]);
    }
}
