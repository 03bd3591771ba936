//! Public addresses without end, each once, and location databases that know them.

use std::{
    fs,
    io::{BufWriter, Write},
    net::Ipv4Addr,
    ops::Range,
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use mmdb_writer::{IpVersion, Value, Writer};

/// First octets whose whole blocks are public.
const FIRST_OCTETS: Range<u8> = 11..100;
/// Addresses in them.
const SPACE: u64 = 89 << 24;
/// Coprime to [`SPACE`], so that its multiples meet each address once, far from the one before.
const STRIDE: u64 = 1_000_000_007;

/// The address of a number; numbers below 1,493,172,224 have addresses of their own.
pub(crate) fn address(number: u64) -> Ipv4Addr {
    let position = (number % SPACE) * STRIDE % SPACE;
    let first = u64::from(FIRST_OCTETS.start) << 24;
    Ipv4Addr::from(u32::try_from(first + position).unwrap_or(u32::MAX))
}

/// Writes a list of addresses, one on a line.
pub(crate) fn write_list(path: &Path, numbers: Range<u64>) -> anyhow::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path).with_context(|| path.display().to_string())?);
    for number in numbers {
        writeln!(file, "{}", address(number))?;
    }
    Ok(file.flush()?)
}

/// Writes a database of places and one of networks that know every address of this module.
pub(crate) fn write_databases(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let built = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    let mut places = Writer::builder("Proof-City").ip_version(IpVersion::V6).build_epoch(built).build();
    let mut networks = Writer::builder("Proof-ASN").ip_version(IpVersion::V6).build_epoch(built).build();
    for octet in FIRST_OCTETS {
        let range: ipnet::IpNet = format!("{octet}.0.0.0/8").parse()?;
        places.insert(range, &place(octet))?;
        networks.insert(range, &network(octet))?;
    }
    fs::write(folder.join("city.mmdb"), places.to_bytes()?)?;
    fs::write(folder.join("asn.mmdb"), networks.to_bytes()?)?;
    Ok(())
}

fn place(octet: u8) -> Value {
    let names = |name: String| Value::map([("names", Value::map([("en", Value::from(name.as_str()))]))]);
    Value::map([
        ("city", names(format!("City {octet}"))),
        (
            "country",
            Value::map([
                ("iso_code", Value::from("GB")),
                ("names", Value::map([("en", Value::from("United Kingdom"))])),
            ]),
        ),
        (
            "location",
            Value::map([
                ("latitude", Value::from(f64::from(octet) / 2.0)),
                ("longitude", Value::from(f64::from(octet) / 3.0)),
                ("time_zone", Value::from("Europe/London")),
            ]),
        ),
    ])
}

fn network(octet: u8) -> Value {
    Value::map([
        ("autonomous_system_number", Value::from(64_000 + u32::from(octet))),
        ("autonomous_system_organization", Value::from(format!("Network {octet}").as_str())),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_number_has_a_public_address_of_its_own() {
        let addresses: HashSet<_> = (0..200_000).map(address).collect();
        assert_eq!(addresses.len(), 200_000);
        assert!(addresses.iter().all(|address| FIRST_OCTETS.contains(&address.octets()[0])));
        assert_ne!(STRIDE % 89, 0);
    }
}
