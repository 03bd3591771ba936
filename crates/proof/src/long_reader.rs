//! A reader that does not let go, while jobs come at a steady rate.
//!
//! On `SQLite` the log cannot begin anew behind it: what matters is how far the log grows, and that it is cut
//! afterwards.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::{Address, JobKind};
use hostatlas_store::{EnqueueJobs, HostSelection, Store};

use crate::{Options, Report, installation::Installation, probe::Probe, workbench};

/// Jobs in a second.
const RATE: u32 = 800;
/// Requests in a second.
const TICKS: u32 = 10;
/// Bytes of log beside a reader that is pinned for a minute.
const LOG_WHILE_PINNED: u64 = 96 << 20;
/// Bytes of log soon after.
const LOG_AFTERWARDS: u64 = 64 << 20;
/// How soon.
const SOON: Duration = Duration::from_secs(5);

struct Plan {
    pinned: Duration,
    hosts: u64,
}

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = options.form.pick(
        Plan { pinned: Duration::from_mins(1), hosts: 100_000 },
        Plan { pinned: Duration::from_secs(3), hosts: 5_000 },
    );
    let mut report = Report::new("long-reader", options);
    let installation = Installation::new(options)?;
    installation.import(0..plan.hosts)?;
    installation.run_well(&["worker", "--drain"])?;
    let (server, _) = installation.serve()?;
    let store = workbench::open(&installation.database()).await?;
    let mut feed = Feed::new(&store);
    let log = installation.path("hostatlas.db-wal");

    // The rate before, for comparison.
    feed.run_for(plan.pinned / 4, &log).await?;
    let mut reader = Probe::reading(&installation.database()).await?;
    sqlx::raw_sql("BEGIN").execute(&mut reader.0).await?;
    let before = reader.completed().await?;
    let largest = feed.run_for(plan.pinned, &log).await?;
    let still = reader.completed().await?;
    report.require(before == still, || "the reader was not pinned".to_owned());
    sqlx::raw_sql("ROLLBACK").execute(&mut reader.0).await?;
    feed.run_for(SOON, &log).await?;
    let afterwards = bytes(&log);
    report.require(largest <= LOG_WHILE_PINNED, || format!("the log grew to {largest} bytes"));
    report.require(afterwards <= LOG_AFTERWARDS, || format!("the log still has {afterwards} bytes"));

    let expected = feed.queued;
    let done = drained(&mut reader, expected + i64::try_from(plan.hosts)?).await?;
    let done = done - i64::try_from(plan.hosts)?;
    report.require(done == expected, || format!("{done} of {expected} jobs are done: {}", server.said()));
    reader.close().await?;
    store.close().await;
    report.number("pinned_s", plan.pinned.as_secs());
    report.number("jobs_a_second", RATE);
    report.number("jobs", expected);
    report.number("log_largest_mib", largest >> 20);
    report.number("log_afterwards_mib", afterwards >> 20);
    Ok(report)
}

/// Queues jobs at a steady rate, host after host, as a refresh does.
pub(crate) struct Feed {
    store: Arc<dyn Store>,
    after: Option<Address>,
    /// Jobs made so far.
    pub(crate) queued: i64,
}

impl Feed {
    pub(crate) fn new(store: &Arc<dyn Store>) -> Self {
        Self { store: store.clone(), after: None, queued: 0 }
    }

    /// Where the jobs go.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Feeds for so long; answers the largest log that was seen.
    async fn run_for(&mut self, duration: Duration, log: &Path) -> anyhow::Result<u64> {
        let mut largest = 0;
        let mut tick = tokio::time::interval(Duration::from_secs(1) / TICKS);
        let began = Instant::now();
        while began.elapsed() < duration {
            tick.tick().await;
            self.queue(RATE / TICKS).await?;
            largest = largest.max(bytes(log));
        }
        Ok(largest)
    }

    /// Queues so many jobs that none of them merges into one that is still there.
    pub(crate) async fn queue(&mut self, jobs: u32) -> anyhow::Result<()> {
        let mut left = jobs;
        while left > 0 {
            let params = EnqueueJobs {
                selection: HostSelection::All,
                after: self.after,
                limit: left,
                priority: JobKind::Geolocation.default_priority(),
                force: true,
            };
            let made = self.store.jobs_enqueue(params).await?;
            self.queued += i64::try_from(made.queued)?;
            self.after = made.next;
            let considered = u32::try_from(made.considered)?;
            if considered == 0 && self.after.is_none() && made.queued == 0 {
                anyhow::bail!("there are no hosts");
            }
            left = left.saturating_sub(considered.max(1));
        }
        Ok(())
    }
}

/// Waits until so many jobs are done, or none has been for a while; answers how many.
async fn drained(probe: &mut Probe, expected: i64) -> anyhow::Result<i64> {
    let mut done = probe.completed().await?;
    let mut progressed = Instant::now();
    while done < expected && progressed.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = probe.completed().await?;
        if now > done {
            (done, progressed) = (now, Instant::now());
        }
    }
    Ok(done)
}

fn bytes(path: &Path) -> u64 {
    // A log that is not there has no bytes.
    path.metadata().map_or(0, |metadata| metadata.len())
}
