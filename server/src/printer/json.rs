//! JSON and CSV as they leave the program.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;

/// One document, on one line unless `pretty`.
pub fn text<T: Serialize>(value: &T, pretty: bool) -> Result<String, Failure> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map(harmless).map_err(|error| Failure::error(format!("cannot write JSON: {error}")))
}

/// One document on one line.
pub fn document<T: Serialize>(value: &T) -> Result<String, Failure> {
    text(value, false)
}

/// For projections.
pub fn value<T: Serialize>(value: &T) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::error(format!("cannot write JSON: {error}")))
}

/// The names of an object's fields.
pub fn names(value: &Value) -> Vec<String> {
    value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

/// What stands at `field`; a dot reaches into an object. None where there is no such field.
pub fn at<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(field) {
        return Some(found);
    }
    let (head, rest) = field.split_once('.')?;
    match value.get(head)? {
        Value::Null => Some(&Value::Null),
        inner => at(inner, rest),
    }
}

/// Refuses fields that `value` does not have.
pub fn check_fields(value: &Value, fields: &[String]) -> Result<(), Failure> {
    match fields.iter().find(|field| at(value, field).is_none()) {
        None => Ok(()),
        Some(field) => Err(unknown_field(field, &names(value))),
    }
}

/// The failure of `--fields` with a name that does not exist.
pub fn unknown_field<S: AsRef<str>>(field: &str, known: &[S]) -> Failure {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    Failure::usage(format!("there is no field `{}`", hostatlas_domain::sanitize(field, 64)))
        .with_hint(format!("fields are {}", known.join(", ")))
}

/// An object of these fields alone, in this order.
pub fn project(value: &Value, fields: &[String]) -> Result<String, Failure> {
    check_fields(value, fields)?;
    let mut line = String::from("{");
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        let _ = write!(line, "{}:{}", Value::from(field.as_str()), at(value, field).unwrap_or(&Value::Null));
    }
    line.push('}');
    Ok(harmless(line))
}

/// One line of CSV. Lists are joined by a space.
pub fn csv_line(value: &Value, fields: &[String]) -> String {
    let cells: Vec<String> =
        fields.iter().map(|field| cell(at(value, field).unwrap_or(&Value::Null))).collect();
    cells.join(",")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => csv_text(text),
        Value::Array(items) if items.iter().all(|item| item.is_number() || item.is_string()) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect();
            csv_text(&items.join(" "))
        }
        nested => csv_text(&nested.to_string()),
    }
}

/// Text that no spreadsheet takes for a formula, quoted where needed.
fn csv_text(text: &str) -> String {
    let shown = hostatlas_domain::escape_control(text.as_bytes());
    // OWASP's list, with the full-width forms that some programs treat alike.
    let formula = shown.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let guarded = if formula { format!("'{shown}") } else { shown };
    if guarded.contains(['"', ',', '\n', '\r', '\t', ';'])
        || guarded.starts_with(['\'', ' '])
        || guarded.ends_with(' ')
    {
        return format!("\"{}\"", guarded.replace('"', "\"\""));
    }
    guarded
}

/// JSON leaves C1 controls, DEL and direction marks as they are; a terminal obeys them.
fn harmless(json: String) -> String {
    if json.bytes().all(|byte| byte.is_ascii() && byte != 0x7f) {
        return json;
    }
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        let mut buffer = [0; 4];
        let text: &str = character.encode_utf8(&mut buffer);
        if hostatlas_domain::escape_control(text.as_bytes()) == text {
            safe.push(character);
        } else {
            let _ = write!(safe, "\\u{:04x}", u32::from(character));
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_formula_from_a_banner_stays_text_in_csv() {
        let value = json!({"a": "=1+1", "b": "-5", "c": -5.5, "d": "say \"x\", y", "e": null, "f": [80, 443], "g": "＝1"});
        let fields: Vec<String> = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).into();
        assert_eq!(csv_line(&value, &fields), "\"'=1+1\",\"'-5\",-5.5,\"say \"\"x\"\", y\",,80 443,\"'＝1\"");
    }

    #[test]
    fn json_holds_nothing_that_a_terminal_obeys() {
        let printed = text(&"\u{9b}2J\u{202e}\u{1b}[31m é", false).expect("JSON");
        assert_eq!(printed, "\"\\u009b2J\\u202e\\u001b[31m é\"");
        assert_eq!(serde_json::from_str::<String>(&printed).expect("JSON"), "\u{9b}2J\u{202e}\u{1b}[31m é");
    }

    #[test]
    fn a_projection_keeps_the_order_that_was_asked_for() {
        let value = json!({"ip": "192.0.2.1", "location": {"city": "Graz"}, "state": "located"});
        let fields = ["state".to_owned(), "location.city".to_owned()];
        assert_eq!(project(&value, &fields).expect("known"), r#"{"state":"located","location.city":"Graz"}"#);
        assert_eq!(project(&value, &["ipp".to_owned()]).expect_err("unknown").exit(), 2);
    }
}
