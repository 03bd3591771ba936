//! Moving a whole installation.

use std::sync::Arc;

use hostatlas_services::{CopyPhase, CopyReport, CopyRequest, CopySource, CopyStep, OpenMode, Store, copy};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{count, key_values},
    progress::{Progress, Unit},
    shutdown::Shutdown,
    stores::{is_new_file, open_named},
};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The database that is copied; nothing is changed in it
    #[arg(long, value_name = "URL")]
    from: String,
    /// An SQLite file that does not exist, or an empty PostgreSQL database after `db migrate`
    #[arg(long, value_name = "URL")]
    to: String,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    let source = open_named(&arguments.from, "--from", OpenMode::Existing).await?;
    let outcome = copy_from(context, &source, &arguments.to).await;
    source.close().await;
    outcome
}

async fn copy_from(context: &Context<'_>, source: &Arc<dyn Store>, to: &str) -> Result<Exit, Failure> {
    // A source that is refused leaves no target behind.
    let source = CopySource::new(Arc::clone(source)).await?;
    let target = open_named(to, "--to", mode_of_target(to)).await?;
    let outcome = copy_between(context, source, &target).await;
    target.close().await;
    outcome
}

/// A new SQLite file is made; one that is there is opened as it is, since migrating it would change it.
fn mode_of_target(url: &str) -> OpenMode {
    if is_new_file(url) { OpenMode::Create } else { OpenMode::Existing }
}

async fn copy_between(
    context: &Context<'_>,
    source: CopySource,
    target: &Arc<dyn Store>,
) -> Result<Exit, Failure> {
    let shutdown = Shutdown::listen()?;
    let mut progress = Progress::new(context.printer, None, Unit::Count);
    let request = CopyRequest { source, target: Arc::clone(target), cancel: shutdown.token() };
    let outcome = copy(request, |step| show(&mut progress, step)).await;
    progress.finish();
    match outcome {
        Ok(report) => {
            context.printer.object(&report, || human(&report))?;
            Ok(Exit::Done)
        }
        // A copy that was asked to stop is no failure after SIGTERM.
        Err(error) if shutdown.is_requested() => {
            context.printer.failure(&Failure::from(error));
            Ok(shutdown.exit(Exit::Failed))
        }
        Err(error) => Err(error.into()),
    }
}

fn show(progress: &mut Progress<'_>, step: &CopyStep) {
    progress.set_total(step.total, Unit::Count);
    let what = match step.phase {
        CopyPhase::Writing => "copied",
        CopyPhase::Verifying => "verified",
    };
    progress.update(step.rows, || format!("{} rows {what}, at `{}`", count(step.rows), step.table));
}

fn human(report: &CopyReport) -> String {
    let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
    let lines = key_values(&[
        ("from", report.from.clone()),
        ("to", report.to.clone()),
        ("rows", format!("{} in {} tables", count(rows), report.tables.len())),
        ("verified", "counts and SHA-256 of every table are the same on both sides".to_owned()),
    ]);
    match report.running_jobs {
        0 => lines,
        jobs => {
            format!("{lines}\n{} jobs were running: they run again once their lease is over", count(jobs))
        }
    }
}
