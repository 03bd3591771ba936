//! How far a copy is with a table, as the column `after` of `copying` holds it: the key of the last row, and nothing
//! before the first.

use serde_json::{Value, json};

use super::corrupt;
use crate::{CopyValue, StoreError};

/// A key as JSON: bytes are an array of numbers, which nothing else is.
#[must_use]
pub fn copy_key_text(key: &[CopyValue]) -> String {
    let value = |value: &CopyValue| match value {
        CopyValue::Null => Value::Null,
        CopyValue::Integer(number) => json!(number),
        CopyValue::Text(text) => json!(text),
        CopyValue::Bytes(bytes) => json!(bytes),
    };
    Value::Array(key.iter().map(value).collect()).to_string()
}

/// The key of a text; none for the empty one.
///
/// # Errors
///
/// A text that [`copy_key_text`] does not write.
pub fn copy_key(text: &str) -> Result<Option<Vec<CopyValue>>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    let unknown = || corrupt("a key of a copy");
    let values: Vec<Value> = serde_json::from_str(text).map_err(|_| unknown())?;
    let value = |value: Value| match value {
        Value::Null => Ok(CopyValue::Null),
        Value::Number(number) => number.as_i64().map(CopyValue::Integer).ok_or_else(unknown),
        Value::String(text) => Ok(CopyValue::Text(text)),
        bytes @ Value::Array(_) => serde_json::from_value(bytes).map(CopyValue::Bytes).map_err(|_| unknown()),
        _ => Err(unknown()),
    };
    values.into_iter().map(value).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_as_it_was() {
        let key = vec![
            CopyValue::Integer(i64::MIN),
            CopyValue::Text("a \"name\"".to_owned()),
            CopyValue::Bytes(vec![0, 255]),
            CopyValue::Null,
        ];
        assert_eq!(copy_key(&copy_key_text(&key)).expect("a key"), Some(key));
        assert_eq!(copy_key("").expect("no key"), None);
        assert!(copy_key("{}").is_err() && copy_key("[1.5]").is_err());
    }
}
