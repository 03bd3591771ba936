use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

use hostatlas_domain::{ImportId, ImportReport, LineOutcome, LineReason, ScanFormat};
use hostatlas_services::{GrowingFile, ImportInput, ImportPhase, ImportProgress, OpenMode, Services};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    numbers,
    printer::{Column, Show, count, fields_help},
    progress::{Progress, Unit},
    shutdown::Shutdown,
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Scan output, also as gzip or zstd; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// `auto`, or one of masscan-json, masscan-ndjson, masscan-list, masscan-xml, masscan-grepable, masscan-binary,
    /// masscan-stdout, unicornscan, nmap-xml, nmap-grepable, zmap-csv, zmap-json, naabu-json, naabu-csv,
    /// rustscan-grepable, shodan-json, json, plain
    #[arg(long, default_value = "auto", value_parser = parse_format)]
    format: FormatChoice,
    /// Keep reading a growing file or a pipe, and store what arrives within a second
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Remove what only this import brought
    Undo {
        /// The id that `import list` shows
        #[arg(allow_negative_numbers = true, value_parser = numbers::id)]
        id: i64,
    },
    /// The imports, newest first
    #[command(after_help = fields_help(&FIELDS))]
    List {
        /// How many, 1 to 1000
        #[arg(long, default_value = "50", allow_negative_numbers = true, value_parser = numbers::whole(1_u32..=1000))]
        limit: u32,
    },
}

#[derive(Clone, Copy, Debug)]
struct FormatChoice(Option<ScanFormat>);

fn parse_format(text: &str) -> Result<FormatChoice, String> {
    if text == "auto" {
        return Ok(FormatChoice(None));
    }
    ScanFormat::from_str(text).map(|format| FormatChoice(Some(format)))
}

const COLUMNS: [Column; 8] = [
    Column::new("ID", "id", Show::Number),
    Column::new("STARTED", "started_at", Show::Time),
    Column::new("STATE", "state", Show::Text),
    Column::new("SOURCE", "source", Show::Text),
    Column::new("FORMAT", "format", Show::Text),
    Column::new("HOSTS", "hosts_seen", Show::Number),
    Column::new("NEW", "hosts_new", Show::Number),
    Column::new("BAD LINES", "lines.bad", Show::Number),
];
const FIELDS: [&str; 19] = [
    "id",
    "source",
    "state",
    "started_at",
    "finished_at",
    "format",
    "hosts_new",
    "hosts_seen",
    "services_new",
    "services_seen",
    "lines.ok",
    "lines.repaired",
    "lines.duplicate",
    "lines.skipped",
    "lines.bad",
    "truncated",
    "jobs_queued",
    "first_bad",
    "reasons",
];

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    match arguments.action {
        Some(Action::Undo { id }) => undo(context, ImportId(id)).await,
        Some(Action::List { limit }) => list(context, limit).await,
        None => import(context, arguments).await,
    }
}

async fn import(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    let source = Source::open(arguments.file.as_deref())?;
    let services = context.services(OpenMode::Create).await?;
    let shutdown = Shutdown::listen()?;
    let size = source.size;
    let input = ImportInput {
        source_name: source.name.clone(),
        reader: source.reader,
        size,
        growing: source.growing,
        format: arguments.format.0,
        follow: arguments.follow,
        cancel: shutdown.token(),
    };
    let mut progress = Progress::new(context.printer, size.filter(|_| !arguments.follow), Unit::Bytes);
    let mut written_anew = 0;
    let outcome = services
        .imports()
        .run(input, |now| {
            if now.written_anew > written_anew {
                written_anew = now.written_anew;
                progress.warning(&format!("`{}` was written anew: it is read from its start", source.name));
            }
            show(&mut progress, now);
        })
        .await;
    progress.finish();
    let report = match outcome {
        Ok(report) => report,
        // Input that ended because we were asked to stop is no failure after SIGTERM.
        Err(error) if shutdown.is_requested() => {
            context.printer.failure(&Failure::from(error));
            return Ok(shutdown.exit(Exit::Failed));
        }
        Err(error) => return Err(error.into()),
    };
    tell(context, &source.name, &report)?;
    if shutdown.is_requested() {
        context.printer.note("stopped: what was read is stored; run the same command again to complete it");
    }
    let lost = report.lines.bad + report.not_understood();
    Ok(shutdown.exit(if lost > 0 { Exit::PartFailed } else { Exit::Done }))
}

fn show(bar: &mut Progress<'_>, now: &ImportProgress) {
    let counts = || format!("{} records, {} new hosts", count(now.records_read), count(now.hosts_new));
    match (now.phase, now.records_to_store) {
        (ImportPhase::Reading, _) => {
            bar.update(now.bytes_read, || format!("{} records read", count(now.records_read)));
        }
        (ImportPhase::Following, _) | (_, None) => bar.update(now.bytes_read, counts),
        (ImportPhase::Writing, Some(total)) => {
            bar.set_total(Some(total), Unit::Count);
            bar.update(now.records_stored, || format!("{} new hosts stored", count(now.hosts_new)));
        }
    }
}

fn tell(context: &Context<'_>, name: &str, report: &ImportReport) -> Result<(), Failure> {
    for bad in &report.first_bad {
        context.printer.warning(&format!("{name} line {}: {}", bad.line, bad.reason));
    }
    let listed = u64::try_from(report.first_bad.len()).unwrap_or(u64::MAX);
    if report.lines.bad > listed {
        context.printer.warning(&format!("and {} more bad lines", count(report.lines.bad - listed)));
    }
    for reason in &report.reasons {
        let LineReason { outcome, line, reason, count: records } = reason;
        // Nothing is wrong with a record that says nothing.
        if *outcome != LineOutcome::Skipped {
            let more =
                if *records > 1 { format!(" ({} such records)", count(*records)) } else { String::new() };
            context.printer.warning(&format!("{name} line {line}: {reason}{more}"));
        }
    }
    if report.truncated {
        context
            .printer
            .warning(&format!("`{name}` ends in the middle of a record: what came before is stored"));
    }
    context.printer.object(report, || human(name, report))
}

fn human(name: &str, report: &ImportReport) -> String {
    let lines = report.lines;
    let mut parts = vec![format!("{} stored", count(lines.ok))];
    let named = [
        (lines.repaired, "of them repaired"),
        (lines.duplicate, "duplicate"),
        (lines.skipped, "skipped"),
        (lines.bad, "bad"),
    ];
    parts.extend(
        named
            .into_iter()
            .filter(|(lines, _)| *lines > 0)
            .map(|(lines, what)| format!("{} {what}", count(lines))),
    );
    let reasons =
        report.reasons.iter().map(|reason| format!("\n{}", because(reason))).collect::<Vec<_>>().concat();
    format!(
        "import {}: `{name}` ({})\n  lines     {}{reasons}\n  hosts     {} new of {}\n  services  {} new of {}\n  jobs      {} queued",
        report.id.0,
        report.format,
        parts.join(", "),
        count(report.hosts_new),
        count(report.hosts_seen),
        count(report.services_new),
        count(report.services_seen),
        count(report.jobs_queued),
    )
}

/// One reason why records were not stored as they were.
fn because(reason: &LineReason) -> String {
    let what = match reason.outcome {
        LineOutcome::Repaired => "repaired",
        LineOutcome::Skipped => "skipped",
        LineOutcome::NotUnderstood => "not understood",
    };
    format!("            {} {what}: {}", count(reason.count), reason.reason)
}

async fn undo(context: &Context<'_>, id: ImportId) -> Result<Exit, Failure> {
    let services = context.services(OpenMode::Existing).await?;
    let undone = services.imports().undo(id).await?;
    context.printer.object(&undone, || {
        format!(
            "import {} undone: {} hosts, {} services and {} jobs removed",
            id.0,
            count(undone.hosts),
            count(undone.services),
            count(undone.jobs)
        )
    })?;
    Ok(Exit::Done)
}

async fn list(context: &Context<'_>, limit: u32) -> Result<Exit, Failure> {
    let services: Services = context.services(OpenMode::Existing).await?;
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    for import in services.imports().list(None, limit).await?.items {
        list.push(&import)?;
    }
    list.finish("nothing has been imported yet")?;
    Ok(Exit::Done)
}

/// What is read.
struct Source {
    name: String,
    reader: Box<dyn Read + Send>,
    /// Bytes, where that is known.
    size: Option<u64>,
    /// What a regular file has beside its reader.
    growing: Option<GrowingFile>,
}

impl Source {
    /// Opens `file`; none or `-` is standard input.
    fn open(file: Option<&Path>) -> Result<Self, Failure> {
        match file {
            Some(path) if path != Path::new("-") => Self::open_file(path),
            None if io::stdin().is_terminal() => Err(Failure::usage("no file to import")
                .with_hint("name a file: `hostatlas import scan.json`, or pipe a scan in")),
            _ => Ok(Self { name: "-".to_owned(), reader: Box::new(io::stdin()), size: None, growing: None }),
        }
    }

    fn open_file(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let unreadable = |error: &io::Error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => "check the name, or pipe the scan into `hostatlas import -`",
                io::ErrorKind::PermissionDenied => "this user may not read it",
                _ => "copy it to a local disk and try again",
            };
            Failure::error(format!("cannot read `{name}`: {}", plain(error))).with_hint(hint)
        };
        let file = File::open(path).map_err(|error| unreadable(&error))?;
        let metadata = file.metadata().map_err(|error| unreadable(&error))?;
        if metadata.is_dir() {
            return Err(Failure::error(format!("`{name}` is a directory")).with_hint("name a file in it"));
        }
        if !metadata.is_file() {
            return Ok(Self { name, reader: Box::new(file), size: None, growing: None });
        }
        let (growing, reader) =
            GrowingFile::new(path.to_owned(), file).map_err(|error| unreadable(&error))?;
        Ok(Self { name, reader: Box::new(reader), size: Some(metadata.len()), growing: Some(growing) })
    }
}

/// An error of the system without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
