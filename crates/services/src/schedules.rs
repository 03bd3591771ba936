//! Recurring work: what is done when, and the runner that does it in every worker process.

mod retention;
mod runner;
mod tasks;
mod timing;

use hostatlas_domain::{Schedule, ScheduleRule, ScheduleTask};

pub use retention::{BACKUP_DAYS_KEPT, BACKUP_WEEKS_KEPT, BACKUPS_KEPT};
pub(crate) use runner::run;
pub(crate) use tasks::PRUNE_BATCH;
pub use tasks::{COMPLETED_KEPT_FOR, DISCARDED_KEPT_FOR};

use crate::{Error, Permission, Services};

/// Recurring work, as people see it.
#[derive(Clone)]
pub struct Schedules {
    services: Services,
}

impl Schedules {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// All of it, with when it is done next and how it went.
    pub async fn list(&self) -> Result<Vec<Schedule>, Error> {
        self.services.authorize(Permission::ViewHosts)?;
        Ok(self.services.store().schedules_list().await?)
    }

    /// Gives a task another rule, from now on. A rule that is none or that never comes is refused.
    pub async fn change(&self, task: ScheduleTask, rule: &str) -> Result<(), Error> {
        self.services.authorize(Permission::Administer)?;
        let rule: ScheduleRule = rule.parse().map_err(|error: hostatlas_domain::InvalidScheduleRule| {
            Error::invalid(
                error.to_string(),
                "the fields of cron are minute, hour, day, month and weekday, in UTC",
            )
        })?;
        // What is due is told by the store's clock; this machine's may differ by minutes, which a cron rule would feel.
        let now = self.services.store().now().await?;
        let next_in = timing::next_in(&rule, now)
            .map_err(|error| Error::invalid(error.to_string(), "nothing was changed"))?;
        self.services.store().schedule_change(task, rule, next_in).await?;
        self.services.schedules_changed();
        Ok(())
    }

    /// Does a task no more, until it is resumed or asked for. What is under way goes on.
    pub async fn pause(&self, task: ScheduleTask) -> Result<(), Error> {
        self.services.authorize(Permission::Administer)?;
        self.services.store().schedule_pause(task).await?;
        self.services.schedules_changed();
        Ok(())
    }

    /// Takes a task up again; what was missed in the meantime is done at once, and once. A task that this database
    /// cannot do is refused with what to do instead.
    pub async fn resume(&self, task: ScheduleTask) -> Result<(), Error> {
        self.services.authorize(Permission::Administer)?;
        self.refuse_what_cannot_be_done(task)?;
        let store = self.services.store();
        let now = store.now().await?;
        let all = store.schedules_list().await?;
        let Some(schedule) = all.into_iter().find(|schedule| schedule.task == task) else { return Ok(()) };
        let next_in =
            timing::next_in_after_pause(&schedule.rule, schedule.next_at, now).map_err(|error| {
                Error::invalid(error.to_string(), "give the task another rule with `hostatlas schedules set`")
            })?;
        store.schedule_resume(task, schedule.rule, next_in).await?;
        self.services.schedules_changed();
        Ok(())
    }

    /// Has a task done now by whichever worker comes first, even while it is paused. A task that this database cannot do
    /// is refused with what to do instead.
    pub async fn run_now(&self, task: ScheduleTask) -> Result<(), Error> {
        self.services.authorize(Permission::Administer)?;
        self.refuse_what_cannot_be_done(task)?;
        self.services.store().schedule_ask(task).await?;
        self.services.schedules_changed();
        Ok(())
    }

    fn refuse_what_cannot_be_done(&self, task: ScheduleTask) -> Result<(), Error> {
        if task == ScheduleTask::Backup {
            self.services.store().can_back_up()?;
        }
        Ok(())
    }
}
