//! JSON's grammar, as scanners keep and break it.

use memchr::memchr2;

use super::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes end before the object does.
    Incomplete,
    /// What is wrong.
    Syntax(&'static str),
}

/// Walks over bytes that begin with an object.
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were walked over.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Keeps a plain value, and skips any other.
    pub(super) fn store(&mut self, slot: &mut Option<Value<'a>>) -> Result<(), Fault> {
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
    pub(super) fn members(
        &mut self,
        mended: &mut bool,
        mut member: impl FnMut(&mut Self, &'a [u8], &mut bool) -> Result<(), Fault>,
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
    pub(super) fn elements(
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
    pub(super) fn peek(&mut self) -> Result<u8, Fault> {
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
    pub(super) fn skip_value(&mut self) -> Result<(), Fault> {
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
