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
    use super::*;

    #[test]
    fn the_end_is_found_past_brackets_in_text() {
        let text = br#"{"a":"}\"]","b":[{}]},{"c""#;
        assert_eq!(EndFinder::default().find(text), Some(21));
        let mut finder = EndFinder::default();
        let found: Vec<_> = text.iter().map(|byte| finder.find(&[*byte])).take(21).collect();
        assert_eq!(found.iter().position(Option::is_some), Some(20));
    }
}
