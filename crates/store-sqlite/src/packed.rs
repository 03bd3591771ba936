//! Many values in one parameter, and many rows in one answer. A round trip to the engine costs as much as a hundred
//! rows, and a column that is read by itself as much as a whole packed row.

use std::fmt::Write;

use hostatlas_store::StoreError;

use crate::error::other;

/// `[1,2,3]`, for `json_each`.
pub(crate) fn id_array(ids: impl IntoIterator<Item = i64>) -> String {
    let mut array = String::from("[");
    for id in ids {
        separate(&mut array);
        push_number(&mut array, id);
    }
    array.push(']');
    array
}

/// A comma, unless nothing stands there yet or something was just opened.
pub(crate) fn separate(json: &mut String) {
    if !matches!(json.as_bytes().last(), None | Some(b'[' | b'{')) {
        json.push(',');
    }
}

/// `[1,2],` for `json_each`: one row of numbers; absent ones are null.
pub(crate) fn push_row(json: &mut String, numbers: &[Option<i64>]) {
    separate(json);
    json.push('[');
    for number in numbers {
        separate(json);
        match number {
            Some(number) => push_number(json, *number),
            None => json.push_str("null"),
        }
    }
    json.push(']');
}

/// A JSON string.
pub(crate) fn push_text(json: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

pub(crate) fn push_number(json: &mut String, number: i64) {
    // Writing to a string cannot fail.
    let _ = write!(json, "{number}");
}

/// The rows of a `group_concat(concat_ws(',', ...), ';')`.
pub(crate) fn rows(packed: Option<&str>) -> impl Iterator<Item = Row<'_>> {
    packed
        .filter(|text| !text.is_empty())
        .into_iter()
        .flat_map(|text| text.split(';'))
        .map(|rest| Row { rest })
}

/// One row: its fields, from left to right.
pub(crate) struct Row<'t> {
    rest: &'t str,
}

impl<'t> Row<'t> {
    /// The next field.
    pub(crate) fn text(&mut self) -> &'t str {
        let end = self.rest.as_bytes().iter().position(|byte| *byte == b',');
        let (field, rest) = end.map_or((self.rest, ""), |end| (&self.rest[..end], &self.rest[end + 1..]));
        self.rest = rest;
        field
    }

    /// The next field as a number.
    pub(crate) fn number(&mut self) -> Result<i64, StoreError> {
        let field = self.text();
        field
            .parse()
            .map_err(|_| other(format!("the engine answered `{field}` where a number was asked for")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_give_back_what_was_packed() {
        let mut seen = Vec::new();
        for mut row in rows(Some("1,ab,-3;4,,5")) {
            seen.push((row.number().expect("a number"), row.text(), row.number().expect("a number")));
        }
        assert_eq!(seen, [(1, "ab", -3), (4, "", 5)]);
        assert_eq!(rows(None).count() + rows(Some("")).count(), 0);
    }

    #[test]
    fn text_of_any_kind_is_one_json_string() {
        let mut json = String::from("[");
        for text in ["plain", "a \"quote\"", "back\\slash", "line\n", "Zürich"] {
            separate(&mut json);
            push_text(&mut json, text);
        }
        json.push(']');
        let read: Vec<String> = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read, ["plain", "a \"quote\"", "back\\slash", "line\n", "Zürich"]);
    }
}
