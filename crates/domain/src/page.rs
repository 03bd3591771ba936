use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where the next page starts: opaque to clients, a few whole numbers to the store.
///
/// The text is the parts in hexadecimal, joined by `.`, so that it needs no escaping in a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(Vec<Vec<u8>>);

/// Text that is no cursor of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor was not made by this list")]
pub struct InvalidCursor;

impl Cursor {
    /// A cursor of these parts.
    pub fn new(parts: Vec<Vec<u8>>) -> Self {
        Self(parts)
    }

    /// A cursor of one number, as lists ordered by id use it.
    pub fn from_number(number: i64) -> Self {
        Self(vec![number.to_be_bytes().to_vec()])
    }

    /// Its parts.
    pub fn parts(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The part at `index` as a number.
    pub fn number(&self, index: usize) -> Result<i64, InvalidCursor> {
        let part = self.0.get(index).ok_or(InvalidCursor)?;
        Ok(i64::from_be_bytes(part.as_slice().try_into().map_err(|_| InvalidCursor)?))
    }

    /// The part at `index` as the key of an address.
    pub fn key(&self, index: usize) -> Result<[u8; 16], InvalidCursor> {
        self.0.get(index).ok_or(InvalidCursor)?.as_slice().try_into().map_err(|_| InvalidCursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            for byte in part {
                write!(formatter, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 256 || !text.is_ascii() {
            return Err(InvalidCursor);
        }
        let part = |hex: &str| {
            if hex.is_empty() || !hex.len().is_multiple_of(2) {
                return Err(InvalidCursor);
            }
            (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| InvalidCursor))
                .collect()
        };
        text.split('.').map(part).collect::<Result<_, _>>().map(Self)
    }
}

/// One page of a list that is read by key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// What the page holds.
    pub items: Vec<T>,
    /// Asks for what follows; null at the end. A page may hold less than was asked for and still have a next one:
    /// a rare filter stops after a bounded amount of reading.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_cursor_or_an_error(text: String) {
            let _ = text.parse::<Cursor>();
        }

        #[test]
        fn a_cursor_survives_its_text(number: i64, key: [u8; 16]) {
            let cursor = Cursor::new(vec![number.to_be_bytes().to_vec(), key.to_vec()]);
            let read: Cursor = cursor.to_string().parse().expect("own text");
            prop_assert_eq!((read.number(0), read.key(1)), (Ok(number), Ok(key)));
        }
    }
}
