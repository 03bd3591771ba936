//! Many at once.

use std::{collections::HashSet, sync::Arc, time::Duration};

use hostatlas_domain::{
    DuePolicy, HostFilter, HostId, JobFilter, JobId, JobState, Priority, Scope, UnlocatedReason,
};
use hostatlas_store::{
    ApplyLocations, Attempt, ClaimJobs, ClaimMode, ClaimedJob, EnqueueJob, EnqueueJobs, Finished,
    HostSelection, JobSelection, LocationWrite, Observation, RecordSightings, Rescue, Settled, Store,
    StoreError,
};
use tokio::task::JoinSet;

use crate::{TestStore, factory::*};

const HOSTS: u32 = 400;

fn hosts(count: u32) -> Vec<Observation> {
    (0..count).map(|n| up(&format!("8.8.{}.{}", n / 200, n % 200))).collect()
}

/// Claims and finishes until nothing waits; answers what was run.
async fn drain(store: &dyn Store, limit: u32) -> Vec<JobId> {
    let mut ran = Vec::new();
    loop {
        let jobs = lease(store, limit).await;
        if jobs.is_empty() {
            return ran;
        }
        let lost = finish(store, jobs.iter().map(|job| finished(job, done())).collect()).await;
        assert_eq!(lost, []);
        ran.extend(jobs.iter().map(|job| job.id));
    }
}

fn assert_each_once(ran: &[JobId]) {
    assert_eq!(ran.len(), HOSTS as usize);
    assert_eq!(ran.iter().collect::<HashSet<_>>().len(), HOSTS as usize);
}

/// Eight workers drain the queue; every job is run once.
pub async fn no_job_is_claimed_twice(test: &TestStore) {
    record(&**test, &hosts(HOSTS)).await;
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&test.store);
        workers.spawn(async move { drain(&*store, 7).await });
    }
    assert_each_once(&workers.join_all().await.concat());
}

/// Four processes drain the queue; every job is run once.
pub async fn four_processes_share_the_queue(test: &TestStore) {
    record(&**test, &hosts(HOSTS)).await;
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let store = (test.again)().await;
        workers.spawn(async move {
            let ran = drain(&*store, 7).await;
            store.close().await;
            ran
        });
    }
    assert_each_once(&workers.join_all().await.concat());
}

/// Imports and finishes that meet on the same hosts neither deadlock nor lose a count.
pub async fn imports_and_finishes_of_the_same_hosts_agree(test: &TestStore) {
    let observations = hosts(HOSTS);
    record(&**test, &observations).await;
    let mut others = JoinSet::new();
    for importer in 0..2 {
        // Each begins elsewhere, so that their batches overlap without being equal.
        let observations = observations.clone();
        let store = Arc::clone(&test.store);
        others.spawn(async move {
            for round in 0..6 {
                let from = (importer * 97 + round * 31) % 200;
                record(&*store, &observations[from..from + 200]).await;
            }
        });
    }
    for _ in 0..2 {
        let store = Arc::clone(&test.store);
        others.spawn(async move {
            loop {
                let jobs = lease(&*store, 40).await;
                if jobs.is_empty() {
                    return;
                }
                let ends = jobs.iter().map(located_end).collect();
                assert_eq!(finish(&*store, ends).await, []);
            }
        });
    }
    others.join_all().await;
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.pending), (u64::from(HOSTS), 0));
}

/// Four processes that bring the same new hosts: each host is made once, and every import counts what it brought, whoever
/// was first.
pub async fn imports_that_bring_the_same_new_hosts_agree(test: &TestStore) {
    const NEW: u32 = 450;
    let observations: Vec<_> = (0..NEW).map(|n| open(&format!("8.8.{}.{}", n / 200, n % 200), 22)).collect();
    let mut importers = JoinSet::new();
    for first in [0, 50, 100, 150] {
        let (store, mine) = ((test.again)().await, observations[first..first + 300].to_vec());
        importers.spawn(async move {
            let import = start(&*store).await;
            let (mut hosts, mut services) = (0, 0);
            for _ in 0..3 {
                for batch in mine.chunks(150) {
                    let recorded = record_in(&*store, import, batch).await;
                    hosts += recorded.hosts_new;
                    services += recorded.services_new;
                }
            }
            store.close().await;
            (hosts, services)
        });
    }
    let made = importers.join_all().await;
    let made = made.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!(made, (NEW.into(), NEW.into()));
    assert_eq!(test.jobs_stats().await.expect("stats").geolocation.available, u64::from(NEW));
    let count = test.hosts_count(HostFilter::default(), MAX_AGE, 1_000).await.expect("a count");
    assert_eq!(count.hosts, u64::from(NEW));
}

/// Undoing either finds what a batch brought, or the batch finds that it came too late.
pub async fn an_import_that_is_undone_while_it_records_leaves_nothing(test: &TestStore) {
    let import = start(&**test).await;
    let recording = {
        let store = (test.again)().await;
        tokio::spawn(async move {
            for block in 0..=u8::MAX {
                let observations = (0..50).map(|last| open(&format!("8.9.{block}.{last}"), 22)).collect();
                let (scope, due) = (Scope::default(), DuePolicy::default());
                let params = RecordSightings { import, observations, scope, due };
                if let Err(refused) = store.sightings_record(params).await {
                    store.close().await;
                    return Some(refused);
                }
            }
            None
        })
    };
    while test.import_get(import).await.expect("an import").report.hosts_new < 200 {
        tokio::task::yield_now().await;
    }
    let undone = test.import_undo(import).await.expect("undone");
    let refused = recording.await.expect("the importer ends well");
    assert!(matches!(refused, Some(StoreError::Conflict(_))), "{refused:?}");
    let left = test.hosts_count(HostFilter::default(), MAX_AGE, 10).await.expect("a count").hosts;
    let brought = test.import_get(import).await.expect("an import").report.hosts_new;
    assert_eq!((undone.hosts, left), (brought, 0));
}

fn located_end(job: &ClaimedJob) -> Finished {
    Finished { effect: Some(Attempt::Located(frankfurt())), ..finished(job, done()) }
}

/// A late finish and the rescue of the same jobs: one of them counts, wholly, and the other not at all.
pub async fn either_a_finish_or_a_rescue_counts(test: &TestStore) {
    const JOBS: u32 = 120;
    record(&**test, &hosts(JOBS)).await;
    let mut ended = 0;
    loop {
        let fresh = lease(&**test, 20).await;
        if fresh.is_empty() {
            break;
        }
        if fresh[0].crash_count > 0 {
            ended += fresh.len();
            assert_eq!(finish(&**test, fresh.iter().map(located_end).collect()).await, []);
            continue;
        }
        (test.advance)(LEASE + SECOND);
        let late = {
            let (store, jobs) = (Arc::clone(&test.store), fresh.clone());
            tokio::spawn(async move {
                let mut lost = Vec::new();
                for job in &jobs {
                    lost.extend(finish(&*store, vec![located_end(job)]).await);
                }
                lost
            })
        };
        let mut rescued = 0;
        for _ in 0..3 {
            rescued += test.jobs_rescue(Rescue::Expired).await.expect("rescued").rescued;
            tokio::task::yield_now().await;
        }
        let lost = late.await.expect("the late worker ends well");
        assert_eq!(lost.len() as u64, rescued, "whatever was not rescued was finished");
        for job in &fresh {
            let state = test.job_get(job.id).await.expect("a job").state;
            let expected = if lost.contains(&job.id) { JobState::Available } else { JobState::Completed };
            assert_eq!(state, expected);
        }
        ended += fresh.len() - lost.len();
        let coverage = test.coverage(MAX_AGE).await.expect("coverage");
        assert_eq!(coverage.located, ended as u64, "only what was finished in time was applied");
    }
    assert_eq!(ended, JOBS as usize);
}

/// Requests, ends, cancellations, retries, rescues and imports of the same few hosts, all at once: every counter is true
/// afterwards, and nobody was refused.
pub async fn counters_stay_true_whatever_meets(test: &TestStore) {
    record(&**test, &hosts(30)).await;
    let mut ids = Vec::new();
    for seen in hosts(30) {
        ids.push(host_id(&**test, &seen.address.to_string()).await);
    }
    let mut tasks = JoinSet::new();
    for seed in 1..=4 {
        let (store, ids) = (Arc::clone(&test.store), ids.clone());
        tasks.spawn(async move {
            let mut random = Random(seed);
            for _ in 0..60 {
                step(&*store, &ids, &mut random).await;
            }
        });
    }
    tasks.join_all().await;
}

impl Random {
    fn attempt(&mut self) -> Attempt {
        match self.below(3) {
            0 => Attempt::Unlocated { reason: UnlocatedReason::NoRecord, database_build: None },
            1 => Attempt::Located(tokyo()),
            _ => Attempt::Located(frankfurt()),
        }
    }

    fn end(&mut self, job: &ClaimedJob) -> Finished {
        let settled = match self.below(5) {
            0 => Settled::Snoozed(Duration::ZERO, "the limit".to_owned()),
            1 => Settled::Retryable(Duration::ZERO, "timed out".to_owned()),
            2 => Settled::Discarded("refused".to_owned(), UnlocatedReason::Rejected),
            _ => done(),
        };
        let effect = (self.below(2) == 0).then(|| self.attempt());
        Finished { effect, ..finished(job, settled) }
    }
}

async fn step(store: &dyn Store, ids: &[HostId], random: &mut Random) {
    match random.below(9) {
        0 | 1 => {
            let oldest_first = random.below(4) == 0;
            let params = ClaimJobs { oldest_first, crashed_limit: 3, ..claim(8, ClaimMode::Lease) };
            let jobs = store.jobs_claim(params).await.expect("a claim");
            let ends = jobs.iter().skip(1).map(|job| random.end(job)).collect();
            // Whoever was cancelled or rescued meanwhile is answered as lost.
            finish(store, ends).await;
        }
        2 => {
            let last = random.below(30);
            let force = random.below(2) == 0;
            let params = EnqueueJob { force, ..request(&format!("8.8.0.{last}")) };
            store.job_enqueue(params).await.expect("queued");
        }
        3 => {
            let (priority, force) = (Priority::FIRST, random.below(2) == 0);
            let params =
                EnqueueJobs { selection: HostSelection::All, after: None, limit: 20, priority, force };
            store.jobs_enqueue(params).await.expect("queued");
        }
        4 => {
            let rescue = if random.below(2) == 0 { Rescue::All } else { Rescue::Expired };
            store.jobs_rescue(rescue).await.expect("rescued");
        }
        5 => {
            store
                .jobs_retry(JobSelection::Matching { filter: JobFilter::default(), limit: 9 })
                .await
                .expect("retried");
        }
        6 => {
            let state = JobState::ALL.get(random.index(6)).copied();
            let filter = JobFilter { state, ..JobFilter::default() };
            store.jobs_cancel(JobSelection::Matching { filter, limit: 5 }).await.expect("cancelled");
        }
        7 => {
            let mut writes: Vec<_> = (0..6)
                .map(|_| LocationWrite { host: ids[random.index(ids.len())], attempt: random.attempt() })
                .collect();
            writes.reverse();
            let age = Duration::from_secs(random.below(2));
            store.locations_apply(ApplyLocations { writes, age }).await.expect("applied");
        }
        _ => {
            let from = random.index(20);
            record(store, &hosts(30)[from..from + 10]).await;
        }
    }
}
