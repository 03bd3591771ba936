use std::fmt::Write;

use hostatlas_domain::{Coverage, Forecast, JobKind, JobState, KindStats, QueueStats};
use hostatlas_services::OpenMode;

use crate::{
    context::Context,
    failure::{Exit, Failure},
    http::api::coverage::CoverageAnswer,
    numbers::whole,
    printer::{Column, Show, count, fields_help, key_values},
};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// How many hosts are located, and how long the rest takes with each provider
    Coverage,
    /// Jobs by kind and state, and which kinds are paused or capped
    Jobs,
    /// The latest lookups
    #[command(after_help = fields_help(&RECENT_FIELDS))]
    Recent {
        /// How many, 1 to 1000
        #[arg(long, default_value = "20", allow_negative_numbers = true, value_parser = whole(1_u32..=1000))]
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
    let services = context.services(OpenMode::Existing).await?;
    match action {
        Action::Coverage => {
            let answer = CoverageAnswer::of(&services).await?;
            context
                .printer
                .object(&answer, || coverage_text(&answer.coverage) + &forecast_text(&answer.forecast))?;
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

/// How long what is left takes, with each provider alone; nothing where nothing is left.
fn forecast_text(forecast: &[Forecast]) -> String {
    let Some(left) = forecast.iter().map(|one| one.hosts).max().filter(|hosts| *hosts > 0) else {
        return String::new();
    };
    let mut text = format!("\n\nto locate the {} left", count(left));
    for one in forecast {
        let _ = match one.seconds {
            Some(seconds) => write!(text, "\n  {}  about {}", one.provider, duration(seconds)),
            None => write!(text, "\n  {}  cannot be said", one.provider),
        };
    }
    text
}

/// In the largest unit that fits.
fn duration(seconds: u64) -> String {
    match seconds.max(1) {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7_200 => format!("{} min", seconds.div_ceil(60)),
        seconds if seconds < 172_800 => format!("{} h", seconds.div_ceil(3_600)),
        seconds => format!("{} days", seconds.div_ceil(86_400)),
    }
}

fn jobs_text(stats: &QueueStats) -> String {
    let mut text = format!("{:<12}", "");
    for state in JobState::ALL {
        let _ = write!(text, "  {:>10}", state.slug());
    }
    let _ = write!(text, "  {:>10}", "total");
    for kind in JobKind::ALL {
        let counts = &stats.of(kind).counts;
        let _ = write!(text, "\n{:<12}", kind.slug());
        for state in JobState::ALL {
            let _ = write!(text, "  {:>10}", count(counts.of(state)));
        }
        let _ = write!(text, "  {:>10}", count(counts.total));
    }
    for kind in JobKind::ALL {
        let KindStats { paused_at, cap, .. } = stats.of(kind);
        if let Some(since) = paused_at {
            let since = since.to_readable();
            let _ = write!(
                text,
                "\n`{kind}` is paused since {since}: `hostatlas jobs resume {kind}` lets its jobs run"
            );
        }
        if let Some(cap) = cap {
            let _ = write!(text, "\n`{kind}` is capped: at most {} run at once", count((*cap).into()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_with_how_long_each_provider_takes() {
        let of = |provider: &str, hosts, seconds| Forecast { provider: provider.to_owned(), hosts, seconds };
        let left =
            [of("mmdb", 41_200, Some(1)), of("ip-api", 41_200, Some(97_200)), of("ipinfo", 41_200, None)];
        assert_eq!(
            forecast_text(&left),
            "\n\nto locate the 41,200 left\n  mmdb  about 1 s\n  ip-api  about 27 h\n  ipinfo  cannot be said"
        );
        assert_eq!(forecast_text(&[of("mmdb", 0, Some(0))]), "");
    }
}
