use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The row of a network. Never deleted or renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkId(pub i64);

/// The number of an autonomous system (RFC 6793), 1 to 4294967295.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asn(pub u32);

/// Text that is no autonomous system number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an autonomous system number such as AS15169")]
pub struct InvalidAsn(String);

impl fmt::Display for Asn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AS{}", self.0)
    }
}

impl FromStr for Asn {
    type Err = InvalidAsn;

    /// Reads `AS15169`, `as15169` or `15169`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits =
            text.get(..2).filter(|head| head.eq_ignore_ascii_case("as")).map_or(text, |_| &text[2..]);
        match digits.parse() {
            Ok(number) if number > 0 && !digits.starts_with('+') => Ok(Self(number)),
            _ => Err(InvalidAsn(crate::sanitize(text, 32))),
        }
    }
}

/// One autonomous system as a provider names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// Its number, if the provider says so.
    pub asn: Option<Asn>,
    /// Who holds it; at most 256 characters.
    pub organization: Option<String>,
    /// Who sells access over it, if the provider tells that apart.
    pub isp: Option<String>,
}

impl Network {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.asn.is_none() && self.organization.is_none() && self.isp.is_none()
    }
}
