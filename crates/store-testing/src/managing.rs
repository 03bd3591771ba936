//! What people and housekeeping do to jobs, and what each operation makes of each state.

use std::time::Duration;

use hostatlas_domain::{
    JobFilter, JobId, JobKind, JobRefusal, JobState, LeaseToken, LocationState, RefusedJob, UnlocatedReason,
};
use hostatlas_store::{ChangedJobs, Finished, JobSelection, PrunePolicy, Rescue, Settled};

use crate::{TestStore, factory::*};

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
    assert_eq!(changed, ChangedJobs { changed: 1, skipped: 2, refused: Vec::new() });
    let revived = lease(&**test, 10).await.into_iter().find(|job| job.address == address("8.8.8.1"));
    assert_eq!(revived.map(|job| (Some(job.id), job.attempt)), Some((newest, 1)));
}

/// A cancelled job says nothing about its host, and a running one loses its fence.
pub async fn cancelling_leaves_the_host_alone(test: &TestStore) {
    one_job(test).await;
    let job = lease(&**test, 1).await.remove(0);
    let changed = test.jobs_cancel(JobSelection::Ids(vec![job.id])).await.expect("cancelled");
    assert_eq!(changed, ChangedJobs { changed: 1, skipped: 0, refused: Vec::new() });
    assert_eq!(finish(&**test, vec![finished(&job, done())]).await, [job.id]);
    let again = test.jobs_cancel(JobSelection::Ids(vec![job.id])).await.expect("cancelled");
    let refused = RefusedJob { id: job.id, reason: JobRefusal::State(JobState::Cancelled) };
    assert_eq!(again, ChangedJobs { changed: 0, skipped: 1, refused: vec![refused] });
    assert_eq!(state(test, job.id).await, JobState::Cancelled);
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!((host.location_state, host.attempted_at), (LocationState::Pending, None));
}

/// Jobs that were named by their ids and left as they are have a reason each.
pub async fn a_named_job_that_cannot_be_changed_says_why(test: &TestStore) {
    record(&**test, &[up("8.8.8.1")]).await;
    enqueue(test, request("8.8.8.1")).await;
    let older = lease(&**test, 1).await.remove(0);
    finish(&**test, vec![finished(&older, done())]).await;
    enqueue(test, request("8.8.8.1")).await;
    let newer = lease(&**test, 1).await.remove(0);
    let (older, newer, unknown) = (older.id, newer.id, JobId(999_999));
    let named = || JobSelection::Ids(vec![unknown, older, newer]);
    let refused = |id, reason| RefusedJob { id, reason };

    let retried = test.jobs_retry(named()).await.expect("an answer");
    let cancelled = test.jobs_cancel(named()).await.expect("an answer");
    let again = test.jobs_retry(named()).await.expect("an answer");

    let nothing = refused(unknown, JobRefusal::Unknown);
    let running = refused(newer, JobRefusal::State(JobState::Running));
    let replaced = refused(older, JobRefusal::Replaced);
    let completed = refused(older, JobRefusal::State(JobState::Completed));
    assert_eq!(retried, ChangedJobs { changed: 0, skipped: 3, refused: vec![nothing, replaced, running] });
    assert_eq!(cancelled, ChangedJobs { changed: 1, skipped: 2, refused: vec![nothing, completed] });
    assert_eq!(again, ChangedJobs { changed: 1, skipped: 2, refused: vec![nothing, replaced] });
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

/// What is done to a job, with the token that it was claimed with last.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Request,
    Claim,
    ClaimOnceDue,
    Finish,
    Release,
    Rescue,
    Retry,
    Cancel,
}

/// Every operation makes of every state what it has to, which the table of states allows.
pub async fn no_move_outside_the_state_table_happens(test: &TestStore) {
    use JobState::{Available, Cancelled, Completed, Discarded, Retryable, Running, Scheduled};
    // What becomes of the states in the order of `JobState::ALL`.
    let table = [
        (Operation::Request, [Available, Available, Available, Running, Completed, Cancelled, Discarded]),
        (Operation::Claim, [Running, Scheduled, Retryable, Running, Completed, Cancelled, Discarded]),
        (Operation::ClaimOnceDue, [Running, Running, Running, Running, Completed, Cancelled, Discarded]),
        (Operation::Finish, [Available, Scheduled, Retryable, Completed, Completed, Cancelled, Discarded]),
        (Operation::Release, [Available, Scheduled, Retryable, Available, Completed, Cancelled, Discarded]),
        (Operation::Rescue, [Available, Scheduled, Retryable, Available, Completed, Cancelled, Discarded]),
        (Operation::Retry, [Available, Available, Available, Running, Available, Available, Available]),
        (Operation::Cancel, [Cancelled, Cancelled, Cancelled, Cancelled, Completed, Cancelled, Discarded]),
    ];
    for (row, (operation, expected)) in table.into_iter().enumerate() {
        let mut became = Vec::new();
        for (column, from) in JobState::ALL.into_iter().enumerate() {
            let host = format!("8.8.{row}.{}", column + 1);
            record(&**test, &[up(&host)]).await;
            let (id, token) = bring_to(test, &host, from).await;
            assert_eq!(state(test, id).await, from);
            operate(test, operation, &host, (id, token)).await;
            let to = state(test, id).await;
            assert!(from == to || from.may_become(to), "{from} became {to} by {operation:?}");
            became.push(to);
            test.jobs_cancel(JobSelection::Matching { filter: JobFilter::default(), limit: 1000 })
                .await
                .expect("cancelled");
        }
        assert_eq!(became, expected, "{operation:?}");
    }
}

async fn operate(test: &TestStore, operation: Operation, host: &str, (id, token): (JobId, LeaseToken)) {
    match operation {
        Operation::Request => drop(enqueue(test, request(host)).await),
        Operation::Claim => drop(lease(&**test, 100).await),
        Operation::ClaimOnceDue => {
            (test.advance)(HOUR + SECOND);
            lease(&**test, 100).await;
        }
        Operation::Finish => {
            let host = host_id(&**test, host).await;
            finish(&**test, vec![Finished { id, token, host, settled: done(), effect: None }]).await;
        }
        Operation::Release => test.jobs_release(vec![(id, token)]).await.expect("an answer"),
        Operation::Rescue => drop(test.jobs_rescue(Rescue::All).await.expect("an answer")),
        Operation::Retry => drop(test.jobs_retry(JobSelection::Ids(vec![id])).await.expect("an answer")),
        Operation::Cancel => drop(test.jobs_cancel(JobSelection::Ids(vec![id])).await.expect("an answer")),
    }
}

/// Brings the one live job of `host` into a state; answers it with its token.
async fn bring_to(test: &TestStore, host: &str, wanted: JobState) -> (JobId, LeaseToken) {
    let id = enqueue(test, request(host)).await.job;
    let never_claimed = LeaseToken(0);
    if wanted == JobState::Available {
        return (id, never_claimed);
    }
    if wanted == JobState::Cancelled {
        test.jobs_cancel(JobSelection::Ids(vec![id])).await.expect("cancelled");
        return (id, never_claimed);
    }
    let job = lease(&**test, 1).await.remove(0);
    assert_eq!(job.id, id);
    let settled = match wanted {
        JobState::Scheduled => Settled::Snoozed(HOUR, "later".to_owned()),
        JobState::Retryable => Settled::Retryable(HOUR, "failed".to_owned()),
        JobState::Completed => done(),
        JobState::Discarded => Settled::Discarded("broken".to_owned(), UnlocatedReason::Failed),
        _ => return (id, job.token),
    };
    finish(&**test, vec![finished(&job, settled)]).await;
    (id, job.token)
}
