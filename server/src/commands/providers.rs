use std::fmt::Write;

use hostatlas_domain::{BreakerState, LookupStatus, LookupView, ProviderStatus, Timestamp};
use hostatlas_services::OpenMode;

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{Format, count, fields_help},
};

#[derive(Debug, clap::Args)]
#[command(after_help = fields_help(&FIELDS))]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Ask each configured provider about an address, within its limits, and store nothing about the host
    Test {
        /// The address
        ip: String,
        /// Ask this one alone
        #[arg(long, value_name = "NAME")]
        provider: Option<String>,
    },
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    context.warn_of_unused_settings();
    match arguments.action {
        None => list(context).await,
        Some(Action::Test { ip, provider }) => test(context, &ip, provider.as_deref()).await,
    }
}

async fn list(context: &Context<'_>) -> Result<Exit, Failure> {
    let services = context.services_as_they_are(OpenMode::Create).await?;
    let statuses = services.providers().list().await?;
    if context.printer.format() == Format::Table {
        let now = services.now();
        let (asked, others): (Vec<_>, Vec<_>) = statuses.iter().partition(|status| status.enabled);
        let mut text = String::new();
        for status in asked {
            let _ = writeln!(text, "{}", described(status, now));
        }
        let names: Vec<&str> = others.iter().map(|status| status.name.as_str()).collect();
        let _ = write!(text, "not configured: {}", names.join(", "));
        context.printer.text(&text)?;
        context.printer.flush()?;
    } else {
        let mut list = context.printer.list(&[], &FIELDS)?;
        for status in &statuses {
            list.push(status)?;
        }
        list.finish("no providers")?;
    }
    Ok(Exit::Done)
}

/// The fields of `ProviderStatus`.
const FIELDS: [&str; 21] = [
    "name",
    "enabled",
    "position",
    "third_party",
    "clear_text",
    "disabled_because",
    "breaker",
    "breaker_until",
    "limits",
    "calls",
    "addresses_sent",
    "located",
    "missed",
    "success_percent",
    "p50_ms",
    "p95_ms",
    "last_error",
    "last_error_at",
    "last_call_at",
    "terms",
    "database_build",
];

/// A provider in a few lines: too much is known of each for one row.
fn described(status: &ProviderStatus, now: Timestamp) -> String {
    let mut text = format!("{}. {}  {}", status.position, status.name, state(status, now));
    let mut line = |name: &str, value: String| {
        let _ = write!(text, "\n   {name:<10} {value}");
    };
    match (&status.third_party, status.database_build) {
        (Some(host), _) => {
            let clear = if status.clear_text { ", in clear text" } else { "" };
            line("sends to", format!("{host}{clear}"));
        }
        (None, Some(build)) => line("database", format!("built {}", build.to_date())),
        (None, None) => {}
    }
    for limit in &status.limits {
        let reset = limit.closed_until.max(limit.resets_at);
        let reset = reset.map_or_else(String::new, |at| format!(", all again in {}", wait(at, now)));
        line(
            "quota",
            format!(
                "{} of {} {} left{reset}",
                count(limit.left.into()),
                count(limit.permits.into()),
                limit.name
            ),
        );
    }
    if status.calls > 0 {
        let success = status.success_percent.unwrap_or_default();
        let slow = status.p50_ms.zip(status.p95_ms);
        let slow = slow.map_or_else(String::new, |(half, most)| format!(", p50 {half} ms, p95 {most} ms"));
        line("calls", format!("{}, {success:.1} % answered{slow}", count(status.calls)));
        line(
            "addresses",
            format!(
                "{} sent, {} located, {} not known",
                count(status.addresses_sent),
                count(status.located),
                count(status.missed)
            ),
        );
    }
    if let Some(error) = &status.last_error {
        let at = status.last_error_at.map_or_else(String::new, |at| format!(" ({})", at.age(now)));
        line("last error", format!("{error}{at}"));
    }
    text
}

fn state(status: &ProviderStatus, now: Timestamp) -> String {
    if let Some(because) = &status.disabled_because {
        return format!("not asked: {because}");
    }
    match (status.breaker, status.breaker_until) {
        (BreakerState::Open, Some(until)) => format!("left alone for {}", wait(until, now)),
        (BreakerState::Open, None) => "left alone".to_owned(),
        (BreakerState::HalfOpen, _) => "tried again".to_owned(),
        (BreakerState::Closed, _) => "asked".to_owned(),
    }
}

/// How long until then, in the largest unit that fits.
fn wait(until: Timestamp, now: Timestamp) -> String {
    match until.since(now).as_secs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7_200 => format!("{} min", seconds / 60),
        seconds if seconds < 172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

async fn test(context: &Context<'_>, ip: &str, provider: Option<&str>) -> Result<Exit, Failure> {
    let services = context.services(OpenMode::Create).await?;
    let configured = services.config().providers.iter().map(|name| name.name().to_owned());
    let names: Vec<String> = provider.map_or_else(|| configured.collect(), |name| vec![name.to_owned()]);
    let mut answers: Vec<LookupView> = Vec::with_capacity(names.len());
    for name in &names {
        answers.push(services.providers().test(name, ip).await?);
    }
    if context.printer.format() == Format::Table {
        for answer in &answers {
            context.printer.text(&shown(answer))?;
        }
        context.printer.flush()?;
    } else {
        let mut list = context.printer.list(&[], &super::lookup::FIELDS)?;
        for answer in &answers {
            list.push(answer)?;
        }
        list.finish("no providers")?;
    }
    Ok(exit_of(&answers))
}

fn shown(answer: &LookupView) -> String {
    let provider = answer.provider.as_deref().unwrap_or_default();
    let names: Vec<&str> =
        [&answer.city, &answer.region, &answer.country].into_iter().flatten().map(String::as_str).collect();
    let found = match (answer.latitude.zip(answer.longitude), &answer.reason) {
        (Some((north, east)), _) => format!("{} ({north:.4}, {east:.4})", names.join(", ")),
        (None, Some(reason)) => reason.strip_prefix(&format!("{provider}: ")).unwrap_or(reason).to_owned(),
        (None, None) => "not known".to_owned(),
    };
    format!("{provider:<14} {found}")
}

fn exit_of(answers: &[LookupView]) -> Exit {
    let any = |status| answers.iter().any(|answer| answer.status == status);
    if any(LookupStatus::Failed) {
        Exit::PartFailed
    } else if any(LookupStatus::Deferred) {
        Exit::WaitsForQuota
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn status() -> ProviderStatus {
        ProviderStatus {
            name: "ip-api".to_owned(),
            enabled: true,
            position: 2,
            third_party: Some("ip-api.com".to_owned()),
            clear_text: true,
            disabled_because: None,
            breaker: BreakerState::Open,
            breaker_until: Some(NOW.plus(std::time::Duration::from_secs(21))),
            limits: vec![hostatlas_domain::LimitStatus {
                name: "batches a minute".to_owned(),
                permits: 15,
                left: 3,
                resets_at: Some(NOW.plus(std::time::Duration::from_secs(40))),
                closed_until: None,
            }],
            calls: 1_200,
            addresses_sent: 120_000,
            located: 119_000,
            missed: 900,
            success_percent: Some(99.5),
            p50_ms: Some(90),
            p95_ms: Some(200),
            last_error: Some("status 503".to_owned()),
            last_error_at: Some(NOW),
            last_call_at: Some(NOW),
            terms: None,
            database_build: None,
        }
    }

    #[test]
    fn the_fields_are_those_of_a_status() {
        let value = serde_json::to_value(status()).expect("JSON");
        let mut names: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
        let mut fields = FIELDS.to_vec();
        names.sort_unstable();
        fields.sort_unstable();
        assert_eq!(fields, names);
    }

    #[test]
    fn a_provider_is_described_with_who_sees_what_and_when_it_is_asked_again() {
        let text = described(&status(), NOW);
        for part in [
            "2. ip-api  left alone for 21 s",
            "ip-api.com, in clear text",
            "3 of 15 batches a minute left, all again in 40 s",
            "1,200, 99.5 % answered, p50 90 ms, p95 200 ms",
            "120,000 sent, 119,000 located, 900 not known",
            "status 503",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
