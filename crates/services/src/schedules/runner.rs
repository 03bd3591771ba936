use std::{fmt::Write, sync::Arc, time::Duration};

use hostatlas_domain::{ScheduleRule, Timestamp, truncate_bytes};
use hostatlas_store::{ClaimedSchedule, FinishSchedule, Store, StoreError, WorkerId};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

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
/// Bytes of what an occurrence says that are kept.
const LONGEST_DETAIL: usize = 1024;

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
            Some(_) = running.join_next() => {}
        }
    }
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            warn!(error = &error as &dyn std::error::Error, "Recurring work broke down");
        }
    }
}

async fn occurrence(services: Services, claimed: ClaimedSchedule, stop: CancellationToken) {
    let began = Instant::now();
    let task = claimed.task;
    let went = tokio::select! {
        went = tasks::work(&services, task, &stop) => went,
        () = renew_until_lost(services.store(), &claimed) => {
            warn!("The schedule `{task}` was taken over by another process; its work here is dropped");
            return;
        }
    };
    let store = services.store();
    let said = write(&claimed, &went, began, |finish| store.schedule_finish(finish)).await;
    match said {
        Ok(done) => info!("The schedule `{task}` is done: {done}"),
        Err(error) => warn!("The schedule `{task}` failed: {error}"),
    }
    services.changed();
}

/// Ends when somebody else has the occurrence, or may have it soon.
async fn renew_until_lost(store: &Arc<dyn Store>, claimed: &ClaimedSchedule) {
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
fn finish(claimed: &ClaimedSchedule, rule: &ScheduleRule, went: &Went, took: Duration) -> FinishSchedule {
    let (mut outcome, interrupted) = match went {
        Went::Well(done) => (Ok(done.clone()), false),
        Went::Wrong(why) => (Err(why.clone()), false),
        Went::Interrupted => (Err("its worker was stopped first; it is taken up again".to_owned()), true),
    };
    let next_in =
        if interrupted { AFTER_INTERRUPTION } else { next_in(rule, claimed.now.plus(took), &mut outcome) };
    let cut = |text: String| truncate_bytes(&text, LONGEST_DETAIL).to_owned();
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
    went: &Went,
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
        let finish = finish(claimed, &rule, went, began.elapsed());
        let outcome = finish.outcome.clone();
        match submit(finish).await {
            Ok(None) => return outcome,
            Ok(Some(stands)) => rule = stands,
            Err(StoreError::LeaseLost) => {
                warn!("The schedule `{task}` was done by another process as well");
                return outcome;
            }
            Err(error) => {
                failures += 1;
                if failures == FINISH_TRIES {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "The end of `{task}` was not written; it is done again"
                    );
                    return outcome;
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
    use hostatlas_domain::{LeaseToken, ScheduleTask};

    use super::*;

    fn claimed(rule: &str) -> ClaimedSchedule {
        ClaimedSchedule {
            task: ScheduleTask::Refresh,
            rule: rule.parse().expect("a rule"),
            token: LeaseToken(1),
            now: Timestamp::from_secs(1_795_434_001),
        }
    }

    fn next(rule: &str, went: &Went, took: u64) -> (Result<String, String>, u64) {
        let claimed = claimed(rule);
        let finish = finish(&claimed, &claimed.rule, went, Duration::from_secs(took));
        (finish.outcome, finish.next_in.as_secs())
    }

    #[test]
    fn an_interval_counts_from_the_end_and_cron_goes_on_by_the_clock() {
        let well = Went::Well("done".to_owned());
        assert_eq!(next("every 1h", &well, 100), (Ok("done".to_owned()), 3_600));
        // 11:40:01; what takes two minutes of a minutely rule does not run again for each that it missed.
        assert_eq!(next("* * * * *", &well, 120), (Ok("done".to_owned()), 59));
    }

    #[test]
    fn what_was_interrupted_is_taken_up_soon() {
        let (outcome, next_in) = next("every 1d", &Went::Interrupted, 1);
        assert_eq!((outcome.is_err(), next_in), (true, 10));
    }

    #[test]
    fn a_rule_that_cannot_be_read_any_more_is_said_and_tried_daily() {
        let (outcome, next_in) = next("61 * * * *", &Went::Wrong("broken".to_owned()), 1);
        assert!(outcome.is_err_and(|why| why.starts_with("broken; `61 * * * *` is no schedule")));
        assert_eq!(next_in, 86_400);
    }

    #[test]
    fn what_is_said_is_cut_to_what_is_stored() {
        let (outcome, _) = next("every 1d", &Went::Wrong("é".repeat(1_000)), 1);
        assert_eq!(outcome.map_err(|why| why.len()), Err(1_024));
    }

    #[tokio::test]
    async fn the_rule_that_stands_at_the_end_decides_when_it_is_next() {
        let submitted = std::sync::Mutex::new(Vec::new());
        let stands: ScheduleRule = "every 5m".parse().expect("a rule");
        let submit = |finish: FinishSchedule| {
            let answer = (finish.rule != stands).then(|| stands.clone());
            submitted.lock().expect("no panic").push((finish.rule.to_string(), finish.next_in.as_secs()));
            std::future::ready(Ok(answer))
        };
        // The rule that went away had no next time: of that nothing is said any more.
        let went = Went::Well("done".to_owned());
        let said = write(&claimed("61 * * * *"), &went, Instant::now(), submit).await;
        assert_eq!(said.as_deref(), Ok("done"));
        let expected = [("61 * * * *".to_owned(), 86_400), ("every 5m".to_owned(), 300)];
        assert_eq!(*submitted.lock().expect("no panic"), expected);
    }
}
