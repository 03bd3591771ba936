use std::{collections::VecDeque, net::Ipv4Addr};

use hostatlas_domain::{Address, PortNumber, Protocol, Sighting, SightingRecord, Timestamp, sanitize};

/// What is kept of a banner, in bytes; the rest is cut off.
pub const MAX_BANNER_BYTES: usize = 16 * 1024;
/// What is kept of a service's name, in characters.
pub const MAX_SERVICE_CHARS: usize = 32;

/// What became of one record of the input. `line` is its line, or its number in a binary file; the first is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A sighting.
    Sighting {
        /// Where.
        line: u64,
        /// What was seen.
        sighting: Sighting,
        /// Whether something had to be mended first: unquoted keys, a time outside 1970 to 2106 (dropped),
        /// invalid UTF-8, noise before the record.
        repaired: bool,
    },
    /// Sound, but nothing to store: a filtered port, a host that is down, a failed probe.
    Skipped {
        /// Where.
        line: u64,
        /// Why.
        reason: String,
    },
    /// Not readable.
    Bad {
        /// Where.
        line: u64,
        /// What is wrong, in words for the person who brought the file.
        reason: String,
    },
}

/// Records that are read and not yet given out.
pub(crate) type Records = VecDeque<Record>;

/// What the records of one line have in common.
#[derive(Clone, Copy)]
pub(crate) struct Common {
    pub(crate) line: u64,
    pub(crate) address: Address,
    pub(crate) seen_at: Option<Timestamp>,
    pub(crate) repaired: bool,
}

enum Transport {
    Ports(Protocol),
    /// Says that the host is there, and nothing of a service.
    HostAlone,
    Unknown,
}

impl Common {
    pub(crate) fn record(&self, record: SightingRecord) -> Record {
        let sighting = Sighting { address: self.address, seen_at: self.seen_at, record };
        Record::Sighting { line: self.line, sighting, repaired: self.repaired }
    }

    pub(crate) fn up(&self) -> Record {
        self.record(SightingRecord::Up)
    }

    pub(crate) fn skipped(&self, reason: impl Into<String>) -> Record {
        Record::Skipped { line: self.line, reason: reason.into() }
    }

    /// The record of a port in a state. No protocol is TCP, and no state is open.
    pub(crate) fn port(&self, protocol: &[u8], port: &[u8], state: &[u8]) -> Record {
        match transport(protocol) {
            Transport::Ports(protocol) => {
                let Some(port) = port_number(port) else { return bad_port(self.line, port) };
                match state {
                    b"open" | b"" => self.record(SightingRecord::Open { port, protocol }),
                    b"closed" => self.record(SightingRecord::Closed { port, protocol }),
                    b"up" => self.up(),
                    other => self.skipped(format!("port is {}", shown(other))),
                }
            }
            Transport::HostAlone => match state {
                b"open" | b"closed" | b"up" | b"" => self.up(),
                other => self.skipped(format!("host is {}", shown(other))),
            },
            Transport::Unknown => self.skipped(format!("protocol is {}", shown(protocol))),
        }
    }

    /// The record of what a service said.
    pub(crate) fn banner(&self, protocol: &[u8], port: &[u8], service: &[u8], banner: Vec<u8>) -> Record {
        match transport(protocol) {
            Transport::Ports(protocol) => {
                let Some(port) = port_number(port) else { return bad_port(self.line, port) };
                self.record(SightingRecord::Banner { port, protocol, service: service_name(service), banner })
            }
            Transport::HostAlone => self.up(),
            Transport::Unknown => self.skipped(format!("protocol is {}", shown(protocol))),
        }
    }
}

fn transport(protocol: &[u8]) -> Transport {
    match protocol {
        b"tcp" | b"TCP" | b"" => Transport::Ports(Protocol::Tcp),
        b"udp" | b"UDP" => Transport::Ports(Protocol::Udp),
        b"sctp" | b"SCTP" => Transport::Ports(Protocol::Sctp),
        b"icmp" | b"ICMP" | b"icmpv6" | b"icmp6" | b"arp" | b"ARP" | b"ndp" => Transport::HostAlone,
        _ => Transport::Unknown,
    }
}

/// A service's name, cleaned; scanners say `unknown` where they do not know.
pub(crate) fn service_name(name: &[u8]) -> String {
    match name {
        b"unknown" => String::new(),
        _ => sanitize(&String::from_utf8_lossy(name), MAX_SERVICE_CHARS),
    }
}

/// The protocol that masscan means where it writes none: what it sends to that port.
pub(crate) fn implied_protocol(port: u16) -> &'static [u8] {
    match port {
        53 | 123 | 137 | 161 => b"udp",
        36412 | 36422 | 2905 => b"sctp",
        _ => b"tcp",
    }
}

/// Digits to a number of at most 65535.
pub(crate) fn small_number(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 {
        return None;
    }
    let number = digits.iter().try_fold(0_u32, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })?;
    u16::try_from(number).ok()
}

fn port_number(digits: &[u8]) -> Option<PortNumber> {
    PortNumber::try_from(small_number(digits)?).ok()
}

pub(crate) fn bad_port(line: u64, port: &[u8]) -> Record {
    Record::Bad { line, reason: format!("port {} is not from 1 to 65535", shown(port)) }
}

pub(crate) fn bad_address(line: u64, address: &[u8]) -> Record {
    Record::Bad { line, reason: format!("{} is not an IP address", shown(address)) }
}

/// An address, with or without the brackets that IPv6 wears beside a port. A zone is refused.
pub(crate) fn address(text: &[u8]) -> Option<Address> {
    if let Some(v4) = ipv4(text) {
        return Some(Address::from(std::net::IpAddr::V4(v4)));
    }
    let text = text.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(text);
    str::from_utf8(text).ok().filter(|text| text.len() <= 64)?.parse().ok()
}

/// As the standard parser, but on bytes and several times as fast: every line has one.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut rest = text;
    for (index, octet) in octets.iter_mut().enumerate() {
        let length = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = rest.split_at(length);
        if digits.is_empty() || (length > 1 && digits[0] == b'0') {
            return None;
        }
        *octet = u8::try_from(small_number(digits)?).ok()?;
        rest = match after {
            [] if index == 3 => after,
            [b'.', after @ ..] if index < 3 => after,
            _ => return None,
        };
    }
    Some(Ipv4Addr::from(octets))
}

/// A piece of hostile input for a message: short, on one line, in quotes.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(160)];
    format!("`{}`", sanitize(&String::from_utf8_lossy(head), 40))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_reader_of_ipv4_agrees_with_the_standard_one() {
        for text in [
            "1.2.3.4",
            "255.255.255.255",
            "0.0.0.0",
            "256.1.1.1",
            "01.2.3.4",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4 ",
            "",
            "1..2.3",
            "1.2.3.",
            ".1.2.3",
            "1.2.3.4444",
            "a.b.c.d",
            "1.2.3.-4",
            "0000.1.1.1",
            "1.2.3.00",
        ] {
            assert_eq!(ipv4(text.as_bytes()), text.parse().ok(), "{text:?}");
        }
    }

    #[test]
    fn addresses_may_wear_brackets_but_no_zone() {
        assert_eq!(
            address(b"[2001:db8::1]").map(|address| address.to_string()),
            Some("2001:db8::1".to_owned())
        );
        assert_eq!([&b"fe80::1%eth0"[..], b"[fe80::1", b"\xff"].map(address), [None; 3]);
    }

    #[test]
    fn a_port_is_from_1_to_65535() {
        assert_eq!([&b"0"[..], b"65536", b"99999", b"-1", b"", b"000080", b"8o"].map(port_number), [None; 7]);
        assert_eq!(
            [&b"1"[..], b"65535"].map(|text| port_number(text).map(PortNumber::get)),
            [Some(1), Some(65535)]
        );
    }
}
