//! What the databases page shows: the files that are used, those that wait to be compared, and the latest comparison.

use serde::{Deserialize, Serialize};

use crate::{MmdbComparison, Timestamp};

/// The database files of an installation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Databases {
    /// The files that are configured or were found, in use or not.
    pub installed: Vec<InstalledDatabase>,
    /// The folder where a file is put to be compared. Moving it one folder up installs it.
    pub candidates_folder: String,
    /// Why that folder cannot be read; one that does not exist is merely empty.
    pub candidates_problem: Option<String>,
    /// The files in it, by name.
    pub candidates: Vec<CandidateDatabase>,
    /// The latest comparison of this process.
    pub comparison: Option<CandidateComparison>,
}

/// A database file that is configured or was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstalledDatabase {
    /// The name of the file, without its folder.
    pub name: String,
    /// Whether lookups are answered from it or an earlier version of it.
    pub in_use: bool,
    /// `city`, `country` or `asn`; `None` if no version of it could be read. So for the next three.
    pub role: Option<String>,
    /// `IPv4`, `IPv6` or `IPv4 and IPv6`.
    pub families: Option<String>,
    /// When the version in use was built.
    pub database_build: Option<Timestamp>,
    /// Size in bytes of the version in use.
    pub bytes: Option<u64>,
    /// How many lookups met a damaged record since it was opened.
    pub unreadable_records: u64,
    /// Why the file as it is now is not in use, as the end of a sentence that begins with its name.
    pub problem: Option<String>,
    /// What to do about that.
    pub remedy: Option<String>,
}

/// A database file that waits to be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CandidateDatabase {
    /// The name of the file, without its folder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written, if the file system says so.
    pub modified_at: Option<Timestamp>,
}

/// How far the comparison of a file is, or what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CandidateComparison {
    /// The name of the file.
    pub name: String,
    /// When it was begun.
    pub began_at: Timestamp,
    /// How far it is.
    #[serde(flatten)]
    pub state: ComparisonState,
}

/// What a comparison does, or came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ComparisonState {
    /// It goes on.
    Running {
        /// Hosts that were compared.
        compared: u64,
        /// Hosts there were when it began.
        total: u64,
    },
    /// It is done.
    Finished {
        /// What would change.
        result: MmdbComparison,
    },
    /// It could not be done.
    Failed {
        /// Why.
        detail: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl ComparisonState {
    /// Whether it goes on.
    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }
}
