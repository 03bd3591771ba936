//! masscan's `-oB`: records of a type, a length and a payload, between two records that hold its name.

use std::{
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hostatlas_domain::{Address, Timestamp};
use memchr::memmem;

use crate::{
    MAX_BANNER_BYTES, Record, ScanError,
    input::Input,
    moment,
    record::{Common, date, implied_protocol},
};

/// What a file begins and ends with. `m` and `a` are the type and the length of a record of 97 bytes.
pub(crate) const MAGIC: &[u8] = b"masscan/1.";

/// The type of the first and the last record.
const FRAME: u64 = 109;
/// No record that masscan writes is longer; a greater length is damage.
const MAX_PAYLOAD_BYTES: u64 = 256 * 1024;

#[derive(Default)]
pub(crate) struct BinaryReader {
    number: u64,
    open: bool,
    cut: bool,
    started: Option<Timestamp>,
}

/// What stands at the beginning of the buffer.
enum Head {
    /// A record: its type, where its payload begins, and how long that is.
    Record(u64, usize, usize),
    Incomplete,
    Damaged,
}

impl BinaryReader {
    pub(crate) fn next<R: Read>(&mut self, input: &mut Input<R>) -> Result<Option<Record>, ScanError> {
        loop {
            if input.bytes().is_empty() && !input.fill()? {
                return Ok(None);
            }
            match head(input.bytes()) {
                Head::Record(kind, start, length) if input.bytes().len() >= start + length => {
                    let payload = &input.take(start + length)[start..];
                    if let Some(record) = self.record(kind, payload) {
                        return Ok(Some(record));
                    }
                }
                Head::Record(..) | Head::Incomplete => {
                    if !input.fill()? {
                        self.cut |= input.bytes().iter().any(|byte| *byte != 0);
                        input.take(usize::MAX);
                    }
                }
                Head::Damaged => return self.resume(input).map(Some),
            }
        }
    }

    pub(crate) fn truncated(&self) -> bool {
        self.open || self.cut
    }

    fn record(&mut self, kind: u64, payload: &[u8]) -> Option<Record> {
        match kind {
            // What fills up a block, or a preallocated file.
            0 => return None,
            FRAME => {
                let begins = memmem::find(payload, b"s:");
                self.open = begins.is_some();
                if let Some(at) = begins {
                    let digits = payload[at + 2..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    self.started = moment::parse(&payload[at + 2..at + 2 + digits]);
                }
                return None;
            }
            _ => self.number += 1,
        }
        let parsed = match kind {
            1 | 2 => status_without_protocol(payload, self.number, kind == 1),
            6 | 7 => status_v4(payload, self.number, if kind == 6 { b"open" } else { b"closed" }),
            8 => status_v4(payload, self.number, b"up"),
            10 | 11 => status_v6(payload, self.number, if kind == 10 { b"open" } else { b"closed" }),
            12 => status_v6(payload, self.number, b"up"),
            3 => banner_without_protocol(payload, self.number),
            4 | 5 => banner_v4(payload, self.number, false),
            9 => banner_v4(payload, self.number, true),
            13 => banner_v6(payload, self.number),
            other => {
                return Some(Record::Bad {
                    line: self.number,
                    reason: format!("record has the unknown type {other}"),
                });
            }
        };
        let mut record = parsed
            .unwrap_or_else(|| Record::Bad { line: self.number, reason: "record is too short".to_owned() });
        date([&mut record], || self.started);
        Some(record)
    }

    /// Goes on at the next file in the input, if there is one: lengths lead nowhere after damage.
    fn resume<R: Read>(&mut self, input: &mut Input<R>) -> Result<Record, ScanError> {
        self.number += 1;
        input.take(1);
        loop {
            let bytes = input.bytes();
            if let Some(at) = memmem::find(bytes, MAGIC) {
                input.take(at);
                break;
            }
            let seen = bytes.len().saturating_sub(MAGIC.len() - 1);
            input.take(seen);
            if !input.fill()? {
                input.take(usize::MAX);
                self.cut = true;
                break;
            }
        }
        let reason = "record is damaged; what follows it in this file is lost".to_owned();
        Ok(Record::Bad { line: self.number, reason })
    }
}

fn head(bytes: &[u8]) -> Head {
    let Some((kind, kind_bytes)) = varint(bytes) else {
        return if bytes.len() < 10 { Head::Incomplete } else { Head::Damaged };
    };
    let Some((length, length_bytes)) = varint(&bytes[kind_bytes..]) else {
        return if bytes.len() < 20 { Head::Incomplete } else { Head::Damaged };
    };
    // masscan writes one byte more than it says for this type.
    let length = if kind == 4 { length.saturating_add(1) } else { length };
    match usize::try_from(length) {
        Ok(payload) if length <= MAX_PAYLOAD_BYTES => Head::Record(kind, kind_bytes + length_bytes, payload),
        _ => Head::Damaged,
    }
}

/// A number in groups of seven bits, the most significant first. None if it does not end within nine bytes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

/// Reads big-endian fields off a payload.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn seen(&mut self, line: u64) -> Option<Common> {
        let seconds = u32::from_be_bytes(self.take()?);
        let seen_at = moment::from_seconds(seconds);
        let address = Address::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Some(Common { line, address, seen_at, repaired: seen_at.is_none() })
    }

    fn v4(&mut self) -> Option<Address> {
        self.take::<4>().map(|bytes| Address::from(IpAddr::V4(Ipv4Addr::from(bytes))))
    }

    /// A version, which is 6, and the address.
    fn v6(&mut self) -> Option<Address> {
        self.byte()?;
        self.take::<16>().map(|bytes| Address::from(IpAddr::V6(Ipv6Addr::from(bytes))))
    }

    fn banner(self) -> Vec<u8> {
        self.0[..self.0.len().min(MAX_BANNER_BYTES)].to_vec()
    }
}

fn status_without_protocol(payload: &[u8], line: u64, open: bool) -> Option<Record> {
    let mut fields = Fields(payload);
    let seen = fields.seen(line)?;
    let seen = Common { address: fields.v4()?, ..seen };
    let port = fields.short()?;
    let state: &[u8] = if open { b"open" } else { b"closed" };
    Some(seen.port(implied_protocol(port), port.to_string().as_bytes(), state))
}

fn status_v4(payload: &[u8], line: u64, state: &[u8]) -> Option<Record> {
    let mut fields = Fields(payload);
    let seen = fields.seen(line)?;
    let seen = Common { address: fields.v4()?, ..seen };
    let protocol = fields.byte()?;
    let port = fields.short()?;
    Some(status(&seen, protocol, port, state))
}

fn status_v6(payload: &[u8], line: u64, state: &[u8]) -> Option<Record> {
    let mut fields = Fields(payload);
    let seen = fields.seen(line)?;
    let protocol = fields.byte()?;
    let port = fields.short()?;
    let _reason_and_ttl = fields.short()?;
    let seen = Common { address: fields.v6()?, ..seen };
    Some(status(&seen, protocol, port, state))
}

fn status(seen: &Common, protocol: u8, port: u16, state: &[u8]) -> Record {
    match state {
        b"up" => seen.up(),
        _ => seen.port(protocol_name(protocol), port.to_string().as_bytes(), state),
    }
}

fn banner_without_protocol(payload: &[u8], line: u64) -> Option<Record> {
    let mut fields = Fields(payload);
    let seen = fields.seen(line)?;
    let seen = Common { address: fields.v4()?, ..seen };
    let port = fields.short()?;
    let app = fields.short()?;
    Some(banner(&seen, implied_protocol(port), port, app, fields))
}

fn banner_v4(payload: &[u8], line: u64, has_ttl: bool) -> Option<Record> {
    let mut fields = Fields(payload);
    let seen = fields.seen(line)?;
    let seen = Common { address: fields.v4()?, ..seen };
    let protocol = protocol_name(fields.byte()?);
    let port = fields.short()?;
    let app = fields.short()?;
    if has_ttl {
        fields.byte()?;
    }
    Some(banner(&seen, protocol, port, app, fields))
}

fn banner_v6(payload: &[u8], line: u64) -> Option<Record> {
    let mut fields = Fields(payload);
    let seen = fields.seen(line)?;
    let protocol = protocol_name(fields.byte()?);
    let port = fields.short()?;
    let app = fields.short()?;
    let _ttl = fields.byte()?;
    let seen = Common { address: fields.v6()?, ..seen };
    Some(banner(&seen, protocol, port, app, fields))
}

fn banner(seen: &Common, protocol: &[u8], port: u16, app: u16, rest: Fields<'_>) -> Record {
    seen.banner(protocol, port.to_string().as_bytes(), &app_name(app), rest.banner())
}

fn protocol_name(number: u8) -> &'static [u8] {
    match number {
        6 => b"tcp",
        17 => b"udp",
        132 => b"sctp",
        1 | 58 => b"icmp",
        0 => b"arp",
        _ => b"other",
    }
}

/// masscan's names of its banner readers, by number, as all releases up to 1.3.2 write them.
///
/// Builds from later sources insert one before `title` and say so nowhere, so theirs are off by one from there;
/// the last six are numbers that only those builds write.
const APPS: [&str; 37] = [
    "unknown",
    "unknown",
    "ssh",
    "ssh",
    "http",
    "ftp",
    "dns-ver",
    "snmp",
    "nbtstat",
    "ssl",
    "smb",
    "smtp",
    "pop",
    "imap",
    "zeroaccess",
    "X509",
    "title",
    "html",
    "ntp",
    "vuln",
    "heartbleed",
    "ticketbleed",
    "vnc",
    "safe",
    "memcached",
    "scripting",
    "versioning",
    "coap",
    "telnet",
    "rdp",
    "http.server",
    "http.server",
    "minecraft",
    "vnc",
    "vnc-info",
    "isakmp",
    "error",
];

fn app_name(number: u16) -> Vec<u8> {
    match APPS.get(usize::from(number)) {
        Some(name) => name.as_bytes().to_vec(),
        None => format!("({number})").into_bytes(),
    }
}
