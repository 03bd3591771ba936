//! A queue in memory, just enough of one to run a worker against. What storage must do is held by `store-testing`.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use hostatlas_domain::{
    Cursor, EnqueuedJob, HostId, Job, JobCounts, JobFilter, JobId, JobKind, JobStats, KindStatus, LeaseToken,
    Page, Timestamp, WorkerState, WorkerStatus,
};
use hostatlas_store::{
    ChangedJobs, ClaimJobs, ClaimMode, ClaimedJob, Duty, EnqueueJob, EnqueueJobs, EnqueuedJobs, Fence,
    FinishJobs, JobSelection, JobStore, PrunePolicy, RenewJobs, ReportWorker, Rescue, Rescued, SessionNews,
    Settled, StoreError, WorkerId, WorkerSession, WorkerStore,
};
use tokio::{sync::Notify, time::Instant};

/// How a store misbehaves.
#[derive(Clone, Copy, Default)]
pub(super) enum Renewals {
    #[default]
    Work,
    Fail,
    Hang,
    SayLost,
}

pub(super) struct Row {
    run_at: Instant,
    token: LeaseToken,
    running: bool,
    attempt: u32,
    /// How many workers died with it.
    crash_count: u32,
}

impl Row {
    fn is_due(&self) -> bool {
        !self.running && self.run_at <= Instant::now()
    }
}

#[derive(Default)]
pub(super) struct MemoryStore {
    pub(super) rows: Mutex<BTreeMap<JobId, Row>>,
    pub(super) ended: Mutex<Vec<(JobId, Settled)>>,
    pub(super) released: Mutex<Vec<JobId>>,
    /// What was ever marked as running.
    pub(super) leased: Mutex<Vec<i64>>,
    pub(super) claims: Mutex<Vec<(ClaimMode, bool)>>,
    pub(super) renewals: Renewals,
    pub(super) rescued_at_start: u64,
    /// Whether nothing can be written.
    pub(super) disk_full: bool,
    /// How long a finish takes.
    pub(super) finish_takes: Duration,
    /// How many jobs each claim asked for.
    pub(super) limits: Mutex<Vec<u32>>,
    /// Which kinds each claim asked for.
    pub(super) kinds_asked: Mutex<HashSet<JobKind>>,
    pub(super) rescues: Mutex<Vec<Rescue>>,
    /// Notified where another process queues jobs.
    pub(super) heard: Notify,
    pub(super) reports: Mutex<Vec<ReportWorker>>,
    /// Reports from this one on find a newer schema.
    pub(super) schema_newer_from: Option<usize>,
    /// Who has the duty, and until when.
    pub(super) duty: Mutex<Option<(WorkerId, Instant)>>,
    pub(super) left: Mutex<Vec<WorkerId>>,
    /// What a worker's session tells it, one after the other.
    pub(super) session: Arc<SessionOf>,
}

/// A session whose news a test gives.
#[derive(Default)]
pub(super) struct SessionOf {
    news: Mutex<Vec<SessionNews>>,
    told: Notify,
}

impl SessionOf {
    pub(super) fn tell(&self, news: SessionNews) {
        self.news.lock().expect("no test panics in here").push(news);
        self.told.notify_one();
    }
}

struct Held(Arc<SessionOf>);

#[async_trait]
impl WorkerSession for Held {
    async fn news(&self) -> SessionNews {
        loop {
            let next = self.0.news.lock().expect("no test panics in here").pop();
            match next {
                Some(news) => return news,
                None => self.0.told.notified().await,
            }
        }
    }
}

impl MemoryStore {
    pub(super) fn with_jobs(count: i64) -> Self {
        let store = Self::default();
        for id in 1..=count {
            store.add(id, Duration::ZERO);
        }
        store
    }

    /// A job for each of these numbers of workers that died with it.
    pub(super) fn with_crashes(crashes: &[u32]) -> Self {
        let store = Self::default();
        for (id, crash_count) in (1..).zip(crashes) {
            store.add(id, Duration::ZERO);
            store.rows().entry(JobId(id)).and_modify(|row| row.crash_count = *crash_count);
        }
        store
    }

    pub(super) fn add(&self, id: i64, delay: Duration) {
        let run_at = Instant::now() + delay;
        let row = Row { run_at, token: LeaseToken(0), running: false, attempt: 0, crash_count: 0 };
        self.rows().insert(JobId(id), row);
    }

    pub(super) fn ended(&self) -> Vec<(JobId, Settled)> {
        self.ended.lock().expect("no test panics in here").clone()
    }

    /// What was ever marked as running.
    pub(super) fn leased(&self) -> Vec<i64> {
        self.leased.lock().expect("no test panics in here").clone()
    }

    pub(super) fn waiting(&self) -> Vec<i64> {
        self.rows().keys().map(|id| id.0).collect()
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<JobId, Row>> {
        self.rows.lock().expect("no test panics in here")
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn jobs_claim(&self, params: ClaimJobs) -> Result<Vec<ClaimedJob>, StoreError> {
        self.claims.lock().expect("no test panics in here").push((params.mode, params.oldest_first));
        self.limits.lock().expect("no test panics in here").push(params.limit);
        self.kinds_asked.lock().expect("no test panics in here").extend(params.kinds.iter().copied());
        let mut rows = self.rows();
        let mut due =
            rows.iter_mut().filter(|(id, row)| row.is_due() && !params.except.contains(id)).peekable();
        let crashes = due.peek().map_or(0, |(_, row)| row.crash_count);
        let alike = due.take_while(|(_, row)| row.crash_count == crashes);
        let claimed = alike.take(params.together(crashes) as usize).map(|(id, row)| {
            if params.mode == ClaimMode::Lease {
                self.leased.lock().expect("no test panics in here").push(id.0);
                row.running = true;
                row.token.0 += 1;
                row.attempt += 1;
            }
            ClaimedJob {
                id: *id,
                token: row.token,
                kind: params.kinds[0],
                host: HostId(id.0),
                address: "8.8.8.8".parse().expect("an address"),
                port: None,
                attempt: row.attempt.max(1),
                max_attempts: 8,
                force: false,
                crash_count: row.crash_count,
                satisfied: false,
            }
        });
        Ok(claimed.collect())
    }

    async fn jobs_first_alone(&self, params: ClaimJobs) -> Result<bool, StoreError> {
        let rows = self.rows();
        let first = rows.iter().find(|(id, row)| row.is_due() && !params.except.contains(id));
        Ok(first.is_some_and(|(_, row)| row.crash_count > 1))
    }

    async fn jobs_finish(&self, params: FinishJobs) -> Result<Vec<JobId>, StoreError> {
        tokio::time::sleep(self.finish_takes).await;
        if self.disk_full {
            return Err(StoreError::Busy);
        }
        let mut rows = self.rows();
        let mut refused = Vec::new();
        for finished in params.finished {
            let fits = rows.get(&finished.id).is_some_and(|row| {
                row.token == finished.token && row.running == (params.fence == Fence::Running)
            });
            if !fits {
                refused.push(finished.id);
                continue;
            }
            rows.remove(&finished.id);
            self.ended.lock().expect("no test panics in here").push((finished.id, finished.settled));
        }
        Ok(refused)
    }

    async fn jobs_renew(&self, params: RenewJobs) -> Result<Vec<JobId>, StoreError> {
        match self.renewals {
            Renewals::Work => Ok(Vec::new()),
            Renewals::Fail => Err(StoreError::Busy),
            Renewals::Hang => std::future::pending().await,
            Renewals::SayLost => Ok(params.jobs.into_iter().map(|(id, _)| id).collect()),
        }
    }

    async fn jobs_release(&self, jobs: Vec<(JobId, LeaseToken)>) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for (id, _) in jobs {
            if let Some(row) = rows.get_mut(&id) {
                row.running = false;
                row.attempt -= 1;
            }
            self.released.lock().expect("no test panics in here").push(id);
        }
        Ok(())
    }

    async fn jobs_rescue(&self, rescue: Rescue) -> Result<Rescued, StoreError> {
        self.rescues.lock().expect("no test panics in here").push(rescue);
        let rescued = if rescue == Rescue::All { self.rescued_at_start } else { 0 };
        Ok(Rescued { rescued, discarded: 0 })
    }

    async fn jobs_next_due(&self, _: &[JobKind]) -> Result<Option<Duration>, StoreError> {
        let next = self.rows().values().filter(|row| !row.running).map(|row| row.run_at).min();
        Ok(next.map(|at| at.saturating_duration_since(Instant::now())))
    }

    async fn jobs_prune(&self, _: PrunePolicy) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn job_enqueue(&self, _: EnqueueJob) -> Result<EnqueuedJob, StoreError> {
        Err(not_here())
    }

    async fn jobs_enqueue(&self, _: EnqueueJobs) -> Result<EnqueuedJobs, StoreError> {
        Err(not_here())
    }

    async fn jobs_retry(&self, _: JobSelection) -> Result<ChangedJobs, StoreError> {
        Err(not_here())
    }

    async fn jobs_cancel(&self, _: JobSelection) -> Result<ChangedJobs, StoreError> {
        Err(not_here())
    }

    async fn jobs_list(&self, _: JobFilter, _: Option<Cursor>, _: u32) -> Result<Page<Job>, StoreError> {
        Err(not_here())
    }

    async fn job_get(&self, id: JobId) -> Result<Job, StoreError> {
        Err(StoreError::UnknownJob(id))
    }

    async fn jobs_stats(&self) -> Result<JobStats, StoreError> {
        let running = self.rows().values().filter(|row| row.running).count() as u64;
        let counts = JobCounts { running, ..JobCounts::default() };
        Ok(JobStats { banner_grab: counts, domain_enum: counts, geolocation: counts, ssl_cert: counts })
    }

    async fn kinds_status(&self) -> Result<Vec<KindStatus>, StoreError> {
        Err(not_here())
    }

    async fn kind_pause(&self, _: JobKind, _: bool) -> Result<(), StoreError> {
        Err(not_here())
    }

    async fn kind_cap(&self, _: JobKind, _: Option<NonZeroU32>) -> Result<(), StoreError> {
        Err(not_here())
    }

    async fn jobs_heard(&self) {
        self.heard.notified().await;
    }
}

#[async_trait]
impl WorkerStore for MemoryStore {
    async fn worker_report(&self, report: ReportWorker) -> Result<(), StoreError> {
        let mut reports = self.reports.lock().expect("no test panics in here");
        reports.push(report);
        match self.schema_newer_from {
            Some(first) if reports.len() >= first => Err(StoreError::SchemaNewer { found: 9, known: 8 }),
            _ => Ok(()),
        }
    }

    async fn worker_leave(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.left.lock().expect("no test panics in here").push(worker);
        Ok(())
    }

    fn worker_session(&self, _: WorkerId) -> Option<Box<dyn WorkerSession>> {
        Some(Box::new(Held(self.session.clone())))
    }

    async fn workers_list(&self) -> Result<Vec<WorkerStatus>, StoreError> {
        let left = self.left.lock().expect("no test panics in here");
        let mut there = self.reports.lock().expect("no test panics in here").clone();
        there.retain(|report| !left.contains(&report.id));
        Ok(there.into_iter().map(status).collect())
    }

    async fn duty_take(&self, _: Duty, worker: WorkerId, lease: Duration) -> Result<bool, StoreError> {
        let mut duty = self.duty.lock().expect("no test panics in here");
        let free = duty.is_none_or(|(holder, until)| holder == worker || until <= Instant::now());
        if free {
            *duty = Some((worker, Instant::now() + lease));
        }
        Ok(free)
    }

    async fn duty_leave(&self, _: Duty, worker: WorkerId) -> Result<(), StoreError> {
        let mut duty = self.duty.lock().expect("no test panics in here");
        if duty.is_some_and(|(holder, _)| holder == worker) {
            *duty = None;
        }
        Ok(())
    }
}

fn status(report: ReportWorker) -> WorkerStatus {
    WorkerStatus {
        id: report.id.0,
        state: WorkerState::Silent,
        command: report.command,
        host_name: report.host_name,
        process_id: report.process_id,
        version: report.version,
        kinds: report.kinds,
        concurrency: report.concurrency,
        running: report.running,
        completed: report.completed,
        failed: report.failed,
        started_at: Timestamp::from_millis(0),
        heard_at: Timestamp::from_millis(0),
    }
}

fn not_here() -> StoreError {
    StoreError::Conflict("a worker does not ask this".to_owned())
}
