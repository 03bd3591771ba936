//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{collections::BTreeSet, io::Read};

use hostatlas_domain::{ScanFormat, SightingRecord};
use hostatlas_scan::{Record, ScanReader};

/// All that one input gave.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub format: ScanFormat,
    pub records: Vec<Record>,
    pub truncated: bool,
}

pub fn sample(name: &str) -> Vec<u8> {
    let path = format!("{}/../../samples/scans/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn read_from(reader: impl Read, format: Option<ScanFormat>) -> Outcome {
    let mut reader = ScanReader::new(reader, format).expect("a scan");
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().expect("readable") {
        records.push(record);
    }
    Outcome { format: reader.format(), records, truncated: reader.truncated() }
}

pub fn read(input: impl AsRef<[u8]>) -> Outcome {
    read_from(input.as_ref(), None)
}

pub fn read_sample(name: &str) -> Outcome {
    read(sample(name))
}

/// A record in a few words, so that a whole outcome is one comparison.
pub fn brief(record: &Record) -> String {
    match record {
        Record::Skipped { line, reason } => format!("{line} skipped: {reason}"),
        Record::NotUnderstood { line, reason } => format!("{line} not understood: {reason}"),
        Record::Bad { line, reason } => format!("{line} bad: {reason}"),
        Record::Sighting { line, sighting, repaired } => {
            let time = sighting.seen_at.map_or(String::new(), |time| format!(" @{}", time.as_secs()));
            let what = match &sighting.record {
                SightingRecord::Up => "up".to_owned(),
                SightingRecord::Open { port, protocol } => format!("open {port}/{protocol}"),
                SightingRecord::Closed { port, protocol } => format!("closed {port}/{protocol}"),
                SightingRecord::Banner { port, protocol, service, banner } => {
                    format!("banner {port}/{protocol} [{service}] {}", banner.escape_ascii())
                }
            };
            let mended = if *repaired { " repaired" } else { "" };
            format!("{line} {} {what}{time}{mended}", sighting.address)
        }
    }
}

pub fn briefs(input: impl AsRef<[u8]>) -> Vec<String> {
    read(input).records.iter().map(brief).collect()
}

/// Address, port and what was said, without lines and times: what all formats of one scan agree on.
pub fn facts(outcome: &Outcome) -> BTreeSet<String> {
    outcome
        .records
        .iter()
        .map(|record| match record {
            Record::Sighting { sighting, .. } => {
                let trimmed = match &sighting.record {
                    // The screen's lines are filled with blanks, so theirs at the end cannot be told apart.
                    SightingRecord::Banner { port, protocol, service, banner } => format!(
                        "banner {port}/{protocol} [{service}] {}",
                        banner.trim_ascii_end().escape_ascii()
                    ),
                    SightingRecord::Open { port, protocol } => format!("open {port}/{protocol}"),
                    SightingRecord::Closed { port, protocol } => format!("closed {port}/{protocol}"),
                    SightingRecord::Up => "up".to_owned(),
                };
                format!("{} {trimmed}", sighting.address)
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Gives at most `step` bytes a read, as a pipe does.
pub struct Slow<'a> {
    pub bytes: &'a [u8],
    pub step: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = self.step.min(buffer.len());
        self.bytes.read(&mut buffer[..wanted])
    }
}
