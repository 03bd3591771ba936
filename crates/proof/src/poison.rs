//! Jobs that kill their worker, among ten thousand good neighbours.
//!
//! The worker is this program again, in a process of its own that aborts whenever it meets such a job. It is started
//! again and again until it comes to the end of the queue: then every neighbour is done, each of the killers is given
//! up, and nobody else is. On `PostgreSQL` jobs of a dead worker wait for their leases to run out: each worker goes by a
//! clock that is as much ahead of the one before, so that nobody has to wait for it.

use std::{
    collections::HashSet,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hostatlas_domain::{Address, Priority};
use hostatlas_queue::Outcome;
use hostatlas_store::{ClaimMode, ClaimedJob};
use tokio_util::sync::CancellationToken;

use crate::{
    Backend, Options, Report,
    database::{Database, Server},
    process::Process,
    workbench::{self, Work},
};

/// Jobs that a worker takes at once.
const BATCH: u32 = 500;
/// Longer than a lease: by so much the clock of each worker is ahead of that of the one before.
const LATER: Duration = Duration::from_mins(1);
/// Tells a worker how many were before it.
const EARLIER_VARIABLE: &str = "HOSTATLAS_PROOF_EARLIER_WORKERS";
/// So many workers in a row may find nothing to do while jobs of a dead one are still to be taken back.
const IDLE_WORKERS: u32 = 10;
/// Each killer dies once while it is only peeked at, where that is done, once in its batch, once in its group and three
/// times alone; groups may be met more than once.
const DEATHS_EACH: u32 = 8;

struct Plan {
    neighbours: u64,
    killers: u64,
}

impl Plan {
    fn of(options: &Options) -> Self {
        options.form.pick(Self { neighbours: 10_000, killers: 8 }, Self { neighbours: 1_000, killers: 2 })
    }

    fn total(&self) -> u64 {
        self.neighbours + self.killers
    }

    /// The numbers of those that kill, spread over the queue.
    fn killers(&self) -> impl Iterator<Item = u64> {
        let distance = self.total() / self.killers;
        (0..self.killers).map(move |index| index * distance + distance / 2)
    }
}

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = Plan::of(options);
    let mut report = Report::on_backend("poison", options);
    let server = Server::start(options.backend)?;
    let database = server.database("poison")?;
    let store = database.open().await?;
    workbench::record(store.as_ref(), 0..plan.total()).await?;
    workbench::enqueue(&store, 0..plan.total(), Priority::FIRST).await?;
    store.close().await;

    let deaths = work_to_the_end(&plan, options, &database, &mut report).await?;
    judge(&plan, &database, &mut report).await?;
    report.number("neighbours", plan.neighbours);
    report.number("killers", plan.killers);
    report.number("deaths_of_workers", deaths);
    Ok(report)
}

/// Starts a worker after the other until nothing is left to do; answers how many died.
async fn work_to_the_end(
    plan: &Plan,
    options: &Options,
    database: &Database,
    report: &mut Report,
) -> anyhow::Result<u32> {
    let limit = u32::try_from(plan.killers)? * DEATHS_EACH;
    let (mut deaths, mut idle) = (0, 0);
    loop {
        let mut worker = start_worker(options, database, deaths + idle)?;
        let Some(status) = worker.ended_within(Duration::from_mins(2)).await? else {
            report.violation(format!("a worker hangs: {}", worker.said()));
            break;
        };
        if status.success() {
            let mut probe = database.probe().await?;
            let left = probe.number("SELECT count(*) FROM job WHERE kind = 3 AND state < 4").await?;
            probe.close().await?;
            // Who is not alone takes back what a dead worker left beside its work, perhaps after the queue was empty.
            idle += 1;
            if left == 0 || options.backend == Backend::Sqlite || idle > IDLE_WORKERS {
                break;
            }
            continue;
        }
        if status.code().is_some() {
            report.violation(format!("a worker ended with {status}: {}", worker.said()));
            break;
        }
        deaths += 1;
        if deaths > limit {
            report.violation(format!("{deaths} deaths of workers, and the queue is still not empty"));
            break;
        }
    }
    Ok(deaths)
}

async fn judge(plan: &Plan, database: &Database, report: &mut Report) -> anyhow::Result<()> {
    let mut probe = database.probe().await?;
    let done = probe.number("SELECT count(*) FROM job WHERE kind = 3 AND state = 4").await?;
    let given_up = probe.number("SELECT count(*) FROM job WHERE kind = 3 AND state = 6").await?;
    let alone = probe
        .number("SELECT count(*) FROM job WHERE kind = 3 AND state = 6 AND last_error LIKE '%alone%'")
        .await?;
    probe.close().await?;
    let killers = i64::try_from(plan.killers)?;
    let neighbours = i64::try_from(plan.neighbours)?;
    report.require(done == neighbours, || format!("{done} of {neighbours} good neighbours are done"));
    report.require(given_up == killers && alone == killers, || {
        format!("{given_up} jobs were given up, {alone} of them for killing their worker; {killers} do")
    });
    report.number("done", done);
    report.number("given_up", given_up);
    Ok(())
}

fn start_worker(options: &Options, database: &Database, earlier: u32) -> anyhow::Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["poison", "--backend", options.backend.name()])
        .arg("--inside")
        .arg(database.location())
        .env(EARLIER_VARIABLE, earlier.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if options.form == crate::Form::Short {
        command.arg("--short");
    }
    Process::start(command)
}

/// Dies of certain hosts.
struct Mortal {
    deadly: HashSet<Address>,
}

#[async_trait]
impl Work for Mortal {
    async fn work(&self, jobs: &[ClaimedJob], _cancel: CancellationToken) -> Vec<Outcome> {
        if jobs.iter().any(|job| self.deadly.contains(&job.address)) {
            std::process::abort();
        }
        jobs.iter().map(|_| Outcome::Done("survived".to_owned())).collect()
    }

    /// As lookups in a database are claimed: a death then leaves no trace in the queue.
    fn mode(&self) -> ClaimMode {
        ClaimMode::Peek
    }
}

/// The worker that dies, in its own process.
pub(crate) async fn inside(options: &Options, path: &Path) -> anyhow::Result<()> {
    let deadly = Plan::of(options).killers().map(workbench::host).collect();
    let earlier: u32 = std::env::var(EARLIER_VARIABLE)?.parse()?;
    let database = Database::at(options.backend, &path.to_string_lossy());
    let store = database.open_ahead(LATER * earlier).await?;
    workbench::work(&store, Mortal { deadly }, BATCH, true, CancellationToken::new()).await?;
    Arc::clone(&store).close().await;
    Ok(())
}
