use std::fmt::Write;

/// Text from outside as one safe line: without control and direction characters, trimmed, and cut to
/// `max_chars` characters.
pub fn sanitize(text: &str, max_chars: usize) -> String {
    let kept: String = text.chars().filter(|&character| !is_hidden(character)).collect();
    let trimmed = kept.trim();
    match trimmed.char_indices().nth(max_chars) {
        Some((end, _)) => trimmed[..end].trim_end().to_owned(),
        None if trimmed.len() == kept.len() => kept,
        None => trimmed.to_owned(),
    }
}

/// Hostile bytes as text that is safe to show: printable UTF-8, line feeds and tabs stay, every other byte is
/// `\xNN`, and a character that turns the direction of text is its number (`\u{202e}`).
///
/// A backslash stays one backslash: this is for eyes and cannot be read back.
pub fn escape_control(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_bidi_control(character) {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
            } else if is_hidden(character) && !matches!(character, '\n' | '\t') {
                escape_bytes(&mut shown, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                shown.push(character);
            }
        }
        escape_bytes(&mut shown, chunk.invalid());
    }
    shown
}

/// The longest beginning of `text` that has at most `max` bytes and ends between two characters.
pub fn truncate_bytes(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn escape_bytes(shown: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(shown, "\\x{byte:02x}");
    }
}

/// Characters that show nothing and can end a line, move a terminal's cursor or turn text around.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || is_bidi_control(character)
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn is_bidi_control(character: char) -> bool {
    matches!(
        character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sanitized_text_has_no_control_or_direction_characters() {
        assert_eq!(sanitize("\u{feff} \u{1b}[31mred\u{202e}\r\n\0\u{85}  ", 64), "[31mred");
    }

    #[test]
    fn sanitized_text_is_cut_between_characters() {
        assert_eq!(sanitize("  Zürich Nord", 7), "Zürich");
        assert_eq!(sanitize("Zürich", 6), "Zürich");
        assert_eq!(sanitize("Zürich", 0), "");
    }

    #[test]
    fn hostile_bytes_are_shown_and_not_obeyed() {
        assert_eq!(
            escape_control(b"a\tb\r\n\0\xff\x1b[2J \xc3\xa9 \xe2\x80\xae \xc2\x85 \\x41"),
            "a\tb\\x0d\n\\x00\\xff\\x1b[2J é \\u{202e} \\xc2\\x85 \\x41"
        );
    }

    #[test]
    fn truncation_never_splits_a_character() {
        assert_eq!(["é", "aé", "aéb"].map(|text| truncate_bytes(text, 2)), ["é", "a", "a"]);
        assert_eq!(truncate_bytes("ab", 99), "ab");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text: String, max_chars in 0_usize..40) {
            let clean = sanitize(&text, max_chars);
            prop_assert!(!clean.chars().any(is_hidden));
            prop_assert!(clean.chars().count() <= max_chars);
            prop_assert_eq!(sanitize(&clean, max_chars), clean);
        }

        #[test]
        fn shown_bytes_have_no_control_characters(bytes: Vec<u8>) {
            let shown = escape_control(&bytes);
            prop_assert!(!shown.chars().any(|character| is_hidden(character) && !matches!(character, '\n' | '\t')));
        }

        #[test]
        fn a_truncated_text_is_a_prefix_within_the_limit(text: String, max in 0_usize..40) {
            let cut = truncate_bytes(&text, max);
            prop_assert!(cut.len() <= max && text.starts_with(cut));
            prop_assert!(text.len() <= max || max - cut.len() < 4);
        }
    }
}
