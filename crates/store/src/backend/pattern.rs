/// Makes text stand for itself in a pattern of SQL's `LIKE` whose escape is a backslash.
#[must_use]
pub fn escape_like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 4);
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_underscore_in_a_name_stand_for_themselves() {
        assert_eq!(escape_like(r"100%_a\b"), r"100\%\_a\\b");
    }
}
