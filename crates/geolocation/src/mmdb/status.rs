use std::{fmt, path::PathBuf};

use hostatlas_domain::Timestamp;
use serde::Serialize;

/// What a database is for, told by its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Coordinates and cities.
    City,
    /// Countries alone; asked for what the city databases do not know.
    Country,
    /// Networks: autonomous systems and who holds them.
    Asn,
}

impl Role {
    /// The word on pages and in JSON.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::City => "city",
            Self::Country => "country",
            Self::Asn => "asn",
        }
    }
}

/// Which addresses a database holds data for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressFamilies {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// IPv4 and IPv6.
    Both,
}

impl AddressFamilies {
    /// The words on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Both => "IPv4 and IPv6",
        }
    }
}

/// One database file: what it is, whether it is in use, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseStatus {
    /// The operator's file.
    pub path: PathBuf,
    /// Whether lookups are answered from (the private copy of) this file or an earlier version of it.
    pub in_use: bool,
    /// What it is for; `None` if no version of it could be read. So for the next five.
    pub role: Option<Role>,
    /// Which addresses it knows.
    pub families: Option<AddressFamilies>,
    /// The type in its metadata, for people only; at most 64 characters.
    pub database_type: Option<String>,
    /// When it was built, of the version in use.
    pub database_build: Option<Timestamp>,
    /// Nodes in its search tree: about as many as it has networks.
    pub nodes: Option<u32>,
    /// Size in bytes, of the version in use.
    pub bytes: Option<u64>,
    /// How many lookups met a damaged record since it was opened.
    pub unreadable_records: u64,
    /// Why the file as it is now is not in use.
    pub problem: Option<Problem>,
}

/// Something wrong with a database file or directory, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong, as the end of a sentence that begins with the path.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` {}", self.path.display(), self.what)
    }
}

/// What became of one changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The new version is in use.
    Loaded {
        /// The operator's file.
        path: PathBuf,
        /// When the new version was built.
        database_build: Option<Timestamp>,
    },
    /// The new version is not used. What was in use before still is.
    Refused(Problem),
}
