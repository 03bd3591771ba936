//! A flood of the most urgent jobs, which never ends, and a few of the least urgent in it.
//!
//! Whatever is done is queued again at once, at the highest priority. Claims are strictly by priority but for one in
//! ten, which takes what waits longest; so the few are done after a number of claims that the flood cannot raise.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use hostatlas_domain::{Address, Priority};
use hostatlas_queue::Outcome;
use hostatlas_store::{ClaimedJob, Store};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    Options, Report,
    database::Server,
    workbench::{self, Work},
};

/// Jobs in one claim.
const BATCH: u32 = 10;
/// One claim in so many takes what waits longest.
const OLDEST_ONE_IN: u64 = 10;

struct Plan {
    flood: u64,
    few: u64,
}

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = options.form.pick(Plan { flood: 20_000, few: 1_000 }, Plan { flood: 1_000, few: 30 });
    let mut report = Report::on_backend("starvation", options);
    let server = Server::start(options.backend)?;
    let store = server.database("starvation")?.open().await?;
    workbench::record(store.as_ref(), 0..plan.flood + plan.few).await?;
    let last = workbench::KIND.default_priority();
    workbench::enqueue(&store, 0..plan.flood, Priority::FIRST).await?;
    workbench::enqueue(&store, plan.flood..plan.flood + plan.few, last).await?;

    let flood = Flooding::start(&store, &plan);
    let claims = Arc::new(AtomicU64::new(0));
    let few_done = Arc::new(AtomicU64::new(0));
    let enough = CancellationToken::new();
    // All that was queued before the few, then the few, at the pace of the claims that take what waits longest; and as
    // much again, since the flood that is older than the few is also taken by every other claim.
    let bound = 2 * OLDEST_ONE_IN * (plan.flood + plan.few) / u64::from(BATCH);
    let work = Counting {
        numbers: Arc::clone(&flood.numbers),
        flood: plan.flood,
        few: plan.few,
        bound,
        done: flood.done.clone(),
        claims: claims.clone(),
        few_done: few_done.clone(),
        enough: enough.clone(),
    };
    workbench::work(&store, work, BATCH, false, enough).await?;
    let waiting = flood.stop().await?;

    let few = few_done.load(Ordering::Relaxed);
    let claims = claims.load(Ordering::Relaxed);
    report.require(few == plan.few, || {
        format!("{few} of {} jobs of the least urgent were done in {claims} claims", plan.few)
    });
    report.require(waiting > plan.flood / 2, || format!("the flood dried up: {waiting} jobs were left"));
    report.number("flood", plan.flood);
    report.number("least_urgent", plan.few);
    report.number("least_urgent_done", few);
    report.number("claims", claims);
    report.number("claims_allowed", bound);
    store.close().await;
    Ok(report)
}

/// Queues again what was done.
struct Flooding {
    numbers: Arc<HashMap<Address, u64>>,
    done: mpsc::UnboundedSender<Vec<u64>>,
    task: tokio::task::JoinHandle<anyhow::Result<u64>>,
}

impl Flooding {
    fn start(store: &Arc<dyn Store>, plan: &Plan) -> Self {
        let numbers =
            Arc::new((0..plan.flood + plan.few).map(|number| (workbench::host(number), number)).collect());
        let (done, mut again) = mpsc::unbounded_channel::<Vec<u64>>();
        let store = store.clone();
        let task = tokio::spawn(async move {
            while let Some(numbers) = again.recv().await {
                workbench::enqueue(&store, numbers.into_iter(), Priority::FIRST).await?;
            }
            let kinds = store.kinds_status().await?;
            let mine = kinds.iter().find(|status| status.kind == workbench::KIND);
            Ok(mine.map_or(0, |status| status.counts.waiting()))
        });
        Self { numbers, done, task }
    }

    /// How many jobs wait when it ends.
    async fn stop(self) -> anyhow::Result<u64> {
        drop(self.done);
        self.task.await?
    }
}

/// Counts what is done, and asks for the flood's part of it again.
struct Counting {
    numbers: Arc<HashMap<Address, u64>>,
    flood: u64,
    few: u64,
    bound: u64,
    done: mpsc::UnboundedSender<Vec<u64>>,
    claims: Arc<AtomicU64>,
    few_done: Arc<AtomicU64>,
    enough: CancellationToken,
}

#[async_trait]
impl Work for Counting {
    async fn work(&self, jobs: &[ClaimedJob], _cancel: CancellationToken) -> Vec<Outcome> {
        let numbers = jobs.iter().filter_map(|job| self.numbers.get(&job.address).copied());
        let (again, few): (Vec<u64>, Vec<u64>) = numbers.partition(|&number| number < self.flood);
        let few_done = self.few_done.fetch_add(few.len() as u64, Ordering::Relaxed) + few.len() as u64;
        let claims = self.claims.fetch_add(1, Ordering::Relaxed) + 1;
        if few_done >= self.few || claims >= self.bound {
            self.enough.cancel();
        }
        // The receiver ends last.
        let _ = self.done.send(again);
        jobs.iter().map(|_| Outcome::Done("done".to_owned())).collect()
    }
}
