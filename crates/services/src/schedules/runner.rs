use std::{fmt::Write, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use hostatlas_domain::{ScheduleRule, Timestamp, truncate_bytes};
use hostatlas_store::{ClaimedSchedule, ERROR_BYTES, FinishSchedule, ScheduleStore, StoreError, WorkerId};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    tasks::{self, Went},
    timing,
};
use crate::Services;

/// How often what is due is looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// For how long an occurrence belongs to whoever took it.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is extended.
const RENEW_INTERVAL: Duration = Duration::from_secs(10);
/// Work whose lease was not renewed for so long is dropped: soon somebody else begins it.
const GIVE_UP_AFTER: Duration = Duration::from_secs(20);
/// After so long another process takes up what was interrupted here.
const AFTER_INTERRUPTION: Duration = Duration::from_secs(10);
/// Where the next time of a rule cannot be found any more: made by a newer version, or the last day of a rule is over.
const WITHOUT_NEXT_TIME: Duration = Duration::from_hours(24);
/// How often the end of an occurrence is written before its lease is left to run out.
const FINISH_TRIES: u32 = 5;

/// Does what is due, until `stop`; then waits for what is under way, which ends soon.
///
/// Every worker process has one: the store gives each occurrence to one of them.
pub(crate) async fn run(services: Services, worker: WorkerId, stop: CancellationToken) {
    let mut running = JoinSet::new();
    let mut failing = false;
    while !stop.is_cancelled() {
        // Listen before looking, so that nothing that is asked for in between waits for the next look.
        let asked = services.schedules_asked().notified();
        tokio::pin!(asked);
        asked.as_mut().enable();
        match services.store().schedule_claim(worker, LEASE).await {
            Ok(Some(claimed)) => {
                failing = false;
                services.changed();
                running.spawn(occurrence(services.clone(), claimed, stop.clone()));
                continue;
            }
            Ok(None) => failing = false,
            Err(error) => {
                if !failing {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "What is due by schedule cannot be found out"
                    );
                }
                failing = true;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = asked => {}
            () = stop.cancelled() => {}
            Some(ended) = running.join_next() => note_end(ended),
        }
    }
    while let Some(ended) = running.join_next().await {
        note_end(ended);
    }
}

/// Without its end being written an occurrence is done again after its lease.
fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(error = &error as &dyn std::error::Error, "The end of recurring work broke down");
    }
}

async fn occurrence(services: Services, claimed: ClaimedSchedule, stop: CancellationToken) {
    let began = Instant::now();
    let store: &dyn ScheduleStore = services.store().as_ref();
    let went = tokio::select! {
        went = unless_it_breaks_down(&claimed, tasks::work(&services, claimed.task, &stop)) => went,
        () = renew_until_lost(store, &claimed) => {
            warn!("The schedule `{}` was taken over by another process; its work here is dropped", claimed.task);
            return;
        }
    };
    end(store, &claimed, went, began).await;
    services.changed();
}

/// What `work` says. One that panics has failed: nobody else would be luckier with it before its next time.
async fn unless_it_breaks_down(claimed: &ClaimedSchedule, work: impl Future<Output = Went>) -> Went {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        error!("The schedule `{}` panicked", claimed.task);
        Went::Wrong("it broke down: the log of its worker says where".to_owned())
    })
}

/// Has written how it went, and says so.
async fn end(store: &dyn ScheduleStore, claimed: &ClaimedSchedule, went: Went, began: Instant) {
    let task = claimed.task;
    let is_idle = matches!(went, Went::Idle(_));
    let outcome = match went {
        Went::Well(done) | Went::Idle(done) => Ok(done),
        Went::Wrong(why) => Err(why),
        Went::Interrupted => return give_up(store, claimed).await,
    };
    match write(claimed, &outcome, began, |finish| store.schedule_finish(finish)).await {
        // What recurs every minute would fill the log with nothing.
        Ok(done) if is_idle => debug!("The schedule `{task}` is done: {done}"),
        Ok(done) => info!("The schedule `{task}` is done: {done}"),
        Err(error) => warn!("The schedule `{task}` failed: {error}"),
    }
}

/// Leaves an occurrence that did not end to somebody else, soon. An end would be a lie, and would lose what a person asked
/// for: of a paused task nothing but a lease that ran out is due again.
async fn give_up(store: &dyn ScheduleStore, claimed: &ClaimedSchedule) {
    let task = claimed.task;
    match store.schedule_renew(task, claimed.token, AFTER_INTERRUPTION).await {
        Ok(()) => info!("The schedule `{task}` was interrupted; it is taken up again"),
        Err(error) => warn!(
            error = &error as &dyn std::error::Error,
            "The schedule `{task}` was interrupted; it is taken up again once its lease has run out"
        ),
    }
}

/// Ends when somebody else has the occurrence, or may have it soon.
async fn renew_until_lost(store: &dyn ScheduleStore, claimed: &ClaimedSchedule) {
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(RENEW_INTERVAL).await;
        let asked = Instant::now();
        match store.schedule_renew(claimed.task, claimed.token, LEASE).await {
            Ok(()) => renewed = asked,
            Err(StoreError::LeaseLost) => return,
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "The schedule `{}` could not be renewed", claimed.task
                );
                if renewed.elapsed() >= GIVE_UP_AFTER {
                    return;
                }
            }
        }
    }
}

/// How it ended and when it is done again by `rule`: `took` after the claim, by the store's clock.
fn finish(
    claimed: &ClaimedSchedule,
    rule: &ScheduleRule,
    outcome: &Result<String, String>,
    took: Duration,
) -> FinishSchedule {
    let mut outcome = outcome.clone();
    let next_in = next_in(rule, claimed.now.plus(took), &mut outcome);
    let cut = |text: String| truncate_bytes(&text, ERROR_BYTES).to_owned();
    FinishSchedule {
        task: claimed.task,
        token: claimed.token,
        outcome: outcome.map(cut).map_err(cut),
        next_in,
        rule: rule.clone(),
    }
}

fn next_in(rule: &ScheduleRule, now: Timestamp, outcome: &mut Result<String, String>) -> Duration {
    timing::next_in(rule, now).unwrap_or_else(|error| {
        let (Ok(said) | Err(said)) = outcome;
        let _ = write!(said, "; {error}, so it is done again in a day");
        WITHOUT_NEXT_TIME
    })
}

/// Has the end written by `submit`; answers what is said of it. The rule may have been changed meanwhile: the next time
/// is counted from the one that stands when the end is written.
async fn write<S>(
    claimed: &ClaimedSchedule,
    outcome: &Result<String, String>,
    began: Instant,
    submit: impl Fn(FinishSchedule) -> S,
) -> Result<String, String>
where
    S: Future<Output = Result<Option<ScheduleRule>, StoreError>>,
{
    let task = claimed.task;
    let mut rule = claimed.rule.clone();
    let mut failures = 0;
    loop {
        let finish = finish(claimed, &rule, outcome, began.elapsed());
        let said = finish.outcome.clone();
        match submit(finish).await {
            Ok(None) => return said,
            Ok(Some(stands)) => rule = stands,
            Err(StoreError::LeaseLost) => {
                warn!("The schedule `{task}` was done by another process as well");
                return said;
            }
            Err(error) => {
                failures += 1;
                if failures == FINISH_TRIES {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "The end of `{task}` was not written; it is done again"
                    );
                    return said;
                }
                warn!(
                    error = &error as &dyn std::error::Error,
                    "The end of a schedule could not be written yet"
                );
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use hostatlas_domain::{LeaseToken, Schedule, ScheduleTask};

    use super::*;

    /// Notes what becomes of an occurrence.
    #[derive(Default)]
    struct Ends {
        finished: Mutex<Vec<FinishSchedule>>,
        renewed: Mutex<Vec<(ScheduleTask, LeaseToken, Duration)>>,
    }

    #[async_trait]
    impl ScheduleStore for Ends {
        async fn schedule_finish(&self, finish: FinishSchedule) -> Result<Option<ScheduleRule>, StoreError> {
            self.finished.lock().expect("no panic").push(finish);
            Ok(None)
        }

        async fn schedule_renew(
            &self,
            task: ScheduleTask,
            token: LeaseToken,
            lease: Duration,
        ) -> Result<(), StoreError> {
            self.renewed.lock().expect("no panic").push((task, token, lease));
            Ok(())
        }

        async fn schedules_list(&self) -> Result<Vec<Schedule>, StoreError> {
            Err(not_here())
        }

        async fn schedule_change(
            &self,
            _: ScheduleTask,
            _: ScheduleRule,
            _: Duration,
        ) -> Result<(), StoreError> {
            Err(not_here())
        }

        async fn schedule_pause(&self, _: ScheduleTask) -> Result<(), StoreError> {
            Err(not_here())
        }

        async fn schedule_resume(
            &self,
            _: ScheduleTask,
            _: ScheduleRule,
            _: Option<Duration>,
        ) -> Result<(), StoreError> {
            Err(not_here())
        }

        async fn schedule_ask(&self, _: ScheduleTask) -> Result<(), StoreError> {
            Err(not_here())
        }

        async fn schedule_claim(
            &self,
            _: WorkerId,
            _: Duration,
        ) -> Result<Option<ClaimedSchedule>, StoreError> {
            Err(not_here())
        }
    }

    fn not_here() -> StoreError {
        StoreError::Conflict("the end of an occurrence does not ask this".to_owned())
    }

    fn claimed(rule: &str) -> ClaimedSchedule {
        ClaimedSchedule {
            task: ScheduleTask::Refresh,
            rule: rule.parse().expect("a rule"),
            token: LeaseToken(1),
            now: Timestamp::from_secs(1_795_434_001),
        }
    }

    fn next(rule: &str, outcome: &Result<String, String>, took: u64) -> (Result<String, String>, u64) {
        let claimed = claimed(rule);
        let finish = finish(&claimed, &claimed.rule, outcome, Duration::from_secs(took));
        (finish.outcome, finish.next_in.as_secs())
    }

    #[test]
    fn an_interval_counts_from_the_end_and_cron_goes_on_by_the_clock() {
        let well = Ok("done".to_owned());
        assert_eq!(next("every 1h", &well, 100), (well.clone(), 3_600));
        // 11:40:01; what takes two minutes of a minutely rule does not run again for each that it missed.
        assert_eq!(next("* * * * *", &well, 120), (well, 59));
    }

    #[tokio::test]
    async fn what_was_interrupted_has_no_end_and_is_left_to_somebody_else_soon() {
        let store = Ends::default();
        end(&store, &claimed("every 1d"), Went::Interrupted, Instant::now()).await;
        let renewed = store.renewed.into_inner().expect("no panic");
        assert_eq!(renewed, [(ScheduleTask::Refresh, LeaseToken(1), Duration::from_secs(10))]);
        assert_eq!(store.finished.into_inner().expect("no panic").len(), 0);
    }

    #[tokio::test]
    async fn what_panics_has_failed_and_is_done_again_by_its_rule() {
        let store = Ends::default();
        let claimed = claimed("every 1d");
        let went = unless_it_breaks_down(&claimed, async { panic!("recurring work that breaks down") }).await;
        end(&store, &claimed, went, Instant::now()).await;
        let finished = store.finished.into_inner().expect("no panic");
        let facts: Vec<_> = finished.iter().map(|end| (end.outcome.clone(), end.next_in.as_secs())).collect();
        assert_eq!(facts, [(Err("it broke down: the log of its worker says where".to_owned()), 86_400)]);
    }

    #[test]
    fn a_rule_that_cannot_be_read_any_more_is_said_and_tried_daily() {
        let (outcome, next_in) = next("61 * * * *", &Err("broken".to_owned()), 1);
        assert!(outcome.is_err_and(|why| why.starts_with("broken; `61 * * * *` is not a schedule rule")));
        assert_eq!(next_in, 86_400);
    }

    #[test]
    fn what_is_said_is_cut_to_what_is_stored() {
        let (outcome, _) = next("every 1d", &Err("é".repeat(1_000)), 1);
        assert_eq!(outcome.map_err(|why| why.len()), Err(1_024));
    }

    #[tokio::test]
    async fn the_rule_that_stands_at_the_end_decides_when_it_is_next() {
        let submitted = Mutex::new(Vec::new());
        let stands: ScheduleRule = "every 5m".parse().expect("a rule");
        let submit = |finish: FinishSchedule| {
            let answer = (finish.rule != stands).then(|| stands.clone());
            submitted.lock().expect("no panic").push((finish.rule.to_string(), finish.next_in.as_secs()));
            std::future::ready(Ok(answer))
        };
        // The rule that went away had no next time: of that nothing is said any more.
        let outcome = Ok("done".to_owned());
        let said = write(&claimed("61 * * * *"), &outcome, Instant::now(), submit).await;
        assert_eq!(said, outcome);
        let expected = [("61 * * * *".to_owned(), 86_400), ("every 5m".to_owned(), 300)];
        assert_eq!(*submitted.lock().expect("no panic"), expected);
    }
}
