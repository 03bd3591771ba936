//! Recurring work.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Schedule, ScheduleOutcome, ScheduleRule, ScheduleState, ScheduleTask};
use hostatlas_store::{ClaimedSchedule, FinishSchedule, Store, StoreError, WorkerId};

use crate::{TestStore, factory::*};

const YEAR: Duration = Duration::from_hours(365 * 24);

async fn claim(store: &dyn Store) -> Option<ClaimedSchedule> {
    store.schedule_claim(WorkerId(1), LEASE).await.expect("an answer")
}

fn end(claimed: &ClaimedSchedule, next_in: Duration) -> FinishSchedule {
    let outcome = Ok("3 hosts queued".to_owned());
    FinishSchedule { task: claimed.task, token: claimed.token, outcome, next_in, rule: claimed.rule.clone() }
}

async fn finish(test: &TestStore, claimed: &ClaimedSchedule) {
    test.schedule_finish(end(claimed, YEAR)).await.expect("finished");
}

async fn resume(test: &TestStore, task: ScheduleTask, next_in: Option<Duration>) -> Result<(), StoreError> {
    let rule = of(test, task).await.rule;
    test.schedule_resume(task, rule, next_in).await
}

/// Puts every task off, so that nothing is due: a database may be older than the test.
async fn quiet(test: &TestStore) {
    for schedule in test.schedules_list().await.expect("a list") {
        test.schedule_change(schedule.task, schedule.rule, YEAR).await.expect("changed");
        resume(test, schedule.task, None).await.expect("resumed");
    }
    assert_eq!(claim(&**test).await, None);
}

async fn of(test: &TestStore, task: ScheduleTask) -> Schedule {
    let all = test.schedules_list().await.expect("a list");
    all.into_iter().find(|schedule| schedule.task == task).expect("the task")
}

/// A new installation keeps itself fresh; nobody has named a folder for backups yet.
pub async fn the_four_tasks_are_there(test: &TestStore) {
    let all = test.schedules_list().await.expect("a list");
    let seen =
        all.iter().map(|schedule| (schedule.task, schedule.rule.to_string(), schedule.paused_at.is_some()));
    let seen: Vec<_> = seen.collect();
    assert_eq!(
        seen,
        [
            (ScheduleTask::Refresh, "every 1d".to_owned(), false),
            (ScheduleTask::Prune, "every 1m".to_owned(), false),
            (ScheduleTask::Check, "every 1d".to_owned(), false),
            (ScheduleTask::Backup, "0 3 * * *".to_owned(), true),
        ]
    );
    assert!(all.iter().all(|schedule| schedule.outcome.is_none() && schedule.started_at.is_none()));
    assert_eq!(all[3].state, ScheduleState::Paused);
}

/// However many processes ask, an occurrence is done once.
pub async fn each_occurrence_goes_to_one_of_eight(test: &TestStore) {
    quiet(test).await;
    let mut processes = Vec::new();
    for _ in 0..8 {
        processes.push((test.again)().await);
    }
    for _ in 0..5 {
        (test.advance)(YEAR + SECOND);
        let mut asking = tokio::task::JoinSet::new();
        for store in &processes {
            let store = Arc::clone(store);
            asking.spawn(async move {
                let mut got = Vec::new();
                while let Some(claimed) = claim(&*store).await {
                    got.push(claimed);
                }
                got
            });
        }
        let mut claimed: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
        claimed.sort_by_key(|claimed| claimed.task);
        assert_eq!(claimed.iter().map(|claimed| claimed.task).collect::<Vec<_>>(), ScheduleTask::ALL);
        for claimed in &claimed {
            finish(test, claimed).await;
        }
    }
    for store in processes {
        store.close().await;
    }
}

/// A process that died, or slept, has lost its occurrence: another does it, and the first one's end is refused.
pub async fn an_occurrence_whose_lease_ran_out_is_done_again(test: &TestStore) {
    quiet(test).await;
    test.schedule_ask(ScheduleTask::Check).await.expect("asked");
    let first = claim(&**test).await.expect("an occurrence");
    assert_eq!((first.task, of(test, first.task).await.state), (ScheduleTask::Check, ScheduleState::Running));
    (test.advance)(LEASE + SECOND);
    assert_eq!(of(test, first.task).await.state, ScheduleState::Due);
    let second = claim(&**test).await.expect("the same again");
    assert_eq!(second.task, first.task);
    assert_ne!(second.token, first.token);
    let before = of(test, first.task).await;
    let late = test.schedule_finish(end(&first, SECOND)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    let late = test.schedule_renew(first.task, first.token, HOUR).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    assert_eq!(of(test, first.task).await, before);
    finish(test, &second).await;
    let twice = test.schedule_finish(end(&second, SECOND)).await;
    assert!(matches!(twice, Err(StoreError::LeaseLost)), "{twice:?}");
    assert_eq!(claim(&**test).await, None);
}

/// Long work goes on for as long as it reports.
pub async fn a_renewed_occurrence_is_not_taken(test: &TestStore) {
    quiet(test).await;
    test.schedule_ask(ScheduleTask::Backup).await.expect("asked");
    let claimed = claim(&**test).await.expect("an occurrence");
    for _ in 0..3 {
        (test.advance)(HEARTBEAT);
        test.schedule_renew(claimed.task, claimed.token, LEASE).await.expect("renewed");
        assert_eq!(claim(&**test).await, None);
    }
    finish(test, &claimed).await;
}

/// Whoever asks while it runs wants what has changed since to be taken in.
pub async fn asked_for_while_it_runs_it_runs_again(test: &TestStore) {
    quiet(test).await;
    test.schedule_ask(ScheduleTask::Refresh).await.expect("asked");
    let first = claim(&**test).await.expect("an occurrence");
    test.schedule_ask(ScheduleTask::Refresh).await.expect("asked");
    test.schedule_ask(ScheduleTask::Refresh).await.expect("asked twice is asked once");
    assert_eq!(claim(&**test).await, None, "one at a time");
    finish(test, &first).await;
    assert_eq!(of(test, first.task).await.state, ScheduleState::Due);
    let second = claim(&**test).await.expect("another");
    finish(test, &second).await;
    assert_eq!(claim(&**test).await, None);
}

/// A paused task waits for a person; what it missed is due when it is resumed.
pub async fn a_paused_task_runs_when_it_is_asked_for(test: &TestStore) {
    quiet(test).await;
    let task = ScheduleTask::Refresh;
    test.schedule_pause(task).await.expect("paused");
    let since = of(test, task).await.paused_at;
    assert!(since.is_some());
    (test.advance)(YEAR + SECOND);
    while let Some(other) = claim(&**test).await {
        assert_ne!(other.task, task);
        finish(test, &other).await;
    }
    test.schedule_pause(task).await.expect("paused again");
    assert_eq!((of(test, task).await.state, of(test, task).await.paused_at), (ScheduleState::Paused, since));
    test.schedule_ask(task).await.expect("asked");
    assert_eq!(of(test, task).await.state, ScheduleState::Due);
    let claimed = claim(&**test).await.expect("an occurrence");
    assert_eq!(claimed.task, task);
    test.schedule_finish(end(&claimed, SECOND)).await.expect("finished");
    (test.advance)(HOUR);
    assert_eq!(claim(&**test).await, None);
    resume(test, task, None).await.expect("resumed");
    assert_eq!(of(test, task).await.state, ScheduleState::Due);
    assert_eq!(claim(&**test).await.expect("what it missed").task, task);
}

/// A task that is resumed is next due when its rule says, which only whoever reads rules can tell.
pub async fn a_task_that_is_resumed_has_the_next_time_that_is_said(test: &TestStore) {
    quiet(test).await;
    let task = ScheduleTask::Backup;
    let now = async || test.now().await.expect("the time");
    let next_in = async || of(test, task).await.next_at.since(now().await);
    let is_about = |found: Duration, expected: Duration| expected.abs_diff(found) < HOUR / 2;
    resume(test, task, Some(HOUR)).await.expect("it is not paused");
    assert!(is_about(next_in().await, YEAR), "it goes on as it was");
    test.schedule_pause(task).await.expect("paused");
    let other: ScheduleRule = "every 5m".parse().expect("a rule");
    test.schedule_resume(task, other, Some(HOUR)).await.expect("resumed");
    assert!(is_about(next_in().await, YEAR), "that was said of another rule");
    test.schedule_pause(task).await.expect("paused");
    resume(test, task, Some(HOUR * 3)).await.expect("resumed");
    assert!(is_about(next_in().await, HOUR * 3));
    assert_eq!(of(test, task).await.state, ScheduleState::Waiting);
}

/// Whoever is stopped in the middle gives the rest of its lease away: the occurrence that a person asked for is not lost,
/// and of the last one that ended nothing is forgotten.
pub async fn an_occurrence_that_is_given_up_is_done_again_also_while_it_is_paused(test: &TestStore) {
    quiet(test).await;
    let task = ScheduleTask::Check;
    test.schedule_ask(task).await.expect("asked");
    finish(test, &claim(&**test).await.expect("an occurrence")).await;
    test.schedule_pause(task).await.expect("paused");
    test.schedule_ask(task).await.expect("asked");
    let first = claim(&**test).await.expect("an occurrence");

    test.schedule_renew(task, first.token, SECOND).await.expect("renewed");

    assert_eq!(claim(&**test).await, None, "it is not over yet");
    (test.advance)(SECOND * 2);
    let given_up = of(test, task).await;
    assert_eq!((given_up.state, given_up.outcome), (ScheduleState::Due, Some(ScheduleOutcome::Done)));
    let second = claim(&**test).await.expect("the same again");
    assert_eq!(second.task, task);
    finish(test, &second).await;
    assert_eq!((of(test, task).await.state, claim(&**test).await), (ScheduleState::Paused, None));
}

/// The page tells how the last occurrence went, and when the next is.
pub async fn an_end_is_remembered(test: &TestStore) {
    quiet(test).await;
    test.schedule_ask(ScheduleTask::Backup).await.expect("asked");
    let claimed = claim(&**test).await.expect("an occurrence");
    test.schedule_finish(end(&claimed, HOUR)).await.expect("finished");
    let done = of(test, ScheduleTask::Backup).await;
    assert_eq!((done.outcome, done.detail.as_deref()), (Some(ScheduleOutcome::Done), Some("3 hosts queued")));
    assert_eq!((done.state, done.started_at), (ScheduleState::Waiting, Some(claimed.now)));
    let finished_at = done.finished_at.expect("an end");
    assert_eq!(done.next_at.since(finished_at), HOUR);
    (test.advance)(HOUR);
    let claimed = claim(&**test).await.expect("the next");
    let outcome = Err("é".repeat(1_000));
    test.schedule_finish(FinishSchedule { outcome, ..end(&claimed, HOUR) }).await.expect("finished");
    let failed = of(test, ScheduleTask::Backup).await;
    assert_eq!(failed.outcome, Some(ScheduleOutcome::Failed));
    assert_eq!(failed.detail.expect("what went wrong"), "é".repeat(512));
    assert!(failed.finished_at > Some(finished_at));
}

/// A new rule counts from now.
pub async fn a_changed_rule_moves_the_next_time(test: &TestStore) {
    quiet(test).await;
    let rule = "*/5 * * * *".parse().expect("a rule");
    test.schedule_change(ScheduleTask::Check, rule, SECOND * 90).await.expect("changed");
    assert_eq!(of(test, ScheduleTask::Check).await.rule.to_string(), "*/5 * * * *");
    (test.advance)(SECOND * 80);
    assert_eq!(claim(&**test).await, None);
    (test.advance)(SECOND * 10);
    let claimed = claim(&**test).await.expect("an occurrence");
    assert_eq!((claimed.task, claimed.rule.to_string()), (ScheduleTask::Check, "*/5 * * * *".to_owned()));
    assert_eq!(of(test, ScheduleTask::Refresh).await.rule.to_string(), "every 1d");
}

/// Whoever finishes counted the next time from the rule that stood when it began; that one must not decide any more.
pub async fn a_rule_that_is_changed_while_it_runs_decides_when_it_is_next(test: &TestStore) {
    quiet(test).await;
    test.schedule_ask(ScheduleTask::Check).await.expect("asked");
    let claimed = claim(&**test).await.expect("an occurrence");
    let rule: ScheduleRule = "*/5 * * * *".parse().expect("a rule");
    test.schedule_change(claimed.task, rule.clone(), HOUR).await.expect("changed");
    let changed = of(test, claimed.task).await;
    let stands = test.schedule_finish(end(&claimed, YEAR)).await.expect("an answer");
    assert_eq!(stands, Some(rule.clone()));
    assert_eq!(of(test, claimed.task).await, changed, "nothing is written of an end by another rule");

    let again = FinishSchedule { rule, ..end(&claimed, SECOND * 90) };
    assert_eq!(test.schedule_finish(again).await.expect("finished"), None);
    let done = of(test, claimed.task).await;
    let waits = done.next_at.since(done.finished_at.expect("an end"));
    assert_eq!((done.state, waits), (ScheduleState::Waiting, SECOND * 90));
}
