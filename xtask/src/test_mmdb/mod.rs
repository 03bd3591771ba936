//! Location databases for the browser tests, made here: no network, no licence, the same answers every time.
//!
//! They look like the default ones (one file a family, the flat schema with 32-bit coordinates, networks apart) and
//! are invented: an address stands in a real city because a hash says so. A few cities are crowded, as in life;
//! some blocks are known by country or region only, and some not at all.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use mmdb_writer::{IpVersion, Ipv4Aliasing, Value, Writer};

use crate::asn;

/// When the databases say that they were built, 1 June 2026: fixed, so that a page that shows it can be compared.
const BUILD: Duration = Duration::from_hours(494_520);
/// Of a thousand blocks, so many stand in the ten cities at the head of the list.
const CROWDED: u64 = 400;
/// Of a thousand blocks, so many are known by country only.
const COUNTRY_ONLY: u64 = 40;
/// Of a thousand blocks, so many are known by region only.
const REGION_ONLY: u64 = 20;
/// Of a thousand blocks, so many are not known at all.
const UNKNOWN: u64 = 25;

const ORGANIZATIONS: [&str; 32] = [
    "Amber Hosting",
    "Aurora Telecom",
    "Baltic Fibre",
    "Blue Ridge Networks",
    "Cedar Cloud",
    "Cobalt Broadband",
    "Compass Carrier",
    "Coral Data Centres",
    "Delta Mobile",
    "Driftwood Internet",
    "Estuary Online",
    "Fathom Systems",
    "Fjord Connect",
    "Gannet Networks",
    "Granite Hosting",
    "Harbour Telecom",
    "Isobar Cloud",
    "Juniper Bay Cable",
    "Kelp University",
    "Lantern Broadband",
    "Meridian Transit",
    "Mistral Networks",
    "Nimbus Servers",
    "Orbit Cable",
    "Pelican Mobile",
    "Quay Data, Inc.",
    "Reef Research Network",
    "Sextant Hosting",
    "Tidal Fibre",
    "Umber Telecom",
    "Vesper Cloud",
    "Westerly Internet",
];

/// One line of `cities.txt`.
#[derive(Clone, Copy)]
struct City {
    name: &'static str,
    region: &'static str,
    country_code: &'static str,
    latitude: f32,
    longitude: f32,
}

/// Writes `city-ipv4.mmdb`, `city-ipv6.mmdb` and `asn.mmdb` into `folder`.
pub fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let cities = cities()?;
    let (networks, _) = asn::to_mmdb(&[networks()], None)?;
    for (name, bytes) in [
        ("city-ipv4.mmdb", places(IpVersion::V4, &cities)?),
        ("city-ipv6.mmdb", places(IpVersion::V6, &cities)?),
        ("asn.mmdb", networks),
    ] {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn cities() -> Result<Vec<City>> {
    include_str!("cities.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| parse(line).with_context(|| format!("no city: `{line}`")))
        .collect()
}

fn parse(line: &'static str) -> Option<City> {
    let mut fields = line.split('|');
    Some(City {
        name: fields.next()?,
        region: fields.next()?,
        country_code: fields.next()?,
        latitude: fields.next()?.parse().ok()?,
        longitude: fields.next()?.parse().ok()?,
    })
}

/// The places of every /16: of all IPv4 addresses, or of the part of IPv6 that is handed out.
fn places(version: IpVersion, cities: &[City]) -> Result<Vec<u8>> {
    let mut writer = Writer::builder("city")
        .ip_version(version)
        .languages(Vec::<String>::new())
        .ipv4_aliasing(Ipv4Aliasing::Disabled)
        .build_epoch(UNIX_EPOCH + BUILD)
        .build();
    let blocks = if version == IpVersion::V4 { 0x0100..=0xdfff_u16 } else { 0x2000..=0x3fff };
    for block in blocks {
        let Some(record) = record(u64::from(block), cities) else { continue };
        let (start, end) = if version == IpVersion::V4 {
            let start = u32::from(block) << 16;
            (IpAddr::from(Ipv4Addr::from_bits(start)), IpAddr::from(Ipv4Addr::from_bits(start | 0xffff)))
        } else {
            let start = u128::from(block) << 112;
            (Ipv6Addr::from_bits(start).into(), Ipv6Addr::from_bits(start | ((1 << 112) - 1)).into())
        };
        writer.insert_range(start, end, &record).with_context(|| format!("cannot write {start} to {end}"))?;
    }
    writer.to_bytes().context("cannot build the city database")
}

fn record(block: u64, cities: &[City]) -> Option<Value> {
    let chance = mix(block) % 1_000;
    let pick = usize::try_from(mix(block ^ 0xc17e) >> 1).unwrap_or(0);
    let city = cities[pick % if chance < CROWDED { 10 } else { cities.len() }];
    // From the far end, so that the crowded cities keep all of theirs.
    let (name, region) = match 999 - chance {
        end if end < UNKNOWN => return None,
        end if end < UNKNOWN + COUNTRY_ONLY => ("", ""),
        end if end < UNKNOWN + COUNTRY_ONLY + REGION_ONLY => ("", city.region),
        _ => (city.name, city.region),
    };
    Some(Value::map([
        ("city", Value::from(name)),
        ("country_code", Value::from(city.country_code)),
        ("latitude", Value::from(city.latitude)),
        ("longitude", Value::from(city.longitude)),
        ("postcode", Value::from("")),
        ("state1", Value::from(region)),
        ("state2", Value::from("")),
        ("timezone", Value::from("")),
    ]))
}

/// The networks of every /10 of IPv4 and every /12 of IPv6, as the rows that [`asn::to_mmdb`] reads. Numbers are of
/// the range for private use.
fn networks() -> String {
    let row = |start: String, end: String, index: u64| {
        let pick = mix(index) % ORGANIZATIONS.len() as u64;
        let organization = ORGANIZATIONS[usize::try_from(pick).unwrap_or(0)];
        format!("{start},{end},{},\"{organization}\"\n", 64_512 + pick)
    };
    let v4 = (4..896_u32).map(|block| {
        let start = block << 22;
        row(
            Ipv4Addr::from_bits(start).to_string(),
            Ipv4Addr::from_bits(start | 0x3f_ffff).to_string(),
            block.into(),
        )
    });
    let v6 = (0x200..0x400_u32).map(|block| {
        let start = u128::from(block) << 116;
        let end = start | ((1 << 116) - 1);
        row(
            Ipv6Addr::from_bits(start).to_string(),
            Ipv6Addr::from_bits(end).to_string(),
            4_096 + u64::from(block),
        )
    });
    v4.chain(v6).collect()
}

/// A number that looks random, from one that does not (the last step of `SplitMix64`).
const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use maxminddb::Reader;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Record {
        city: String,
        country_code: String,
        latitude: f32,
    }

    fn look_up(file: &Path, address: IpAddr) -> Option<Record> {
        let reader = Reader::open_readfile(file).unwrap();
        reader.lookup(address).unwrap().decode().unwrap()
    }

    #[test]
    fn blocks_are_in_a_city_or_only_in_a_country_or_nowhere_and_always_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let again = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        write(again.path()).unwrap();

        let file = folder.path().join("city-ipv4.mmdb");
        let reader = Reader::open_readfile(&file).unwrap();
        let mut counts = [0_usize; 3];
        for block in 0x0100..=0xdfff_u32 {
            let address = IpAddr::from(Ipv4Addr::from_bits(block << 16 | 1));
            let found: Option<Record> = reader.lookup(address).unwrap().decode().unwrap();
            counts[found.map_or(2, |record| usize::from(record.city.is_empty()))] += 1;
        }

        assert!(counts[0] > 50_000 && counts[1] > 1_000 && counts[2] > 500, "{counts:?}");
        assert!(look_up(&folder.path().join("city-ipv6.mmdb"), "2001:db9::1".parse().unwrap()).is_some());
        for name in ["city-ipv4.mmdb", "city-ipv6.mmdb"] {
            assert_eq!(
                fs::read(folder.path().join(name)).unwrap(),
                fs::read(again.path().join(name)).unwrap()
            );
        }
    }
}
