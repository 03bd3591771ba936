//! What whoever holds a job may do to it, and what becomes of it without one who does.

use std::time::Duration;

use hostatlas_domain::{JobState, LocationState, UnlocatedReason};
use hostatlas_store::{Attempt, ClaimJobs, ClaimMode, Finished, RenewJobs, Rescue, Settled, WorkerId};

use crate::{TestStore, factory::*};

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

/// The session of a worker ended: what it had claimed by then is taken back before its lease ends, and nothing else. It
/// may live and have lost its connection alone: then its late finish changes nothing, and what it claims later is its own.
pub async fn what_a_worker_claimed_before_its_session_ended_is_taken_back_at_once(test: &TestStore) {
    one_job(test).await;
    record(&**test, &[up("8.8.4.4")]).await;
    let first = lease(&**test, 1).await.remove(0);
    let other = ClaimJobs { worker: WorkerId(2), ..claim(1, ClaimMode::Lease) };
    let of_another = test.jobs_claim(other).await.expect("a claim").remove(0);
    (test.advance)(5 * SECOND);

    let ended = |ago: Duration| Rescue::Ended { worker: WorkerId(1), ago };
    assert_eq!(test.jobs_rescue(ended(4 * SECOND)).await.expect("rescued").rescued, 1);
    assert_eq!(test.jobs_rescue(ended(4 * SECOND)).await.expect("rescued").rescued, 0, "once");

    assert_eq!(finish(&**test, vec![finished(&first, done())]).await, [first.id]);
    let renew = RenewJobs { jobs: vec![(first.id, first.token)], lease: LEASE };
    assert_eq!(test.jobs_renew(renew).await.expect("renewed"), [first.id]);
    assert_eq!(state(test, first.id).await, JobState::Available);
    let again = lease(&**test, 1).await.remove(0);
    assert!(again.id == first.id && again.token > first.token && again.crash_count == 1, "{again:?}");
    (test.advance)(SECOND);
    assert_eq!(test.jobs_rescue(ended(6 * SECOND)).await.expect("rescued").rescued, 0, "claimed later");
    assert_eq!(finish(&**test, vec![finished(&again, done()), finished(&of_another, done())]).await, []);
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
