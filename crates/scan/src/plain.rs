//! Lists of addresses, as people write them.

mod targets;

use crate::{
    Record,
    lines::{Line, LineFormat, trim},
    record::{Common, Records, shown},
};
use targets::Targets;

pub use targets::MAX_EXPANDED_ADDRESSES;

/// A list of addresses as people write it; `#` begins a comment. A line holds one of:
///
/// - an address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:443`, `192.0.2.1,80`, `192.0.2.1 53/udp`,
/// - a CIDR block, a range, or what nmap calls one: `192.0.2.0/28`, `192.0.2.1-192.0.2.9`, `192.0.2.1-9`, `192.0.1,2.*`,
/// - several of those, separated by commas or blanks.
///
/// `192.0.2.1,3,5` is three addresses, as it is for nmap: the numbers rise and are parts of an address. A single number
/// behind a comma is a port.
#[derive(Default)]
pub(crate) struct Plain {
    line: u64,
    targets: Vec<Targets>,
}

impl LineFormat for Plain {
    fn line(&mut self, line: &Line<'_>, records: &mut Records) {
        let text = match memchr::memchr(b'#', line.bytes) {
            Some(comment) => trim(&line.bytes[..comment]),
            None => trim(line.bytes),
        };
        if text.is_empty() || text.starts_with(b"//") || text.starts_with(b";") {
            return;
        }
        match entries(text, line.number) {
            Entries::Targets(targets) => {
                self.line = line.number;
                // They are given out from the end.
                self.targets = targets.into_iter().rev().collect();
            }
            Entries::TooMany(reason) => records.push_back(Record::Bad { line: line.number, reason }),
            Entries::Records(found) => records.extend(found),
            Entries::None => records.push_back(Record::Bad {
                line: line.number,
                reason: format!("{} is no address, address:port, range or CIDR block", shown(text)),
            }),
        }
    }

    fn left_over(&mut self) -> Option<Record> {
        loop {
            let targets = self.targets.last_mut()?;
            if let Some(address) = targets.next() {
                let seen = Common { line: self.line, address, seen_at: None, repaired: false };
                return Some(seen.up());
            }
            self.targets.pop();
        }
    }

    fn believes_unended_line(&self) -> bool {
        true
    }
}

/// Whether `line` is one that a plain list may hold, comments aside.
pub(crate) fn is_entry(line: &[u8]) -> bool {
    match entries(trim(line), 1) {
        Entries::Targets(_) | Entries::TooMany(_) => true,
        Entries::Records(records) => {
            records.iter().any(|record| matches!(record, Record::Sighting { .. } | Record::Skipped { .. }))
        }
        Entries::None => false,
    }
}

enum Entries {
    Records(Vec<Record>),
    Targets(Vec<Targets>),
    /// More addresses than are expanded.
    TooMany(String),
    None,
}

fn entries(text: &[u8], line: u64) -> Entries {
    if let Some(targets) = targets::read(text) {
        return match targets {
            Ok(targets) => Entries::Targets(vec![targets]),
            Err(reason) => Entries::TooMany(reason),
        };
    }
    if let Some(several) = several(text, line) {
        return several;
    }
    single(text, line).map_or(Entries::None, |record| Entries::Records(vec![record]))
}

/// Reads a line that holds several entries; none if one of its parts is no address by itself.
fn several(text: &[u8], line: u64) -> Option<Entries> {
    let parts = text.split(|byte| is_separator(*byte)).filter(|part| !part.is_empty());
    let (mut targets, mut records) = (Vec::new(), Vec::new());
    let mut count = 0;
    for part in parts {
        count += 1;
        match targets::read(part) {
            Some(Ok(some)) => targets.push(some),
            Some(Err(reason)) => return Some(Entries::TooMany(reason)),
            None => records.push(single(part, line)?),
        }
    }
    if count < 2 {
        return None;
    }
    let all: u128 = targets.iter().map(Targets::size).sum();
    if all > MAX_EXPANDED_ADDRESSES {
        return Some(Entries::TooMany(targets::too_many(text, all)));
    }
    if records.is_empty() {
        return Some(Entries::Targets(targets));
    }
    let expanded = targets.into_iter().flatten();
    records.extend(expanded.map(|address| Common { line, address, seen_at: None, repaired: false }.up()));
    Some(Entries::Records(records))
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b',' | b';')
}

/// An address, and perhaps a port; None if it is something else.
fn single(text: &[u8], line: u64) -> Option<Record> {
    let (host, port) = match text.iter().position(|byte| is_separator(*byte)) {
        Some(at) => (&text[..at], Some(trim_separators(&text[at..]))),
        None => (text, None),
    };
    let host = host.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(host);
    let (seen, port) = if let Some(seen) = Common::read(line, host, None) {
        (seen, port)
    } else {
        let colon = memchr::memrchr(b':', host)?;
        // `2001:db8::1:80` is an address; a port behind IPv6 needs brackets.
        let bracketed = host.starts_with(b"[") && host[..colon].ends_with(b"]");
        let seen = Common::read(line, &host[..colon], None)?;
        (bracketed || seen.address.is_ipv4()).then_some(())?;
        (seen, Some(&host[colon + 1..]))
    };
    let Some(port) = port else { return Some(seen.up()) };
    let port = port.split(|byte| is_separator(*byte)).next().unwrap_or_default();
    let (port, protocol) = match memchr::memchr(b'/', port) {
        Some(slash) => (&port[..slash], &port[slash + 1..]),
        None => (port, &b"tcp"[..]),
    };
    Some(seen.port(protocol, port, b"open"))
}

fn trim_separators(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_separator(*first)
    {
        text = rest;
    }
    text
}
