//! A JSON document of which nothing is believed beforehand.
//!
//! One damaged item of a batch must not take the others with it, so a body is read as a tree first and each item
//! judged by itself. Unlike `serde_json::Value`, the tree tells an object that has one key twice, in which readers
//! before and behind us might see different places.

use std::{cell::Cell, collections::BTreeMap, collections::btree_map::Entry, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::reply::shown;
use crate::LookupError;

/// Most values in one document. A batch of 1,000 of the widest documented answers has a third of it.
const MOST_VALUES: usize = 250_000;

/// The longest text that can be a number: a coordinate with all the digits of a double, and to spare.
const LONGEST_NUMBER: usize = 32;

/// One value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json {
    /// `null`, or nothing there.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// Always finite: JSON has no other.
    Number(f64),
    /// Text.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Map(BTreeMap<String, Json>),
    /// An object that has a key twice.
    Ambiguous,
}

static NOTHING: Json = Json::Null;

impl Json {
    /// Reads a whole document. The error says what is wrong in words, without any of its text.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let values = Cell::new(MOST_VALUES);
        let mut source = serde_json::Deserializer::from_slice(body);
        Tree { values: &values }
            .deserialize(&mut source)
            .and_then(|tree| source.end().map(|()| tree))
            .map_err(|error| match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => "the answer is empty".to_owned(),
                Some(b'<') => "a web page came in place of an answer".to_owned(),
                Some(_) => format!("the answer is no JSON: {error}"),
            })
    }

    /// The value under `key`; nothing if this is no object.
    pub fn get(&self, key: &str) -> &Self {
        match self {
            Self::Map(entries) => entries.get(key).unwrap_or(&NOTHING),
            _ => &NOTHING,
        }
    }

    /// The value at a JSON pointer (RFC 6901).
    pub fn at(&self, pointer: &str) -> &Self {
        let mut value = self;
        for step in pointer.split('/').skip(1) {
            value = match value {
                Self::List(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
                Self::Map(entries) if step.contains('~') => {
                    entries.get(&step.replace("~1", "/").replace("~0", "~"))
                }
                Self::Map(entries) => entries.get(step),
                _ => None,
            }
            .unwrap_or(&NOTHING);
        }
        value
    }

    /// This as an object, which every answer about an address is.
    pub fn object(&self) -> Result<&Self, LookupError> {
        match self {
            Self::Map(_) => Ok(self),
            Self::Ambiguous => Err(malformed("a key stands twice in one object")),
            _ => Err(malformed("the answer is no object")),
        }
    }

    /// An object below this one, or nothing.
    pub fn part(&self, key: &str) -> Result<&Self, LookupError> {
        match self.get(key) {
            part @ (Self::Map(_) | Self::Null) => Ok(part),
            Self::Ambiguous => Err(malformed(format!("a key stands twice in `{key}`"))),
            _ => Err(malformed(format!("`{key}` is no object"))),
        }
    }

    /// The text here, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text under `key`.
    pub fn text(&self, key: &str) -> Result<Option<&str>, LookupError> {
        self.get(key).read_text(key)
    }

    /// The number under `key`, or the text there that is one to the last character.
    pub fn number(&self, key: &str) -> Result<Option<f64>, LookupError> {
        self.get(key).read_number(key)
    }

    /// The text here, of the field that is called `name`.
    pub fn read_text(&self, name: &str) -> Result<Option<&str>, LookupError> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            _ => Err(malformed(format!("`{name}` is no text"))),
        }
    }

    /// The number here, of the field that is called `name`. Empty text and a dash mean that there is none.
    pub fn read_number(&self, name: &str) -> Result<Option<f64>, LookupError> {
        match self {
            Self::Null => Ok(None),
            Self::Number(number) => Ok(Some(*number)),
            Self::Text(text) if matches!(text.trim(), "" | "-") => Ok(None),
            Self::Text(text) => match number(text) {
                Some(number) => Ok(Some(number)),
                None => Err(malformed(format!("`{name}` is `{}`, which is no number", shown(text)))),
            },
            _ => Err(malformed(format!("`{name}` is no number"))),
        }
    }
}

/// An answer that cannot be used, and why.
pub fn malformed(detail: impl Into<String>) -> LookupError {
    LookupError::Malformed { detail: detail.into() }
}

/// Text that is a decimal number and nothing else: no blank, no sign but minus, no exponent, no `inf`.
pub fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let only_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > LONGEST_NUMBER || !only_digits(whole) || !only_digits(fraction) {
        return None;
    }
    text.parse().ok()
}

/// Builds a tree from at most so many values.
#[derive(Clone, Copy)]
struct Tree<'count> {
    values: &'count Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        let left =
            self.values.get().checked_sub(1).ok_or_else(|| D::Error::custom("it has too many values"))?;
        self.values.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E: Error>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }
    #[expect(clippy::cast_precision_loss, reason = "no fact about an address is a whole number above 2^53")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }
    #[expect(clippy::cast_precision_loss, reason = "no fact about an address is a whole number above 2^53")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }
    fn visit_string<E: Error>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let (mut map, mut ambiguous) = (BTreeMap::new(), false);
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            match map.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                Entry::Occupied(_) => ambiguous = true,
            }
        }
        Ok(if ambiguous { Json::Ambiguous } else { Json::Map(map) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_text_is_a_number_to_the_last_character() {
        let read = ["37.35983", "-121.98144", "0", "007.50", "12"].map(number);
        assert_eq!(read, [Some(37.35983), Some(-121.98144), Some(0.0), Some(7.5), Some(12.0)]);
        for text in
            ["", "-", ".", "1.", ".5", "+1", "1e3", "NaN", "inf", " 1", "1 ", "0x1", "1,5", "1.2.3", "٣"]
        {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_json_has_no_word_for_is_refused() {
        for body in
            ["NaN", "{\"lat\":NaN}", "[Infinity]", "{\"lat\":1e999}", "{\"a\":1}{\"a\":1}", "{", "\u{feff}{}"]
        {
            assert!(Json::read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn nesting_and_values_are_bounded() {
        let deep = "[".repeat(100_000);
        let wide = format!("[{}0]", "0,".repeat(MOST_VALUES));
        assert!(Json::read(deep.as_bytes()).is_err() && Json::read(wide.as_bytes()).is_err());
    }

    #[test]
    fn a_key_that_stands_twice_makes_only_its_object_unreadable() {
        let tree = Json::read(br#"[{"lat":1,"lat":2},{"lat":3}]"#).expect("JSON");
        assert!(tree.at("/0").object().is_err());
        assert_eq!(tree.at("/1").object().and_then(|item| item.number("lat")), Ok(Some(3.0)));
    }

    #[test]
    fn a_pointer_finds_what_it_names() {
        let tree = Json::read(br#"{"a/b":{"~":[1,{"c":"x"}]}}"#).expect("JSON");
        assert_eq!(tree.at("/a~1b/~0/1/c"), &Json::Text("x".to_owned()));
        assert_eq!((tree.at("/a~1b/~0/7"), tree.at("/x/y"), tree.at("")), (&Json::Null, &Json::Null, &tree));
    }
}
