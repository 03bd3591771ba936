//! What only this backend can promise about its queue: counters that survive any order of operations, ids that are
//! never given twice, places that a lost transaction did not make.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{
    Address, Asn, Coordinate, DuePolicy, HostId, JobFilter, JobId, JobKind, JobState, Located, Network,
    Place, PortNumber, Precision, Priority, Protocol, ProviderName, ScanFormat, Scope, Timestamp,
    UnlocatedReason,
};
use hostatlas_store::{
    AdminStore, ApplyLocations, Attempt, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJob, EnqueueJobs, Fence,
    FinishJobs, Finished, HostSelection, ImportStore, JobSelection, JobStore, LocationStore, LocationWrite,
    Observation, PrunePolicy, RecordSightings, Rescue, Settled, StartImport, WorkerId,
};
use hostatlas_store_sqlite::{ClockOffset, Mode, OpenOptions, SqliteStore};

const HOSTS: u8 = 40;

struct Test {
    store: SqliteStore,
    clock: ClockOffset,
    random: u64,
    _folder: tempfile::TempDir,
}

impl Test {
    async fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = ClockOffset::default();
        let location = folder.path().join("queue.db").display().to_string();
        let options = OpenOptions { clock_offset: clock.clone(), ..OpenOptions::new(location, Mode::Create) };
        let store = SqliteStore::open(options).await.expect("a store");
        let start = StartImport { source: "test".to_owned(), format: ScanFormat::MasscanJson };
        let import = store.import_start(start).await.expect("an import");
        let seen = Timestamp::from_secs(1_795_400_000);
        let observation =
            |last| Observation { address: address(last), port: None, first_seen: seen, last_seen: seen };
        let observations = (1..=HOSTS).map(observation).collect();
        let params =
            RecordSightings { import, observations, scope: Scope::default(), due: DuePolicy::default() };
        store.sightings_record(params).await.expect("recorded");
        Self { store, clock, random: seed, _folder: folder }
    }

    /// A number below `end`: the same for the same seed.
    fn below(&mut self, end: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % end
    }

    fn attempt(&mut self) -> Attempt {
        match self.below(4) {
            0 => Attempt::Unlocated { reason: UnlocatedReason::NoRecord, database_build: None },
            1 => Attempt::Unlocated { reason: UnlocatedReason::Unreachable, database_build: None },
            _ => Attempt::Located(located(i32::try_from(self.below(5)).expect("small"))),
        }
    }

    fn settled(&mut self) -> Settled {
        let delay = Duration::from_secs(self.below(3) * 60);
        match self.below(6) {
            0 => Settled::Snoozed(delay, "the limit".to_owned()),
            1 => Settled::Retryable(delay, "timed out".to_owned()),
            2 => Settled::Discarded("refused".to_owned(), UnlocatedReason::Rejected),
            number => Settled::Completed(format!("result {number}")),
        }
    }

    fn end(&mut self, job: &ClaimedJob) -> Finished {
        let effect = (job.kind == JobKind::Geolocation && self.below(2) == 0).then(|| self.attempt());
        Finished { id: job.id, token: job.token, host: job.host, settled: self.settled(), effect }
    }

    async fn claim(&mut self, mode: ClaimMode) -> Vec<ClaimedJob> {
        let limit = u32::try_from(self.below(12)).expect("small") + 1;
        let oldest_first = self.below(5) == 0;
        self.store.jobs_claim(ClaimJobs { oldest_first, ..claim(limit, mode) }).await.expect("a claim")
    }

    fn selection(&mut self) -> JobSelection {
        if self.below(2) == 0 {
            return JobSelection::Ids((0..10).map(|_| JobId(self.below(100).cast_signed())).collect());
        }
        let state = JobState::ALL.get(usize::try_from(self.below(9)).expect("small")).copied();
        let ip = (self.below(3) == 0)
            .then(|| address(u8::try_from(self.below(u64::from(HOSTS))).expect("a byte")));
        JobSelection::Matching { filter: JobFilter { state, kind: None, ip }, limit: 7 }
    }

    async fn step(&mut self) {
        match self.below(12) {
            0 | 1 => {
                let jobs = self.claim(ClaimMode::Lease).await;
                let finished: Vec<_> = jobs.iter().skip(1).map(|job| self.end(job)).collect();
                self.finish(Fence::Running, finished).await;
            }
            2 => {
                let jobs = self.claim(ClaimMode::Peek).await;
                let finished: Vec<_> = jobs.iter().map(|job| self.end(job)).collect();
                self.finish(Fence::Waiting, finished).await;
            }
            3 => self.enqueue_one().await,
            4 => {
                let (priority, force) = (Priority::FIRST, self.below(2) == 0);
                let selection = HostSelection::All;
                let params = EnqueueJobs { selection, after: None, limit: 15, priority, force };
                self.store.jobs_enqueue(params).await.expect("queued");
            }
            5 => {
                let rescue = if self.below(2) == 0 { Rescue::All } else { Rescue::Expired };
                self.store.jobs_rescue(rescue).await.expect("rescued");
            }
            6 => {
                let selection = self.selection();
                self.store.jobs_retry(selection).await.expect("retried");
            }
            7 => {
                let selection = self.selection();
                self.store.jobs_cancel(selection).await.expect("cancelled");
            }
            8 => {
                let jobs = self.claim(ClaimMode::Lease).await;
                self.store
                    .jobs_release(jobs.iter().map(|job| (job.id, job.token)).collect())
                    .await
                    .expect("released");
            }
            9 => {
                let hosts = [self.below(20), 20 + self.below(25)];
                let write = |host: u64| HostId(host.cast_signed() + 1);
                let writes = hosts.map(write).map(|host| LocationWrite { host, attempt: self.attempt() });
                let age = Duration::from_secs(self.below(2) * 90);
                self.store
                    .locations_apply(ApplyLocations { writes: writes.into(), age })
                    .await
                    .expect("applied");
            }
            10 => {
                let (completed_after, discarded_after) = (Duration::from_mins(2), Duration::from_mins(10));
                let policy = PrunePolicy { completed_after, discarded_after, limit: 5 };
                self.store.jobs_prune(policy).await.expect("pruned");
            }
            _ => {
                let seconds = self.below(90);
                self.clock.advance(Duration::from_secs(seconds));
            }
        }
    }

    async fn enqueue_one(&mut self) {
        let kind = JobKind::ALL[usize::try_from(self.below(4)).expect("small")];
        let port = (kind == JobKind::BannerGrab)
            .then(|| (PortNumber::try_from(443).expect("a port"), Protocol::Tcp));
        let params = EnqueueJob {
            kind,
            address: address(1 + u8::try_from(self.below(u64::from(HOSTS))).expect("a byte")),
            port,
            priority: Priority::new(u8::try_from(self.below(10)).expect("a digit")),
            delay: Duration::from_secs(self.below(2) * 60),
            force: self.below(3) == 0,
        };
        self.store.job_enqueue(params).await.expect("queued");
    }

    async fn finish(&mut self, fence: Fence, finished: Vec<Finished>) {
        let params = FinishJobs { fence, finished, age: Duration::from_secs(self.below(2)) };
        assert_eq!(self.store.jobs_finish(params).await.expect("finished"), [], "nobody else works here");
    }
}

fn address(last: u8) -> Address {
    Address::from(std::net::IpAddr::from([8, 8, 8, last]))
}

fn located(number: i32) -> Arc<Located> {
    let precision = if number == 0 { Precision::Country } else { Precision::City };
    Arc::new(Located {
        place: Place {
            coordinate: Coordinate::from_units(5_000_000 + number * 100, 800_000).expect("on earth"),
            precision,
            city: None,
            region: None,
            country: "DE".parse().ok(),
        },
        network: Network { asn: Some(Asn(64_500)), organization: None, isp: None },
        timezone: None,
        provider: if number == 1 { ProviderName::Ipinfo } else { ProviderName::Mmdb },
        accuracy_km: None,
        database_build: None,
    })
}

fn claim(limit: u32, mode: ClaimMode) -> ClaimJobs {
    ClaimJobs {
        kinds: JobKind::ALL.to_vec(),
        limit,
        lease: Duration::from_secs(30),
        worker: WorkerId(1),
        mode,
        oldest_first: false,
        crashed_limit: 3,
        except: Vec::new(),
    }
}

#[tokio::test]
async fn counters_agree_with_the_rows_after_any_order_of_operations() {
    for seed in 1..=4 {
        let mut test = Test::new(seed).await;
        for step in 0..250 {
            test.step().await;
            if step % 10 == 9 {
                let findings = test.store.check().await.expect("a check").findings;
                assert_eq!(findings, [], "after step {step} of seed {seed}");
            }
        }
    }
}

#[tokio::test]
async fn the_id_of_a_deleted_job_is_not_given_again() {
    let test = Test::new(1).await;
    let jobs = test.store.jobs_claim(claim(100, ClaimMode::Lease)).await.expect("a claim");
    let newest = jobs.iter().map(|job| job.id).max();
    let settled = || Settled::Completed(String::new());
    let end = |job: &ClaimedJob| Finished {
        id: job.id,
        token: job.token,
        host: job.host,
        settled: settled(),
        effect: None,
    };
    let finished = jobs.iter().map(end).collect();
    let params = FinishJobs { fence: Fence::Running, finished, age: Duration::ZERO };
    test.store.jobs_finish(params).await.expect("finished");
    let policy =
        PrunePolicy { completed_after: Duration::ZERO, discarded_after: Duration::ZERO, limit: 1_000 };
    assert_eq!(test.store.jobs_prune(policy).await.expect("pruned"), u64::from(HOSTS));
    let (kind, port, priority) = (JobKind::Geolocation, None, Priority::FIRST);
    let request =
        EnqueueJob { kind, address: address(1), port, priority, delay: Duration::ZERO, force: false };
    let job = test.store.job_enqueue(request).await.expect("queued").job;
    assert!(Some(job) > newest, "{job} was given before");
}
