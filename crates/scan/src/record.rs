use std::{borrow::Cow, collections::VecDeque, net::Ipv4Addr};

use hostatlas_domain::{Address, PortNumber, Protocol, Sighting, SightingRecord, Timestamp, sanitize};

use crate::moment;

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
        /// invalid UTF-8, noise before the record, an address with a zone (dropped).
        repaired: bool,
    },
    /// Sound, but nothing to store: a filtered port, a host that is down, a failed probe.
    Skipped {
        /// Where.
        line: u64,
        /// Why.
        reason: String,
    },
    /// Nothing is stored because its shape is not known: whatever it says is lost.
    NotUnderstood {
        /// Where.
        line: u64,
        /// What is not known, and the name of the tool that wrote it where that can be told.
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

/// Gives what says no time the time at which its scan began, if the input has told that.
pub(crate) fn date<'a>(
    records: impl IntoIterator<Item = &'a mut Record>,
    started: impl Fn() -> Option<Timestamp>,
) {
    for record in records {
        if let Record::Sighting { sighting, .. } = record
            && sighting.seen_at.is_none()
        {
            sighting.seen_at = started();
        }
    }
}

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
    /// Known, and none that is stored.
    Foreign,
    Unknown,
}

impl Common {
    /// Where and when a record saw something; none if `text` is no address.
    ///
    /// A time that is none is dropped, and so is the zone of an address: it means something on one machine alone.
    #[inline]
    pub(crate) fn read(line: u64, text: &[u8], time: Option<&[u8]>) -> Option<Self> {
        let (address, zoned) = match ipv4(text) {
            Some(v4) => (Address::from(std::net::IpAddr::V4(v4)), false),
            None => zoned_address(text)?,
        };
        let seen_at = time.and_then(moment::parse);
        Some(Self { line, address, seen_at, repaired: zoned || (time.is_some() && seen_at.is_none()) })
    }

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

    pub(crate) fn not_understood(&self, reason: impl Into<String>) -> Record {
        Record::NotUnderstood { line: self.line, reason: reason.into() }
    }

    /// The record of a host that is said to be in a state, with no word about its ports.
    pub(crate) fn host(&self, state: &[u8]) -> Record {
        match state {
            b"open" | b"closed" | b"up" | b"Up" | b"" => self.up(),
            b"down" | b"Down" | b"unknown" | b"Unknown" | b"skipped" | b"Skipped" => {
                self.skipped(format!("host is {}", shown(state)))
            }
            other => self.not_understood(format!("the state {} of a host is not known", shown(other))),
        }
    }

    /// The record of a port in a state. No protocol is TCP, and no state is open.
    pub(crate) fn port(&self, protocol: &[u8], port: &[u8], state: &[u8]) -> Record {
        match transport(protocol) {
            Transport::Ports(protocol) => {
                let port = match port_number(port) {
                    Ok(port) => port,
                    Err(wrong) => return wrong.record(self.line, port),
                };
                match state {
                    b"open" | b"" => self.record(SightingRecord::Open { port, protocol }),
                    b"closed" => self.record(SightingRecord::Closed { port, protocol }),
                    b"up" => self.up(),
                    b"filtered" | b"unfiltered" | b"open|filtered" | b"closed|filtered" | b"unknown" => {
                        self.skipped(format!("port is {}", shown(state)))
                    }
                    other => {
                        self.not_understood(format!("the state {} of a port is not known", shown(other)))
                    }
                }
            }
            Transport::HostAlone => self.host(state),
            Transport::Foreign => self.skipped(format!("protocol is {}", shown(protocol))),
            Transport::Unknown => {
                self.not_understood(format!("the protocol {} is not known", shown(protocol)))
            }
        }
    }

    /// The record of what a service said.
    pub(crate) fn banner(&self, protocol: &[u8], port: &[u8], service: &[u8], banner: Vec<u8>) -> Record {
        match transport(protocol) {
            Transport::Ports(protocol) => {
                let port = match port_number(port) {
                    Ok(port) => port,
                    Err(wrong) => return wrong.record(self.line, port),
                };
                self.record(SightingRecord::Banner { port, protocol, service: service_name(service), banner })
            }
            Transport::HostAlone => self.up(),
            Transport::Foreign | Transport::Unknown => self.port(protocol, port, b""),
        }
    }
}

fn transport(protocol: &[u8]) -> Transport {
    match protocol {
        b"tcp" | b"TCP" | b"" => Transport::Ports(Protocol::Tcp),
        b"udp" | b"UDP" => Transport::Ports(Protocol::Udp),
        b"sctp" | b"SCTP" => Transport::Ports(Protocol::Sctp),
        b"icmp" | b"ICMP" | b"icmpv6" | b"icmp6" | b"arp" | b"ARP" | b"ndp" => Transport::HostAlone,
        b"ip" | b"other" | b"err" => Transport::Foreign,
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

/// Why digits are no port that can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WrongPort {
    /// Port 0, which nmap and masscan do report where they were asked for it.
    Zero,
    OutOfRange,
}

impl WrongPort {
    fn record(self, line: u64, port: &[u8]) -> Record {
        match self {
            Self::Zero => Record::Skipped { line, reason: "port 0 is reserved and is not stored".to_owned() },
            Self::OutOfRange => {
                Record::Bad { line, reason: format!("port {} is not from 1 to 65535", shown(port)) }
            }
        }
    }
}

fn port_number(digits: &[u8]) -> Result<PortNumber, WrongPort> {
    match small_number(digits) {
        Some(0) => Err(WrongPort::Zero),
        Some(number) => PortNumber::try_from(number).map_err(|_| WrongPort::OutOfRange),
        None => Err(WrongPort::OutOfRange),
    }
}

pub(crate) fn bad_address(line: u64, address: &[u8]) -> Record {
    Record::Bad { line, reason: format!("{} is not an IP address", shown(address)) }
}

/// An address, with or without the brackets that IPv6 wears beside a port, and without a zone.
pub(crate) fn address(text: &[u8]) -> Option<Address> {
    if let Some(v4) = ipv4(text) {
        return Some(Address::from(std::net::IpAddr::V4(v4)));
    }
    let text = text.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(text);
    str::from_utf8(text).ok().filter(|text| text.len() <= 64)?.parse().ok()
}

/// An address that may have a zone, and whether it has one.
fn zoned_address(text: &[u8]) -> Option<(Address, bool)> {
    let (text, zoned) = without_zone(text);
    Some((address(&text)?, zoned))
}

/// `fe80::1%eth0` without `%eth0`, and whether there was such a zone.
fn without_zone(text: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let Some(at) = memchr::memchr(b'%', text).filter(|at| text[..*at].contains(&b':')) else {
        return (Cow::Borrowed(text), false);
    };
    let (address, zone) = text.split_at(at);
    let (zone, bracket) = zone.strip_suffix(b"]").map_or((zone, &b""[..]), |zone| (zone, b"]"));
    let is_zone = zone.len() > 1 && zone[1..].iter().all(u8::is_ascii_graphic);
    if !is_zone {
        return (Cow::Borrowed(text), false);
    }
    (Cow::Owned([address, bracket].concat()), true)
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
    fn addresses_may_wear_brackets_and_lose_their_zone() {
        assert_eq!(
            address(b"[2001:db8::1]").map(|address| address.to_string()),
            Some("2001:db8::1".to_owned())
        );
        let read =
            |text: &[u8]| Common::read(1, text, None).map(|seen| (seen.address.to_string(), seen.repaired));
        let kept = Some(("fe80::1".to_owned(), true));
        assert_eq!(
            [&b"fe80::1%eth0"[..], b"[fe80::1%25en0]", b"fe80::1%3"].map(read),
            [(); 3].map(|()| kept.clone())
        );
        assert_eq!(
            [&b"fe80::1%"[..], b"[fe80::1", b"\xff", b"192.0.2.1%eth0", b"fe80::1%a b"].map(read),
            [const { None }; 5]
        );
    }

    #[test]
    fn a_port_is_from_1_to_65535() {
        assert_eq!(
            [&b"65536"[..], b"99999", b"-1", b"", b"000080", b"8o"].map(port_number),
            [Err(WrongPort::OutOfRange); 6]
        );
        assert_eq!(port_number(b"0"), Err(WrongPort::Zero));
        assert_eq!(
            [&b"1"[..], b"65535"].map(|text| port_number(text).map(PortNumber::get)),
            [Ok(1), Ok(65535)]
        );
    }
}
