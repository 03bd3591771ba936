//! Scans and questions that are the same in every run.

use std::{
    collections::HashSet,
    fs,
    io::{BufWriter, Write},
    net::Ipv4Addr,
    path::Path,
};

use anyhow::Result;

/// A scan to write.
pub struct Scan {
    /// How many lines.
    pub lines: u32,
    /// Whether a fifth of the lines repeats an earlier one, and an eighth of the rest is a second port.
    pub repeats: bool,
    /// Whether the lines are in address order; otherwise in masscan's, which is random.
    pub sorted: bool,
}

/// A generator of numbers that look random: `SplitMix64` (Steele, Lea and Flood, 2014).
pub struct Numbers(u64);

impl Numbers {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

const PORTS: [u16; 8] = [443, 80, 22, 8080, 25, 3389, 53, 8443];

/// An address outside the special ranges. Nothing is ever sent to it.
fn address(numbers: &mut Numbers) -> Ipv4Addr {
    loop {
        let bits = u32::try_from(numbers.next() >> 32).unwrap_or(0);
        let candidate = Ipv4Addr::from(bits);
        let [first, second, ..] = candidate.octets();
        let special = matches!(first, 0 | 10 | 100 | 127 | 169 | 172 | 192 | 198 | 203 | 224..);
        if !special && second != 0 {
            return candidate;
        }
    }
}

/// The first addresses of every scan of [`Scan`] without repeats.
pub fn addresses(count: usize) -> Vec<Ipv4Addr> {
    let mut numbers = Numbers::new(7);
    let mut seen = HashSet::new();
    let mut addresses = Vec::new();
    while addresses.len() < count {
        let address = address(&mut numbers);
        if seen.insert(address) {
            addresses.push(address);
        }
    }
    addresses
}

impl Scan {
    /// Writes the scan as masscan's `-oD`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut numbers = Numbers::new(11);
        let distinct = if self.repeats { self.lines / 10 * 7 } else { self.lines };
        let hosts = addresses(distinct as usize);
        let mut lines: Vec<(Ipv4Addr, u16, u64)> = Vec::with_capacity(self.lines as usize);
        for host in &hosts {
            let port = PORTS[usize::try_from(numbers.below(16)).unwrap_or(0).saturating_sub(8)];
            lines.push((*host, port, 1_795_434_087 + numbers.below(3_600)));
        }
        while lines.len() < self.lines as usize {
            let host = hosts[usize::try_from(numbers.below(u64::from(distinct))).unwrap_or(0)];
            if lines.len() < (self.lines / 10 * 8) as usize {
                lines.push((host, 9_000 + u16::try_from(numbers.below(1_000)).unwrap_or(0), 1_795_434_087));
            } else {
                let earlier = usize::try_from(numbers.below(lines.len() as u64)).unwrap_or(0);
                lines.push(lines[earlier]);
            }
        }
        if self.sorted {
            lines.sort_unstable();
        } else {
            for index in (1..lines.len()).rev() {
                lines.swap(index, usize::try_from(numbers.below(index as u64 + 1)).unwrap_or(0));
            }
        }
        let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
        for (host, port, time) in lines {
            writeln!(
                file,
                "{{\"ip\":\"{host}\",\"timestamp\":\"{time}\",\"port\":{port},\"proto\":\"tcp\",\"rec_type\":\
                 \"status\",\"data\":{{\"status\":\"open\",\"reason\":\"syn-ack\",\"ttl\":64}}}}"
            )?;
        }
        file.flush()?;
        Ok(())
    }
}

/// Queries of views that a person pans and zooms through.
pub fn views(count: usize) -> Vec<String> {
    let mut numbers = Numbers::new(3);
    (0..count)
        .map(|_| {
            let zoom = 2 + numbers.below(8);
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let (west, south) = (numbers.below(300) as f64 - 170.0, numbers.below(110) as f64 - 60.0);
            let width = 1280.0 / 256.0 * 360.0 / f64::from(1_u32 << zoom);
            let (east, north) = ((west + width).min(180.0), (south + width / 2.0).min(85.0));
            format!("bbox={west},{south},{east},{north}&zoom={zoom}")
        })
        .collect()
}

/// Queries of the host list, by what they ask for.
pub fn queries(hosts: u32) -> Vec<(&'static str, Vec<String>)> {
    let known = addresses(hosts.min(1_000) as usize);
    vec![
        ("all", vec![String::new()]),
        ("address", known.iter().map(ToString::to_string).collect()),
        (
            "cidr",
            known.iter().map(|host| format!("{}.{}.0.0%2F16", host.octets()[0], host.octets()[1])).collect(),
        ),
        ("port", ["443", "80", "22", "8080", "25", "3389"].map(|port| format!("port%3A{port}")).to_vec()),
        (
            "city",
            ["Tokyo", "Frankfurt", "Paris", "Ashburn", "Seoul"].map(|city| format!("city%3A{city}")).to_vec(),
        ),
        ("country", ["US", "DE", "JP", "IS", "MT"].map(|code| format!("country%3A{code}")).to_vec()),
        ("asn", ["AS4134", "AS7922", "AS3320"].map(str::to_owned).to_vec()),
    ]
}
