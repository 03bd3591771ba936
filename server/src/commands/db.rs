mod backup;
mod copy;

use hostatlas_services::OpenMode;
use serde::Serialize;

use crate::{
    context::{Context, Opening},
    failure::{Exit, Failure},
    printer::{count, key_values},
};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Make the database if it is missing, and bring it to this version's schema; an older one is copied first
    Migrate,
    /// Where the schema stands
    Status,
    /// Compare the database with itself: integrity, every counter, the laws of the queue
    Check,
    /// Write a verified copy of the database to a new file, while work goes on (SQLite)
    Backup(backup::BackupArguments),
    /// Verify a backup and put it in the place of the database, which is moved aside (SQLite)
    Restore(backup::RestoreArguments),
    /// Move a whole installation to another database, as from SQLite to PostgreSQL, and compare both; interrupted, the
    /// same command goes on
    Copy(copy::Arguments),
}

pub async fn run(context: &Context<'_>, action: Action) -> Result<Exit, Failure> {
    match action {
        Action::Migrate => status(context, Opening::half(migrating(context))).await,
        Action::Status => status(context, OpenMode::Inspect.into()).await,
        Action::Check => check(context).await,
        Action::Backup(arguments) => backup::backup(context, arguments).await,
        Action::Restore(arguments) => backup::put_back(context, arguments).await,
        Action::Copy(arguments) => copy::run(context, arguments).await,
    }
}

/// A database of a server is made by whoever runs the server.
fn migrating(context: &Context<'_>) -> OpenMode {
    if context.configuration.database.is_server() { OpenMode::Migrate } else { OpenMode::Create }
}

#[derive(Serialize)]
struct Status {
    location: String,
    engine: String,
    migration: i64,
    wanted: i64,
    bytes: Option<u64>,
    current: bool,
}

async fn status(context: &Context<'_>, opening: Opening) -> Result<Exit, Failure> {
    let found = context.services(opening).await?.admin().schema_status().await?;
    let current = found.found == found.wanted;
    let status = Status {
        location: found.location,
        engine: found.engine,
        migration: found.found,
        wanted: found.wanted,
        bytes: found.bytes,
        current,
    };
    context.printer.object(&status, || {
        key_values(&[
            ("database", status.location.clone()),
            ("engine", status.engine.clone()),
            ("migration", format!("{} of {}", status.migration, status.wanted)),
            ("size", status.bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{} bytes", count(bytes)))),
        ])
    })?;
    if !current {
        context.printer.note("hint: run `hostatlas db migrate`");
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Check {
    checked: u64,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Finding {
    check: String,
    detail: String,
}

async fn check(context: &Context<'_>) -> Result<Exit, Failure> {
    let report = context.services(Opening::half(OpenMode::Existing)).await?.admin().check().await?;
    let findings =
        report.findings.into_iter().map(|found| Finding { check: found.check, detail: found.detail });
    let check = Check { checked: report.checked, findings: findings.collect() };
    context.printer.object(&check, || {
        let mut lines =
            vec![format!("{} things compared, {} wrong", count(check.checked), check.findings.len())];
        lines.extend(check.findings.iter().map(|finding| format!("{}: {}", finding.check, finding.detail)));
        lines.join("\n")
    })?;
    Ok(if check.findings.is_empty() { Exit::Done } else { Exit::Failed })
}
