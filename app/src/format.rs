//! Numbers and addresses as people read them.

#[cfg(feature = "ssr")]
use std::time::Duration;

/// Number and unit stay together.
pub const NBSP: char = '\u{a0}';

/// `231,507`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `940`, `1.2k`, `59k`, `3.1M`: at most four characters, so that it fits into a mark on the map.
pub fn compact(number: u64) -> String {
    let scaled = |unit: u64, letter: char| {
        let tenths = number / (unit / 10);
        if tenths < 100 {
            format!("{}.{}{letter}", tenths / 10, tenths % 10)
        } else {
            format!("{}{letter}", tenths / 10)
        }
    };
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => scaled(1_000, 'k'),
        _ => scaled(1_000_000, 'M'),
    }
}

/// `1 host`, `1,204 hosts`
pub fn counted(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1{NBSP}{one}") } else { format!("{}{NBSP}{many}", grouped(number)) }
}

/// What share `part` is of `whole`, 0 to 100.
#[expect(clippy::cast_precision_loss, reason = "host counts stay far below 2^53")]
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// `94.0 %`, never rounded up to a whole that is not reached.
pub fn percent(value: f64) -> String {
    let shown = if value < 100.0 { value.min(99.9) } else { value };
    format!("{shown:.1}{NBSP}%")
}

/// `12 ms`, `0.4 s`, `4 s`, `2 min`, `3 h`, `12 d`
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "durations are positive and short"
)]
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    match seconds as u64 {
        0 if seconds < 0.1 => format!("{}{NBSP}ms", (seconds * 1_000.0).round() as u64),
        0 => format!("{seconds:.1}{NBSP}s"),
        1..120 => format!("{}{NBSP}s", seconds.round() as u64),
        120..7_200 => format!("{}{NBSP}min", (seconds / 60.0).round() as u64),
        7_200..172_800 => format!("{}{NBSP}h", (seconds / 3_600.0).round() as u64),
        _ => format!("{}{NBSP}d", (seconds / 86_400.0).round() as u64),
    }
}

/// `10 seconds`, `an hour`, `30 days`: a length that was chosen, in the largest unit that it is a multiple of.
#[cfg(feature = "ssr")]
pub fn span(length: Duration) -> String {
    const UNITS: [(u64, &str, &str); 3] =
        [(86_400, "a day", "days"), (3_600, "an hour", "hours"), (60, "a minute", "minutes")];
    let seconds = length.as_secs();
    let fits = |(unit, ..): &(u64, &str, &str)| seconds >= *unit && seconds.is_multiple_of(*unit);
    let (unit, one, many) = UNITS.into_iter().find(fits).unwrap_or((1, "a second", "seconds"));
    match seconds / unit {
        1 => one.to_owned(),
        number => format!("{}{NBSP}{many}", grouped(number)),
    }
}

/// `187 km`, `10,056 km`
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the earth is 20,000 km wide")]
pub fn kilometres(distance: f64) -> String {
    format!("{}{NBSP}km", grouped(distance.max(0.0).round() as u64))
}

/// Where the nearest place is, seen from the middle of a view that holds none.
pub fn nearest_words(name: &str, hosts: u64, distance_km: f64, direction: &str) -> String {
    let (way, hosts) = (kilometres(distance_km), counted(hosts, "host", "hosts"));
    format!("The nearest is {name}, {way} to the {direction}, with {hosts}.")
}

/// Who says where a host is, in a sentence.
pub fn speaker(provider: &str) -> &str {
    match provider {
        "manual" => "a person",
        "site" => "its site",
        provider => provider,
    }
}

/// A path with a query string; pairs with an empty value are left out.
pub fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    let mut separator = if path.contains('?') { '&' } else { '?' };
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        text.push(separator);
        text.push_str(name);
        text.push('=');
        encode(value, &mut text);
        separator = '&';
    }
    text
}

/// Percent-encodes all but what every URL may hold as it is.
fn encode(value: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:,/".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(HEX[usize::from(byte >> 4)]));
            into.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// A clause of an error or a reason as a sentence by itself.
#[cfg(feature = "ssr")]
pub fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_number_in_a_mark_has_four_characters_at_most() {
        let shown =
            [7, 999, 1_000, 1_249, 9_999, 10_000, 59_000, 999_999, 1_000_000, 31_400_000].map(compact);
        assert_eq!(shown, ["7", "999", "1.0k", "1.2k", "9.9k", "10k", "59k", "999k", "1.0M", "31M"]);
    }

    #[test]
    fn the_nearest_place_is_named_with_its_way_and_its_hosts() {
        let words = nearest_words("Berlin", 187, 165.2, "north");
        assert_eq!(words, "The nearest is Berlin, 165\u{a0}km to the north, with 187\u{a0}hosts.");
    }

    #[test]
    fn a_share_is_whole_only_when_it_is() {
        assert_eq!(
            [share(999_999, 1_000_000), share(5, 5), share(0, 0)].map(percent),
            ["99.9\u{a0}%", "100.0\u{a0}%", "0.0\u{a0}%"]
        );
    }

    #[cfg(feature = "ssr")]
    #[test]
    fn a_length_is_said_in_the_largest_unit_that_it_is_a_multiple_of() {
        let said = [0, 1, 10, 60, 90, 7_200, 86_400, 30 * 86_400].map(|s| span(Duration::from_secs(s)));
        assert_eq!(
            said.map(|said| said.replace(NBSP, " ")),
            ["0 seconds", "a second", "10 seconds", "a minute", "90 seconds", "2 hours", "a day", "30 days"]
        );
    }

    #[test]
    fn a_query_survives_its_address() {
        let text = address("/hosts", &[("q", "org:\"A & B\" 100%"), ("cursor", ""), ("sort", "address")]);
        assert_eq!(text, "/hosts?q=org:%22A%20%26%20B%22%20100%25&sort=address");
    }
}
