//! Small numbers and texts on their way into and out of columns.

use std::borrow::Cow;

use hostatlas_store::StoreError;

use crate::error::corrupt;

/// A number for a `smallint` column.
pub(crate) fn small(number: u8) -> i16 {
    i16::from(number)
}

/// A number out of a `smallint` column, for what a domain type is made of.
pub(crate) fn byte(number: i16, what: &str) -> Result<u8, StoreError> {
    u8::try_from(number).map_err(|_| corrupt(what))
}

/// A number that counts something.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Text for a `text` column, which cannot hold the character of number zero. What stands there instead says that
/// something was there.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_is_replaced_and_other_text_is_left_alone() {
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
        assert!(matches!(storable("ab"), Cow::Borrowed("ab")));
    }
}
