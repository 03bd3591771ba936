mod iso_3166;
mod spelling;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use self::iso_3166::COUNTRIES;

/// A country or territory by its ISO 3166-1 alpha-2 code, in capitals. Kosovo is `XK`, as providers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

/// Text that is no ISO 3166-1 alpha-2 code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a two-letter country code such as DE")]
pub struct InvalidCountryCode(String);

impl CountryCode {
    /// The two capital letters.
    pub const fn bytes(self) -> [u8; 2] {
        self.0
    }

    /// The two capital letters as text.
    pub fn as_str(self) -> &'static str {
        self.entry().map_or("", |(code, _)| code)
    }

    /// The short English name.
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |(_, name)| name)
    }

    /// Every country, by code.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        COUNTRIES.iter().map(|(code, _)| Self::of(code))
    }

    /// Finds a country by its English name, whatever its case; the official and the older names that
    /// people and providers use are understood, codes are not.
    pub fn from_name(name: &str) -> Option<Self> {
        spelling::code_of(name).map(Self::of)
    }

    fn of(code: &'static str) -> Self {
        let code = code.as_bytes();
        Self([code[0], code[1]])
    }

    fn entry(self) -> Option<&'static (&'static str, &'static str)> {
        let index = COUNTRIES.binary_search_by(|(code, _)| code.as_bytes().cmp(&self.0)).ok()?;
        COUNTRIES.get(index)
    }
}

impl FromStr for CountryCode {
    type Err = InvalidCountryCode;

    /// Reads a code in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        <[u8; 2]>::try_from(text.as_bytes())
            .map(|code| Self(code.map(|letter| letter.to_ascii_uppercase())))
            .ok()
            .filter(|code| code.entry().is_some())
            .ok_or_else(|| InvalidCountryCode(crate::sanitize(text, 64)))
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for CountryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CountryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_in_either_case_and_printed_in_capitals() {
        for country in CountryCode::all() {
            assert_eq!(country.as_str().to_lowercase().parse(), Ok(country));
            assert_eq!(country.to_string().parse(), Ok(country));
        }
    }

    #[test]
    fn what_is_no_country_is_refused() {
        for text in ["", "D", "DEU", "ZZ", "UK", "EU", "A1", "\u{e9}", "d\0"] {
            assert!(text.parse::<CountryCode>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn json_holds_the_code() {
        let japan: CountryCode = "jp".parse().expect("a country");
        assert_eq!(serde_json::to_string(&japan).expect("a string"), "\"JP\"");
        assert_eq!(serde_json::from_str::<CountryCode>("\"jp\"").expect("a country"), japan);
        assert!(serde_json::from_str::<CountryCode>("\"xx\"").is_err());
    }
}
