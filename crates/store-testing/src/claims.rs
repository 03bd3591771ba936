//! Which jobs are given out, in which order, and when the next is due.

use std::time::Duration;

use hostatlas_domain::{JobFilter, JobKind, JobState, LocationState};
use hostatlas_store::{Attempt, ClaimJobs, ClaimMode, Fence, FinishJobs, Finished, Settled};

use crate::{TestStore, factory::*};

/// 0 runs first.
pub async fn the_most_urgent_runs_first(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2"), up("8.8.8.3")]).await;
    enqueue(test, request("8.8.8.3")).await;
    let order: Vec<_> = lease(&**test, 2).await.iter().map(|job| job.address.to_string()).collect();
    assert_eq!(order, ["8.8.8.3", "8.8.8.1"]);
}

/// A flood of urgent jobs cannot starve the oldest.
pub async fn the_oldest_first_share_ignores_priority(test: &TestStore) {
    record(&**test, &[up("8.8.8.1")]).await;
    (test.advance)(SECOND);
    record(&**test, &[up("8.8.8.2")]).await;
    enqueue(test, request("8.8.8.2")).await;
    let params = ClaimJobs { oldest_first: true, ..claim(1, ClaimMode::Lease) };
    let oldest = test.jobs_claim(params).await.expect("a claim").remove(0);
    assert_eq!(oldest.address, address("8.8.8.1"));
}

/// Peeking leaves a job waiting; finishing it under that fence counts one attempt, once.
pub async fn a_peeked_job_still_waits(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2")]).await;
    if !peeks(&**test).await {
        let refused = test.jobs_claim(claim(1, ClaimMode::Peek)).await;
        assert!(matches!(refused, Err(hostatlas_store::StoreError::NotSupported { .. })), "{refused:?}");
        return;
    }
    let peeked = test.jobs_claim(claim(1, ClaimMode::Peek)).await.expect("a peek").remove(0);
    assert_eq!(state(test, peeked.id).await, JobState::Available);
    let except = ClaimJobs { except: vec![peeked.id], ..claim(5, ClaimMode::Peek) };
    let others: Vec<_> = test.jobs_claim(except).await.expect("a peek").iter().map(|job| job.id).collect();
    assert!(others.len() == 1 && others[0] != peeked.id);
    let end = Finished { effect: Some(Attempt::Located(frankfurt())), ..finished(&peeked, done()) };
    let params = FinishJobs { fence: Fence::Waiting, finished: vec![end], age: Duration::ZERO };
    assert_eq!(test.jobs_finish(params.clone()).await.expect("a finish"), []);
    assert_eq!(test.jobs_finish(params).await.expect("a finish"), [peeked.id]);
    let job = test.job_get(peeked.id).await.expect("a job");
    assert_eq!((job.state, job.attempt), (JobState::Completed, 1));
    let host = test.host_get(address("8.8.8.1"), MAX_AGE).await.expect("a host");
    assert_eq!(host.location_state, LocationState::Located);
}

/// Pausing holds back what waits, and says so.
pub async fn a_paused_kind_is_not_claimed(test: &TestStore) {
    one_job(test).await;
    test.kind_pause(JobKind::Geolocation, true).await.expect("paused");
    assert_eq!(lease(&**test, 1).await, []);
    assert_eq!(test.jobs_next_due(&JobKind::ALL).await.expect("an answer"), None);
    let job = test.jobs_list(JobFilter::default(), None, 1).await.expect("a list").items.remove(0);
    assert!(job.waiting_because.expect("a reason").contains("paused"));
    let kinds = test.kinds_status().await.expect("kinds");
    let paused: Vec<_> = kinds.iter().map(|kind| kind.paused_at.is_some()).collect();
    assert_eq!(paused, [false, false, true, false]);
    test.kind_pause(JobKind::Geolocation, false).await.expect("resumed");
    assert_eq!(lease(&**test, 1).await.len(), 1);
}

/// An idle worker knows how long to sleep.
pub async fn the_next_due_time_is_known(test: &TestStore) {
    assert_eq!(test.jobs_next_due(&JobKind::ALL).await.expect("an answer"), None);
    record(&**test, &[up("8.8.8.8")]).await;
    assert_eq!(test.jobs_next_due(&JobKind::ALL).await.expect("an answer"), Some(Duration::ZERO));
    assert_eq!(test.jobs_next_due(&[JobKind::SslCert]).await.expect("an answer"), None);
    let job = lease(&**test, 1).await.remove(0);
    finish(&**test, vec![finished(&job, Settled::Snoozed(HOUR, "later".to_owned()))]).await;
    let wait = test.jobs_next_due(&JobKind::ALL).await.expect("an answer").expect("a job waits");
    assert!(wait > HOUR / 2 && wait <= HOUR, "{wait:?}");
}
