//! JSON and CSV as they leave the program.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use crate::{configuration::nearest, failure::Failure};

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

/// The names of an object's fields and of those of the objects in it.
fn paths(value: &Value) -> Vec<String> {
    let inner = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => paths(value).iter().map(|inner| format!("{name}.{inner}")).collect(),
        _ => vec![name.clone()],
    };
    value.as_object().map(|object| object.iter().flat_map(inner).collect()).unwrap_or_default()
}

/// Refuses fields that `value` does not have.
pub fn check_fields(value: &Value, fields: &[String]) -> Result<(), Failure> {
    match fields.iter().find(|field| at(value, field).is_none()) {
        None => Ok(()),
        Some(field) => Err(unknown_field(field, &paths(value))),
    }
}

/// Refuses fields that are neither among `known` nor objects that hold some of them.
pub fn check_known<S: AsRef<str>>(fields: &[String], known: &[S]) -> Result<(), Failure> {
    let is_known = |field: &&String| {
        known.iter().map(AsRef::as_ref).any(|name| {
            name.strip_prefix(field.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    match fields.iter().find(|field| !is_known(field)) {
        None => Ok(()),
        Some(field) => Err(unknown_field(field, known)),
    }
}

/// The failure of a field that does not exist.
fn unknown_field<S: AsRef<str>>(field: &str, known: &[S]) -> Failure {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let last = |path: &str| path.rsplit('.').next().map(str::to_lowercase);
    // The same fact stands in an object here and by itself there: `location.city`, `city`.
    let meant = known.iter().copied().find(|name| last(name) == last(field));
    let meant = meant.or_else(|| nearest(field, known.iter().copied()));
    let suggestion = meant.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    Failure::usage(format!("there is no field `{}`", hostatlas_domain::sanitize(field, 64)))
        .with_hint(format!("{suggestion}fields are {}", known.join(", ")))
}

/// An object of these fields alone, in this order; refuses those that it does not have.
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
pub fn csv_line<S: AsRef<str>>(value: &Value, fields: &[S]) -> String {
    let cells: Vec<String> =
        fields.iter().map(|field| cell(at(value, field.as_ref()).unwrap_or(&Value::Null))).collect();
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

    #[test]
    fn an_unknown_field_is_refused_with_those_there_are_and_what_was_meant() {
        let known = ["ip", "city", "lines.ok"];
        let hint = |field: &str| {
            let failure = check_known(&[field.to_owned()], &known).expect_err("unknown");
            failure.hint().unwrap_or_default().to_owned()
        };
        assert_eq!(hint("location.city"), "did you mean `city`? fields are ip, city, lines.ok");
        assert_eq!(hint("ok"), "did you mean `lines.ok`? fields are ip, city, lines.ok");
        assert_eq!(hint("ciity"), "did you mean `city`? fields are ip, city, lines.ok");
        assert_eq!(hint("colour"), "fields are ip, city, lines.ok");
        assert!(check_known(&["lines".to_owned(), "lines.ok".to_owned()], &known).is_ok());
        assert!(check_known(&["line".to_owned()], &known).is_err());
        let value = json!({"ip": "192.0.2.1", "location": {"city": "Graz"}});
        let failure = project(&value, &["city".to_owned()]).expect_err("unknown");
        assert_eq!(failure.hint(), Some("did you mean `location.city`? fields are ip, location.city"));
    }
}
