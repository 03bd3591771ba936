use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The row of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ImportId(pub i64);

/// A format that hostatlas reads, recognised by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ScanFormat {
    /// Nothing at all: masscan writes an empty file when it found nothing.
    Empty,
    /// `masscan -oJ`, of every era.
    MasscanJson,
    /// `masscan -oD`.
    MasscanNdjson,
    /// `masscan -oL`.
    MasscanList,
    /// `masscan -oX`.
    MasscanXml,
    /// `masscan -oG`.
    MasscanGrepable,
    /// `masscan -oB`.
    MasscanBinary,
    /// What masscan prints when no output option is given.
    MasscanStdout,
    /// `masscan -oU`.
    Unicornscan,
    /// `nmap -oX`.
    NmapXml,
    /// `nmap -oG`.
    NmapGrepable,
    /// zmap's CSV, with or without a header.
    ZmapCsv,
    /// zmap's JSON lines.
    ZmapJson,
    /// `naabu -json`, old and new.
    NaabuJson,
    /// `naabu -csv`.
    NaabuCsv,
    /// `rustscan -g`: `192.0.2.1 -> [22,80]`.
    RustscanGrepable,
    /// JSON lines that Shodan gives to download.
    ShodanJson,
    /// JSON of any other tool. Records with an address and a port are read; the rest is not understood.
    Json,
    /// Addresses, `address:port`, ranges or CIDR blocks.
    Plain,
}

impl ScanFormat {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Empty,
        Self::MasscanJson,
        Self::MasscanNdjson,
        Self::MasscanList,
        Self::MasscanXml,
        Self::MasscanGrepable,
        Self::MasscanBinary,
        Self::MasscanStdout,
        Self::Unicornscan,
        Self::NmapXml,
        Self::NmapGrepable,
        Self::ZmapCsv,
        Self::ZmapJson,
        Self::NaabuJson,
        Self::NaabuCsv,
        Self::RustscanGrepable,
        Self::ShodanJson,
        Self::Json,
        Self::Plain,
    ];

    /// The name in JSON and for `--format`.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::MasscanJson => "masscan-json",
            Self::MasscanNdjson => "masscan-ndjson",
            Self::MasscanList => "masscan-list",
            Self::MasscanXml => "masscan-xml",
            Self::MasscanGrepable => "masscan-grepable",
            Self::MasscanBinary => "masscan-binary",
            Self::MasscanStdout => "masscan-stdout",
            Self::Unicornscan => "unicornscan",
            Self::NmapXml => "nmap-xml",
            Self::NmapGrepable => "nmap-grepable",
            Self::ZmapCsv => "zmap-csv",
            Self::ZmapJson => "zmap-json",
            Self::NaabuJson => "naabu-json",
            Self::NaabuCsv => "naabu-csv",
            Self::RustscanGrepable => "rustscan-grepable",
            Self::ShodanJson => "shodan-json",
            Self::Json => "json",
            Self::Plain => "plain",
        }
    }
}

impl fmt::Display for ScanFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.slug())
    }
}

impl FromStr for ScanFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.slug() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|format| format.slug()).collect();
            format!("unknown format `{text}`: use auto or one of {}", known.join(", "))
        })
    }
}

/// How many records an import read, by what became of them. One line is one record, and
/// `ok + duplicate + skipped + bad` is all that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineCounts {
    /// Read and stored, repaired ones included.
    pub ok: u64,
    /// Of those, how many had to be mended first.
    pub repaired: u64,
    /// The same address, port, protocol and record kind as earlier in this import.
    pub duplicate: u64,
    /// Nothing to store: sound records that say nothing (a filtered port, a failed probe), and records of a shape
    /// that is not understood. `reasons` tells them apart.
    pub skipped: u64,
    /// Not readable.
    pub bad: u64,
}

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BadLine {
    /// Its line, or its record number in a binary file; the first is 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Why records were not stored just as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LineOutcome {
    /// Stored, after something in it was mended.
    Repaired,
    /// Sound, but it says nothing that is stored.
    Skipped,
    /// Skipped because its shape is not known: what it says is lost.
    NotUnderstood,
}

/// Records that had the same fate for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineReason {
    /// Their fate.
    pub outcome: LineOutcome,
    /// Why.
    pub reason: String,
    /// How many they are.
    pub count: u64,
    /// The line of the first of them.
    pub line: u64,
}

/// What an import did, as `import --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportReport {
    /// The import.
    pub id: ImportId,
    /// What was recognised.
    pub format: ScanFormat,
    /// Hosts that no import had brought before.
    pub hosts_new: u64,
    /// Distinct hosts touched.
    pub hosts_seen: u64,
    /// Services that no import had brought before.
    pub services_new: u64,
    /// Distinct services touched.
    pub services_seen: u64,
    /// Records by what became of them.
    pub lines: LineCounts,
    /// Whether the input ended in the middle of a record or document.
    pub truncated: bool,
    /// Jobs that were queued; those already live are not counted.
    pub jobs_queued: u64,
    /// The first bad records, at most ten.
    pub first_bad: Vec<BadLine>,
    /// Why records were repaired or skipped, at most ten reasons of a kind; the rest is counted as one more.
    pub reasons: Vec<LineReason>,
}

impl ImportReport {
    /// How many records had a shape that is not known. They count as skipped.
    pub fn not_understood(&self) -> u64 {
        let lost = self.reasons.iter().filter(|reason| reason.outcome == LineOutcome::NotUnderstood);
        lost.map(|reason| reason.count).sum()
    }
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// Reading and storing.
    Running,
    /// Read to the end.
    Done,
    /// Undone.
    Undone,
    /// Ended before its input did: a person stopped it, its input could not be read, or its process died. What it
    /// committed stays; importing the same input again completes it.
    Interrupted,
}

impl ImportState {
    /// All of them; the position is the number that is stored.
    pub const ALL: [Self; 4] = [Self::Running, Self::Done, Self::Undone, Self::Interrupted];

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads [`ImportState::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// One run of reading scan output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Import {
    /// What it read: a file name, or `-`.
    pub source: String,
    /// How far it is.
    pub state: ImportState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; of an import whose process died, when that was last heard of.
    pub finished_at: Option<Timestamp>,
    /// What it did so far.
    #[serde(flatten)]
    pub report: ImportReport,
}

/// What undoing an import removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// Hosts that only this import had brought.
    pub hosts: u64,
    /// Services that only this import had brought.
    pub services: u64,
    /// Jobs of those hosts.
    pub jobs: u64,
}
