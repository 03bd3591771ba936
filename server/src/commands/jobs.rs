use std::time::Duration;

use hostatlas_domain::{
    Address, InvalidJobTargets, Job, JobFilter, JobId, JobKind, JobState, JobTargets, RefusedAddress,
    RefusedJob,
};
use hostatlas_services::{
    ChangedJobs, EnqueueRequest, EnqueuedHosts, EnqueuedJobsReport, OpenMode, PruneRequest, Selection,
};
use serde::Serialize;

use super::{addresses, stats};
use crate::{
    configuration::LONGEST_AGE_DAYS,
    context::Context,
    failure::{Exit, Failure},
    numbers::{id, read_whole, whole},
    printer::{Column, Show, count, fields_help, key_values},
};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Jobs, newest first
    #[command(after_help = fields_help(&FIELDS))]
    List {
        #[command(flatten)]
        filter: FilterArguments,
        /// How many, 1 to 1000
        #[arg(long, default_value = "50", allow_negative_numbers = true, value_parser = whole(1_u32..=1000))]
        limit: u32,
        /// The cursor that the page before printed
        #[arg(long)]
        cursor: Option<String>,
    },
    /// One job
    Show {
        /// Its id
        #[arg(allow_negative_numbers = true, value_parser = id)]
        id: i64,
    },
    /// Queue lookups
    Enqueue {
        /// Addresses of known hosts; `-` reads them from standard input
        #[arg(value_name = "IP")]
        ips: Vec<String>,
        /// Hosts that match, as in `country:DE`
        #[arg(long, value_name = "QUERY", conflicts_with = "ips")]
        query: Option<String>,
        /// Every host whose location is missing or stale
        #[arg(long, conflicts_with_all = ["ips", "query"])]
        due: bool,
        /// Every public host
        #[arg(long, conflicts_with_all = ["ips", "query", "due"])]
        all: bool,
        /// Bypass age and cache
        #[arg(long)]
        force: bool,
    },
    /// Make finished and waiting jobs available now
    Retry(TargetArguments),
    /// Cancel jobs that wait or run; their hosts stay as they are
    Cancel(TargetArguments),
    /// Stop starting jobs of a kind; running jobs go on
    Pause {
        /// `banner_grab`, `domain_enum`, `geolocation` or `ssl_cert`
        kind: JobKind,
    },
    /// Let a paused kind run again
    Resume {
        /// `banner_grab`, `domain_enum`, `geolocation` or `ssl_cert`
        kind: JobKind,
    },
    /// Limit how many jobs of a kind run at once, over all processes and machines
    Cap {
        /// `banner_grab`, `domain_enum`, `geolocation` or `ssl_cert`
        kind: JobKind,
        /// The most that run at once, from 1; `none` removes the limit
        #[arg(value_name = "N|none", allow_negative_numbers = true, value_parser = cap)]
        cap: Cap,
    },
    /// Delete finished jobs that are old enough
    Prune {
        /// Days after which completed and cancelled jobs are deleted
        #[arg(long, default_value = "1", value_name = "DAYS", allow_negative_numbers = true, value_parser = whole(0..=LONGEST_AGE_DAYS))]
        completed_after_days: u64,
        /// Days after which discarded jobs are deleted
        #[arg(long, default_value = "30", value_name = "DAYS", allow_negative_numbers = true, value_parser = whole(0..=LONGEST_AGE_DAYS))]
        discarded_after_days: u64,
    },
    /// Counts by kind and state, and which kinds are paused or capped
    Stats,
}

#[derive(Debug, Default, clap::Args)]
pub struct FilterArguments {
    /// available, scheduled, retryable, running, completed, cancelled or discarded
    #[arg(long)]
    state: Option<JobState>,
    /// `banner_grab`, `domain_enum`, `geolocation` or `ssl_cert`
    #[arg(long)]
    kind: Option<JobKind>,
    /// Jobs of this host
    #[arg(long)]
    ip: Option<Address>,
}

#[derive(Debug, clap::Args)]
pub struct TargetArguments {
    /// Ids of jobs
    #[arg(value_name = "ID", allow_negative_numbers = true, value_parser = id)]
    ids: Vec<i64>,
    #[command(flatten)]
    filter: FilterArguments,
    /// Every job that can be changed
    #[arg(long)]
    all: bool,
}

impl FilterArguments {
    fn filter(&self) -> JobFilter {
        JobFilter { state: self.state, kind: self.kind, ip: self.ip }
    }
}

impl TargetArguments {
    fn targets(&self) -> Result<JobTargets, Failure> {
        let ids = (!self.ids.is_empty()).then(|| self.ids.iter().copied().map(JobId).collect());
        let filter = Some(self.filter.filter()).filter(|filter| *filter != JobFilter::default());
        JobTargets::named(ids, filter, self.all).map_err(|error| match error {
            InvalidJobTargets::Twice => Failure::usage(error.to_string())
                .with_hint("give job ids, or a filter (--state, --kind, --ip), or --all: one of the three"),
            _ => Failure::usage("which jobs?")
                .with_hint("give job ids, or --state, --kind or --ip, or --all for every job"),
        })
    }
}

/// More jobs than this run nowhere at once.
const MOST_CAPPED: u32 = 1_000_000;

/// How many jobs of a kind may run at once; `None` removes the limit.
#[derive(Clone, Copy, Debug)]
pub struct Cap(Option<u32>);

fn cap(text: &str) -> Result<Cap, String> {
    if text == "none" {
        return Ok(Cap(None));
    }
    read_whole(text, &(1..=MOST_CAPPED))
        .map(|cap| Cap(Some(cap)))
        .map_err(|wanted| format!("use {wanted}, or `none` to remove the limit; to stop a kind, pause it"))
}

const COLUMNS: [Column; 8] = [
    Column::new("ID", "id", Show::Number),
    Column::new("KIND", "kind", Show::Text),
    Column::new("IP", "ip", Show::Text),
    Column::new("STATE", "state", Show::Text),
    Column::new("PRIORITY", "priority", Show::Number),
    Column::new("ATTEMPT", "attempt", Show::Number),
    Column::new("CREATED", "created_at", Show::Time),
    Column::new("NOTE", "note", Show::Text),
];
const FIELDS: [&str; 19] = [
    "id",
    "kind",
    "ip",
    "port",
    "protocol",
    "state",
    "priority",
    "attempt",
    "max_attempts",
    "run_at",
    "created_at",
    "started_at",
    "finished_at",
    "force",
    "last_error",
    "result",
    "worker",
    "waiting_because",
    "note",
];

/// A job, and the one fact that matters most at a glance.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    job: &'a Job,
    note: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn new(job: &'a Job) -> Self {
        let facts = [&job.waiting_because, &job.last_error, &job.result];
        Self { job, note: facts.into_iter().flatten().map(String::as_str).next() }
    }
}

/// What a bulk action did.
#[derive(Serialize)]
struct BulkOutcome<'a> {
    changed: u64,
    skipped: u64,
    /// Why, for each skipped job that was named by its id.
    refused: &'a [RefusedJob],
}

/// What is wrong with a command line is said before the database is opened: it is wrong with any database.
pub async fn run(context: &Context<'_>, action: Action) -> Result<Exit, Failure> {
    match action {
        Action::List { filter, limit, cursor } => list(context, filter.filter(), cursor, limit).await,
        Action::Show { id } => show(context, JobId(id)).await,
        Action::Enqueue { ips, query, due, all, force } => {
            let addresses = tokio::task::block_in_place(|| addresses::read(&ips))?;
            let addresses = addresses.iter().map(ToString::to_string).collect();
            // What was asked for decides, not what was found there: an empty standard input names no host, not all.
            let named = [
                (!ips.is_empty()).then_some(Selection::Addresses(addresses)),
                query.map(Selection::Query),
                due.then_some(Selection::Due),
                all.then_some(Selection::All),
            ];
            let selection = Selection::only(named)?.ok_or_else(|| {
                Failure::usage("which hosts?").with_hint("give addresses, --query, --due or --all")
            })?;
            enqueue(context, EnqueueRequest { selection, force, kind: JobKind::Geolocation }).await
        }
        Action::Retry(arguments) => {
            let targets = arguments.targets()?;
            let changed = context.services(OpenMode::Existing).await?.jobs().retry(targets).await?;
            print_changed(context, &changed)
        }
        Action::Cancel(arguments) => {
            let targets = arguments.targets()?;
            let changed = context.services(OpenMode::Existing).await?.jobs().cancel(targets).await?;
            print_changed(context, &changed)
        }
        Action::Pause { kind } => {
            context.services(OpenMode::Existing).await?.jobs().pause(kind).await?;
            print_kind(context, kind).await
        }
        Action::Resume { kind } => {
            context.services(OpenMode::Existing).await?.jobs().resume(kind).await?;
            print_kind(context, kind).await
        }
        Action::Cap { kind, cap: Cap(cap) } => {
            context.services(OpenMode::Existing).await?.jobs().cap(kind, cap).await?;
            print_kind(context, kind).await
        }
        Action::Prune { completed_after_days, discarded_after_days } => {
            prune(context, completed_after_days, discarded_after_days).await
        }
        Action::Stats => stats::run(context, stats::Action::Jobs).await,
    }
}

async fn show(context: &Context<'_>, id: JobId) -> Result<Exit, Failure> {
    let job = context.services(OpenMode::Existing).await?.jobs().get(id).await?;
    context.printer.object(&job, || human(&job))?;
    Ok(Exit::Done)
}

async fn enqueue(context: &Context<'_>, request: EnqueueRequest) -> Result<Exit, Failure> {
    let EnqueuedHosts { report, refused } =
        &context.services(OpenMode::Existing).await?.jobs().enqueue(request).await?;
    let sentences = refused.iter().map(|one| format!("`{}` {}", one.ip, one.reason.explanation()));
    name_refused(context, sentences, Exit::PartFailed);
    context.printer.object(&Enqueued { report, refused }, || {
        let (considered, queued) = (count(report.considered), count(report.queued));
        format!(
            "{queued} jobs queued for {considered} hosts; {} were queued already",
            count(report.duplicate)
        )
    })?;
    Ok(if refused.is_empty() { Exit::Done } else { Exit::PartFailed })
}

/// What queueing did.
#[derive(Serialize)]
struct Enqueued<'a> {
    #[serde(flatten)]
    report: &'a EnqueuedJobsReport,
    refused: &'a [RefusedAddress],
}

/// Named one by one on standard error; the data holds all.
const MOST_NAMED: usize = 20;

/// Says what was refused: as errors where nothing else was done.
fn name_refused(context: &Context<'_>, refused: impl ExactSizeIterator<Item = String>, exit: Exit) {
    let left = refused.len().saturating_sub(MOST_NAMED);
    let rest = (left > 0).then(|| format!("and {left} more"));
    for sentence in refused.take(MOST_NAMED).chain(rest) {
        if exit == Exit::Failed {
            context.printer.failure(&Failure::error(sentence));
        } else {
            context.printer.warning(&sentence);
        }
    }
}

/// A kind after it was changed.
async fn print_kind(context: &Context<'_>, kind: JobKind) -> Result<Exit, Failure> {
    let status = context.services(OpenMode::Existing).await?.jobs().kind(kind).await?;
    context.printer.object(&status, || {
        let claimed = match status.paused_at {
            Some(_) => format!("is paused: `hostatlas jobs resume {kind}` lets its jobs run"),
            None => "is not paused".to_owned(),
        };
        let cap = status.cap.map_or_else(
            || "no limit on how many run at once".to_owned(),
            |cap| format!("at most {} run at once", count(cap.into())),
        );
        format!("`{kind}` {claimed}; {cap}")
    })?;
    Ok(Exit::Done)
}

async fn prune(context: &Context<'_>, completed_days: u64, discarded_days: u64) -> Result<Exit, Failure> {
    let days = |days: u64| Duration::from_secs(days.saturating_mul(86_400));
    let request =
        PruneRequest { completed_after: days(completed_days), discarded_after: days(discarded_days) };
    let deleted = context.services(OpenMode::Existing).await?.jobs().prune(request).await?;
    context
        .printer
        .object(&serde_json::json!({ "deleted": deleted }), || format!("{} jobs deleted", count(deleted)))?;
    Ok(Exit::Done)
}

async fn list(
    context: &Context<'_>,
    filter: JobFilter,
    cursor: Option<String>,
    limit: u32,
) -> Result<Exit, Failure> {
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    let services = context.services(OpenMode::Existing).await?;
    let page = services.jobs().list(filter, cursor.as_deref(), limit).await?;
    for job in &page.items {
        list.push(&Row::new(job))?;
    }
    list.finish("no job matches")?;
    if let Some(cursor) = page.next_cursor {
        context.printer.note(&format!("there is more: --cursor {cursor}"));
    }
    Ok(Exit::Done)
}

fn print_changed(context: &Context<'_>, changed: &ChangedJobs) -> Result<Exit, Failure> {
    let ChangedJobs { changed, skipped, refused } = changed;
    // Of jobs that a filter selected, those that cannot be changed were not asked for one by one.
    let exit = match (refused.is_empty(), changed) {
        (true, _) => Exit::Done,
        (false, 0) => Exit::Failed,
        (false, _) => Exit::PartFailed,
    };
    let sentences = refused.iter().map(|one| format!("job {} {}", one.id, one.reason.explanation()));
    name_refused(context, sentences, exit);
    let printed = BulkOutcome { changed: *changed, skipped: *skipped, refused };
    context.printer.object(&printed, || {
        format!("{} jobs changed; {} could not be changed", count(printed.changed), count(printed.skipped))
    })?;
    Ok(exit)
}

fn human(job: &Job) -> String {
    let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let time = |time: Option<hostatlas_domain::Timestamp>| {
        time.map_or_else(|| "-".to_owned(), hostatlas_domain::Timestamp::to_readable)
    };
    let mut target = job.ip.to_string();
    if let (Some(port), Some(protocol)) = (job.port, job.protocol) {
        target = format!("{target} {port}/{protocol}");
    }
    key_values(&[
        ("job", job.id.to_string()),
        ("kind", job.kind.to_string()),
        ("host", target),
        ("state", job.state.label().to_owned()),
        ("waits because", optional(&job.waiting_because)),
        ("priority", job.priority.get().to_string()),
        ("attempt", format!("{} of {}", job.attempt, job.max_attempts)),
        ("force", if job.force { "yes" } else { "no" }.to_owned()),
        ("created", job.created_at.to_readable()),
        ("runs from", job.run_at.to_readable()),
        ("started", time(job.started_at)),
        ("finished", time(job.finished_at)),
        ("result", optional(&job.result)),
        ("last error", optional(&job.last_error)),
    ])
}
