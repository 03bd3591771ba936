use hostatlas_domain::{Spent, Timestamp, Window};

use super::corrupt;
use crate::StoreError;

/// What a window has spent, as the column `spent` holds it: `call,until,permits` of each call, with `;` between.
#[must_use]
pub fn spent_text(window: &Window) -> String {
    let entry =
        |spent: &Spent| format!("{},{},{}", spent.call.as_millis(), spent.until.as_millis(), spent.permits);
    window.spent.iter().map(entry).collect::<Vec<_>>().join(";")
}

/// A window of its columns.
///
/// # Errors
///
/// A text that [`spent_text`] does not write.
pub fn stored_window(closed_until: i64, next_at: i64, spent: &str) -> Result<Window, StoreError> {
    let entries = spent.split(';').filter(|entry| !entry.is_empty());
    Ok(Window {
        spent: entries.map(entry).collect::<Result<_, _>>()?,
        closed_until: Timestamp::from_millis(closed_until),
        next_at: Timestamp::from_millis(next_at),
    })
}

fn entry(text: &str) -> Result<Spent, StoreError> {
    let mut numbers = text.split(',').map(str::parse::<i64>);
    let mut number = || numbers.next().and_then(Result::ok).ok_or_else(|| corrupt("a permit"));
    let (call, until) = (Timestamp::from_millis(number()?), Timestamp::from_millis(number()?));
    let permits = u32::try_from(number()?).map_err(|_| corrupt("a number of permits"))?;
    Ok(Spent { call, until, permits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_as_it_was_written() {
        let spent = |call, permits| Spent {
            call: Timestamp::from_millis(call),
            until: Timestamp::from_millis(call + 60_000),
            permits,
        };
        let (closed_until, next_at) = (Timestamp::from_millis(7), Timestamp::from_millis(8));
        let window =
            Window { spent: [spent(1, 100), spent(2, 1)].into_iter().collect(), closed_until, next_at };
        assert_eq!(spent_text(&window), "1,60001,100;2,60002,1");
        let read = |text: &str| stored_window(7, 8, text);
        assert_eq!(read("1,60001,100;2,60002,1").expect("a window"), window);
        assert!(read("").expect("a window").spent.is_empty());
        for damaged in ["1", "1,2", "1,2,-3", "1,2,x", ",,"] {
            assert!(read(damaged).is_err(), "{damaged}");
        }
    }
}
