//! Which backups are kept.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDateTime};

/// So many of the newest are kept, whenever they were made.
pub const BACKUPS_KEPT: usize = 7;
/// The last backup of so many days is kept: of the latest days, in UTC, that have one.
pub const BACKUP_DAYS_KEPT: usize = 7;
/// The last backup of so many weeks is kept: of the latest weeks, from Monday on, that have one.
pub const BACKUP_WEEKS_KEPT: usize = 4;

/// Which of the backups of these moments are no longer needed.
pub(super) fn outdated(mut moments: Vec<NaiveDateTime>) -> Vec<NaiveDateTime> {
    moments.sort_unstable_by(|one, other| other.cmp(one));
    let mut kept: BTreeSet<NaiveDateTime> = moments.iter().take(BACKUPS_KEPT).copied().collect();
    kept.extend(last_of_each(&moments, BACKUP_DAYS_KEPT, NaiveDateTime::date));
    kept.extend(last_of_each(&moments, BACKUP_WEEKS_KEPT, |moment| moment.date().iso_week()));
    moments.retain(|moment| !kept.contains(moment));
    moments
}

/// The last moment of each of the latest `periods`, of moments that begin with the newest.
fn last_of_each<P: PartialEq>(
    newest_first: &[NaiveDateTime],
    periods: usize,
    period: impl Fn(&NaiveDateTime) -> P,
) -> Vec<NaiveDateTime> {
    let mut last = newest_first.to_vec();
    last.dedup_by_key(|moment| period(moment));
    last.truncate(periods);
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().expect("a moment")
    }

    /// One backup a day at three in the morning.
    fn daily(days: impl Iterator<Item = u32>) -> Vec<NaiveDateTime> {
        days.map(|day| at(&format!("2026-11-{day:02}T03:00:00"))).collect()
    }

    #[test]
    fn seven_runs_in_one_minute_remove_nothing_of_the_week() {
        let week = daily(23..=29);
        let now = (0..7).map(|second| at(&format!("2026-11-29T12:00:{second:02}")));
        let outdated = outdated(week.iter().copied().chain(now).collect());
        // Of the 29th another, later one is kept.
        assert_eq!(outdated, [at("2026-11-29T03:00:00")]);
    }

    #[test]
    fn of_a_year_of_days_seven_days_and_four_weeks_are_kept() {
        let first = at("2026-01-01T03:00:00");
        let all: Vec<_> = (0..365).map(|day| first + chrono::Days::new(day)).collect();
        let outdated: BTreeSet<_> = outdated(all.clone()).into_iter().collect();
        let kept: Vec<_> = all.into_iter().filter(|moment| !outdated.contains(moment)).collect();
        // The 31st of December 2026 is a Thursday; the Sundays before it end their weeks.
        let expected = ["12-13", "12-20", "12-25", "12-26", "12-27", "12-28", "12-29", "12-30", "12-31"];
        assert_eq!(kept, expected.map(|day| at(&format!("2026-{day}T03:00:00"))));
    }

    #[test]
    fn a_week_over_the_turn_of_the_year_is_one_week() {
        let weekly = ["2026-12-14", "2026-12-21", "2026-12-28", "2027-01-01", "2027-01-04"];
        let moments: Vec<_> = weekly.iter().map(|day| at(&format!("{day}T03:00:00"))).collect();
        let weeks =
            last_of_each(&moments.iter().rev().copied().collect::<Vec<_>>(), BACKUP_WEEKS_KEPT, |moment| {
                moment.date().iso_week()
            });
        let expected = ["2027-01-04", "2027-01-01", "2026-12-21", "2026-12-14"];
        assert_eq!(weeks, expected.map(|day| at(&format!("{day}T03:00:00"))));
    }

    #[test]
    fn few_backups_are_all_kept_however_old() {
        let old = daily([1, 3, 5, 7, 9, 11, 13].into_iter());
        assert_eq!(outdated(old), []);
        assert_eq!(outdated(Vec::new()), []);
    }
}
