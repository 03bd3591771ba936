use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Priority;

/// What a job does about its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Connects to a port and reads what it says.
    BannerGrab,
    /// Finds the host's names.
    DomainEnum,
    /// Looks up where the host is.
    Geolocation,
    /// Fetches the TLS certificate of a port.
    SslCert,
}

/// A kind that is none of the four.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown job kind `{0}`: use banner_grab, domain_enum, geolocation or ssl_cert")]
pub struct UnknownJobKind(String);

impl JobKind {
    /// All four; the position is the number that is stored.
    pub const ALL: [Self; 4] = [Self::BannerGrab, Self::DomainEnum, Self::Geolocation, Self::SslCert];

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads [`JobKind::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The name in JSON, URLs, commands and on pages.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::BannerGrab => "banner_grab",
            Self::DomainEnum => "domain_enum",
            Self::Geolocation => "geolocation",
            Self::SslCert => "ssl_cert",
        }
    }

    /// The priority that an import gives it.
    pub const fn default_priority(self) -> Priority {
        Priority(self.number())
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.slug())
    }
}

impl FromStr for JobKind {
    type Err = UnknownJobKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.slug() == text)
            .ok_or_else(|| UnknownJobKind(crate::sanitize(text, 64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_give_the_four_kinds_priorities_0_to_3() {
        assert_eq!(JobKind::ALL.map(|kind| kind.default_priority().get()), [0, 1, 2, 3]);
    }
}
