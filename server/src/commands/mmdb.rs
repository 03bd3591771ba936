use std::{fmt::Write as _, path::PathBuf};

use hostatlas_domain::{MmdbComparison, MoveEnd, Timestamp};
use hostatlas_services::{DatabaseStatus, OpenMode};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{Format, count, fields_help, key_values},
    progress::{Progress, Unit},
};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Which database files there are, what each is for, and what is wrong with those that are not in use
    #[command(after_help = fields_help(&FIELDS))]
    Status,
    /// How many hosts a new database file would move, and how far, before it is installed; changes nothing
    Compare {
        /// The file
        #[arg(value_name = "NEW.mmdb")]
        file: PathBuf,
    },
}

pub async fn run(context: &Context<'_>, action: Action) -> Result<Exit, Failure> {
    match action {
        Action::Status => status(context).await,
        Action::Compare { file } => compare(context, file).await,
    }
}

/// The fields of `DatabaseStatus`.
const FIELDS: [&str; 12] = [
    "path",
    "in_use",
    "role",
    "families",
    "database_type",
    "database_build",
    "nodes",
    "bytes",
    "unreadable_records",
    "problem.path",
    "problem.what",
    "problem.remedy",
];

/// What is wrong is said on standard error when the files are opened, and by the exit code.
async fn status(context: &Context<'_>) -> Result<Exit, Failure> {
    let files = context.locator().await?.databases();
    if context.printer.format() == Format::Table {
        let text: Vec<String> = files.iter().map(described).collect();
        let none = || format!("no database file in `{}`", context.configuration.mmdb_dir.display());
        context.printer.text(&if text.is_empty() { none() } else { text.join("\n\n") })?;
        context.printer.flush()?;
    } else {
        let mut list = context.printer.list(&[], &FIELDS)?;
        for file in &files {
            list.push(file)?;
        }
        list.finish("no database file")?;
    }
    let broken = files.iter().any(|file| file.problem.is_some());
    Ok(if broken || files.is_empty() { Exit::Failed } else { Exit::Done })
}

fn described(file: &DatabaseStatus) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), count);
    let mut pairs = vec![
        ("in use", if file.in_use { "yes" } else { "no" }.to_owned()),
        ("role", file.role.map_or("-", hostatlas_services::DatabaseRole::slug).to_owned()),
        ("addresses", file.families.map_or("-", hostatlas_services::AddressFamilies::label).to_owned()),
        ("built", day(file.database_build)),
        ("networks, about", number(file.nodes.map(u64::from))),
        ("bytes", number(file.bytes)),
    ];
    if file.unreadable_records > 0 {
        pairs.push(("damaged records met", count(file.unreadable_records)));
    }
    if let Some(problem) = &file.problem {
        pairs.push(("problem", problem.what.clone()));
        pairs.push(("what to do", problem.remedy.clone()));
    }
    format!("{}\n{}", file.path.display(), key_values(&pairs))
}

async fn compare(context: &Context<'_>, file: PathBuf) -> Result<Exit, Failure> {
    let services = context.services_as_they_are(OpenMode::Existing).await?;
    let total = services.coverage().get().await?;
    let hosts = total.total.saturating_sub(total.not_applicable);
    let mut progress = Progress::new(context.printer, Some(hosts), Unit::Count);
    let outcome =
        services.mmdb().compare(&file, |hosts| progress.update(hosts, || "hosts compared".to_owned())).await;
    progress.finish();
    let comparison = outcome?;
    context.printer.object(&comparison, || human(&comparison))?;
    Ok(Exit::Done)
}

fn day(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), Timestamp::to_date)
}

fn human(comparison: &MmdbComparison) -> String {
    let mut pairs = vec![
        ("file", comparison.path.clone()),
        ("role", format!("{}, {}", comparison.role, comparison.families)),
        ("built", day(comparison.database_build)),
        ("in use, built", day(comparison.current_build)),
        ("hosts", count(comparison.hosts)),
        ("would move", count(comparison.moves.moved())),
    ];
    pairs.extend(comparison.moves.classes().map(|(class, hosts)| (class, count(hosts))));
    pairs.extend([
        ("to another country", count(comparison.other_country)),
        ("gained", count(comparison.gained)),
        ("lost", count(comparison.lost)),
        ("still unlocated", count(comparison.still_unlocated)),
        ("other address family", count(comparison.not_covered)),
        ("decided otherwise", count(comparison.kept)),
        ("seconds", format!("{:.1}", comparison.seconds)),
    ]);
    let mut text = key_values(&pairs);
    if !comparison.farthest.is_empty() {
        text.push_str("\n\nfarthest moves");
    }
    for far in &comparison.farthest {
        let (from, to) = (end(&far.from), end(&far.to));
        let _ = write!(text, "\n  {:>7.0} km  {:<15}  {from} -> {to}", far.distance_km, far.ip.to_string());
    }
    text
}

fn end(end: &MoveEnd) -> String {
    end.country_code.as_ref().map_or_else(|| end.label.clone(), |code| format!("{}, {code}", end.label))
}
