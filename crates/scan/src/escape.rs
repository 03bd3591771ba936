use crate::MAX_BANNER_BYTES;

/// Reads what masscan's text formats make of a banner: `\x` and two digits for a byte that does not print.
///
/// masscan writes a backslash itself that way, so any other backslash is a foreign writer's and stays.
/// At most [`MAX_BANNER_BYTES`] are kept.
pub(crate) fn unescape_hex(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len().min(MAX_BANNER_BYTES));
    let mut rest = text;
    while let (Some(at), true) = (memchr::memchr(b'\\', rest), bytes.len() < MAX_BANNER_BYTES) {
        bytes.extend_from_slice(&rest[..at]);
        if let [b'\\', b'x', high, low, after @ ..] = &rest[at..]
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            bytes.push(high << 4 | low);
            rest = after;
        } else {
            bytes.push(b'\\');
            rest = &rest[at + 1..];
        }
    }
    bytes.extend_from_slice(rest);
    bytes.truncate(MAX_BANNER_BYTES);
    bytes
}

/// The value of a hexadecimal digit.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_bytes_are_read_and_other_backslashes_stay() {
        assert_eq!(
            unescape_hex(br"T\xc3\xA9st \x22q\x22 \x5c \n \xZZ \x4"),
            b"T\xc3\xa9st \"q\" \\ \\n \\xZZ \\x4"
        );
    }

    #[test]
    fn a_long_banner_is_cut() {
        assert_eq!(unescape_hex(&br"\x00".repeat(70_000)).len(), MAX_BANNER_BYTES);
        assert_eq!(unescape_hex(&vec![b'a'; 70_000]).len(), MAX_BANNER_BYTES);
    }
}
