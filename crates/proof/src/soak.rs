//! Nine minutes at seventy percent of what the machine can do: nothing may grow.
//!
//! The server runs jobs at a steady rate, which it has to hold. Finished jobs are deleted soon, as they are after a day,
//! so that the tables have a size to stay at. Memory, descriptors and sizes of the last third are compared with those of
//! the middle one: on `SQLite` of the file and its log, on `PostgreSQL` of each table with its indexes. The short form
//! judges the descriptors alone.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_store::{PrunePolicy, Store};

use crate::{
    Form, Options, Report,
    database::Server,
    feed::Feed,
    installation::Installation,
    probe::{Probe, Space},
    process::{open_descriptors, resident_bytes},
};

/// The share of its capacity at which the machine runs.
const LOAD: f64 = 0.7;
/// The share of that rate which has to be done, or it was another load than the one that is spoken of.
const HELD: f64 = 0.95;
/// Requests in a second.
const TICKS: u32 = 4;
/// Jobs deleted in one transaction.
const PRUNED_AT_ONCE: u32 = 5_000;
/// How much more may be there at the end before it is growth: as a share, and as a number below which a difference means
/// nothing.
#[derive(Clone, Copy)]
struct Tolerance {
    share: f64,
    noise: u64,
}

/// The allocator's noise.
const OF_MEMORY: Tolerance = Tolerance { share: 0.05, noise: 8 << 20 };
/// Deleted rows leave room that is used again only once somebody has cleaned up behind them: on `PostgreSQL` that is once
/// a minute, some seconds sooner or later, and each second is a sixtieth of a table.
const OF_FILES: Tolerance = Tolerance { share: 0.10, noise: 16 << 20 };
const OF_DESCRIPTORS: Tolerance = Tolerance { share: 0.05, noise: 8 };
const OF_JOBS: Tolerance = Tolerance { share: 0.10, noise: 2_000 };

/// Bytes of a table from which on its size is reported.
const WORTH_SAYING: u64 = 1 << 20;

struct Plan {
    duration: Duration,
    hosts: u64,
    kept_for: Duration,
    /// Jobs with which the capacity is measured.
    measured: u32,
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sample {
    resident: u64,
    descriptors: u64,
    jobs: u64,
    space: Space,
}

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = options.form.pick(
        Plan {
            duration: Duration::from_mins(9),
            hosts: 200_000,
            kept_for: Duration::from_secs(20),
            measured: 100_000,
        },
        Plan {
            duration: Duration::from_secs(9),
            hosts: 4_000,
            kept_for: Duration::from_secs(1),
            measured: 2_000,
        },
    );
    let mut report = Report::on_backend("soak", options);
    let mut installation = Installation::new(options)?;
    let backend = Server::start(options.backend)?;
    let database = backend.database_of(&mut installation, "soak")?;
    installation.import(0..plan.hosts)?;
    installation.run_well(&["worker", "--drain"])?;
    let (server, _) = installation.serve()?;
    let store = database.open().await?;
    let mut probe = database.probe().await?;
    let mut feed = Feed::new(&store);
    let capacity = capacity(&plan, &mut feed, &mut probe).await?;

    let queued_before = feed.queued;
    let (samples, seconds) = soak(&plan, &mut feed, &mut probe, capacity, server.id()).await?;
    let left = probe.live().await?;
    judge_load(capacity, feed.queued - queued_before, left, seconds, &mut report);
    judge(&samples, options.form, &mut report);
    report.number("seconds_under_load", plan.duration.as_secs());
    report.number("jobs", feed.queued);
    probe.close().await?;
    store.close().await;
    Ok(report)
}

/// Jobs in a second, queueing included.
async fn capacity(plan: &Plan, feed: &mut Feed, probe: &mut Probe) -> anyhow::Result<f64> {
    let began = Instant::now();
    let before = probe.completed().await?;
    feed.queue(plan.measured).await?;
    let queued = feed.queued;
    while probe.completed().await? < before + queued {
        anyhow::ensure!(began.elapsed() < Duration::from_mins(2), "the server does not work");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(f64::from(plan.measured) / began.elapsed().as_secs_f64())
}

/// Whether the load was the one that was meant, and could be borne: `queued` jobs in so many seconds, of which some are
/// `left`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "numbers of jobs are far below 2^53"
)]
fn judge_load(capacity: f64, queued: i64, left: i64, seconds: f64, report: &mut Report) {
    let (planned, achieved) = (capacity * LOAD, (queued - left) as f64 / seconds);
    let most = ((planned * 5.0) as i64).max(1_000);
    // A short form runs beside other tests: the machine that was measured is not the one that bears the load.
    let counts = report.form() == Form::Full;
    report.require(left <= most || !counts, || format!("{left} jobs are behind: the load was too much"));
    report.require(achieved >= planned * HELD || !counts, || {
        format!("{achieved:.0} jobs/s were done of {planned:.0} that were planned")
    });
    report.number("capacity_jobs_a_second", capacity.round());
    report.number("planned_jobs_a_second", planned.round());
    report.number("achieved_jobs_a_second", achieved.round());
    report.number("waiting_at_the_end", left);
}

/// Samples of the time under load, and how many seconds it was.
async fn soak(
    plan: &Plan,
    feed: &mut Feed,
    probe: &mut Probe,
    capacity: f64,
    server: u32,
) -> anyhow::Result<(Vec<Sample>, f64)> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate of jobs is small and positive"
    )]
    let each = (capacity * LOAD / f64::from(TICKS)).max(1.0) as u32;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / TICKS);
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < plan.duration {
        tick.tick().await;
        feed.queue(each).await?;
        prune(&feed.store(), plan.kept_for).await?;
        samples.push(sample(probe, server).await?);
    }
    Ok((samples, began.elapsed().as_secs_f64()))
}

async fn prune(store: &Arc<dyn Store>, kept_for: Duration) -> anyhow::Result<()> {
    let policy = PrunePolicy { completed_after: kept_for, discarded_after: kept_for, limit: PRUNED_AT_ONCE };
    while store.jobs_prune(policy).await? == u64::from(PRUNED_AT_ONCE) {}
    Ok(())
}

async fn sample(probe: &mut Probe, server: u32) -> anyhow::Result<Sample> {
    Ok(Sample {
        resident: resident_bytes(server).unwrap_or(0),
        descriptors: open_descriptors(server).unwrap_or(0) as u64,
        jobs: u64::try_from(probe.jobs().await?)?,
        space: probe.space().await?,
    })
}

/// What of a sample is judged.
type Measure = fn(&Sample) -> u64;

/// The largest of each third that counts.
fn judge(samples: &[Sample], form: Form, report: &mut Report) {
    let third = samples.len() / 3;
    let (middle, end) = (&samples[third..2 * third], &samples[2 * third..]);
    let most = |samples: &[Sample], of: Measure| samples.iter().map(of).max().unwrap_or(0);
    let measures: [(&str, Measure, Tolerance); 5] = [
        ("resident_bytes", |sample| sample.resident, OF_MEMORY),
        ("descriptors", |sample| sample.descriptors, OF_DESCRIPTORS),
        ("file_bytes", |sample| sample.space.file, OF_FILES),
        ("log_bytes", |sample| sample.space.log, OF_FILES),
        ("jobs_in_the_table", |sample| sample.jobs, OF_JOBS),
    ];
    for (name, of, tolerance) in measures {
        let (before, after) = (most(middle, of), most(end, of));
        report.number(&format!("{name}_middle"), before);
        report.number(&format!("{name}_end"), after);
        report.require(after > 0 || name == "log_bytes", || format!("{name} was never seen"));
        // A few seconds only show that the measures work.
        let counts = form == Form::Full || name == "descriptors";
        let grew = counts && tolerance.is_exceeded(before, after);
        report.require(!grew, || format!("{name} grew from {before} to {after}"));
    }
    judge_tables(middle, end, form, report);
}

/// Each table: one that grows beside others that shrink is not flat.
fn judge_tables(middle: &[Sample], end: &[Sample], form: Form, report: &mut Report) {
    let most = |samples: &[Sample], table: &str| {
        samples.iter().filter_map(|sample| sample.space.tables.get(table)).copied().max().unwrap_or(0)
    };
    let mut sizes = BTreeMap::new();
    for table in end.last().into_iter().flat_map(|sample| sample.space.tables.keys()) {
        let (before, after) = (most(middle, table), most(end, table));
        let grew = form == Form::Full && OF_FILES.is_exceeded(before, after);
        report.require(!grew, || format!("table {table} grew from {before} to {after} bytes"));
        if after >= WORTH_SAYING || is_hot(table) {
            sizes.insert(table.clone(), [before, after]);
        }
    }
    if !sizes.is_empty() {
        report.number("table_bytes_middle_end", serde_json::json!(sizes));
    }
}

/// Whether every job leaves something in a table that somebody has to take away.
fn is_hot(table: &str) -> bool {
    table == "job" || table.ends_with("_delta")
}

impl Tolerance {
    fn is_exceeded(self, before: u64, after: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
        let beyond = after as f64 > before as f64 * (1.0 + self.share);
        beyond && after > before + self.noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_what_exceeds_both_the_share_and_the_noise() {
        let exceeded = |before: u64, after: u64| OF_MEMORY.is_exceeded(before << 20, after << 20);
        let cases = [exceeded(100, 108), exceeded(100, 109), exceeded(400, 419), exceeded(400, 421)];
        assert_eq!(cases, [false, true, false, true]);
    }

    #[test]
    fn the_tables_that_every_job_writes_are_hot() {
        let hot = ["job", "job_count_delta", "job_count", "host"].map(is_hot);
        assert_eq!(hot, [true, true, false, false]);
    }
}
