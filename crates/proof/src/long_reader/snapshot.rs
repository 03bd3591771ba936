//! A snapshot that is held on `PostgreSQL`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_store::Store;
use hostatlas_store_postgres::{OpenMode, OpenOptions, PostgresStore};

use super::RATE;
use crate::{Form, Options, Report, cluster, feed::Feed, installation::Installation, probe::PostgresProbe};

/// The share of its throughput that has to be left while a snapshot is held.
const LEFT: f64 = 0.9;
/// Without an end after so long, the worker does not work.
const PATIENCE: Duration = Duration::from_mins(3);
/// Against measurements of seconds; more often would be a burden of its own.
const LOOK: Duration = Duration::from_millis(20);
/// The newest job that a reader sees; it stays the same exactly while its snapshot is held.
const SEEN: &str = "SELECT coalesce(max(id), 0) FROM job";

struct Plan {
    held: Duration,
    hosts: u64,
    /// Jobs with which throughput is measured.
    measured: u32,
    /// Measurements before and during, of which the median counts.
    times: usize,
}

pub(super) async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let plan = options.form.pick(
        Plan { held: Duration::from_mins(2), hosts: 100_000, measured: 50_000, times: 5 },
        Plan { held: Duration::from_secs(2), hosts: 2_000, measured: 1_000, times: 1 },
    );
    let (cluster, url) = tokio::task::block_in_place(cluster::start)?;
    let mut installation = Installation::new(options)?;
    installation.set("HOSTATLAS_DATABASE_URL", url.clone());
    installation.run_well(&["db", "migrate"])?;
    installation.import(0..plan.hosts)?;
    installation.run_well(&["worker", "--drain"])?;
    let worker = installation.start(&["worker"])?;
    let store: Arc<dyn Store> =
        Arc::new(PostgresStore::open(OpenOptions::new(url.as_str(), OpenMode::Existing)).await?);
    let mut feed = Feed::new(&store);
    let mut probe = PostgresProbe::new(&url);
    let mut reader = PostgresProbe::new(&url);

    feed.run_for(plan.held / 4, RATE, || ()).await?;
    let before = throughput(&plan, &mut feed, &mut probe).await?;
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let first = reader.number(SEEN).await?;
    feed.run_for(plan.held, RATE, || ()).await?;
    let during = throughput(&plan, &mut feed, &mut probe).await?;
    let still = reader.number(SEEN).await?;
    report.require(first == still, || "the snapshot was not held".to_owned());
    reader.run("ROLLBACK").await?;

    let left = during / before;
    report.require(left >= LEFT || options.form == Form::Short, || {
        format!(
            "beside a held snapshot {during:.0} jobs/s were done, and {before:.0} without: {}",
            worker.said()
        )
    });
    report.number("snapshot_held_s", plan.held.as_secs());
    report.number("snapshot_jobs_a_second_before", before.round());
    report.number("snapshot_jobs_a_second_during", during.round());
    report.number("snapshot_throughput_left", (left * 1000.0).round() / 1000.0);
    reader.close().await?;
    probe.close().await?;
    store.close().await;
    drop(worker);
    drop(cluster);
    Ok(())
}

/// Jobs a second while there is nothing but work, queueing included: the median of some measurements.
async fn throughput(plan: &Plan, feed: &mut Feed, probe: &mut PostgresProbe) -> anyhow::Result<f64> {
    let mut rates = Vec::new();
    for _ in 0..plan.times {
        settle(probe).await?;
        let began = Instant::now();
        feed.queue(plan.measured).await?;
        settle(probe).await?;
        rates.push(f64::from(plan.measured) / began.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[rates.len() / 2])
}

/// Waits until nothing is left to do, by the counters: a query over jobs would itself step over all that are dead and
/// cannot be removed while the snapshot is held, and would be measured with the work.
async fn settle(probe: &mut PostgresProbe) -> anyhow::Result<()> {
    let began = Instant::now();
    while probe.live().await? > 0 {
        anyhow::ensure!(began.elapsed() < PATIENCE, "the worker does not come to an end");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
