//! What stands for several addresses: CIDR blocks, ranges, and the octets of nmap.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hostatlas_domain::Address;

use crate::{
    lines::trim,
    record::{address, shown, small_number},
};

/// How many addresses one line may stand for.
pub const MAX_EXPANDED_ADDRESSES: u128 = 65_536;

/// Addresses that are not given out yet.
pub(crate) enum Targets {
    /// An IPv6 one is never mapped IPv4.
    Range {
        next: u128,
        last: u128,
        v4: bool,
        ended: bool,
    },
    Octets(Box<Octets>),
}

/// The octets that an address may have, each in rising order, and which of them come next.
pub(crate) struct Octets {
    choices: [Vec<u8>; 4],
    next: Option<[usize; 4]>,
}

impl Targets {
    /// How many addresses it stands for.
    pub(crate) fn size(&self) -> u128 {
        match self {
            Self::Range { next, last, .. } => last.saturating_sub(*next).saturating_add(1),
            Self::Octets(octets) => octets.choices.iter().map(|choice| choice.len() as u128).product(),
        }
    }
}

impl Iterator for Targets {
    type Item = Address;

    fn next(&mut self) -> Option<Address> {
        match self {
            Self::Range { ended: true, .. } => None,
            Self::Range { next, last, v4, ended } => {
                let ip = if *v4 {
                    IpAddr::V4(Ipv4Addr::from(u32::try_from(*next).unwrap_or(u32::MAX)))
                } else {
                    IpAddr::V6(Ipv6Addr::from(*next))
                };
                *ended = next == last;
                *next = next.saturating_add(1);
                Some(Address::from(ip))
            }
            Self::Octets(octets) => octets.next(),
        }
    }
}

impl Octets {
    fn next(&mut self) -> Option<Address> {
        let at = self.next?;
        let octets: [u8; 4] = std::array::from_fn(|index| self.choices[index][at[index]]);
        self.next = self.after(at);
        Some(Address::from(IpAddr::from(octets)))
    }

    fn after(&self, mut at: [usize; 4]) -> Option<[usize; 4]> {
        for index in (0..4).rev() {
            at[index] += 1;
            if at[index] < self.choices[index].len() {
                return Some(at);
            }
            at[index] = 0;
        }
        None
    }
}

/// A CIDR block, a range or octets, or why they are refused; None if it is none of them.
pub(crate) fn read(text: &[u8]) -> Option<Result<Targets, String>> {
    let targets = cidr(text).or_else(|| range(text)).or_else(|| octets(text))?;
    let count = targets.size();
    Some(if count > MAX_EXPANDED_ADDRESSES { Err(too_many(text, count)) } else { Ok(targets) })
}

pub(crate) fn too_many(text: &[u8], count: u128) -> String {
    format!("{} has {count} addresses; at most {MAX_EXPANDED_ADDRESSES} are expanded", shown(text))
}

fn cidr(text: &[u8]) -> Option<Targets> {
    let slash = memchr::memchr(b'/', text)?;
    let length = u32::from(small_number(&text[slash + 1..])?);
    let (bits, v4) = bits_of(&text[..slash])?;
    let width = if v4 { 32 } else { 128 };
    let hosts = match width - u32::min(length, width) {
        _ if length > width => return None,
        128 => u128::MAX,
        free => (1 << free) - 1,
    };
    Some(Targets::Range { next: bits & !hosts, last: bits | hosts, v4, ended: false })
}

fn range(text: &[u8]) -> Option<Targets> {
    let dash = memchr::memchr(b'-', text)?;
    let (first, v4) = bits_of(trim(&text[..dash]))?;
    let (last, last_v4) = bits_of(trim(&text[dash + 1..]))?;
    (v4 == last_v4 && first <= last).then_some(Targets::Range { next: first, last, v4, ended: false })
}

fn bits_of(text: &[u8]) -> Option<(u128, bool)> {
    Some(match address(text)?.ip() {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), true),
        IpAddr::V6(ip) => (ip.to_bits(), false),
    })
}

/// What nmap reads as addresses: `192.0.2.1-9`, `192.0.2.*`, `192.0.2.1,3,5-7`.
fn octets(text: &[u8]) -> Option<Targets> {
    let is_plain = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    if text.len() > 1024 || text.iter().all(is_plain) {
        return None;
    }
    let mut parts = text.split(|byte| *byte == b'.');
    let mut choices: [Vec<u8>; 4] = Default::default();
    for choice in &mut choices {
        *choice = octet(parts.next()?)?;
    }
    if parts.next().is_some() || is_address_and_port(text) {
        return None;
    }
    Some(Targets::Octets(Box::new(Octets { choices, next: Some([0; 4]) })))
}

/// `192.0.2.1,80`: one number behind one comma is a port, as in every CSV.
fn is_address_and_port(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b',');
    let address_first = parts.next().is_some_and(|part| address(part).is_some());
    let one_number = parts.next().is_some_and(|part| small_number(part).is_some());
    address_first && one_number && parts.next().is_none()
}

/// The numbers of one octet, which must rise: ports behind an address seldom do and are no octets.
fn octet(text: &[u8]) -> Option<Vec<u8>> {
    let mut numbers: Vec<u8> = Vec::new();
    for part in text.split(|byte| *byte == b',') {
        let (first, last) = match part {
            b"*" | b"-" => (0, 255),
            _ => match memchr::memchr(b'-', part) {
                Some(0) => (0, number(&part[1..])?),
                Some(dash) if dash + 1 == part.len() => (number(&part[..dash])?, 255),
                Some(dash) => (number(&part[..dash])?, number(&part[dash + 1..])?),
                None => (number(part)?, number(part)?),
            },
        };
        if first > last || numbers.last().is_some_and(|before| *before >= first) {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

fn number(digits: &[u8]) -> Option<u8> {
    u8::try_from(small_number(digits)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expanded(text: &str) -> Option<Vec<String>> {
        Some(read(text.as_bytes())?.ok()?.map(|address| address.to_string()).collect())
    }

    #[test]
    fn octets_are_read_as_nmap_reads_them() {
        let some = |addresses: &[&str]| Some(addresses.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(expanded("1.2.5.1-3"), some(&["1.2.5.1", "1.2.5.2", "1.2.5.3"]));
        assert_eq!(expanded("1.2.5.1,3,7-8"), some(&["1.2.5.1", "1.2.5.3", "1.2.5.7", "1.2.5.8"]));
        assert_eq!(expanded("1.2.3,5.1-2"), some(&["1.2.3.1", "1.2.3.2", "1.2.5.1", "1.2.5.2"]));
        assert_eq!(expanded("1.2.3.*").map(|all| all.len()), Some(256));
        assert_eq!(expanded("1.2.3.250-").map(|all| all.len()), Some(6));
        for text in [
            "1.2.3.4",
            "1.2.3.4,80",
            "1.2.3.4,80,64",
            "1.2.3.9-1",
            "1.2.3.1-256",
            "1.2.3",
            "1.2.3.4-5.6",
            "-",
        ] {
            assert_eq!(expanded(text), None, "{text}");
        }
        assert!(matches!(read(b"1.0-1.*.*"), Some(Err(reason)) if reason.contains("131072 addresses")));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_stay_small(bytes in prop::collection::vec(prop::sample::select(b"0123456789.,-*/:".to_vec()), 0..30)) {
            if let Some(Ok(targets)) = read(&bytes) {
                let count = targets.size();
                prop_assert!(count <= MAX_EXPANDED_ADDRESSES);
                prop_assert_eq!(targets.map(|_| 1_u128).sum::<u128>(), count);
            }
        }
    }
}
