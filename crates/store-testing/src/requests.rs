//! What asking for work does: it makes a job, or changes the one that is live.

use hostatlas_domain::{EnqueuedJob, HostId, JobFilter, JobState, Priority};
use hostatlas_store::{EnqueueJob, EnqueueJobs, HostSelection, JobSelection, SelectHosts, SelectedHost};

use crate::{TestStore, factory::*};

/// The more urgent, the earlier and the forced request win; the job's id is the answer.
pub async fn a_request_merges_into_the_live_job(test: &TestStore) {
    one_job(test).await;
    let first = test.jobs_list(JobFilter::default(), None, 10).await.expect("a list").items.remove(0);
    assert_eq!((first.priority, first.force), (Priority::new(2), false));
    let merged = enqueue(test, EnqueueJob { force: true, ..request("8.8.8.8") }).await;
    assert_eq!(merged, EnqueuedJob { job: first.id, duplicate: true });
    let weaker = EnqueueJob { priority: Priority::LAST, delay: HOUR, ..request("8.8.8.8") };
    enqueue(test, weaker).await;
    let job = test.job_get(first.id).await.expect("a job");
    assert_eq!((job.priority, job.force, job.run_at), (Priority::FIRST, true, first.run_at));
    assert_eq!(test.jobs_stats().await.expect("stats").geolocation.total, 1);
}

/// Uniqueness is over live jobs only.
pub async fn a_finished_job_blocks_nothing(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    finish(&**test, vec![finished(&job, done())]).await;
    let next = enqueue(test, request("8.8.8.8")).await;
    assert!(!next.duplicate && next.job != job.id);
}

/// What was asked for while it ran is not lost.
pub async fn a_forced_request_reruns_a_running_job(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    let merged = enqueue(test, EnqueueJob { force: true, ..request("8.8.8.8") }).await;
    assert_eq!(merged, EnqueuedJob { job: job.id, duplicate: true });
    finish(&**test, vec![finished(&job, done())]).await;
    let again = lease(&**test, 1).await.remove(0);
    assert_eq!((again.id, again.force), (job.id, true));
    finish(&**test, vec![finished(&again, done())]).await;
    assert_eq!(state(test, job.id).await, JobState::Completed);
}

/// A bulk request goes through its selection in steps, and merges.
pub async fn bulk_requests_walk_through_the_selection(test: &TestStore) {
    let observations: Vec<_> =
        (1..=5).map(|last| up(&format!("8.8.8.{last}"))).chain([up("10.0.0.1")]).collect();
    record(&**test, &observations).await;
    let job = lease(&**test, 1).await.remove(0);
    finish(&**test, vec![finished(&job, done())]).await;
    let (mut considered, mut queued, mut duplicate, mut after) = (0, 0, 0, None);
    loop {
        let params = EnqueueJobs {
            selection: HostSelection::All,
            after,
            limit: 2,
            priority: Priority::FIRST,
            force: true,
        };
        let step = test.jobs_enqueue(params).await.expect("queued");
        considered += step.considered;
        queued += step.queued;
        duplicate += step.duplicate;
        match step.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!((considered, queued, duplicate), (5, 1, 4));
    let forced: Vec<_> = lease(&**test, 10).await.iter().map(|job| job.force).collect();
    assert_eq!(forced, [true; 5]);
}

/// Hosts that were selected before get their jobs in steps too, but for those that are gone or special.
pub async fn selected_hosts_are_queued_later(test: &TestStore) {
    record(&**test, &["8.8.8.1", "8.8.8.2", "8.8.8.3", "10.0.0.1"].map(up)).await;
    test.jobs_cancel(JobSelection::Matching { filter: JobFilter::default(), limit: 1000 })
        .await
        .expect("cancelled");
    let params = SelectHosts { selection: HostSelection::All, after: None, limit: 100 };
    let mut hosts = test.hosts_select(params).await.expect("a selection");
    let (first, last) = (address("10.0.0.0"), address("10.0.0.255"));
    let selection = HostSelection::Special { first, last, sited: false };
    let params = SelectHosts { selection, after: None, limit: 100 };
    let special = test.hosts_select(params).await.expect("a selection");
    assert_eq!((hosts.len(), special.len()), (3, 1));
    hosts.push(SelectedHost { id: HostId(i64::MAX), address: address("9.9.9.9") });
    hosts.extend(special);
    hosts.reverse();
    let (mut queued, mut after) = (Vec::new(), None);
    loop {
        let params = EnqueueJobs {
            selection: HostSelection::Hosts(hosts.clone()),
            after,
            limit: 2,
            priority: Priority::FIRST,
            force: false,
        };
        let step = test.jobs_enqueue(params).await.expect("queued");
        assert_eq!(step.duplicate, 0);
        queued.push(step.queued);
        match step.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(queued, [2, 1, 0]);
    assert_eq!(lease(&**test, 10).await.len(), 3);
}
