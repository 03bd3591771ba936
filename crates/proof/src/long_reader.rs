//! A reader that does not let go, while jobs come at a steady rate.
//!
//! On `SQLite` the log cannot begin anew behind it: what matters is how far the log grows, and that it is cut
//! afterwards. On `PostgreSQL` what is dead cannot be removed while it holds its snapshot: what matters is how much slower
//! work becomes.

mod snapshot;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{Options, Report, feed::Feed, installation::Installation, probe::SqliteProbe, workbench};

/// Jobs in a second.
const RATE: u32 = 800;
/// How soon after the reader let go the log is short.
const SOON: Duration = Duration::from_secs(5);

struct Plan {
    pinned: Duration,
    hosts: u64,
    /// Bytes of log beside the reader.
    log_while_pinned: u64,
    /// Bytes of log soon after.
    log_afterwards: u64,
}

/// Runs it, on both backends.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new("long-reader", options);
    log(options, &mut report).await?;
    snapshot::run(options, &mut report).await?;
    Ok(report)
}

/// How far the log of `SQLite` grows.
async fn log(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let plan = options.form.pick(
        Plan {
            pinned: Duration::from_mins(1),
            hosts: 100_000,
            log_while_pinned: 96 << 20,
            log_afterwards: 64 << 20,
        },
        // About one MiB a second is what such a load writes, and what it writes with a commit for each job is ten times
        // as much. What was there before the reader came is less than 16 MiB: by then it is copied.
        Plan {
            pinned: Duration::from_secs(3),
            hosts: 5_000,
            log_while_pinned: 24 << 20,
            log_afterwards: 24 << 20,
        },
    );
    let installation = Installation::new(options)?;
    installation.import(0..plan.hosts)?;
    installation.run_well(&["worker", "--drain"])?;
    let (server, _) = installation.serve()?;
    let store = workbench::open(&installation.database()).await?;
    let mut feed = Feed::new(&store);
    let log = installation.path("hostatlas.db-wal");

    // The rate before, for comparison.
    feed.run_for(plan.pinned / 4, RATE, || ()).await?;
    let mut reader = SqliteProbe::reading(&installation.database()).await?;
    reader.run("BEGIN").await?;
    let before = reader.completed().await?;
    let mut largest = 0;
    feed.run_for(plan.pinned, RATE, || largest = bytes(&log).max(largest)).await?;
    let still = reader.completed().await?;
    report.require(before == still, || "the reader was not pinned".to_owned());
    reader.run("ROLLBACK").await?;
    feed.run_for(SOON, RATE, || ()).await?;
    let afterwards = bytes(&log);
    report.require(largest <= plan.log_while_pinned, || format!("the log grew to {largest} bytes"));
    report.require(afterwards <= plan.log_afterwards, || format!("the log still has {afterwards} bytes"));

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
    Ok(())
}

/// Waits until so many jobs are done, or none has been for a while; answers how many.
async fn drained(probe: &mut SqliteProbe, expected: i64) -> anyhow::Result<i64> {
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
