//! How fast batches of sorted observations are recorded: `sqlite_import_speed [OBSERVATIONS] [DIRECTORY] [PASSES] [CLICKS]`.
//! Prints JSON: the first pass makes every host, the second sees it again. Meanwhile a second store, which is what
//! another process is, writes a row every so many milliseconds, unless CLICKS is 0.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hostatlas_domain::{Address, DuePolicy, PortNumber, Protocol, ScanFormat, Scope, Timestamp};
use hostatlas_store::{
    AdminStore, ImportStore, Observation, ObservedPort, RecordSightings, StartImport, StoreError,
};
use hostatlas_store_sqlite::{OpenMode, OpenOptions, SqliteStore};

const BATCH: u32 = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let total: u32 = arguments.next().map_or(Ok(800_000), |text| text.parse())?;
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let passes: usize = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let path = directory.join(format!("import-speed-{}.db", std::process::id()));
    let store = SqliteStore::open(OpenOptions::new(path.display().to_string(), OpenMode::Create)).await?;
    let every = Duration::from_millis(arguments.next().map_or(Ok(0), |text| text.parse())?);
    let over = Arc::new(AtomicBool::new(false));
    let other = SqliteStore::open(OpenOptions::new(path.display().to_string(), OpenMode::Existing)).await?;
    let clicking = (!every.is_zero()).then(|| tokio::spawn(click(other, every, Arc::clone(&over))));
    for pass in ["new", "again"].into_iter().take(passes) {
        let (took, slowest) = pass_over(&store, total).await?;
        let rate = f64::from(total) / took.as_secs_f64();
        #[expect(clippy::print_stdout, reason = "it is what this program is for")]
        {
            println!(
                "{{\"pass\":\"{pass}\",\"observations\":{total},\"seconds\":{:.3},\"per_second\":{rate:.0},\
                 \"slowest_batch_ms\":{:.1}}}",
                took.as_secs_f64(),
                slowest.as_secs_f64() * 1e3
            );
        }
    }
    over.store(true, Ordering::Relaxed);
    if let Some(clicking) = clicking {
        let mut waits = clicking.await??;
        waits.sort_unstable();
        let at = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        #[expect(clippy::print_stdout, reason = "it is what this program is for")]
        {
            println!(
                "{{\"clicks\":{},\"p50_ms\":{:.1},\"p99_ms\":{:.1},\"max_ms\":{:.1}}}",
                waits.len(),
                at(50),
                at(99),
                at(100)
            );
        }
    }
    let findings = store.check().await?.findings;
    store.close().await;
    for suffix in ["", "-lock", "-small", "-bulk"] {
        std::fs::remove_file(format!("{}{suffix}", path.display()))?;
    }
    if findings.is_empty() { Ok(()) } else { Err(format!("{findings:?}").into()) }
}

/// How long each write of the other process took, from the call to the commit.
async fn click(
    store: SqliteStore,
    every: Duration,
    over: Arc<AtomicBool>,
) -> Result<Vec<Duration>, StoreError> {
    let mut waits = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        store.import_start(StartImport { source: "click".to_owned(), format: ScanFormat::Plain }).await?;
        waits.push(began.elapsed());
        tokio::time::sleep(every).await;
    }
    store.close().await;
    Ok(waits)
}

async fn pass_over(store: &SqliteStore, total: u32) -> Result<(Duration, Duration), StoreError> {
    let start = StartImport { source: "generated".to_owned(), format: ScanFormat::MasscanNdjson };
    let import = store.import_start(start).await?;
    let (mut took, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for first in (0..total).step_by(BATCH as usize) {
        let params = RecordSightings {
            import,
            observations: (first..total.min(first + BATCH)).map(observation).collect(),
            scope: Scope::default(),
            due: DuePolicy::default(),
        };
        let began = Instant::now();
        store.sightings_record(params).await?;
        took += began.elapsed();
        slowest = slowest.max(began.elapsed());
    }
    Ok((took, slowest))
}

/// The `index`th observation by address: every eighth host has a second port.
fn observation(index: u32) -> Observation {
    let (host, port) = if index % 9 == 8 { (index - 1 - index / 9, 8080) } else { (index - index / 9, 443) };
    let seen = Timestamp::from_secs(1_795_434_087 + i64::from(index % 3600));
    Observation {
        address: Address::from(IpAddr::from((0x0C00_0000 + host * 211).to_be_bytes())),
        port: PortNumber::try_from(port).ok().map(|port| ObservedPort {
            port,
            protocol: Protocol::Tcp,
            open: true,
            banner: None,
        }),
        first_seen: seen,
        last_seen: seen,
    }
}
