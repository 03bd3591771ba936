use hostatlas_domain::Timestamp;

/// The last second that is believed: what 32 bits can count, in 2106.
const LAST_SECOND: u64 = u32::MAX as u64;

/// Reads the time of a record: seconds or milliseconds since 1970, whole or with a fraction, or an ISO 8601 date
/// and time (UTC where it has no offset).
///
/// Zero, negative numbers (what masscan's 32 bits print after 2038) and anything past 2106 are no times: a host
/// is better dated by its import than by a wrong number.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    if whole.is_empty() || whole.len() > 13 || !whole.iter().all(u8::is_ascii_digit) {
        return iso(text);
    }
    let number = digits(whole)?;
    let millis = match number {
        1..=LAST_SECOND => number * 1000 + millis_of(fraction)?,
        _ if whole.len() == 13 && number / 1000 <= LAST_SECOND => number,
        _ => return None,
    };
    i64::try_from(millis).ok().map(Timestamp::from_millis)
}

/// `seconds` since 1970 and microseconds of that second, as zmap splits them.
pub(crate) fn with_micros(seconds: &[u8], micros: &[u8]) -> Option<Timestamp> {
    let moment = parse(seconds)?;
    let micros = digits(micros).filter(|micros| *micros < 1_000_000).unwrap_or(0);
    Some(moment.plus(std::time::Duration::from_millis(micros / 1000)))
}

/// Seconds since 1970 out of a binary field.
pub(crate) fn from_seconds(seconds: u32) -> Option<Timestamp> {
    (seconds > 0).then(|| Timestamp::from_secs(i64::from(seconds)))
}

/// A time as screens show it, with nothing about its zone: `Mon Nov 23 11:41:42 2026`. It is read as UTC.
pub(crate) fn of_screen(text: &[u8]) -> Option<Timestamp> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_weekday, rest) = text.split_at_checked(3)?;
    let [b' ', m0, m1, m2, b' ', d0, d1, b' ', time @ ..] = rest else { return None };
    let (time, year) = time.split_at_checked(8)?;
    let year = year.strip_prefix(b" ")?.get(..4)?;
    let month = MONTHS.chunks(3).position(|name| name == [*m0, *m1, *m2])? + 1;
    let day = if *d0 == b' ' { b'0' } else { *d0 };
    let date = [year, format!("-{month:02}-").as_bytes(), &[day, *d1], b"T", time].concat();
    parse(&date)
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// The first three digits of a fraction, as milliseconds.
fn millis_of(fraction: &[u8]) -> Option<u64> {
    fraction.iter().all(u8::is_ascii_digit).then(|| {
        (0..3).fold(0, |millis, index| {
            millis * 10 + u64::from(fraction.get(index).map_or(0, |digit| digit - b'0'))
        })
    })
}

/// `2026-11-23T12:01:29.928+0000` and its relatives.
fn iso(text: &[u8]) -> Option<Timestamp> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T' | b't' | b' ', h0, h1, b':', n0, n1, rest @ ..] =
        text
    else {
        return None;
    };
    let year = digits(&[*y0, *y1, *y2, *y3])?;
    let month = digits(&[*m0, *m1]).filter(|month| (1..=12).contains(month))?;
    let day = digits(&[*d0, *d1]).filter(|day| (1..=31).contains(day))?;
    let hour = digits(&[*h0, *h1]).filter(|hour| *hour < 24)?;
    let minute = digits(&[*n0, *n1]).filter(|minute| *minute < 60)?;
    let (second, rest) = match rest {
        [b':', s0, s1, rest @ ..] => (digits(&[*s0, *s1]).filter(|second| *second <= 60)?, rest),
        _ => (0, rest),
    };
    let (fraction, zone) = match rest {
        [b'.' | b',', rest @ ..] => {
            rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
        }
        _ => (&[][..], rest),
    };
    let local = (days_since_1970(year, month, day)? * 24 + hour) * 3600 + minute * 60 + second;
    let seconds = i64::try_from(local).ok()? - offset_seconds(zone)?;
    let believed = u64::try_from(seconds).is_ok_and(|seconds| (1..=LAST_SECOND).contains(&seconds));
    believed.then_some(())?;
    Some(Timestamp::from_millis(seconds * 1000 + i64::try_from(millis_of(fraction)?).ok()?))
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match zone {
        [] | [b'Z' | b'z'] | b" UTC" | b" GMT" => return Some(0),
        // As Go prints a time.
        [b' ', zone @ .., b' ', b'U', b'T', b'C'] if !zone.is_empty() => return offset_seconds(zone),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] | [sign @ (b'+' | b'-'), h0, h1, m0, m1] => {
            (*sign, digits(&[*h0, *h1])?, digits(&[*m0, *m1])?)
        }
        _ => return None,
    };
    let seconds = i64::try_from(hours * 3600 + minutes * 60).ok()?;
    Some(if sign == b'+' { seconds } else { -seconds })
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; None before 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // Counting years from March puts the leap day at the end of a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Option<i64> {
        parse(text.as_bytes()).map(Timestamp::as_millis)
    }

    #[test]
    fn seconds_milliseconds_and_fractions_are_read() {
        assert_eq!(
            [
                "1795434087",
                "1795434087.5",
                "1795434087.1234567",
                "1795434087123",
                "2147483648",
                "4294967295",
                "1."
            ]
            .map(millis),
            [
                Some(1_795_434_087_000),
                Some(1_795_434_087_500),
                Some(1_795_434_087_123),
                Some(1_795_434_087_123),
                Some(2_147_483_648_000),
                Some(4_294_967_295_000),
                Some(1000)
            ]
        );
    }

    #[test]
    fn numbers_that_are_no_times_are_dropped() {
        for text in
            ["0", "-1", "-2147483648", "4294967296", "1000000000000000000", "1e18", "", ".", "12:30", "now"]
        {
            assert_eq!(millis(text), None, "{text:?}");
        }
    }

    #[test]
    fn iso_dates_are_read_in_all_their_forms() {
        for text in [
            "2026-11-23T12:01:29.928+0000",
            "2026-11-23T12:01:29.928Z",
            "2026-11-23T12:01:29.928123456Z",
            "2026-11-23T12:01:29.928123",
            "2026-11-23 12:01:29.928123456 +0000 UTC",
            "2026-11-23 12:01:29.928 UTC",
            "2026-11-23T14:01:29.928+02:00",
            "2026-11-23T07:31:29.928999-0430",
        ] {
            assert_eq!(millis(text), Some(1_795_435_289_928), "{text}");
        }
        assert_eq!(millis("2024-02-29T00:00"), Some(1_709_164_800_000));
        assert_eq!(millis("2026-11-23T25:00:00Z"), None);
        assert_eq!(millis("1969-12-31T23:59:59Z"), None);
        assert_eq!(millis("2026-11-23T12:01:29.928+00"), None);
    }

    #[test]
    fn the_date_of_a_screen_is_read_as_utc() {
        let millis = |text: &str| of_screen(text.as_bytes()).map(Timestamp::as_millis);
        assert_eq!(millis("Mon Nov 23 11:41:42 2026"), Some(1_795_434_102_000));
        assert_eq!(millis("Thu Feb  9 11:41:42 2023 as: nmap -oG -"), Some(1_675_942_902_000));
        for text in ["", "Mon", "Mon Nov 23 11:41:42", "Mo 23 Nov 2026", "Mon Foo 23 11:41:42 2026"] {
            assert_eq!(millis(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_moments_own_text_is_read_back(seconds in 1..i64::from(u32::MAX)) {
            let moment = Timestamp::from_secs(seconds);
            prop_assert_eq!(parse(moment.to_string().as_bytes()), Some(moment));
            prop_assert_eq!(parse(seconds.to_string().as_bytes()), Some(moment));
        }
    }
}
