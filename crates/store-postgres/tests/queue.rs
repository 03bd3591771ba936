//! What only this backend can promise about its queue: a fence that holds while somebody waits for a row, bounds on what
//! a claim locks, being heard by other processes; and what the other backend promises, too.

mod support;

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
use hostatlas_store_postgres::{ClockOffset, Mode, OpenOptions, PostgresStore};
use hostatlas_test_postgres::TestDatabase;
use sqlx::{Connection, PgConnection};

const HOSTS: u8 = 40;

struct Test {
    store: PostgresStore,
    clock: ClockOffset,
    random: u64,
    database: TestDatabase,
}

impl Test {
    async fn new(seed: u64) -> Self {
        let database = support::migrated();
        let clock = ClockOffset::default();
        let options =
            OpenOptions { clock_offset: clock.clone(), ..OpenOptions::new(database.url(), Mode::Existing) };
        let store = PostgresStore::open(options).await.expect("a store");
        let start = StartImport { source: "test".to_owned(), format: ScanFormat::MasscanJson };
        let import = store.import_start(start).await.expect("an import");
        let seen = Timestamp::from_secs(1_795_400_000);
        let observation =
            |last| Observation { address: address(last), port: None, first_seen: seen, last_seen: seen };
        let observations = (1..=HOSTS).map(observation).collect();
        let params =
            RecordSightings { import, observations, scope: Scope::default(), due: DuePolicy::default() };
        store.sightings_record(params).await.expect("recorded");
        Self { store, clock, random: seed, database }
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
            0..=2 => {
                let jobs = self.claim(ClaimMode::Lease).await;
                let finished: Vec<_> = jobs.iter().skip(1).map(|job| self.end(job)).collect();
                self.finish(Fence::Running, finished).await;
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
    for seed in 1..=2 {
        let mut test = Test::new(seed).await;
        for step in 0..150 {
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

/// A connection beside the store.
async fn beside(test: &Test) -> PgConnection {
    PgConnection::connect(&test.database.url()).await.expect("a connection")
}

/// Looks until somebody waits for a lock.
async fn somebody_waits(connection: &mut PgConnection) {
    let waits = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut *connection).await.expect("an answer") {
        tokio::task::yield_now().await;
    }
}

/// Whoever waits for a row that a rescue and another claim change meanwhile has the token asked for again.
#[tokio::test]
async fn a_finish_that_waited_for_the_row_asks_for_the_token_again() {
    let plain: fn(usize) -> Settled = |_| Settled::Completed("done".to_owned());
    let mixed: fn(usize) -> Settled = |at| match at {
        0 => Settled::Retryable(Duration::ZERO, "timed out".to_owned()),
        _ => Settled::Completed(format!("done {at}")),
    };
    for settled in [plain, mixed] {
        let test = Test::new(1).await;
        let jobs = test.store.jobs_claim(claim(3, ClaimMode::Lease)).await.expect("a claim");
        let taken = jobs[1].id;
        let mut other = beside(&test).await;
        let mut transaction = other.begin().await.expect("a transaction");
        sqlx::query("UPDATE job SET lease_token = lease_token + 1, claimed_by = 2 WHERE id = $1")
            .bind(taken.0)
            .execute(&mut *transaction)
            .await
            .expect("claimed by another");
        let effect = || Some(Attempt::Located(located(1)));
        let end = |(at, job): (usize, &ClaimedJob)| Finished {
            id: job.id,
            token: job.token,
            host: job.host,
            settled: settled(at),
            effect: effect(),
        };
        let finished = jobs.iter().enumerate().map(end).collect();
        let late =
            test.store.jobs_finish(FinishJobs { fence: Fence::Running, finished, age: Duration::ZERO });
        let commit = async {
            let mut watcher = beside(&test).await;
            somebody_waits(&mut watcher).await;
            transaction.commit().await.expect("committed");
        };
        let (lost, ()) = tokio::join!(late, commit);
        assert_eq!(lost.expect("finished"), [taken]);
        let job = test.store.job_get(taken).await.expect("a job");
        assert_eq!((job.state, job.result), (JobState::Running, None));
        let located = test.store.coverage(Duration::from_secs(1)).await.expect("coverage").located;
        assert_eq!(located, 2, "the effect of the late end is not applied");
    }
}

/// Of each priority a claim locks at most as many jobs as it may take, and others go around them.
#[tokio::test]
async fn a_claim_locks_no_more_of_each_priority_than_it_may_take() {
    let test = Test::new(1).await;
    let mut watcher = beside(&test).await;
    let spread = "UPDATE job SET priority = id % 10";
    sqlx::query(spread).execute(&mut watcher).await.expect("spread");
    // The claim waits at a counter's table, with its jobs locked.
    let mut transaction = watcher.begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE job_count_delta IN EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .expect("locked");
    for (oldest_first, most) in [(false, 4 + 4 + 2), (true, 4 * 10)] {
        let params = ClaimJobs { oldest_first, ..claim(6, ClaimMode::Lease) };
        let claiming = test.store.jobs_claim(params);
        let counting = async {
            let mut other = beside(&test).await;
            somebody_waits(&mut other).await;
            let free = "SELECT (SELECT count(*) FROM job), (SELECT count(*) FROM \
                        (SELECT 1 FROM job WHERE state < 3 FOR UPDATE SKIP LOCKED) AS free)";
            let (all, free): (i64, i64) = sqlx::query_as(free).fetch_one(&mut other).await.expect("counted");
            all - free
        };
        tokio::select! {
            _ = claiming => panic!("the claim did not wait"),
            locked = counting => assert!((6..=most).contains(&locked), "{locked} are locked"),
        }
        nobody_waits(&test).await;
    }
    transaction.rollback().await.expect("rolled back");
}

/// Looks until the server has noticed that a client is gone.
async fn nobody_waits(test: &Test) {
    let mut connection = beside(test).await;
    let end = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock') AS ended";
    while sqlx::query_scalar::<_, i64>(end).fetch_one(&mut connection).await.expect("an answer") > 0 {
        tokio::task::yield_now().await;
    }
}

/// Four processes that ask for jobs of a capped kind at once: whoever looks never sees more running than the cap.
#[tokio::test(flavor = "multi_thread")]
async fn four_processes_never_exceed_a_cap() {
    const CAP: u32 = 3;
    let test = Test::new(1).await;
    test.store.kind_cap(JobKind::Geolocation, Some(CAP)).await.expect("capped");
    let mut processes = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let options = OpenOptions::new(test.database.url(), Mode::Existing);
        let store = PostgresStore::open(options).await.expect("a store");
        processes.spawn(async move {
            let mut most = 0;
            while store.jobs_stats().await.expect("stats").geolocation.completed < u64::from(HOSTS) {
                let jobs = store.jobs_claim(claim(2, ClaimMode::Lease)).await.expect("a claim");
                most = most.max(store.jobs_stats().await.expect("stats").geolocation.running);
                let end = |job: &ClaimedJob| Finished {
                    id: job.id,
                    token: job.token,
                    host: job.host,
                    settled: Settled::Completed(String::new()),
                    effect: None,
                };
                let finished = jobs.iter().map(end).collect();
                let params = FinishJobs { fence: Fence::Running, finished, age: Duration::ZERO };
                assert_eq!(store.jobs_finish(params).await.expect("finished"), []);
            }
            store.close().await;
            most
        });
    }
    let most = processes.join_all().await.into_iter().max().unwrap_or(0);
    assert!((1..=u64::from(CAP)).contains(&most), "{most} ran at once");
}

/// How long a hint may take on a busy machine; it takes milliseconds.
const HEARD_WITHIN: Duration = Duration::from_secs(10);
/// After so long without a hint none is under way.
const QUIET: Duration = Duration::from_millis(300);

async fn until_quiet(store: &PostgresStore) {
    while tokio::time::timeout(QUIET, store.jobs_heard()).await.is_ok() {}
}

fn request(last: u8) -> EnqueueJob {
    let (kind, delay) = (JobKind::DomainEnum, Duration::ZERO);
    EnqueueJob { kind, address: address(last), port: None, priority: Priority::FIRST, delay, force: false }
}

#[tokio::test]
async fn another_process_hears_of_queued_jobs() {
    let test = Test::new(1).await;
    let options = OpenOptions::new(test.database.url(), Mode::Existing);
    let other = PostgresStore::open(options).await.expect("a store");
    // The first hint says that listening has begun.
    tokio::time::timeout(HEARD_WITHIN, other.jobs_heard()).await.expect("it listens");
    until_quiet(&other).await;
    test.store.job_enqueue(request(1)).await.expect("queued");
    tokio::time::timeout(HEARD_WITHIN, other.jobs_heard()).await.expect("heard");

    until_quiet(&other).await;
    let mut connection = beside(&test).await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let cut: i64 = sqlx::query_scalar(cut).fetch_one(&mut connection).await.expect("cut");
    assert_eq!(cut, 2, "both stores listened");
    tokio::time::timeout(HEARD_WITHIN, other.jobs_heard()).await.expect("it listens again");
    until_quiet(&other).await;
    test.store.job_enqueue(request(2)).await.expect("queued");
    tokio::time::timeout(HEARD_WITHIN, other.jobs_heard()).await.expect("heard again");
}

#[tokio::test]
async fn without_hints_work_is_found_by_looking() {
    let test = Test::new(1).await;
    let url = format!("{}?pooler=transaction", test.database.url());
    let deaf = PostgresStore::open(OpenOptions::new(url, Mode::Existing)).await.expect("a store");
    test.store.job_enqueue(request(1)).await.expect("queued");
    assert!(tokio::time::timeout(QUIET, deaf.jobs_heard()).await.is_err(), "nothing tells it");
    let params = ClaimJobs { kinds: vec![JobKind::DomainEnum], ..claim(5, ClaimMode::Lease) };
    assert_eq!(deaf.jobs_claim(params).await.expect("a claim").len(), 1);
}
