use hostatlas_domain::{Schedule, ScheduleTask};
use hostatlas_services::{OpenMode, Services};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{Column, Show, fields_help},
};

#[derive(Debug, clap::Args)]
#[command(after_help = fields_help(&FIELDS))]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Every task with its rule, its next run and how the last one went (the default)
    List,
    /// Give a task another rule
    Set {
        /// `refresh`, `prune`, `check` or `backup`
        task: ScheduleTask,
        /// `every 15m` (s, m, h or d), or five cron fields in UTC in quotes: `'30 3 * * 1'`
        #[arg(required = true, num_args = 1.., value_name = "RULE")]
        rule: Vec<String>,
    },
    /// Stop a task until it is resumed; a run that has begun goes on
    Pause {
        /// `refresh`, `prune`, `check` or `backup`
        task: ScheduleTask,
    },
    /// Let a paused task run again; a run that was missed is made up at once
    Resume {
        /// `refresh`, `prune`, `check` or `backup`
        task: ScheduleTask,
    },
    /// Have a running worker do a task now, even while it is paused
    Run {
        /// `refresh`, `prune`, `check` or `backup`
        task: ScheduleTask,
    },
}

const COLUMNS: [Column; 7] = [
    Column::new("TASK", "task", Show::Text),
    Column::new("RULE", "rule", Show::Text),
    Column::new("STATE", "state", Show::Text),
    Column::new("NEXT", "next_at", Show::Time),
    Column::new("LAST", "finished_at", Show::Time),
    Column::new("OUTCOME", "outcome", Show::Text),
    Column::new("DETAIL", "detail", Show::Text),
];
const FIELDS: [&str; 9] =
    ["task", "rule", "next_at", "paused_at", "state", "started_at", "finished_at", "outcome", "detail"];

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    let services = context.services_as_they_are(OpenMode::Existing).await?;
    let schedules = services.schedules();
    let (task, became) = match arguments.action {
        None | Some(Action::List) => {
            list(context, &services).await?;
            return Ok(Exit::Done);
        }
        Some(Action::Set { task, rule }) => {
            schedules.change(task, &rule.join(" ")).await?;
            (task, "has another rule")
        }
        Some(Action::Pause { task }) => {
            schedules.pause(task).await?;
            (task, "is paused")
        }
        Some(Action::Resume { task }) => {
            schedules.resume(task).await?;
            (task, "runs again")
        }
        Some(Action::Run { task }) => {
            schedules.run_now(task).await?;
            (task, "runs as soon as a `hostatlas serve` or `hostatlas worker` takes it")
        }
    };
    let all = schedules.list().await?;
    let schedule = all.into_iter().find(|schedule| schedule.task == task);
    let schedule = schedule.ok_or_else(|| Failure::error(format!("the schedule `{task}` is gone")))?;
    context.printer.object_of(&FIELDS, &schedule, || human(&schedule, became))?;
    Ok(Exit::Done)
}

fn human(schedule: &Schedule, became: &str) -> String {
    let task = schedule.task;
    let next = match schedule.paused_at {
        Some(_) => format!("`hostatlas schedules resume {task}` lets it run again"),
        None => format!("next at {}", schedule.next_at.to_readable()),
    };
    format!("`{task}` {became}; its rule is `{}`; {next}", schedule.rule)
}

async fn list(context: &Context<'_>, services: &Services) -> Result<(), Failure> {
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    for schedule in services.schedules().list().await? {
        list.push(&schedule)?;
    }
    list.finish("nothing is scheduled")?;
    Ok(())
}
