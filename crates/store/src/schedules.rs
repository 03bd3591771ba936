use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{LeaseToken, Schedule, ScheduleRule, ScheduleTask, Timestamp};

use crate::{StoreError, WorkerId};

/// An occurrence of recurring work that is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedSchedule {
    /// What to do.
    pub task: ScheduleTask,
    /// When it is done again.
    pub rule: ScheduleRule,
    /// The fence for its renewals and its end.
    pub token: LeaseToken,
    /// The store's time, from which the next time is counted.
    pub now: Timestamp,
}

/// How an occurrence ended.
#[derive(Clone, Debug)]
pub struct FinishSchedule {
    /// What was done.
    pub task: ScheduleTask,
    /// Its token.
    pub token: LeaseToken,
    /// What it did, or what went wrong; at most [`ERROR_BYTES`](crate::ERROR_BYTES).
    pub outcome: Result<String, String>,
    /// After how long it is due again.
    pub next_in: Duration,
    /// The rule that says so.
    pub rule: ScheduleRule,
}

/// Recurring work. The four tasks are there from the start; a task that a newer version made is left alone.
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// All of it, by task.
    async fn schedules_list(&self) -> Result<Vec<Schedule>, StoreError>;

    /// Gives a task another rule; it is due after `next_in`.
    async fn schedule_change(
        &self,
        task: ScheduleTask,
        rule: ScheduleRule,
        next_in: Duration,
    ) -> Result<(), StoreError>;

    /// Pauses a task. An occurrence that is under way goes on.
    async fn schedule_pause(&self, task: ScheduleTask) -> Result<(), StoreError>;

    /// Resumes a paused task. An occurrence that was missed during the pause is due; else the task is due after
    /// `next_in`, or when it was before where that is `None`. The time is also left as it is if `rule` is no longer the
    /// task's, or the task was not paused.
    async fn schedule_resume(
        &self,
        task: ScheduleTask,
        rule: ScheduleRule,
        next_in: Option<Duration>,
    ) -> Result<(), StoreError>;

    /// Asks for an occurrence at once, also of a paused task. While one is under way another follows it.
    async fn schedule_ask(&self, task: ScheduleTask) -> Result<(), StoreError>;

    /// Takes an occurrence that is due: asked for, or its time has come and it is not paused; and nobody is at it, or
    /// whoever was has let the lease run out. Each occurrence goes to one caller. None if nothing is due.
    async fn schedule_claim(
        &self,
        worker: WorkerId,
        lease: Duration,
    ) -> Result<Option<ClaimedSchedule>, StoreError>;

    /// Has the lease last `lease` from now on, which may be shorter than what is left of it: whoever cannot go on lets
    /// somebody else begin again soon. [`StoreError::LeaseLost`] if somebody else has it.
    async fn schedule_renew(
        &self,
        task: ScheduleTask,
        token: LeaseToken,
        lease: Duration,
    ) -> Result<(), StoreError>;

    /// Notes how an occurrence ended; [`StoreError::LeaseLost`] if somebody else has it, and nothing is changed.
    ///
    /// If the task was given another rule meanwhile, nothing is changed either, and that rule is answered: whoever
    /// finishes has to say what it makes of it.
    async fn schedule_finish(&self, finish: FinishSchedule) -> Result<Option<ScheduleRule>, StoreError>;
}
