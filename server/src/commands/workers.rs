use hostatlas_domain::WorkerStatus;
use hostatlas_services::OpenMode;
use serde::Serialize;

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{Column, Show, count},
};

const COLUMNS: [Column; 10] = [
    Column::new("HOST", "host_name", Show::Text),
    Column::new("PID", "process_id", Show::Text),
    Column::new("COMMAND", "command", Show::Text),
    Column::new("VERSION", "version", Show::Text),
    Column::new("STATE", "state", Show::Text),
    Column::new("RUNNING", "doing", Show::Text),
    Column::new("DONE", "completed", Show::Number),
    Column::new("FAILED", "failed", Show::Number),
    Column::new("STARTED", "started_at", Show::Time),
    Column::new("HEARD", "heard_at", Show::Time),
];
pub const FIELDS: [&str; 14] = [
    "id",
    "state",
    "command",
    "host_name",
    "process_id",
    "version",
    "kinds",
    "concurrency",
    "running",
    "completed",
    "failed",
    "started_at",
    "heard_at",
    "doing",
];

/// A process, and what it is running in words.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    worker: &'a WorkerStatus,
    doing: String,
}

pub async fn run(context: &Context<'_>) -> Result<Exit, Failure> {
    let services = context.services_as_they_are(OpenMode::Existing).await?;
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    for worker in services.workers().list().await? {
        list.push(&Row { worker: &worker, doing: doing(&worker) })?;
    }
    list.finish("no process runs jobs: `hostatlas serve` and `hostatlas worker` do")?;
    Ok(Exit::Done)
}

/// `geolocation 12`
fn doing(worker: &WorkerStatus) -> String {
    let kinds = worker.running.iter().map(|running| format!("{} {}", running.kind, count(running.jobs)));
    match kinds.collect::<Vec<_>>() {
        kinds if kinds.is_empty() => "-".to_owned(),
        kinds => kinds.join(", "),
    }
}
