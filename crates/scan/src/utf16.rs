/// UTF-16 to UTF-8, as far as the bytes have come: what PowerShell's `>` makes of a scanner's output.
pub(crate) struct Utf16 {
    big_endian: bool,
    /// The first byte of a unit whose second has not come.
    odd: Option<u8>,
    /// The first half of a character whose second has not come.
    high: Option<u16>,
}

impl Utf16 {
    /// Recognised by its byte order mark, or by a first character that ASCII text would begin with.
    pub(crate) fn detect(head: &[u8]) -> Option<Self> {
        let big_endian = match *head {
            [0xff, 0xfe, ..] | [b' '..=b'~', 0, b'\n' | b'\r' | b' '..=b'~', 0, ..] => false,
            [0xfe, 0xff, ..] | [0, b' '..=b'~', 0, b'\n' | b'\r' | b' '..=b'~', ..] => true,
            _ => return None,
        };
        Some(Self { big_endian, odd: None, high: None })
    }

    /// Appends the characters that are complete.
    pub(crate) fn decode(&mut self, mut raw: &[u8], decoded: &mut Vec<u8>) {
        if let (Some(first), [second, rest @ ..]) = (self.odd, raw) {
            self.odd = None;
            self.unit([first, *second], decoded);
            raw = rest;
        }
        let (pairs, odd) = raw.as_chunks::<2>();
        for pair in pairs {
            self.unit(*pair, decoded);
        }
        if let [byte] = odd {
            self.odd = Some(*byte);
        }
    }

    /// Appends a replacement for a character whose second half never came.
    pub(crate) fn finish(&mut self, decoded: &mut Vec<u8>) {
        if self.high.take().is_some() || self.odd.take().is_some() {
            push(char::REPLACEMENT_CHARACTER, decoded);
        }
    }

    fn unit(&mut self, bytes: [u8; 2], decoded: &mut Vec<u8>) {
        let unit = if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        if let Some(high) = self.high.take() {
            if let Some(Ok(character)) = char::decode_utf16([high, unit]).next() {
                push(character, decoded);
                return;
            }
            push(char::REPLACEMENT_CHARACTER, decoded);
        }
        match unit {
            0xfeff => {}
            0xd800..0xdc00 => self.high = Some(unit),
            _ => push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER), decoded),
        }
    }
}

fn push(character: char, decoded: &mut Vec<u8>) {
    decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_in_steps(raw: &[u8], step: usize) -> String {
        let mut decoder = Utf16::detect(raw).expect("UTF-16");
        let mut text = Vec::new();
        for part in raw.chunks(step) {
            decoder.decode(part, &mut text);
        }
        decoder.finish(&mut text);
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn both_byte_orders_are_read_whatever_the_read_size() {
        let units: Vec<u16> = "\u{feff}open é 😀\r\n".encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for step in 1..8 {
            assert_eq!(decode_in_steps(&little, step), "open é 😀\r\n");
            assert_eq!(decode_in_steps(&big, step), "open é 😀\r\n");
        }
    }

    #[test]
    fn half_a_character_becomes_a_replacement() {
        assert_eq!(decode_in_steps(&[0xff, 0xfe, 0x3d, 0xd8, b'a', 0, 0x3d, 0xd8], 8), "\u{fffd}a\u{fffd}");
    }

    #[test]
    fn ascii_and_binary_are_no_utf16() {
        assert!(
            [&b"[\n{ "[..], b"masscan", b"\0\0\0\0", b"a\0"].iter().all(|head| Utf16::detect(head).is_none())
        );
    }
}
