//! How a person writes a limit: `45/min`.

use std::{str::FromStr, time::Duration};

use super::{Limit, LimitUnit, LimitWindow};

/// The longest window that is written in seconds.
const LONGEST_SECONDS: u64 = 86_400;

/// A text that is not a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a limit")]
pub struct InvalidLimit(String);

impl InvalidLimit {
    /// How limits are written.
    pub const HINT: &'static str = "write limits as 45/min, 15 batches/min, 1000 addresses/day; a window is s, min, hour, \
                                    day, month or as 30s; write `unlimited` for a plan without limits";
}

impl Limit {
    /// The word for a plan without limits.
    pub const UNLIMITED: &'static str = "unlimited";

    /// Whether this stands for a plan without limits.
    pub fn is_unlimited(&self) -> bool {
        self.name == Self::UNLIMITED
    }
}

impl FromStr for Limit {
    type Err = InvalidLimit;

    /// Reads `45/min`, `15 batches/min`, `1000 addresses/day` or `unlimited`. A word that is given is that of the limit's
    /// name in `hostatlas providers`; without one the window alone tells which limit is meant.
    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let wrong = || InvalidLimit(crate::sanitize(text, 64));
        if text.trim() == Self::UNLIMITED {
            let window = LimitWindow::Rolling(Duration::from_secs(1));
            let (unit, permits) = (LimitUnit::Calls, u32::MAX);
            return Ok(Self { name: Self::UNLIMITED.into(), unit, permits, window, spacing: Duration::ZERO });
        }
        let (amount, window) = text.split_once('/').ok_or_else(wrong)?;
        let amount = amount.trim();
        let digits = amount.len() - amount.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let permits = amount[..digits].parse().ok().filter(|permits: &u32| *permits > 0).ok_or_else(wrong)?;
        let what = amount[digits..].trim();
        if !what.chars().all(|letter| letter.is_ascii_lowercase()) {
            return Err(wrong());
        }
        let unit = if what == "addresses" { LimitUnit::Addresses } else { LimitUnit::Calls };
        let window = window_of(window.trim()).ok_or_else(wrong)?;
        let name = format!("{what} a {}", name_of(window)).trim_start().to_owned();
        Ok(Self { name: name.into(), unit, permits, window, spacing: Duration::ZERO })
    }
}

fn window_of(text: &str) -> Option<LimitWindow> {
    let rolling = |seconds: u64| Some(LimitWindow::Rolling(Duration::from_secs(seconds)));
    match text {
        "s" | "sec" | "second" => rolling(1),
        "min" | "minute" => rolling(60),
        "h" | "hour" => rolling(3600),
        "day" => Some(LimitWindow::Day),
        "month" => Some(LimitWindow::Month),
        _ => {
            let seconds = text.strip_suffix('s')?.parse::<u64>().ok()?;
            (1..=LONGEST_SECONDS).contains(&seconds).then_some(())?;
            rolling(seconds)
        }
    }
}

fn name_of(window: LimitWindow) -> String {
    match window {
        LimitWindow::Day => "day".to_owned(),
        LimitWindow::Month => "month".to_owned(),
        LimitWindow::Rolling(length) => match length.as_secs() {
            1 => "second".to_owned(),
            60 => "minute".to_owned(),
            3600 => "hour".to_owned(),
            seconds => format!("window of {seconds} s"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_an_amount_and_a_window() {
        let minute = LimitWindow::Rolling(Duration::from_mins(1));
        let read = |text: &str| {
            text.parse::<Limit>()
                .map(|limit| (limit.name.into_owned(), limit.unit, limit.permits, limit.window))
        };
        assert_eq!(read("45/min"), Ok(("a minute".to_owned(), LimitUnit::Calls, 45, minute)));
        assert_eq!(
            read("1000 addresses / day"),
            Ok(("addresses a day".to_owned(), LimitUnit::Addresses, 1000, LimitWindow::Day))
        );
        let window = LimitWindow::Rolling(Duration::from_secs(30));
        assert_eq!(
            read("10 batches/30s"),
            Ok(("batches a window of 30 s".to_owned(), LimitUnit::Calls, 10, window))
        );
        assert_eq!(read("unlimited").map(|(name, ..)| name), Ok(Limit::UNLIMITED.to_owned()));
        for wrong in [
            "",
            "45",
            "0/min",
            "45/fortnight",
            "-1/min",
            "45 a b/min",
            "5/0s",
            "99999999999/day",
            "5 Lookups/min",
        ] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }
}
