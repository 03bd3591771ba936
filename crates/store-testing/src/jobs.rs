//! The queue's laws.

use std::time::Duration;

use hostatlas_domain::{
    EnqueuedJob, HostId, JobFilter, JobId, JobKind, JobState, LocationState, Priority, UnlocatedReason,
};
use hostatlas_store::{
    Attempt, ChangedJobs, ClaimJobs, ClaimMode, EnqueueJob, EnqueueJobs, Fence, FinishJobs, Finished,
    HostSelection, JobSelection, PrunePolicy, RenewJobs, Rescue, SelectHosts, SelectedHost, Settled,
};

use crate::{TestStore, factory::*};

async fn state(test: &TestStore, id: JobId) -> JobState {
    test.job_get(id).await.expect("a job").state
}

async fn enqueue(test: &TestStore, request: EnqueueJob) -> EnqueuedJob {
    test.job_enqueue(request).await.expect("queued")
}

/// One host with one waiting job.
async fn one_job(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
}

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

/// A finish under a token that is not current is answered as lost, and its effect is not applied.
pub async fn a_late_finish_changes_nothing(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    finish(&**test, vec![finished(&job, done())]).await;
    let late = Finished { effect: Some(Attempt::Located(tokyo())), ..finished(&job, done()) };
    assert_eq!(finish(&**test, vec![late]).await, [job.id]);
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!(host.location_state, LocationState::Pending);
}

/// Waiting for a quota is not an attempt, and the page says why.
pub async fn a_snooze_gives_the_attempt_back(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    let snoozed = Settled::Snoozed(HOUR, "rate limit of ip-api".to_owned());
    finish(&**test, vec![finished(&job, snoozed)]).await;
    let waiting = test.job_get(job.id).await.expect("a job");
    assert_eq!((waiting.state, waiting.attempt), (JobState::Scheduled, 0));
    assert!(waiting.waiting_because.expect("a reason").contains("rate limit of ip-api"));
    assert_eq!(lease(&**test, 1).await, []);
    (test.advance)(HOUR + SECOND);
    assert_eq!(lease(&**test, 1).await[0].attempt, 1);
}

/// A failed attempt counts and waits its backoff.
pub async fn a_retry_waits_its_delay(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    finish(&**test, vec![finished(&job, Settled::Retryable(SECOND * 15, "timed out".to_owned()))]).await;
    let waiting = test.job_get(job.id).await.expect("a job");
    assert_eq!((waiting.state, waiting.last_error.as_deref()), (JobState::Retryable, Some("timed out")));
    assert_eq!(lease(&**test, 1).await, []);
    (test.advance)(SECOND * 16);
    assert_eq!(lease(&**test, 1).await[0].attempt, 2);
}

/// Giving up is visible on the host, with its reason.
pub async fn discarding_marks_a_pending_host(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    let end = Settled::Discarded("token rejected".to_owned(), UnlocatedReason::Rejected);
    finish(&**test, vec![finished(&job, end)]).await;
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!(
        (host.location_state, host.unlocated_reason),
        (LocationState::Unlocated, Some(UnlocatedReason::Rejected))
    );
    assert_eq!(state(test, job.id).await, JobState::Discarded);
}

/// Fencing: whoever lost the lease changes nothing any more.
pub async fn a_rescued_job_ignores_its_first_worker(test: &TestStore) {
    one_job(test).await;
    let first = lease(&**test, 1).await.remove(0);
    (test.advance)(LEASE + SECOND);
    assert_eq!(test.jobs_rescue(Rescue::Expired).await.expect("rescued").rescued, 1);
    let second = lease(&**test, 1).await.remove(0);
    assert!(second.token > first.token && second.crash_count == 1);
    assert_eq!(finish(&**test, vec![finished(&first, done())]).await, [first.id]);
    assert_eq!(state(test, first.id).await, JobState::Running);
    assert_eq!(finish(&**test, vec![finished(&second, done())]).await, []);
}

/// A heartbeat keeps a job, however long it runs.
pub async fn a_renewed_lease_is_not_rescued(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    for _ in 0..3 {
        (test.advance)(HEARTBEAT);
        let renew = RenewJobs { jobs: vec![(job.id, job.token)], lease: LEASE };
        assert_eq!(test.jobs_renew(renew).await.expect("renewed"), []);
        assert_eq!(test.jobs_rescue(Rescue::Expired).await.expect("rescued").rescued, 0);
    }
    finish(&**test, vec![finished(&job, done())]).await;
    let renew = RenewJobs { jobs: vec![(job.id, job.token)], lease: LEASE };
    assert_eq!(test.jobs_renew(renew).await.expect("renewed"), [job.id]);
}

/// Whoever does not have to look for leases that ran out leaves them to the one who has, for a while.
pub async fn a_lease_is_overdue_a_while_after_it_ran_out(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    let overdue = Rescue::Overdue(2 * SECOND);
    (test.advance)(LEASE + SECOND);
    assert_eq!(test.jobs_rescue(overdue).await.expect("rescued").rescued, 0);
    (test.advance)(2 * SECOND);
    assert_eq!(test.jobs_rescue(overdue).await.expect("rescued").rescued, 1);
    assert_eq!(state(test, job.id).await, JobState::Available);
}

/// A graceful stop costs no attempt.
pub async fn released_jobs_keep_their_attempts(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    test.jobs_release(vec![(job.id, job.token)]).await.expect("released");
    let released = test.job_get(job.id).await.expect("a job");
    assert_eq!((released.state, released.attempt), (JobState::Available, 0));
    let next = lease(&**test, 1).await.remove(0);
    assert!(next.token > job.token);
}

/// Bulk retry makes at most one live job a key.
pub async fn retry_revives_the_newest_and_skips_live_keys(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2")]).await;
    let mut newest = None;
    for _ in 0..2 {
        enqueue(test, request("8.8.8.1")).await;
        let job = lease(&**test, 1).await.remove(0);
        assert_eq!(job.address, address("8.8.8.1"));
        finish(&**test, vec![finished(&job, done())]).await;
        newest = Some(job.id);
    }
    let second = lease(&**test, 1).await.remove(0);
    finish(&**test, vec![finished(&second, done())]).await;
    enqueue(test, request("8.8.8.2")).await;
    let filter = JobFilter { state: Some(JobState::Completed), ..JobFilter::default() };
    let changed = test.jobs_retry(JobSelection::Matching { filter, limit: 100 }).await.expect("retried");
    assert_eq!(changed, ChangedJobs { changed: 1, skipped: 2 });
    let revived = lease(&**test, 10).await.into_iter().find(|job| job.address == address("8.8.8.1"));
    assert_eq!(revived.map(|job| (Some(job.id), job.attempt)), Some((newest, 1)));
}

/// A cancelled job says nothing about its host, and a running one loses its fence.
pub async fn cancelling_leaves_the_host_alone(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    let changed = test.jobs_cancel(JobSelection::Ids(vec![job.id])).await.expect("cancelled");
    assert_eq!(changed, ChangedJobs { changed: 1, skipped: 0 });
    assert_eq!(finish(&**test, vec![finished(&job, done())]).await, [job.id]);
    let again = test.jobs_cancel(JobSelection::Ids(vec![job.id])).await.expect("cancelled");
    assert_eq!(again, ChangedJobs { changed: 0, skipped: 1 });
    assert_eq!(state(test, job.id).await, JobState::Cancelled);
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!((host.location_state, host.attempted_at), (LocationState::Pending, None));
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

/// Newest first, each match once.
pub async fn a_filtered_list_pages_through_all_matches(test: &TestStore) {
    let observations: Vec<_> = (1..=7).map(|last| up(&format!("8.8.8.{last}"))).collect();
    record(&**test, &observations).await;
    let running: Vec<_> = lease(&**test, 3).await.iter().map(|job| job.id).collect();
    let filter = JobFilter { state: Some(JobState::Running), kind: Some(JobKind::Geolocation), ip: None };
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = test.jobs_list(filter.clone(), cursor, 2).await.expect("a page");
        found.extend(page.items.iter().map(|job| job.id));
        match page.next_cursor {
            Some(next) => cursor = Some(next.parse().expect("our own cursor")),
            None => break,
        }
    }
    let mut expected = running;
    expected.sort_unstable_by(|left, right| right.cmp(left));
    assert_eq!(found, expected);
    let by_host = JobFilter { ip: Some(address("8.8.8.5")), ..JobFilter::default() };
    let page = test.jobs_list(by_host, None, 10).await.expect("a page");
    assert_eq!(page.items.iter().map(|job| job.ip).collect::<Vec<_>>(), [address("8.8.8.5")]);
}

/// Only finished jobs that are old enough go.
pub async fn pruning_spares_what_is_young(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2"), up("8.8.8.3")]).await;
    let jobs = lease(&**test, 2).await;
    let discarded = Settled::Discarded("broken".to_owned(), UnlocatedReason::Failed);
    finish(&**test, vec![finished(&jobs[0], done()), finished(&jobs[1], discarded)]).await;
    let policy = PrunePolicy { completed_after: DAY, discarded_after: DAY * 30, limit: 1000 };
    assert_eq!(test.jobs_prune(policy).await.expect("pruned"), 0);
    (test.advance)(DAY * 2);
    assert_eq!(test.jobs_prune(policy).await.expect("pruned"), 1);
    let stats = test.jobs_stats().await.expect("stats").geolocation;
    assert_eq!((stats.completed, stats.discarded, stats.available), (0, 1, 1));
}

/// Whoever noted an id never means another job by it.
pub async fn the_id_of_a_deleted_job_is_not_given_again(test: &TestStore) {
    record(&**test, &[up("8.8.8.1"), up("8.8.8.2")]).await;
    let jobs = lease(&**test, 10).await;
    finish(&**test, jobs.iter().map(|job| finished(job, done())).collect()).await;
    let at_once = Duration::ZERO;
    let policy = PrunePolicy { completed_after: at_once, discarded_after: at_once, limit: 1_000 };
    assert_eq!(test.jobs_prune(policy).await.expect("pruned"), 2);
    let next = enqueue(test, request("8.8.8.1")).await.job;
    assert!(jobs.iter().all(|job| job.id < next), "{next} was given before");
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
    assert!(lease(&**test, 10).await.iter().all(|job| job.force));
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

/// Every operation from every state ends where the table of states allows.
pub async fn no_move_outside_the_state_table_happens(test: &TestStore) {
    for (index, from) in JobState::ALL.into_iter().enumerate() {
        for operation in 0..4_usize {
            let host = format!("8.8.{index}.{}", operation + 1);
            record(&**test, &[up(&host)]).await;
            let id = bring_to(test, &host, from).await;
            assert_eq!(state(test, id).await, from);
            match operation {
                0 => drop(test.jobs_retry(JobSelection::Ids(vec![id])).await.expect("an answer")),
                1 => drop(test.jobs_cancel(JobSelection::Ids(vec![id])).await.expect("an answer")),
                2 => drop(test.jobs_rescue(Rescue::All).await.expect("an answer")),
                _ => drop(lease(&**test, 100).await),
            }
            let to = state(test, id).await;
            assert!(from == to || from.may_become(to), "{from} became {to} by operation {operation}");
            test.jobs_cancel(JobSelection::Matching { filter: JobFilter::default(), limit: 1000 })
                .await
                .expect("cancelled");
        }
    }
}

/// Brings the one live job of `host` into a state.
async fn bring_to(test: &TestStore, host: &str, wanted: JobState) -> JobId {
    let id = enqueue(test, request(host)).await.job;
    if wanted == JobState::Available {
        return id;
    }
    if wanted == JobState::Cancelled {
        test.jobs_cancel(JobSelection::Ids(vec![id])).await.expect("cancelled");
        return id;
    }
    let job = lease(&**test, 1).await.remove(0);
    assert_eq!(job.id, id);
    let settled = match wanted {
        JobState::Scheduled => Settled::Snoozed(HOUR, "later".to_owned()),
        JobState::Retryable => Settled::Retryable(HOUR, "failed".to_owned()),
        JobState::Completed => done(),
        JobState::Discarded => Settled::Discarded("broken".to_owned(), UnlocatedReason::Failed),
        _ => return id,
    };
    finish(&**test, vec![finished(&job, settled)]).await;
    id
}
