//! Many at once.

use std::{collections::HashSet, sync::Arc};

use hostatlas_store::{Attempt, Finished};

use crate::{TestStore, factory::*};

const HOSTS: u32 = 400;

/// Eight workers drain the queue; every job is run once.
pub async fn no_job_is_claimed_twice(test: &TestStore) {
    let observations: Vec<_> = (0..HOSTS).map(|n| up(&format!("8.8.{}.{}", n / 200, n % 200))).collect();
    record(&**test, &observations).await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&test.store);
        workers.spawn(async move {
            let mut ran = Vec::new();
            loop {
                let jobs = lease(&*store, 7).await;
                if jobs.is_empty() {
                    return ran;
                }
                let lost = finish(&*store, jobs.iter().map(|job| finished(job, done())).collect()).await;
                assert_eq!(lost, []);
                ran.extend(jobs.iter().map(|job| job.id));
            }
        });
    }
    let ran: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(ran.len(), HOSTS as usize);
    assert_eq!(ran.iter().collect::<HashSet<_>>().len(), HOSTS as usize);
}

/// Imports and finishes that meet on the same hosts neither deadlock nor lose a count.
pub async fn imports_and_finishes_of_the_same_hosts_agree(test: &TestStore) {
    let observations: Vec<_> = (0..HOSTS).map(|n| up(&format!("8.8.{}.{}", n / 200, n % 200))).collect();
    record(&**test, &observations).await;
    let importer = {
        let (store, observations) = (Arc::clone(&test.store), observations.clone());
        tokio::spawn(async move {
            for _ in 0..10 {
                record(&*store, &observations).await;
            }
        })
    };
    let mut located = 0;
    while located < HOSTS as usize {
        let jobs = lease(&**test, 40).await;
        let ends = jobs
            .iter()
            .map(|job| Finished { effect: Some(Attempt::Located(frankfurt())), ..finished(job, done()) });
        finish(&**test, ends.collect()).await;
        located += jobs.len();
    }
    importer.await.expect("the importer ends well");
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.located, coverage.pending), (u64::from(HOSTS), 0));
}
