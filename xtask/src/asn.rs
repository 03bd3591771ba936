//! Turns the ASN ranges, which are published as CSV, into one MMDB in MaxMind's schema.

use std::net::IpAddr;
use std::time::SystemTime;

use anyhow::{Context, Result};
use mmdb_writer::{IpVersion, Ipv4Aliasing, Value, Writer};

/// One row: an inclusive range of addresses of one family, and the network that announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    start: IpAddr,
    end: IpAddr,
    number: u32,
    organization: String,
}

/// Counts of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Ranges written.
    pub ranges: usize,
    /// Rows that were no range and were left out.
    pub bad: usize,
}

/// Writes the rows of all `sheets` (both families) into one tree, and returns the file's bytes.
///
/// `dated` is when the data were gathered. Without it the file would say that it was built today, and its age is what
/// decides whether an address that it did not know is asked for again. Where ranges overlap, the narrower one wins, as in routing.
pub fn to_mmdb(sheets: &[String], dated: Option<SystemTime>) -> Result<(Vec<u8>, Converted)> {
    let mut ranges = Vec::new();
    let mut bad = 0;
    for line in sheets.iter().flat_map(|sheet| sheet.lines()).filter(|line| !line.trim().is_empty()) {
        match parse(line) {
            Some(range) => ranges.push(range),
            None => bad += 1,
        }
    }
    ranges.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));

    // Aliases would claim 2001::/32 and 2002::/16, which have owners of their own in this table.
    let mut writer = Writer::builder("asn ipvAll")
        .ip_version(IpVersion::V6)
        .ipv4_aliasing(Ipv4Aliasing::Disabled)
        .description(&[("en", "Autonomous systems by address range")])
        .maybe_build_epoch(dated)
        .build();
    for range in &ranges {
        let record = Value::map([
            ("autonomous_system_number", Value::from(range.number)),
            ("autonomous_system_organization", Value::from(range.organization.as_str())),
        ]);
        writer
            .insert_range(range.start, range.end, &record)
            .with_context(|| format!("cannot write {} to {}", range.start, range.end))?;
    }
    let bytes = writer.to_bytes().context("cannot build the ASN database")?;
    Ok((bytes, Converted { ranges: ranges.len(), bad }))
}

/// Reads `start,end,number,organization`, where the organization may be quoted and hold commas.
fn parse(line: &str) -> Option<Range> {
    let mut fields = line.trim_end().splitn(4, ',');
    let start: IpAddr = fields.next()?.parse().ok()?;
    let end: IpAddr = fields.next()?.parse().ok()?;
    let number = fields.next()?.parse().ok()?;
    let organization = unquote(fields.next()?);
    (start.is_ipv4() == end.is_ipv4() && start <= end).then_some(Range { start, end, number, organization })
}

fn unquote(field: &str) -> String {
    match field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maxminddb::Reader;

    #[derive(Debug, PartialEq, Eq, serde::Deserialize)]
    struct Asn {
        autonomous_system_number: u32,
        autonomous_system_organization: String,
    }

    fn look_up(file: &[u8], address: &str) -> Option<(u32, String)> {
        let reader = Reader::from_source(file).unwrap();
        let found: Option<Asn> = reader.lookup(address.parse().unwrap()).unwrap().decode().unwrap();
        found.map(|asn| (asn.autonomous_system_number, asn.autonomous_system_organization))
    }

    #[test]
    fn both_families_quotes_and_overlaps_are_found_in_one_file() {
        let v4 = "192.0.2.64,192.0.2.127,64501,\"Narrow, \"\"Inc.\"\"\"\n192.0.2.0,192.0.2.255,64500,Wide\nnonsense\n";
        let v6 = "2001::,2001::ffff:ffff:ffff:ffff:ffff:ffff,64502,Teredo's owner\n";

        let (file, converted) = to_mmdb(&[v4.to_owned(), v6.to_owned()], None).unwrap();

        assert_eq!(converted, Converted { ranges: 3, bad: 1 });
        assert_eq!(
            ["192.0.2.1", "192.0.2.70", "192.0.2.200", "2001::1", "198.51.100.1"]
                .map(|address| look_up(&file, address)),
            [
                Some((64500, "Wide".to_owned())),
                Some((64501, "Narrow, \"Inc.\"".to_owned())),
                Some((64500, "Wide".to_owned())),
                Some((64502, "Teredo's owner".to_owned())),
                None,
            ]
        );
    }

    #[test]
    fn a_converted_file_carries_the_date_of_its_source() {
        let dated = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_781_722_800);

        let (file, _) = to_mmdb(&["192.0.2.0,192.0.2.255,64500,Wide".to_owned()], Some(dated)).unwrap();

        assert_eq!(Reader::from_source(file).unwrap().metadata().build_epoch, 1_781_722_800);
    }

    #[test]
    fn a_range_that_runs_backwards_or_mixes_families_is_no_range() {
        let rows =
            ["192.0.2.9,192.0.2.1,1,x", "192.0.2.1,2001:db8::1,1,x", "192.0.2.1,192.0.2.2,-1,x", "192.0.2.1"];

        assert_eq!(rows.map(parse), [None, None, None, None]);
    }
}
