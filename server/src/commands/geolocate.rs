use std::{num::NonZeroUsize, time::Duration};

use hostatlas_domain::{GeolocateSummary, Mode as GeolocateMode, RefusedAddress};
use hostatlas_services::{GeolocateRequest, OpenMode, Selection, Waiting};

use super::addresses;
use crate::{
    configuration::{LONGEST_AGE_DAYS, MOST_WORKERS},
    context::Context,
    failure::{Exit, Failure},
    numbers::{decimal, positive, whole},
    printer::{count, key_values},
    progress::{Progress, Unit},
    shutdown::Shutdown,
};

/// More hosts than this make no batch faster.
const LARGEST_BATCH: usize = 20_000;
/// Addresses that are named one by one in a message.
const MOST_NAMED: usize = 10;
/// A year between two lookups is nobody's intention.
const LONGEST_DELAY_SECONDS: f64 = 86_400.0;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Look this address up, whatever its age, and print the answer; stored when it is a known host. `-` reads addresses
    /// from standard input
    #[arg(long, value_name = "IP")]
    ip: Vec<String>,
    /// Queue a job for each host; a worker does the rest
    #[arg(long, conflicts_with = "async_batch")]
    queue_jobs: bool,
    /// Look up concurrently and write directly
    #[arg(long)]
    async_batch: bool,
    /// Only hosts that match, as in `country:DE port:443`, and of these only the ones that are due unless --force is given
    #[arg(long, value_name = "QUERY", conflicts_with = "ip")]
    query: Option<String>,
    /// Hosts per batch; online, addresses per request at most [default: 5000; online, what each provider takes]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = positive(LARGEST_BATCH))]
    batch_size: Option<NonZeroUsize>,
    /// Seconds between lookups (one by one) or batches
    #[arg(long, value_name = "SECONDS", default_value = "0", allow_negative_numbers = true, value_parser = parse_delay)]
    delay: Duration,
    /// All hosts, whatever their age, and past the cache of online providers
    #[arg(long)]
    force: bool,
    /// Days after which a location is looked up again; 0 takes every located host [default: 30]
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true, value_parser = whole(0..=LONGEST_AGE_DAYS))]
    pub max_age_days: Option<u64>,
    /// Lookups at the same time with --async-batch [default: 10]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1..=MOST_WORKERS))]
    pub max_workers: Option<usize>,
}

fn parse_delay(text: &str) -> Result<Duration, String> {
    decimal(0.0..=LONGEST_DELAY_SECONDS)(text).map(Duration::from_secs_f64)
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    let ips = tokio::task::block_in_place(|| addresses::read(&arguments.ip))?;
    context.warn_of_unused_settings();
    let services = context.services(OpenMode::Create).await?;
    if let [ip] = ips.as_slice() {
        let ip = ip.to_string();
        return if arguments.queue_jobs {
            queue_single(context, &ip, arguments.force).await
        } else {
            single(context, &ip, arguments.force).await
        };
    }
    let refused = services.jobs().refused(&ips).await?.refused;
    if !refused.is_empty() {
        tell_refused(context, &refused);
    }
    let shutdown = Shutdown::listen()?;
    let mode = match (arguments.queue_jobs, arguments.async_batch) {
        (true, _) => GeolocateMode::QueueJobs,
        (_, true) => GeolocateMode::AsyncBatch,
        _ => GeolocateMode::Sequential,
    };
    let selection = match arguments.query {
        Some(query) => Selection::Query(query),
        // Also where standard input was empty: it names no host, not all.
        None if !arguments.ip.is_empty() => {
            Selection::Addresses(ips.iter().map(ToString::to_string).collect())
        }
        None if arguments.force => Selection::All,
        None => Selection::Due,
    };
    let request = GeolocateRequest {
        mode,
        selection,
        batch_size: arguments.batch_size,
        delay: arguments.delay,
        force: arguments.force,
        max_age: None,
        max_workers: None,
    };
    let mut progress = Progress::new(context.printer, None, Unit::Count);
    let outcome = services
        .geolocate()
        .run(request, shutdown.token(), |now| {
            progress.set_total(now.total, Unit::Count);
            match &now.waiting {
                Some(waiting) => progress.wait(now.summary.considered, || words_of(waiting)),
                None => progress.update(now.summary.considered, || describe(&now.summary)),
            }
        })
        .await;
    progress.finish();
    let summary = outcome?;
    context.printer.object(&summary, || human(&summary))?;
    if summary.deferred > 0 {
        context.printer.note(&format!(
            "{} hosts stay due, because no provider that could know them may be asked now or answers: `hostatlas \
             providers` says when the next may be",
            count(summary.deferred)
        ));
    }
    if shutdown.is_requested() {
        context.printer.note(&stopped(&summary, arguments.force, !ips.is_empty()));
    }
    let exit = if refused.is_empty() { exit_of(&summary) } else { Exit::PartFailed };
    Ok(shutdown.exit(exit))
}

/// What is said of a run that was interrupted: what is kept, and what the same command would do.
fn stopped(summary: &GeolocateSummary, force: bool, by_address: bool) -> String {
    let kept = match summary.mode {
        GeolocateMode::QueueJobs => "the jobs that were queued stay queued",
        _ => "the answers so far are stored",
    };
    let again = match summary.mode {
        _ if by_address || (force && summary.mode != GeolocateMode::QueueJobs) => {
            "the same command begins at the first host again"
        }
        GeolocateMode::QueueJobs => {
            "the same command goes through all hosts again and queues none that has a job already"
        }
        _ => "the same command goes on with the hosts that are left, because the others are no longer due",
    };
    format!("stopped: {kept}; {again}")
}

/// Names the addresses that are no public host, of which nothing can be stored.
fn tell_refused(context: &Context<'_>, refused: &[RefusedAddress]) {
    let mut named: Vec<String> = refused.iter().take(MOST_NAMED).map(|one| format!("`{}`", one.ip)).collect();
    if refused.len() > MOST_NAMED {
        named.push(format!("and {} more", refused.len() - MOST_NAMED));
    }
    context.printer.warning(&format!(
        "not public hosts that a scan has seen, so left out: {}\nhint: import the scan that saw them, or ask with \
         `hostatlas lookup`",
        named.join(", ")
    ));
}

/// Says once what a lookup waits for, and again whenever that changes.
pub(super) fn tell_wait(context: &Context<'_>, told: &mut String, waiting: &Waiting) {
    if *told != waiting.why {
        told.clone_from(&waiting.why);
        context.printer.note(&words_of(waiting));
    }
}

fn words_of(waiting: &Waiting) -> String {
    let addresses = if waiting.addresses == 1 { "address" } else { "addresses" };
    let seconds = waiting.left.as_secs_f64().ceil();
    let Waiting { addresses: count, why, .. } = waiting;
    format!("waiting {seconds} s for {count} {addresses}: {why}")
}

async fn single(context: &Context<'_>, ip: &str, force: bool) -> Result<Exit, Failure> {
    let services = context.services(OpenMode::Create).await?;
    let (shutdown, mut told) = (Shutdown::listen()?, String::new());
    let on_wait = |waiting: &Waiting| tell_wait(context, &mut told, waiting);
    let (answer, summary) = services.geolocate().single(ip, force, &shutdown.token(), on_wait).await?;
    let place = || {
        let known = [&answer.city, &answer.region, &answer.country];
        let names: Vec<&str> = known.into_iter().flatten().map(String::as_str).collect();
        if names.is_empty() {
            answer.reason.clone().unwrap_or_else(|| "nothing".to_owned())
        } else {
            names.join(", ")
        }
    };
    context.printer.note(&format!("{}: {}", answer.ip, place()));
    let printed = SingleAnswer { summary: &summary, answer: &answer };
    context.printer.object(&printed, || {
        let position =
            answer.latitude.zip(answer.longitude).map(|(north, east)| format!("{north:.4}, {east:.4}"));
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        key_values(&[
            ("ip", answer.ip.to_string()),
            ("place", place()),
            ("position", position.unwrap_or_else(|| "-".to_owned())),
            ("network", format!("{} {}", text(&answer.asn), text(&answer.organization))),
            ("provider", text(&answer.provider)),
        ])
    })?;
    Ok(shutdown.exit(exit_of(&summary)))
}

/// The summary's fixed fields, and what was answered.
#[derive(serde::Serialize)]
struct SingleAnswer<'a> {
    #[serde(flatten)]
    summary: &'a GeolocateSummary,
    answer: &'a hostatlas_domain::LookupView,
}

async fn queue_single(context: &Context<'_>, ip: &str, force: bool) -> Result<Exit, Failure> {
    let services = context.services(OpenMode::Create).await?;
    let mut summary = GeolocateSummary::new(GeolocateMode::QueueJobs);
    summary.considered = 1;
    match services.jobs().geolocate_host(ip, force).await {
        Ok(queued) if queued.duplicate => summary.duplicate = 1,
        Ok(_) => summary.queued = 1,
        // A private address is no failure: there is nothing to find out.
        Err(error @ hostatlas_services::Error::NotApplicable { .. }) => {
            context.printer.note(&error.to_string());
            summary.skipped = 1;
        }
        Err(error) => return Err(error.into()),
    }
    context.printer.object(&summary, || human(&summary))?;
    Ok(Exit::Done)
}

fn describe(summary: &GeolocateSummary) -> String {
    match summary.mode {
        GeolocateMode::QueueJobs => {
            format!("{} queued, {} already were", count(summary.queued), count(summary.duplicate))
        }
        _ => format!(
            "{} located, {} unlocated, {} failed",
            count(summary.located),
            count(summary.unlocated),
            count(summary.failed)
        ),
    }
}

fn human(summary: &GeolocateSummary) -> String {
    let mut pairs = vec![("considered", count(summary.considered))];
    if summary.mode == GeolocateMode::QueueJobs {
        pairs.push(("queued", count(summary.queued)));
        pairs.push(("already queued", count(summary.duplicate)));
    } else {
        pairs.push(("located", count(summary.located)));
        pairs.push(("unlocated", count(summary.unlocated)));
        pairs.push(("failed", count(summary.failed)));
    }
    if summary.deferred > 0 {
        pairs.push(("wait for quota", count(summary.deferred)));
    }
    pairs.push(("skipped", count(summary.skipped)));
    pairs.push(("seconds", format!("{:.1}", summary.seconds)));
    key_values(&pairs)
}

/// Failures are part failures, misses are not.
const fn exit_of(summary: &GeolocateSummary) -> Exit {
    if summary.failed > 0 {
        Exit::PartFailed
    } else if summary.deferred > 0 {
        Exit::WaitsForQuota
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_run_says_what_is_kept_and_where_the_same_command_begins() {
        let said = |mode, force, by_address| stopped(&GeolocateSummary::new(mode), force, by_address);
        let due = said(GeolocateMode::AsyncBatch, false, false);
        assert!(
            due.contains("answers so far are stored") && due.contains("goes on with the hosts that are left")
        );
        for (force, by_address) in [(true, false), (false, true)] {
            let again = said(GeolocateMode::Sequential, force, by_address);
            assert!(again.contains("begins at the first host again"), "{again}");
        }
        let queued = said(GeolocateMode::QueueJobs, true, false);
        assert!(
            queued.contains("jobs that were queued stay queued") && !queued.contains("answers"),
            "{queued}"
        );
    }
}
