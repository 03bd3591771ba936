use std::num::NonZeroUsize;

use hostatlas_domain::JobKind;
use hostatlas_services::{OpenMode, WorkerOptions, WorkerReport};
use serde::Serialize;
use tracing::info;

use crate::{
    configuration::MOST_WORKERS,
    context::{Context, Opening},
    failure::{Exit, Failure},
    numbers::positive,
    printer::{Format, count},
    shutdown::Shutdown,
};

/// Two batches: one is looked up while the other is written.
pub const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(2).expect("two is not zero");

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Batches of each kind that run at the same time
    #[arg(long, default_value_t = DEFAULT_CONCURRENCY, value_name = "N", allow_negative_numbers = true, value_parser = positive(MOST_WORKERS))]
    concurrency: NonZeroUsize,
    /// Only these kinds, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "KIND")]
    kinds: Option<Vec<JobKind>>,
    /// End when no served, unpaused job is due or running
    #[arg(long)]
    pub drain: bool,
}

/// What `worker --drain` prints.
#[derive(Serialize)]
struct Drained {
    completed: u64,
    retried: u64,
    discarded: u64,
    snoozed: u64,
    scheduled_later: u64,
    waiting_for_quota: u64,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    context.warn_of_unused_settings();
    let services = context.services(Opening::waiting(OpenMode::Create)).await?;
    let shutdown = Shutdown::listen()?;
    let options = WorkerOptions {
        command: "worker",
        concurrency: arguments.concurrency,
        kinds: arguments.kinds,
        drain: arguments.drain,
    };
    if !arguments.drain {
        info!(database = %context.configuration.database, "Worker runs; Ctrl-C stops it in good order");
    }
    let report = services.worker(options).run(shutdown.token()).await?;
    if shutdown.is_requested() {
        context.printer.note("stopped: unfinished jobs wait in the queue and keep their attempts");
    } else {
        name_the_rest(context, &report);
    }
    if arguments.drain {
        print(context, &report)?;
    }
    let exit = if arguments.drain { exit_of(&report) } else { Exit::Done };
    Ok(shutdown.exit(exit))
}

/// What is left decides: a job that was given up, then jobs that wait for quota, whatever else waits beside them.
const fn exit_of(report: &WorkerReport) -> Exit {
    if report.discarded > 0 {
        Exit::PartFailed
    } else if report.waiting_for_quota > 0 {
        Exit::WaitsForQuota
    } else {
        Exit::Done
    }
}

fn print(context: &Context<'_>, report: &WorkerReport) -> Result<(), Failure> {
    let drained = Drained {
        completed: report.completed,
        retried: report.retried,
        discarded: report.discarded,
        snoozed: report.snoozed,
        scheduled_later: report.scheduled_later,
        waiting_for_quota: report.waiting_for_quota,
    };
    let human = || {
        format!(
            "{} {} completed, {} to be tried again, {} given up",
            count(report.completed),
            if report.completed == 1 { "job" } else { "jobs" },
            count(report.retried),
            count(report.discarded)
        )
    };
    if context.printer.format() == Format::Table {
        return context.printer.object(&drained, human);
    }
    context.printer.note(&human());
    context.printer.object(&drained, String::new)
}

/// What stays in the queue, and why.
fn name_the_rest(context: &Context<'_>, report: &WorkerReport) {
    for (kind, waiting) in &report.unserved_waiting {
        context
            .printer
            .note(&format!("{} `{kind}` jobs wait: no worker of this version serves them", count(*waiting)));
    }
    for (kind, waiting) in &report.paused_waiting {
        context.printer.note(&format!(
            "{} `{kind}` jobs wait: the kind is paused; `hostatlas jobs resume {kind}` takes it up again",
            count(*waiting)
        ));
    }
    let quota = report.waiting_for_quota;
    if quota > 0 {
        let wait = "jobs wait until an online provider may be asked again: `hostatlas providers` says when";
        context.printer.note(&format!("{} {wait}", count(quota)));
    }
    if report.scheduled_later > quota {
        context.printer.note(&format!("{} jobs are due later", count(report.scheduled_later - quota)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_of_a_drain_follows_what_is_left() {
        let exit = |discarded, scheduled_later, waiting_for_quota| {
            exit_of(&WorkerReport {
                discarded,
                scheduled_later,
                waiting_for_quota,
                ..WorkerReport::default()
            })
        };
        assert_eq!(exit(0, 0, 0), Exit::Done);
        assert_eq!(exit(0, 6, 0), Exit::Done);
        assert_eq!(exit(0, 100, 94), Exit::WaitsForQuota);
        assert_eq!(exit(0, 94, 94), Exit::WaitsForQuota);
        assert_eq!(exit(1, 94, 94), Exit::PartFailed);
    }
}
