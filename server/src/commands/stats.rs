use std::fmt::Write;

use hostatlas_domain::{Coverage, JobKind, JobState, JobStats};
use hostatlas_store_sqlite::Mode;

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{Column, Show, count, key_values},
};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// How many hosts are located
    Coverage,
    /// Jobs by kind and state
    Jobs,
    /// The latest lookups
    Recent {
        /// How many, 1 to 1000
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
}

const RECENT_COLUMNS: [Column; 5] = [
    Column::new("TIME", "attempted_at", Show::Time),
    Column::new("IP", "ip", Show::Text),
    Column::new("STATE", "location_state", Show::Text),
    Column::new("RESULT", "summary", Show::Text),
    Column::new("PROVIDER", "provider", Show::Text),
];
const RECENT_FIELDS: [&str; 5] = ["ip", "location_state", "summary", "provider", "attempted_at"];

pub async fn run(context: &Context<'_>, action: Action) -> Result<Exit, Failure> {
    let services = context.services(Mode::Existing).await?;
    match action {
        Action::Coverage => {
            let coverage = services.coverage().get().await?;
            context.printer.object(&coverage, || coverage_text(&coverage))?;
        }
        Action::Jobs => {
            let stats = services.jobs().stats().await?;
            context.printer.object(&stats, || jobs_text(&stats))?;
        }
        Action::Recent { limit } => {
            let mut list = context.printer.list(&RECENT_COLUMNS, &RECENT_FIELDS)?;
            for result in services.coverage().recent(limit).await? {
                list.push(&result)?;
            }
            list.finish("no host has been looked up yet")?;
        }
    }
    Ok(Exit::Done)
}

fn coverage_text(coverage: &Coverage) -> String {
    let percent = coverage.percent_located.map_or_else(String::new, |percent| format!("  ({percent:.1} %)"));
    let mut text = key_values(&[
        ("hosts", count(coverage.total)),
        ("located", format!("{}{percent}", count(coverage.located))),
        (
            "pending",
            format!("{}  ({} without a job)", count(coverage.pending), count(coverage.pending_unqueued)),
        ),
        ("unlocated", count(coverage.unlocated)),
        ("not applicable", count(coverage.not_applicable)),
        ("stale", count(coverage.stale)),
    ]);
    let parts = [
        ("unlocated because", &coverage.unlocated_reasons),
        ("not applicable", &coverage.not_applicable_classes),
        ("precision", &coverage.precision),
        ("provider", &coverage.providers),
    ];
    for (title, counts) in parts.into_iter().filter(|(_, counts)| !counts.is_empty()) {
        let _ = write!(text, "\n\n{title}");
        for (name, hosts) in counts {
            let _ = write!(text, "\n  {name}  {}", count(*hosts));
        }
    }
    text
}

fn jobs_text(stats: &JobStats) -> String {
    let mut text = format!("{:<12}", "");
    for state in JobState::ALL {
        let _ = write!(text, "  {:>10}", state.slug());
    }
    let _ = write!(text, "  {:>10}", "total");
    for kind in JobKind::ALL {
        let counts = stats.of(kind);
        let _ = write!(text, "\n{:<12}", kind.slug());
        for state in JobState::ALL {
            let _ = write!(text, "  {:>10}", count(counts.of(state)));
        }
        let _ = write!(text, "  {:>10}", count(counts.total));
    }
    text
}
