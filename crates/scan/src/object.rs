//! One JSON object that a scanner wrote, read without building a tree.
//!
//! Written by hand for two reasons: a general parser refuses what masscan wrote before 2014-09 (keys without
//! quotes) and what wrappers write (commas after the last member), and this one is several times as fast.

use hostatlas_domain::Timestamp;
use memchr::memchr2;

use crate::{MAX_BANNER_BYTES, escape::hex, moment};

/// What a record may say, of one object.
#[derive(Default)]
pub(crate) struct Object<'a> {
    pub(crate) address: Option<Value<'a>>,
    pub(crate) timestamp: Option<Value<'a>>,
    pub(crate) timestamp_micros: Option<Value<'a>>,
    pub(crate) success: Option<Value<'a>>,
    pub(crate) classification: Option<Value<'a>>,
    /// What stands at the top (`-oD`, zmap) or in `data`.
    pub(crate) own: Port<'a>,
    pub(crate) ports: Ports<'a>,
    /// masscan's last line until 2018.
    pub(crate) finished: bool,
    /// Whether something was read that is no JSON.
    pub(crate) mended: bool,
}

/// What a record says of one port.
#[derive(Clone, Copy, Default)]
pub(crate) struct Port<'a> {
    pub(crate) number: Option<Value<'a>>,
    pub(crate) protocol: Option<Value<'a>>,
    pub(crate) status: Option<Value<'a>>,
    pub(crate) service: Option<Value<'a>>,
    pub(crate) banner: Option<Value<'a>>,
}

/// The members of `ports`. masscan writes one, and one needs no allocation.
#[derive(Default)]
pub(crate) struct Ports<'a> {
    pub(crate) first: Option<Port<'a>>,
    pub(crate) more: Vec<Port<'a>>,
}

/// A value that is neither object nor array, as it is written.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    /// Between its quotes.
    Text { raw: &'a [u8], escaped: bool },
    /// A number, a literal or an unquoted word.
    Bare(&'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes end before the object does.
    Incomplete,
    /// What is wrong.
    Syntax(&'static str),
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

/// Reads the object that `bytes` begins with. Also gives how many bytes it takes.
pub(crate) fn read(bytes: &[u8]) -> Result<(Object<'_>, usize), Fault> {
    let mut walker = Walker { bytes, at: 0 };
    let mut object = Object::default();
    let mut mended = false;
    walker.members(&mut mended, |walker, key, mended| walker.top_member(key, &mut object, mended))?;
    object.mended = mended;
    Ok((object, walker.at))
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    fn top_member(&mut self, key: &[u8], object: &mut Object<'a>, mended: &mut bool) -> Result<(), Fault> {
        let slot = match key {
            b"ip" | b"saddr" | b"addr" | b"address" | b"host" => &mut object.address,
            b"timestamp" | b"timestamp-ts" | b"timestamp_ts" | b"time" => &mut object.timestamp,
            b"timestamp-str" | b"timestamp_str" if object.timestamp.is_none() => &mut object.timestamp,
            b"timestamp-us" | b"timestamp_us" => &mut object.timestamp_micros,
            b"success" => &mut object.success,
            b"classification" => &mut object.classification,
            b"finished" => {
                object.finished = true;
                return self.skip_value();
            }
            b"ports" if self.peek()? == b'[' => {
                return self.elements(mended, |walker, mended| {
                    let port = walker.port(mended)?;
                    match object.ports.first {
                        None => object.ports.first = Some(port),
                        Some(_) => object.ports.more.push(port),
                    }
                    Ok(())
                });
            }
            _ => return self.port_member(key, &mut object.own, mended),
        };
        self.store(slot)
    }

    /// An element of `ports`: an object, or the number alone.
    fn port(&mut self, mended: &mut bool) -> Result<Port<'a>, Fault> {
        let mut port = Port::default();
        if self.peek()? == b'{' {
            self.members(mended, |walker, key, mended| walker.port_member(key, &mut port, mended))?;
        } else {
            self.store(&mut port.number)?;
        }
        Ok(port)
    }

    fn port_member(&mut self, key: &[u8], port: &mut Port<'a>, mended: &mut bool) -> Result<(), Fault> {
        let slot = match key {
            b"port" | b"sport" => &mut port.number,
            b"proto" | b"protocol" => &mut port.protocol,
            b"status" | b"state" => &mut port.status,
            b"banner" => &mut port.banner,
            b"service" | b"data" if self.peek()? == b'{' => {
                return self.members(mended, |walker, key, _| walker.inner_member(key, port));
            }
            b"service_name" | b"service" => &mut port.service,
            _ => return self.skip_value(),
        };
        self.store(slot)
    }

    /// A member of `data` or `service`, which hold no further objects of ours.
    fn inner_member(&mut self, key: &[u8], port: &mut Port<'a>) -> Result<(), Fault> {
        let slot = match key {
            b"status" | b"state" => &mut port.status,
            b"banner" => &mut port.banner,
            b"service_name" | b"name" => &mut port.service,
            _ => return self.skip_value(),
        };
        self.store(slot)
    }

    /// Keeps a plain value, and skips any other.
    fn store(&mut self, slot: &mut Option<Value<'a>>) -> Result<(), Fault> {
        match self.peek()? {
            b'{' | b'[' => self.skip_value(),
            _ => {
                let value = self.value()?;
                if !matches!(value, Value::Bare(b"null")) {
                    *slot = Some(value);
                }
                Ok(())
            }
        }
    }

    /// Walks over `{"key": value, …}`; `member` consumes each value.
    fn members(
        &mut self,
        mended: &mut bool,
        mut member: impl FnMut(&mut Self, &[u8], &mut bool) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.at += 1;
        let mut after_comma = false;
        loop {
            let key = match self.peek()? {
                b'}' => {
                    *mended |= after_comma;
                    self.at += 1;
                    return Ok(());
                }
                b'"' => self.text()?.raw(),
                b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                    *mended = true;
                    self.word()?
                }
                _ => return Err(Fault::Syntax("a key is expected")),
            };
            if self.peek()? != b':' {
                return Err(Fault::Syntax("a colon is expected after a key"));
            }
            self.at += 1;
            member(self, key, mended)?;
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    after_comma = true;
                }
                b'}' => after_comma = false,
                _ => return Err(Fault::Syntax("a comma or the object's end is expected")),
            }
        }
    }

    /// Walks over `[element, …]`; `element` consumes each.
    fn elements(
        &mut self,
        mended: &mut bool,
        mut element: impl FnMut(&mut Self, &mut bool) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.at += 1;
        let mut after_comma = false;
        loop {
            if self.peek()? == b']' {
                *mended |= after_comma;
                self.at += 1;
                return Ok(());
            }
            element(self, mended)?;
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    after_comma = true;
                }
                b']' => after_comma = false,
                _ => return Err(Fault::Syntax("a comma or the list's end is expected")),
            }
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Result<u8, Fault> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(*byte);
            }
            self.at += 1;
        }
        Err(Fault::Incomplete)
    }

    fn value(&mut self) -> Result<Value<'a>, Fault> {
        if self.peek()? == b'"' { self.text() } else { self.word().map(Value::Bare) }
    }

    /// A string; `self.at` is at its opening quote.
    fn text(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at + 1;
        let mut end = start;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(end..).ok_or(Fault::Incomplete)?;
            end += memchr2(b'"', b'\\', rest).ok_or(Fault::Incomplete)?;
            if self.bytes[end] == b'"' {
                self.at = end + 1;
                return Ok(Value::Text { raw: &self.bytes[start..end], escaped });
            }
            escaped = true;
            end += 2;
        }
    }

    /// A number, a literal or an unquoted key.
    fn word(&mut self) -> Result<&'a [u8], Fault> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(
                |byte| !matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'+' | b'.'),
            )
            .ok_or(Fault::Incomplete)?;
        if length == 0 {
            return Err(Fault::Syntax("a value is expected"));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// Skips a value of any kind. Nesting costs no stack, as it could be as deep as the input is long.
    fn skip_value(&mut self) -> Result<(), Fault> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.text()?;
                }
                b'{' | b'[' => {
                    self.at += 1;
                    depth += 1;
                }
                b'}' | b']' if depth > 0 => {
                    self.at += 1;
                    depth -= 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                _ => {
                    self.word()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// Finds where an object ends that came in pieces, byte by byte and without looking at any byte twice.
#[derive(Clone, Copy, Default)]
pub(crate) struct EndFinder {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl EndFinder {
    /// How many of `bytes` belong to the object, if it ends in them.
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(index + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> Option<Fault> {
        read(text.as_bytes()).err()
    }

    #[test]
    fn every_beginning_of_an_object_is_incomplete() {
        let text = r#"{   "ip": "192.0.2.13",   "ports": [ {"port": 80, "service": {"name": "a\"", "banner": ""}} ], x: [{}] }"#;
        assert!(read(text.as_bytes()).is_ok());
        for length in 1..text.len() {
            assert_eq!(fault(&text[..length]), Some(Fault::Incomplete), "{}", &text[..length]);
        }
    }

    #[test]
    fn what_is_no_object_is_a_syntax_fault() {
        for text in
            [r#"{"ip" "1"}"#, r#"{"a":}"#, r#"{"a":1 "b":2}"#, "{,}", r#"{"ports":[1 2]}"#, r#"{"a":'x'}"#]
        {
            assert!(matches!(fault(text), Some(Fault::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let text = format!("{{\"x\":{}1{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(read(text.as_bytes()).is_ok());
    }

    #[test]
    fn the_end_is_found_past_brackets_in_text() {
        let text = br#"{"a":"}\"]","b":[{}]},{"c""#;
        assert_eq!(EndFinder::default().find(text), Some(21));
        let mut finder = EndFinder::default();
        let found: Vec<_> = text.iter().map(|byte| finder.find(&[*byte])).take(21).collect();
        assert_eq!(found.iter().position(Option::is_some), Some(20));
    }

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
        fn text_is_read_as_serde_reads_it(text: String) {
            let written = serde_json::to_string(&text).expect("a string");
            let expected: Vec<u8> = match text.chars().map(|c| u8::try_from(u32::from(c))).collect() {
                Ok(bytes) => bytes,
                Err(_) => text.into_bytes(),
            };
            let object = format!("{{\"banner\":{written}}}");
            let (object, length) = read(object.as_bytes()).expect("an object");
            prop_assert_eq!(length, written.len() + 11);
            prop_assert_eq!(object.own.banner.expect("a banner").bytes(), (expected, false));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read(&[b"{", &bytes[..]].concat());
            let _ = Value::Text { raw: &bytes, escaped: true }.bytes();
        }
    }
}
