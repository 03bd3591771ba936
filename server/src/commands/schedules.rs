use hostatlas_domain::ScheduleTask;
use hostatlas_services::{OpenMode, Services};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{Column, Show},
};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// What is done when, and how it went (the default)
    List,
    /// Give a task another rule
    Set {
        /// `refresh`, `prune`, `check` or `backup`
        task: ScheduleTask,
        /// `every 15m` (s, m, h or d), or five cron fields in UTC in quotes: `'30 3 * * 1'`
        #[arg(required = true, num_args = 1.., value_name = "RULE")]
        rule: Vec<String>,
    },
    /// Do a task no more until it is resumed; what is under way goes on
    Pause {
        /// `refresh`, `prune`, `check` or `backup`
        task: ScheduleTask,
    },
    /// Take a paused task up again; what was missed is done at once
    Resume {
        /// `refresh`, `prune`, `check` or `backup`
        task: ScheduleTask,
    },
    /// Have a task done now by a running worker, even while it is paused
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
    let note = |text: String| context.printer.note(&text);
    match arguments.action {
        None | Some(Action::List) => list(context, &services).await?,
        Some(Action::Set { task, rule }) => {
            schedules.change(task, &rule.join(" ")).await?;
            let all = schedules.list().await?;
            if let Some(schedule) = all.iter().find(|schedule| schedule.task == task) {
                note(format!(
                    "`{task}` is done `{}`, next at {}",
                    schedule.rule,
                    schedule.next_at.to_readable()
                ));
            }
        }
        Some(Action::Pause { task }) => {
            schedules.pause(task).await?;
            note(format!("`{task}` is paused: `hostatlas schedules resume {task}` takes it up again"));
        }
        Some(Action::Resume { task }) => {
            schedules.resume(task).await?;
            note(format!("`{task}` is taken up again"));
        }
        Some(Action::Run { task }) => {
            schedules.run_now(task).await?;
            note(format!(
                "`{task}` is asked for: a running `hostatlas serve` or `hostatlas worker` does it at once"
            ));
        }
    }
    Ok(Exit::Done)
}

async fn list(context: &Context<'_>, services: &Services) -> Result<(), Failure> {
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    for schedule in services.schedules().list().await? {
        list.push(&schedule)?;
    }
    list.finish("nothing is scheduled")?;
    Ok(())
}
