//! A walk through all that can be done to a queue, in any order, by one process.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{
    HostId, JobFilter, JobId, JobKind, JobState, Located, Precision, Priority, Protocol, ProviderName,
    UnlocatedReason,
};
use hostatlas_store::{
    ApplyLocations, Attempt, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJob, EnqueueJobs, Fence, FinishJobs,
    Finished, HostSelection, JobSelection, LocationWrite, PrunePolicy, Rescue, SelectHosts, Settled,
};

use crate::{TestStore, factory::*};

const HOSTS: u64 = 40;
const STEPS: u32 = 250;

/// Counters agree with the rows they count, whatever was done before. Each store is walked through in another order.
pub async fn counters_agree_with_the_rows_after_any_order_of_operations(one: &TestStore, other: &TestStore) {
    tokio::join!(walk(one, 1), walk(other, 2));
}

async fn walk(test: &TestStore, seed: u64) {
    let observations: Vec<_> = (1..=HOSTS).map(|last| up(&host(last))).collect();
    record(&**test, &observations).await;
    let params = SelectHosts { selection: HostSelection::All, after: None, limit: 100 };
    let mut hosts: Vec<_> =
        test.hosts_select(params).await.expect("a selection").iter().map(|host| host.id).collect();
    // Some that are gone.
    let last = hosts.iter().max().expect("a host").0;
    hosts.extend((1..=5).map(|number| HostId(last + number)));
    let peeks = peeks(&**test).await;
    let mut walker = Walker { test, hosts, peeks, random: Random(seed) };
    for step in 1..=STEPS {
        walker.step().await;
        if step % 10 == 0 {
            let findings = test.check().await.expect("a check").findings;
            assert_eq!(findings, [], "after step {step} of seed {seed}");
        }
    }
}

fn host(last: u64) -> String {
    format!("8.8.8.{last}")
}

struct Walker<'t> {
    test: &'t TestStore,
    hosts: Vec<HostId>,
    peeks: bool,
    random: Random,
}

impl Walker<'_> {
    async fn step(&mut self) {
        let test = self.test;
        match self.random.below(13) {
            0 | 1 => {
                let jobs = self.claim(ClaimMode::Lease).await;
                let finished: Vec<_> = jobs.iter().skip(1).map(|job| self.end(job)).collect();
                self.finish(Fence::Running, finished).await;
            }
            2 => {
                let (mode, fence) = if self.peeks {
                    (ClaimMode::Peek, Fence::Waiting)
                } else {
                    (ClaimMode::Lease, Fence::Running)
                };
                let jobs = self.claim(mode).await;
                let finished: Vec<_> = jobs.iter().map(|job| self.end(job)).collect();
                self.finish(fence, finished).await;
            }
            3 => self.enqueue_one().await,
            4 => {
                let (priority, force) = (Priority::FIRST, self.random.below(2) == 0);
                let selection = HostSelection::All;
                let params = EnqueueJobs { selection, after: None, limit: 15, priority, force };
                test.jobs_enqueue(params).await.expect("queued");
            }
            5 => {
                let rescue = if self.random.below(2) == 0 { Rescue::All } else { Rescue::Expired };
                test.jobs_rescue(rescue).await.expect("rescued");
            }
            6 => drop(test.jobs_retry(self.selection()).await.expect("retried")),
            7 => drop(test.jobs_cancel(self.selection()).await.expect("cancelled")),
            8 => {
                let jobs = self.claim(ClaimMode::Lease).await;
                let jobs = jobs.iter().map(|job| (job.id, job.token)).collect();
                test.jobs_release(jobs).await.expect("released");
            }
            9 => self.locate().await,
            10 => {
                let (completed_after, discarded_after) = (Duration::from_mins(2), Duration::from_mins(10));
                let policy = PrunePolicy { completed_after, discarded_after, limit: 5 };
                test.jobs_prune(policy).await.expect("pruned");
            }
            11 => drop(test.tidy().await.expect("tidied")),
            _ => (test.advance)(Duration::from_secs(self.random.below(90))),
        }
    }

    async fn claim(&mut self, mode: ClaimMode) -> Vec<ClaimedJob> {
        let limit = u32::try_from(self.random.below(12)).expect("small") + 1;
        let oldest_first = self.random.below(5) == 0;
        let params = ClaimJobs { oldest_first, crashed_limit: 3, ..claim(limit, mode) };
        self.test.jobs_claim(params).await.expect("a claim")
    }

    async fn finish(&mut self, fence: Fence, finished: Vec<Finished>) {
        let params = FinishJobs { fence, finished, age: Duration::from_secs(self.random.below(2)) };
        assert_eq!(self.test.jobs_finish(params).await.expect("finished"), [], "nobody else works here");
    }

    async fn enqueue_one(&mut self) {
        let kind = JobKind::ALL[self.random.index(JobKind::ALL.len())];
        let port = (kind == JobKind::BannerGrab).then(|| (port(443), Protocol::Tcp));
        let params = EnqueueJob {
            kind,
            port,
            priority: Priority::new(u8::try_from(self.random.below(10)).expect("a digit")),
            delay: Duration::from_secs(self.random.below(2) * 60),
            force: self.random.below(3) == 0,
            ..request(&host(1 + self.random.below(HOSTS)))
        };
        self.test.job_enqueue(params).await.expect("queued");
    }

    async fn locate(&mut self) {
        let half = self.hosts.len() / 2;
        let hosts = [
            self.hosts[self.random.index(half)],
            self.hosts[half + self.random.index(self.hosts.len() - half)],
        ];
        let writes = hosts.map(|host| LocationWrite { host, attempt: self.attempt() }).into();
        let age = Duration::from_secs(self.random.below(2) * 90);
        self.test.locations_apply(ApplyLocations { writes, age }).await.expect("applied");
    }

    fn selection(&mut self) -> JobSelection {
        if self.random.below(2) == 0 {
            return JobSelection::Ids((0..10).map(|_| JobId(self.random.below(100).cast_signed())).collect());
        }
        let state = JobState::ALL.get(self.random.index(9)).copied();
        let ip = (self.random.below(3) == 0).then(|| address(&host(self.random.below(HOSTS))));
        JobSelection::Matching { filter: JobFilter { state, kind: None, ip }, limit: 7 }
    }

    fn attempt(&mut self) -> Attempt {
        match self.random.below(4) {
            0 => Attempt::Unlocated { reason: UnlocatedReason::NoRecord, database_build: None },
            1 => Attempt::Unlocated { reason: UnlocatedReason::Unreachable, database_build: None },
            _ => Attempt::Located(somewhere(self.random.below(5))),
        }
    }

    fn end(&mut self, job: &ClaimedJob) -> Finished {
        let delay = Duration::from_secs(self.random.below(3) * 60);
        let settled = match self.random.below(6) {
            0 => Settled::Snoozed(delay, "the limit".to_owned()),
            1 => Settled::Retryable(delay, "timed out".to_owned()),
            2 => Settled::Discarded("refused".to_owned(), UnlocatedReason::Rejected),
            number => Settled::Completed(format!("result {number}")),
        };
        let is_located = job.kind == JobKind::Geolocation && self.random.below(2) == 0;
        let effect = is_located.then(|| self.attempt());
        Finished { effect, ..finished(job, settled) }
    }
}

/// One of five places, which differ in what is counted: precision and provider.
fn somewhere(number: u64) -> Arc<Located> {
    let mut answer = Arc::unwrap_or_clone(located(place("Bonn", "DE", 50.0, 7.0), 64_500, "Rheinnetz"));
    let units = 5_000_000 + i32::try_from(number).expect("small") * 100;
    answer.place.coordinate = hostatlas_domain::Coordinate::from_units(units, 800_000).expect("on earth");
    if number == 0 {
        answer.place.precision = Precision::Country;
    }
    if number == 1 {
        answer.provider = ProviderName::Ipinfo;
    }
    Arc::new(answer)
}
