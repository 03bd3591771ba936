//! How fast batches of sorted observations are recorded: `postgres_import_speed [OBSERVATIONS] [WRITERS] [BATCH] [PASSES]`, on
//! the server of `HOSTATLAS_TEST_POSTGRES_URL`, in a database of its own. Prints JSON: the first pass makes every host,
//! the second sees it again. Each writer has its part of the addresses.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::{Address, DuePolicy, ImportId, PortNumber, Protocol, ScanFormat, Scope, Timestamp};
use hostatlas_store::{
    AdminStore, ImportStore, Observation, ObservedPort, RecordSightings, StartImport, StoreError,
};
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::TestDatabase;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let total: u32 = arguments.next().map_or(Ok(800_000), |text| text.parse())?;
    let writers: u32 = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let batch: u32 = arguments.next().map_or(Ok(5_000), |text| text.parse())?;
    let passes: usize = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let database = TestDatabase::empty()?;
    let store = Arc::new(PostgresStore::open(OpenOptions::new(database.url(), OpenMode::Create)).await?);
    for pass in ["new", "again"].into_iter().take(passes) {
        let (took, slowest) = pass_over(&store, total, writers.max(1), batch.clamp(1, 10_000)).await?;
        let rate = f64::from(total) / took.as_secs_f64();
        #[expect(clippy::print_stdout, reason = "it is what this program is for")]
        {
            println!(
                "{{\"pass\":\"{pass}\",\"observations\":{total},\"writers\":{writers},\"batch\":{batch},\
                 \"seconds\":{:.3},\"per_second\":{rate:.0},\"slowest_batch_ms\":{:.1}}}",
                took.as_secs_f64(),
                slowest.as_secs_f64() * 1e3
            );
        }
    }
    let findings = store.check().await?.findings;
    store.close().await;
    if findings.is_empty() { Ok(()) } else { Err(format!("{findings:?}").into()) }
}

async fn pass_over(
    store: &Arc<PostgresStore>,
    total: u32,
    writers: u32,
    batch: u32,
) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let start = StartImport { source: "generated".to_owned(), format: ScanFormat::MasscanNdjson };
    let import = store.import_start(start).await?;
    // Nine observations are eight hosts: whole nines for each writer, and no host has two.
    let part = total.div_ceil(writers).next_multiple_of(9);
    let began = Instant::now();
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let (first, end) = (total.min(writer * part), total.min((writer + 1) * part));
        let store = Arc::clone(store);
        writing.spawn(async move { write(&store, import, first, end, batch).await });
    }
    let mut slowest = Duration::ZERO;
    while let Some(written) = writing.join_next().await {
        slowest = slowest.max(written??);
    }
    Ok((began.elapsed(), slowest))
}

/// Records the observations from `first` up to `end`; answers how long the slowest batch took.
async fn write(
    store: &PostgresStore,
    import: ImportId,
    first: u32,
    end: u32,
    batch: u32,
) -> Result<Duration, StoreError> {
    let mut slowest = Duration::ZERO;
    for at in (first..end).step_by(batch as usize) {
        let params = RecordSightings {
            import,
            observations: (at..end.min(at + batch)).map(observation).collect(),
            scope: Scope::default(),
            due: DuePolicy::default(),
        };
        let began = Instant::now();
        store.sightings_record(params).await?;
        slowest = slowest.max(began.elapsed());
    }
    Ok(slowest)
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
