//! What becomes of jobs whose worker died.

use hostatlas_domain::{JobFilter, JobKind, JobState, Priority, UnlocatedReason};
use hostatlas_store::{ClaimJobs, ClaimMode, EnqueueJob, Rescue};

use crate::{TestStore, factory::*};

/// After a crash its jobs come in a group without others, after the next one by one.
pub async fn crashed_jobs_come_in_groups_and_then_alone(test: &TestStore) {
    let observations: Vec<_> = (1..=6).map(|last| up(&format!("8.8.8.{last}"))).collect();
    record(&**test, &observations).await;
    assert_eq!(lease(&**test, 4).await.len(), 4);
    test.jobs_rescue(Rescue::All).await.expect("rescued");
    let params = ClaimJobs { crashed_limit: 3, ..claim(10, ClaimMode::Lease) };
    let group = test.jobs_claim(params).await.expect("a claim");
    let crashes: Vec<_> = group.iter().map(|job| job.crash_count).collect();
    assert!(crashes == [1, 1, 1] || crashes == [0, 0], "{crashes:?}");
    let group = if crashes[0] == 1 {
        group
    } else {
        finish(&**test, group.iter().map(|job| finished(job, done())).collect()).await;
        test.jobs_claim(ClaimJobs { crashed_limit: 3, ..claim(10, ClaimMode::Lease) }).await.expect("a claim")
    };
    assert_eq!(group.len(), 3);
    test.jobs_rescue(Rescue::All).await.expect("rescued");
    let mut sizes = Vec::new();
    loop {
        let jobs = lease(&**test, 10).await;
        if jobs.is_empty() {
            break;
        }
        if jobs[0].crash_count == 2 {
            sizes.push(jobs.len());
        }
        finish(&**test, jobs.iter().map(|job| finished(job, done())).collect()).await;
    }
    assert_eq!(sizes, [1, 1, 1]);
}

/// A job is given up only after its worker died three times while it ran alone.
pub async fn three_deaths_alone_discard_a_job(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    let mut deaths = 0;
    loop {
        let jobs = lease(&**test, 1).await;
        let Some(job) = jobs.first() else { break };
        deaths += 1;
        assert!(deaths <= 10, "job {} is rescued for ever", job.id);
        test.jobs_rescue(Rescue::All).await.expect("rescued");
    }
    let job = test.jobs_list(JobFilter::default(), None, 1).await.expect("a list").items.remove(0);
    assert_eq!((job.state, deaths), (JobState::Discarded, 5));
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!(host.unlocated_reason, Some(UnlocatedReason::Poison));
}

/// A job that has to run alone is given to nobody who has other work, is not passed over for others, and keeps its turn.
pub async fn what_has_to_run_alone_waits_for_who_has_nothing_else(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2")]).await;
    let suspect = EnqueueJob { priority: Priority::FIRST, ..request("8.8.8.1") };
    let suspect = test.job_enqueue(suspect).await.expect("queued").job;
    for _ in 0..2 {
        let claimed = lease(&**test, 1).await;
        assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [suspect]);
        assert!(!first_alone(test).await, "nobody died with the one that is first now");
        test.jobs_rescue(Rescue::All).await.expect("rescued");
    }
    assert!(first_alone(test).await);
    // Some claims look at the first before they take any, others do not.
    for limit in [1, 10, 1_000] {
        let beside = ClaimJobs { alone: false, ..claim(limit, ClaimMode::Lease) };
        assert_eq!(test.jobs_claim(beside).await.expect("a claim"), []);
    }
    assert_eq!(test.job_get(suspect).await.expect("a job").state, JobState::Available);
    let alone: Vec<_> = lease(&**test, 10).await.into_iter().map(|job| (job.id, job.crash_count)).collect();
    assert_eq!(alone, [(suspect, 2)]);
    let rest = ClaimJobs { alone: false, ..claim(10, ClaimMode::Lease) };
    assert_eq!(test.jobs_claim(rest).await.expect("a claim").len(), 1);
    assert!(!first_alone(test).await, "nothing waits");
    test.kind_pause(JobKind::Geolocation, true).await.expect("paused");
    test.jobs_rescue(Rescue::All).await.expect("rescued");
    assert!(!first_alone(test).await, "what is paused is not first");
}

async fn first_alone(test: &TestStore) -> bool {
    test.jobs_first_alone(claim(10, ClaimMode::Lease)).await.expect("an answer")
}
