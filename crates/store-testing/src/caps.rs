//! How many jobs of a kind run at once, over all processes.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hostatlas_domain::{JobKind, Priority, Protocol};
use hostatlas_store::{ClaimJobs, ClaimMode, EnqueueJob, StoreError};

use crate::{TestStore, factory::*};

async fn hosts(test: &TestStore, count: u32) {
    let observations: Vec<_> = (0..count).map(|n| up(&format!("8.8.{}.{}", n / 200, n % 200))).collect();
    record(&**test, &observations).await;
}

async fn cap(test: &TestStore, cap: Option<u32>) {
    let cap = cap.map(|cap| NonZeroU32::new(cap).expect("not zero"));
    test.kind_cap(JobKind::Geolocation, cap).await.expect("capped");
}

async fn leased(test: &TestStore) -> usize {
    lease(&**test, 100).await.len()
}

/// No more than so many run; what ends makes room for the next.
pub async fn a_capped_kind_runs_no_more_than_its_cap(test: &TestStore) {
    hosts(test, 10).await;
    cap(test, Some(3)).await;
    let caps: Vec<_> = test.kinds_status().await.expect("kinds").iter().map(|kind| kind.cap).collect();
    assert_eq!(caps, [None, None, Some(3), None]);
    let first = lease(&**test, 100).await;
    let addresses: Vec<_> = first.iter().map(|job| job.address.to_string()).collect();
    assert_eq!(addresses, ["8.8.0.0", "8.8.0.1", "8.8.0.2"]);
    assert_eq!(leased(test).await, 0);
    finish(&**test, vec![finished(&first[0], done())]).await;
    assert_eq!(leased(test).await, 1);
    // A lower cap stops nothing that runs; none lets the rest run.
    cap(test, Some(1)).await;
    finish(&**test, vec![finished(&first[1], done())]).await;
    assert_eq!(leased(test).await, 0);
    cap(test, None).await;
    assert_eq!(leased(test).await, 6);
}

/// Other kinds do not wait behind one that is at its cap, and the order among all stays.
pub async fn a_cap_holds_no_other_kind_back(test: &TestStore) {
    record(&**test, &[open("8.8.8.1", 443), open("8.8.8.2", 443), open("8.8.8.3", 443)]).await;
    for host in ["8.8.8.1", "8.8.8.2"] {
        let port = Some((port(443), Protocol::Tcp));
        let priority = Priority::LAST;
        let request = EnqueueJob { kind: JobKind::BannerGrab, port, priority, ..request(host) };
        test.job_enqueue(request).await.expect("queued");
    }
    cap(test, Some(2)).await;
    let kinds: Vec<_> = lease(&**test, 3).await.iter().map(|job| job.kind).collect();
    assert_eq!(kinds, [JobKind::Geolocation, JobKind::Geolocation, JobKind::BannerGrab]);
    let params = ClaimJobs { oldest_first: true, ..claim(10, ClaimMode::Lease) };
    let rest = test.jobs_claim(params).await.expect("a claim");
    assert_eq!(rest.iter().map(|job| job.kind).collect::<Vec<_>>(), [JobKind::BannerGrab]);
}

/// Four processes that claim at once stay below it together, from the first claim to the last.
pub async fn four_processes_never_exceed_a_cap(test: &TestStore) {
    const HOSTS: u32 = 200;
    const CAP: usize = 5;
    hosts(test, HOSTS).await;
    cap(test, Some(5)).await;
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push((test.again)().await);
    }
    let mut claiming = tokio::task::JoinSet::new();
    for store in &processes {
        let store = Arc::clone(store);
        claiming.spawn(async move { lease(&*store, 10).await });
    }
    let first: Vec<_> = claiming.join_all().await.into_iter().flatten().collect();
    assert_eq!(first.len(), CAP);
    finish(&**test, first.iter().map(|job| finished(job, done())).collect()).await;

    let (running, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(first.len())));
    let mut workers = tokio::task::JoinSet::new();
    for store in processes {
        let (running, ended) = (Arc::clone(&running), Arc::clone(&ended));
        workers.spawn(async move {
            while ended.load(Ordering::SeqCst) < HOSTS as usize {
                let jobs = lease(&*store, 3).await;
                let now = running.fetch_add(jobs.len(), Ordering::SeqCst) + jobs.len();
                assert!(now <= CAP, "{now} run");
                let shown = store.jobs_stats().await.expect("stats").geolocation.running;
                assert!(shown <= CAP as u64, "{shown} are shown as running");
                running.fetch_sub(jobs.len(), Ordering::SeqCst);
                let lost = finish(&*store, jobs.iter().map(|job| finished(job, done())).collect()).await;
                assert_eq!(lost, []);
                ended.fetch_add(jobs.len(), Ordering::SeqCst);
            }
            store.close().await;
        });
    }
    workers.join_all().await;
    assert_eq!(test.jobs_stats().await.expect("stats").geolocation.completed, u64::from(HOSTS));
}

/// What a process works on without having marked it counts.
pub async fn a_cap_counts_what_was_peeked(test: &TestStore) {
    hosts(test, 10).await;
    cap(test, Some(3)).await;
    if !peeks(&**test).await {
        let refused = test.jobs_claim(claim(2, ClaimMode::Peek)).await;
        assert!(matches!(refused, Err(StoreError::NotSupported { .. })), "{refused:?}");
        return;
    }
    let except: Vec<_> =
        test.jobs_claim(claim(2, ClaimMode::Peek)).await.expect("a peek").iter().map(|job| job.id).collect();
    assert_eq!(except.len(), 2);
    let params = ClaimJobs { except: except.clone(), ..claim(10, ClaimMode::Peek) };
    let third = test.jobs_claim(params).await.expect("a peek");
    assert_eq!(third.len(), 1);
    assert!(!except.contains(&third[0].id));
    let except = except.into_iter().chain([third[0].id]).collect();
    let params = ClaimJobs { except, ..claim(10, ClaimMode::Peek) };
    assert_eq!(test.jobs_claim(params).await.expect("a peek"), []);
}
