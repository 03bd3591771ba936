//! Numbers that people write: read within a range, and refused with that range.

use std::{fmt, num::NonZeroUsize, ops::RangeInclusive, str::FromStr};

/// A whole number that fits, or what to write instead.
pub fn read_whole<T>(text: &str, range: &RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    text.trim()
        .parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("a whole number from {} to {}", range.start(), range.end()))
}

/// A number with or without decimals that fits, or what to write instead.
pub fn read_decimal(text: &str, range: &RangeInclusive<f64>) -> Result<f64, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("a number from {} to {}", range.start(), range.end()))
}

/// For arguments: [`read_whole`].
pub fn whole<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + fmt::Display + Clone + Send + Sync + 'static,
{
    move |text| read_whole(text, &range).map_err(|wanted| format!("use {wanted}"))
}

/// For arguments: from 1 to `most`.
pub fn positive(
    most: usize,
) -> impl Fn(&str) -> Result<NonZeroUsize, String> + Clone + Send + Sync + 'static {
    let read = whole(1..=most);
    move |text| read(text).map(|number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN))
}

/// For arguments: [`read_decimal`].
pub fn decimal(
    range: RangeInclusive<f64>,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| read_decimal(text, &range).map_err(|wanted| format!("use {wanted}"))
}

/// For arguments: the id of a job or an import.
pub fn id(text: &str) -> Result<i64, String> {
    let id = text.trim().parse().ok().filter(|id| *id > 0);
    id.ok_or_else(|| "use an id: a whole number from 1, as in `42`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_the_range() {
        let limit = whole(1_u32..=1000);
        assert_eq!(["1", " 1000 "].map(&limit), [Ok(1), Ok(1000)]);
        for wrong in ["0", "1001", "-1", "x", "", "1.5", "99999999999999999999999"] {
            assert_eq!(limit(wrong), Err("use a whole number from 1 to 1000".to_owned()), "{wrong}");
        }
        let north = decimal(-90.0..=90.0);
        assert_eq!(north("-90"), Ok(-90.0));
        for wrong in ["90.1", "NaN", "inf", "x"] {
            assert_eq!(north(wrong), Err("use a number from -90 to 90".to_owned()), "{wrong}");
        }
        assert!(id("0").is_err() && id("-1").is_err() && id("7").is_ok());
        assert_eq!(positive(9)("9").map(NonZeroUsize::get), Ok(9));
    }
}
