//! A store in this process, with a worker whose work the proof decides.

use std::{
    ops::Range,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use hostatlas_domain::{
    Address, DuePolicy, JobKind, PortNumber, Priority, Protocol, ScanFormat, Scope, Timestamp,
};
use hostatlas_queue::{Handler, Outcome, QueueWorker, QueueWorkerOptions, WorkSummary, WorkerIdentity};
use hostatlas_store::{
    Attempt, ClaimMode, ClaimedJob, EnqueueJob, Observation, RecordSightings, StartImport, Store,
};
use hostatlas_store_sqlite::{ClockOffset, OpenMode, OpenOptions, SqliteStore};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::addresses;

/// The kind that the proofs give work of their own: an import queues none of it.
pub(crate) const KIND: JobKind = JobKind::SslCert;
/// Observations in one transaction.
const RECORDED_AT_ONCE: u64 = 5_000;

/// Opens an `SQLite` file, made if it is missing.
pub(crate) async fn open(path: &Path) -> anyhow::Result<Arc<dyn Store>> {
    open_by(path, ClockOffset::default()).await
}

/// The same, by a clock that the proof moves.
pub(crate) async fn open_by(path: &Path, clock_offset: ClockOffset) -> anyhow::Result<Arc<dyn Store>> {
    let options = OpenOptions { clock_offset, ..OpenOptions::new(path.to_string_lossy(), OpenMode::Create) };
    Ok(Arc::new(SqliteStore::open(options).await?))
}

/// Stores the hosts of these numbers.
pub(crate) async fn record(store: &dyn Store, numbers: Range<u64>) -> anyhow::Result<()> {
    let start = StartImport { source: "proof".to_owned(), format: ScanFormat::MasscanJson };
    let import = store.import_start(start).await?;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seen = Timestamp::from_secs(i64::try_from(since_1970.as_secs())?);
    let mut all: Vec<Address> = numbers.map(host).collect();
    all.sort_unstable();
    for group in all.chunks(usize::try_from(RECORDED_AT_ONCE)?) {
        let observation = |&address| Observation { address, port: None, first_seen: seen, last_seen: seen };
        let observations = group.iter().map(observation).collect();
        let (scope, due) = (Scope::default(), DuePolicy::default());
        store.sightings_record(RecordSightings { import, observations, scope, due }).await?;
    }
    Ok(())
}

/// The host of a number.
pub(crate) fn host(number: u64) -> Address {
    Address::from(std::net::IpAddr::from(addresses::address(number)))
}

/// A request for work on the host of a number.
pub(crate) fn request(number: u64, priority: Priority) -> EnqueueJob {
    let port = PortNumber::try_from(443).ok().map(|port| (port, Protocol::Tcp));
    EnqueueJob { kind: KIND, address: host(number), port, priority, delay: Duration::ZERO, force: true }
}

/// Queues work on these hosts, many at once.
pub(crate) async fn enqueue(
    store: &Arc<dyn Store>,
    numbers: impl Iterator<Item = u64>,
    priority: Priority,
) -> anyhow::Result<()> {
    let mut waiting = tokio::task::JoinSet::new();
    for number in numbers {
        let store = store.clone();
        waiting.spawn(async move { store.job_enqueue(request(number, priority)).await });
        if waiting.len() >= 256
            && let Some(queued) = waiting.join_next().await
        {
            queued??;
        }
    }
    while let Some(queued) = waiting.join_next().await {
        queued??;
    }
    Ok(())
}

/// What a job comes to.
#[async_trait]
pub(crate) trait Work: Send + Sync + 'static {
    /// Works on a batch, in its order.
    async fn work(&self, jobs: &[ClaimedJob], cancel: CancellationToken) -> Vec<Outcome>;

    /// How jobs are claimed by a worker that is alone.
    fn mode(&self) -> ClaimMode {
        ClaimMode::Lease
    }
}

struct WorkHandler<W> {
    work: W,
    batch: u32,
}

#[async_trait]
impl<W: Work> Handler for WorkHandler<W> {
    fn kind(&self) -> JobKind {
        KIND
    }

    fn batch_size(&self) -> u32 {
        self.batch
    }

    fn deadline(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn mode(&self) -> ClaimMode {
        self.work.mode()
    }

    async fn run(&self, jobs: &[ClaimedJob], cancel: CancellationToken) -> Vec<(Outcome, Option<Attempt>)> {
        self.work.work(jobs, cancel).await.into_iter().map(|outcome| (outcome, None)).collect()
    }
}

/// Takes the worker role and works until `shutdown`, or with `drain` until nothing is due.
pub(crate) async fn work(
    store: &Arc<dyn Store>,
    work: impl Work,
    batch: u32,
    drain: bool,
    shutdown: CancellationToken,
) -> anyhow::Result<WorkSummary> {
    let role = store.worker_role().await?;
    let options = QueueWorkerOptions {
        identity: WorkerIdentity::new("proof", "proof", env!("CARGO_PKG_VERSION")),
        concurrency: 2,
        drain,
    };
    let handlers: Vec<Arc<dyn Handler>> = vec![Arc::new(WorkHandler { work, batch })];
    let (wake, on_finish) = (Arc::new(Notify::new()), Arc::new(|| {}));
    let worker = QueueWorker::new(store.clone(), handlers, options, wake, on_finish);
    Ok(worker.run(role.as_ref(), shutdown).await?)
}
