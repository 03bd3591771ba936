use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hostatlas_domain::Address;

use crate::{
    Record,
    lines::{Line, LineFormat, trim},
    record::{Common, Records, address, shown},
};

/// How many addresses one CIDR block or range may stand for.
pub const MAX_EXPANDED_ADDRESSES: u128 = 65_536;

/// A list of addresses as people write it: an address, `address:port`, `[v6]:port`, a CIDR block or a range a
/// line, with or without a port behind it; `#` begins a comment.
#[derive(Default)]
pub(crate) struct Plain {
    block: Option<Block>,
}

/// Addresses of a block that are not given out yet. An IPv6 one is never mapped IPv4.
struct Block {
    line: u64,
    next: u128,
    last: u128,
    v4: bool,
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
        match block(text, line.number) {
            Some(Ok(block)) => self.block = Some(block),
            Some(Err(reason)) => records.push_back(Record::Bad { line: line.number, reason }),
            None => records.push_back(single(text, line.number).unwrap_or_else(|| Record::Bad {
                line: line.number,
                reason: format!("{} is no address, address:port or CIDR block", shown(text)),
            })),
        }
    }

    fn left_over(&mut self) -> Option<Record> {
        let block = self.block.as_mut()?;
        let ip = if block.v4 {
            IpAddr::V4(Ipv4Addr::from(u32::try_from(block.next).unwrap_or(u32::MAX)))
        } else {
            IpAddr::V6(Ipv6Addr::from(block.next))
        };
        let seen = Common { line: block.line, address: Address::from(ip), seen_at: None, repaired: false };
        if block.next == block.last {
            self.block = None;
        } else {
            block.next += 1;
        }
        Some(seen.up())
    }

    fn believes_unended_line(&self) -> bool {
        true
    }
}

/// Whether `line` is one that a plain list may hold, comments aside.
pub(crate) fn is_entry(line: &[u8]) -> bool {
    let text = trim(line);
    matches!(single(text, 1), Some(Record::Sighting { .. })) || block(text, 1).is_some()
}

/// An address, and perhaps a port; None if it is something else.
fn single(text: &[u8], line: u64) -> Option<Record> {
    let (host, port) = match text.iter().position(|byte| matches!(byte, b' ' | b'\t' | b',' | b';')) {
        Some(at) => (&text[..at], Some(trim_separators(&text[at..]))),
        None => (text, None),
    };
    let host = host.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(host);
    let (address, port) = if let Some(address) = address(host) {
        (address, port.filter(|port| !port.is_empty()))
    } else {
        let colon = memchr::memrchr(b':', host)?;
        // `2001:db8::1:80` is an address; a port behind IPv6 needs brackets.
        let bracketed = host.starts_with(b"[") && host[..colon].ends_with(b"]");
        let address = address(&host[..colon]).filter(|address| bracketed || address.is_ipv4())?;
        (address, Some(&host[colon + 1..]))
    };
    let seen = Common { line, address, seen_at: None, repaired: false };
    let Some(port) = port else { return Some(seen.up()) };
    let port = port.split(|byte| matches!(byte, b' ' | b'\t' | b',' | b';')).next().unwrap_or_default();
    let (port, protocol) = match memchr::memchr(b'/', port) {
        Some(slash) => (&port[..slash], &port[slash + 1..]),
        None => (port, &b"tcp"[..]),
    };
    Some(seen.port(protocol, port, b"open"))
}

fn trim_separators(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b',' | b';', rest @ ..] = text {
        text = rest;
    }
    text
}

/// A CIDR block or a range, or why it is refused; None if it is neither.
fn block(text: &[u8], line: u64) -> Option<Result<Block, String>> {
    let (first, last, v4) = cidr(text).or_else(|| range(text))?;
    let count = (last - first).saturating_add(1);
    if count > MAX_EXPANDED_ADDRESSES {
        return Some(Err(format!(
            "{} has {count} addresses; at most {MAX_EXPANDED_ADDRESSES} are expanded",
            shown(text)
        )));
    }
    Some(Ok(Block { line, next: first, last, v4 }))
}

fn cidr(text: &[u8]) -> Option<(u128, u128, bool)> {
    let slash = memchr::memchr(b'/', text)?;
    let length = u32::from(crate::record::small_number(&text[slash + 1..])?);
    let (bits, v4) = bits_of(&text[..slash])?;
    let width = if v4 { 32 } else { 128 };
    let hosts = match width - u32::min(length, width) {
        _ if length > width => return None,
        128 => u128::MAX,
        free => (1 << free) - 1,
    };
    Some((bits & !hosts, bits | hosts, v4))
}

fn range(text: &[u8]) -> Option<(u128, u128, bool)> {
    let dash = memchr::memchr(b'-', text)?;
    let (first, v4) = bits_of(trim(&text[..dash]))?;
    let (last, last_v4) = bits_of(trim(&text[dash + 1..]))?;
    (v4 == last_v4 && first <= last).then_some((first, last, v4))
}

fn bits_of(text: &[u8]) -> Option<(u128, bool)> {
    Some(match address(text)?.ip() {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), true),
        IpAddr::V6(ip) => (ip.to_bits(), false),
    })
}
