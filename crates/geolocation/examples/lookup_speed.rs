//! Measures lookups a second in the databases of a directory, and prints them as one line of JSON.
//!
//! `cargo run --release -p hostatlas-geolocation --example lookup_speed -- mmdb [lookups]`

use std::{
    env,
    error::Error,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process,
    time::Instant,
};

use hostatlas_domain::{Address, classify};
use hostatlas_geolocation::{Locator, Lookup, MmdbConfig, MmdbSet};
use serde_json::json;

/// As many as a worker claims at once.
const BATCH: usize = 5_000;

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("usage: lookup_speed DIRECTORY [LOOKUPS]")?);
    let lookups: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let private_copy_dir = env::temp_dir().join(format!("hostatlas-lookup-speed-{}", process::id()));
    let config = MmdbConfig { directory: Some(directory), private_copy_dir, ..MmdbConfig::default() };

    let (first_open, _) = seconds(|| MmdbSet::open(&config));
    let (second_open, (databases, problems)) = seconds(|| MmdbSet::open(&config));
    let locator = Locator::builder().mmdb(databases).build();

    let random = public_addresses(lookups);
    let mut sorted = random.clone();
    sorted.sort_unstable();
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let before = anonymous_kib();
    // The first pass reads the file into memory; it is not what is measured.
    let located = count_located(&sorted, |part| locator.locate_sorted(part));
    let kept = anonymous_kib().zip(before).map(|(after, before)| after.saturating_sub(before));
    let (sorted_time, _) = seconds(|| count_located(&sorted, |part| locator.locate_sorted(part)));
    let (batch_time, _) =
        seconds(|| count_located(&random, |part| runtime.block_on(locator.locate_batch(part, BATCH))));
    let (random_time, _) = seconds(|| count_located(&random, |part| locator.locate_sorted(part)));

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate"
    )]
    let rate = |time: f64| (lookups as f64 / time) as u64;
    println!(
        "{}",
        json!({
            "lookups": lookups,
            "located": located,
            "sorted_per_second": rate(sorted_time),
            "random_per_second": rate(random_time),
            "batch_per_second": rate(batch_time),
            "first_open_seconds": first_open,
            "second_open_seconds": second_open,
            "anonymous_kib_kept": kept,
            "databases": locator.databases(),
            "problems": problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    );
    std::fs::remove_dir_all(&config.private_copy_dir)?;
    Ok(())
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

fn count_located(addresses: &[Address], locate: impl Fn(&[Address]) -> Vec<Lookup>) -> usize {
    addresses
        .chunks(BATCH)
        .map(|part| locate(part).iter().filter(|lookup| lookup.located().is_some()).count())
        .sum()
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
