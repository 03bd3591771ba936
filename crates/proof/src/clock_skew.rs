//! Clocks that jump, and machines that do not agree about the time.
//!
//! First the clock of a store in this process is set forward and back by up to an hour in the middle of leased work.
//! Then the whole binary runs under a clock that does the same, by a small library between it and the C library. On
//! `PostgreSQL` workers run whose clocks are a day apart: the server's clock decides, so that nothing is to be seen.

mod shim;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hostatlas_queue::Outcome;
use hostatlas_store::{ClaimedJob, Store};
use hostatlas_store_sqlite::ClockOffset;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use self::shim::Shim;
use crate::{
    Options, Report, cluster, http,
    installation::Installation,
    probe::{PostgresProbe, SqliteProbe},
    process::Process,
    workbench::{self, Work},
};

/// The largest step, in seconds.
const STEP: i64 = 3_600;
/// Work that waits is begun within this, whatever the clock does.
const GOES_ON_WITHIN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);
/// Half of the machines' disagreement, in seconds.
const HALF_A_DAY: i64 = 43_200;

struct Plan {
    leased: u64,
    hosts: u64,
    steps: u32,
    postgres: u64,
}

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = options.form.pick(
        Plan { leased: 50_000, hosts: 20_000, steps: 60, postgres: 50_000 },
        Plan { leased: 3_000, hosts: 1_000, steps: 4, postgres: 1_000 },
    );
    let mut report = Report::new("clock-skew", options);
    let mut random = StdRng::seed_from_u64(options.seed);
    leased(&plan, &mut random, &mut report).await?;
    let folder = tempfile::tempdir()?;
    let library = match tokio::task::block_in_place(|| shim::build(folder.path())) {
        Ok(library) => library,
        Err(error) => {
            report.not_run(format!("no clock can be put under the binary: {error:#}"));
            return Ok(report);
        }
    };
    whole_binary(options, &plan, &library, &mut random, &mut report).await?;
    machines_apart(options, &plan, &library, &mut report).await?;
    Ok(report)
}

/// Steps of the clock in the middle of leased work.
async fn leased(plan: &Plan, random: &mut StdRng, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hostatlas.db");
    let clock = ClockOffset::default();
    let store = workbench::open_by(&path, clock.clone()).await?;
    let mut watch = SqliteProbe::writing(&path).await?;
    watch.watch_effects().await?;
    watch.close().await?;
    workbench::record(store.as_ref(), 0..plan.leased).await?;
    let priority = workbench::KIND.default_priority();
    workbench::enqueue(&store, 0..plan.leased, priority).await?;

    let over = CancellationToken::new();
    let working = tokio::spawn(work_until(store.clone(), over.clone()));
    let mut probe = SqliteProbe::reading(&path).await?;
    let (mut steps, began) = (0_u32, Instant::now());
    let expected = i64::try_from(plan.leased)?;
    let mut progressed = (Instant::now(), 0);
    let mut slowest = Duration::ZERO;
    while progressed.1 < expected && progressed.0.elapsed() < 2 * report.form().patience(GOES_ON_WITHIN) {
        let step = random.random_range(-STEP..=STEP);
        let length = Duration::from_secs(step.unsigned_abs());
        if step < 0 {
            clock.set_back(length);
        } else {
            clock.advance(length);
        }
        steps += 1;
        tokio::time::sleep(Duration::from_millis(random.random_range(10..100))).await;
        let done = probe.completed().await?;
        if done > progressed.1 {
            slowest = slowest.max(progressed.0.elapsed());
            progressed = (Instant::now(), done);
        }
    }
    over.cancel();
    working.await??;
    let twice = probe.number("SELECT count(*) FROM job_effect WHERE times > 1").await?;
    let done = probe.number("SELECT count(*) FROM job WHERE kind = 3 AND state = 4").await?;
    report.require(done == expected, || format!("leased work: {done} of {expected} jobs were done"));
    report.require(twice == 0, || format!("leased work: {twice} jobs were done twice"));
    report.require(slowest <= report.form().patience(GOES_ON_WITHIN), || {
        format!("leased work stood still for {slowest:?}")
    });
    report.number("leased_jobs", plan.leased);
    report.number("leased_steps", steps);
    report.number("leased_ms", u64::try_from(began.elapsed().as_millis())?);
    probe.close().await?;
    store.close().await;
    Ok(())
}

async fn work_until(store: Arc<dyn Store>, over: CancellationToken) -> anyhow::Result<()> {
    workbench::work(&store, Brief, 20, false, over).await?;
    Ok(())
}

/// Work that takes a moment, so that steps of the clock meet it.
struct Brief;

#[async_trait]
impl Work for Brief {
    async fn work(&self, jobs: &[ClaimedJob], _cancel: CancellationToken) -> Vec<Outcome> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        jobs.iter().map(|_| Outcome::Done("done".to_owned())).collect()
    }
}

/// The binary on `SQLite`, under a clock that jumps while it works.
async fn whole_binary(
    options: &Options,
    plan: &Plan,
    library: &Path,
    random: &mut StdRng,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut installation = Installation::new(options)?;
    let shim = Shim::new(library, &installation.path("clock"))?;
    shim.put_under(&mut installation);
    installation.import(0..plan.hosts)?;
    let mut watch = SqliteProbe::writing(&installation.database()).await?;
    watch.watch_effects().await?;
    watch.close().await?;
    let (server, address) = installation.serve()?;
    let mut probe = SqliteProbe::reading(&installation.database()).await?;
    let mut slowest = Duration::ZERO;
    for step in 0..plan.steps {
        shim.set(random.random_range(-STEP..=STEP))?;
        let answer = match http::post(address, "/api/v1/jobs", "{\"all\":true,\"force\":true}").await {
            Ok(answer) => answer,
            Err(error) => {
                report.violation(format!("step {step}: no answer, {error:#}: {}", server.said()));
                break;
            }
        };
        report.require(answer.status == 202, || {
            format!("step {step}: a request was answered with {}: {}", answer.status, answer.body)
        });
        shim.set(random.random_range(-STEP..=STEP))?;
        let began = Instant::now();
        while probe.live().await? > 0 && began.elapsed() < 2 * options.form.patience(GOES_ON_WITHIN) {
            tokio::time::sleep(LOOK).await;
        }
        slowest = slowest.max(began.elapsed());
        report.require(began.elapsed() <= options.form.patience(GOES_ON_WITHIN), || {
            format!("step {step}: jobs still wait after {:?}: {}", began.elapsed(), server.said())
        });
        if !report.holds() {
            break;
        }
    }
    let counted = probe.count().await?;
    let left = counted.jobs - counted.completed;
    report.require(left == 0, || format!("{left} jobs were not done"));
    // Of hosts nothing follows: each is located again by each of its jobs.
    let twice = counted.jobs_twice;
    report.require(twice == 0, || format!("the whole binary: {twice} jobs were done twice"));
    report.require(counted.disagree == 0, || format!("{} jobs and effects disagree", counted.disagree));
    let found = probe.integrity().await?;
    report.require(found == "ok", || format!("integrity: {found}"));
    probe.close().await?;
    report.number("binary_steps", 2 * plan.steps);
    report.number("binary_jobs", counted.jobs);
    report.number("binary_applied_twice", twice);
    report.number("binary_slowest_round_ms", u64::try_from(slowest.as_millis())?);
    Ok(())
}

/// Workers whose clocks are a day apart, on one `PostgreSQL`.
async fn machines_apart(
    options: &Options,
    plan: &Plan,
    library: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (cluster, url) = tokio::task::block_in_place(cluster::start)?;
    let machine = |seconds: i64| -> anyhow::Result<(Installation, Shim)> {
        let mut installation = Installation::new(options)?;
        installation.set("HOSTATLAS_DATABASE_URL", url.as_str());
        let shim = Shim::new(library, &installation.path("clock"))?;
        shim.set(seconds)?;
        shim.put_under(&mut installation);
        Ok((installation, shim))
    };
    let machines = [machine(-HALF_A_DAY)?, machine(0)?, machine(HALF_A_DAY)?];
    machines[0].0.run_well(&["db", "migrate"])?;
    let mut probe = PostgresProbe::new(&url);
    probe.watch_effects().await?;
    let workers = machines.iter().map(|(machine, _)| machine.start(&["worker"]));
    let workers = workers.collect::<anyhow::Result<Vec<Process>>>()?;
    // What the machine of tomorrow queues, the one of yesterday does.
    let third = plan.postgres / 3;
    for (index, (machine, _)) in (0..).zip(&machines) {
        machine.import(index * third..(index + 1) * third)?;
    }
    let expected = i64::try_from(3 * third)?;
    let mut progressed = (Instant::now(), -1);
    while progressed.1 < expected && progressed.0.elapsed() < options.form.patience(GOES_ON_WITHIN) {
        tokio::time::sleep(LOOK).await;
        let done = probe.completed().await?;
        if done > progressed.1 {
            progressed = (Instant::now(), done);
        }
    }
    let twice = probe.number("SELECT count(*) FROM job_effect WHERE times > 1").await?;
    let crashed = probe.number("SELECT count(*) FROM job WHERE crash_count > 0 OR attempt > 1").await?;
    report.require(progressed.1 == expected, || {
        let said: Vec<_> = workers.iter().map(Process::said).collect();
        format!("clocks apart: {} of {expected} jobs were done: {said:?}", progressed.1)
    });
    report.require(twice == 0, || format!("clocks apart: {twice} jobs were done twice"));
    report.require(crashed == 0, || format!("clocks apart: {crashed} jobs were taken from a living worker"));
    probe.close().await?;
    drop(workers);
    drop(cluster);
    report.number("machines_apart_jobs", expected);
    report.number("machines_apart_s", 2 * HALF_A_DAY);
    Ok(())
}
