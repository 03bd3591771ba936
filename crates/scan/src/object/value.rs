//! What a value of a record stands for.

use hostatlas_domain::Timestamp;

use crate::{MAX_BANNER_BYTES, escape::hex, moment};

/// A value that is neither object nor array, as it is written.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    /// Between its quotes.
    Text { raw: &'a [u8], escaped: bool },
    /// A number, a literal or an unquoted word.
    Bare(&'a [u8]),
}

impl<'a> Value<'a> {
    /// As written: right for all that scanners never escape.
    pub(crate) fn raw(self) -> &'a [u8] {
        match self {
            Self::Text { raw, .. } | Self::Bare(raw) => raw,
        }
    }

    pub(crate) fn moment(self) -> Option<Timestamp> {
        moment::parse(self.raw())
    }

    /// The bytes that the text stands for, at most [`MAX_BANNER_BYTES`], and whether it had to be mended.
    ///
    /// masscan writes every byte as one character (`\u00c3\u00a9` for the two bytes of é), so characters
    /// below 256 are bytes; text with a character beyond that came from another writer and is UTF-8.
    pub(crate) fn bytes(self) -> (Vec<u8>, bool) {
        let (raw, escaped) = match self {
            Self::Text { raw, escaped } => (raw, escaped),
            Self::Bare(raw) => (raw, false),
        };
        if !escaped && raw.is_ascii() {
            return (raw[..raw.len().min(MAX_BANNER_BYTES)].to_vec(), false);
        }
        let mut bytes = Vec::with_capacity(raw.len().min(MAX_BANNER_BYTES));
        let mut characters = Characters::new(raw);
        for character in characters.by_ref().take(MAX_BANNER_BYTES) {
            match character {
                Piece::Character(character) => match u8::try_from(u32::from(character)) {
                    Ok(byte) => bytes.push(byte),
                    Err(_) => return Self::utf8(raw),
                },
                Piece::Byte(byte) => bytes.push(byte),
            }
        }
        (bytes, characters.mended)
    }

    /// The text of a tool that writes characters and no bytes, at most [`MAX_BANNER_BYTES`], and whether it had to be
    /// mended.
    pub(crate) fn text(self) -> (Vec<u8>, bool) {
        Self::utf8(self.raw())
    }

    fn utf8(raw: &[u8]) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let mut characters = Characters::new(raw);
        for character in characters.by_ref() {
            let before = bytes.len();
            match character {
                Piece::Character(character) => {
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Piece::Byte(byte) => bytes.push(byte),
            }
            if bytes.len() > MAX_BANNER_BYTES {
                bytes.truncate(before);
                break;
            }
        }
        (bytes, characters.mended)
    }
}

enum Piece {
    Character(char),
    /// Not UTF-8.
    Byte(u8),
}

/// The characters of a JSON string.
struct Characters<'a> {
    rest: &'a [u8],
    mended: bool,
}

impl<'a> Characters<'a> {
    fn new(raw: &'a [u8]) -> Self {
        Self { rest: raw, mended: false }
    }

    fn escape(&mut self, letter: u8) -> char {
        match letter {
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' | b'/' => char::from(letter),
            b'u' => self.unicode(),
            other => {
                self.mended = true;
                char::from(other)
            }
        }
    }

    fn unicode(&mut self) -> char {
        let Some(unit) = self.unit() else {
            self.mended = true;
            return char::REPLACEMENT_CHARACTER;
        };
        if let Some(character) = char::from_u32(u32::from(unit)) {
            return character;
        }
        let after = self.rest;
        if let [b'\\', b'u', rest @ ..] = self.rest {
            self.rest = rest;
            if let Some(low) = self.unit()
                && let Some(Ok(character)) = char::decode_utf16([unit, low]).next()
            {
                return character;
            }
        }
        self.rest = after;
        self.mended = true;
        char::REPLACEMENT_CHARACTER
    }

    fn unit(&mut self) -> Option<u16> {
        let (digits, rest) = self.rest.split_first_chunk::<4>()?;
        let unit = digits.iter().try_fold(0, |unit: u16, digit| Some(unit << 4 | u16::from(hex(*digit)?)))?;
        self.rest = rest;
        Some(unit)
    }
}

impl Iterator for Characters<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        match *self.rest {
            [] => None,
            [b'\\', letter, ref rest @ ..] => {
                self.rest = rest;
                Some(Piece::Character(self.escape(letter)))
            }
            [byte, ref rest @ ..] if byte.is_ascii() => {
                self.rest = rest;
                Some(Piece::Character(char::from(byte)))
            }
            [byte, ref rest @ ..] => {
                let head = &self.rest[..self.rest.len().min(4)];
                let character = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
                if let Some(character) = character {
                    self.rest = &self.rest[character.len_utf8()..];
                    return Some(Piece::Character(character));
                }
                self.rest = rest;
                self.mended = true;
                Some(Piece::Byte(byte))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(raw: &str) -> (Vec<u8>, bool) {
        Value::Text { raw: raw.as_bytes(), escaped: raw.contains('\\') }.bytes()
    }

    #[test]
    fn characters_below_256_are_bytes_and_others_are_utf8() {
        assert_eq!(decoded(r"T\u00c3\u00a9st"), ("Tést".into(), false));
        assert_eq!(decoded("TÃ©st"), ("Tést".into(), false));
        assert_eq!(decoded(r"€ é \ud83d\ude00"), ("€ é 😀".into(), false));
        assert_eq!(decoded(r"\u0000\r\n\\\/").0, b"\0\r\n\\/");
        assert_eq!(decoded(r"\q\ud83d x \u12"), ("q\u{fffd} x \u{fffd}12".into(), true));
    }

    #[test]
    fn invalid_utf8_stays_as_it_is_and_is_mended() {
        assert_eq!(Value::Text { raw: b"a\xff\xc3", escaped: false }.bytes(), (b"a\xff\xc3".to_vec(), true));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(bytes: Vec<u8>) {
            let _ = Value::Text { raw: &bytes, escaped: true }.bytes();
        }
    }
}
