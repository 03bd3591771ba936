use hostatlas_domain::{LookupStatus, ProviderName};
use hostatlas_services::{LookedUp, Waiting, places_remedy};

use super::{addresses, geolocate::tell_wait};
use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{Column, Show, fields_help},
    shutdown::Shutdown,
};

#[derive(Debug, clap::Args)]
#[command(after_help = fields_help(&FIELDS))]
pub struct Arguments {
    /// Addresses; `-` reads them from standard input, one a line
    #[arg(required = true, value_name = "IP")]
    ips: Vec<String>,
}

const COLUMNS: [Column; 8] = [
    Column::new("IP", "ip", Show::Text),
    Column::new("STATUS", "status", Show::Text),
    Column::new("CITY", "city", Show::Text),
    Column::new("COUNTRY", "country", Show::Text),
    Column::new("LATITUDE", "latitude", Show::Number),
    Column::new("LONGITUDE", "longitude", Show::Number),
    Column::new("ASN", "asn", Show::Text),
    Column::new("ORGANIZATION", "organization", Show::Text),
];

/// The fields of `LookupView`.
pub const FIELDS: [&str; 17] = [
    "ip",
    "status",
    "latitude",
    "longitude",
    "precision",
    "city",
    "region",
    "country",
    "country_code",
    "timezone",
    "asn",
    "organization",
    "isp",
    "provider",
    "accuracy_km",
    "database_build",
    "reason",
];

/// Long lists are looked up and printed in parts, so that a pipe flows.
const PART: usize = 1_000;

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    let ips = tokio::task::spawn_blocking(move || addresses::read(&arguments.ips))
        .await
        .map_err(|error| Failure::error(format!("cannot read addresses: {error}")))??;
    context.warn_of_unused_settings();
    let locator = context.locator().await?;
    let shutdown = Shutdown::listen()?;
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    let (mut rest, mut told) = (Rest::default(), String::new());
    let mut asked = 0;
    for part in ips.chunks(PART) {
        if shutdown.is_requested() {
            break;
        }
        asked += part.len();
        let on_wait = |waiting: &Waiting| tell_wait(context, &mut told, waiting);
        for looked_up in hostatlas_services::lookup(&locator, part, &shutdown.token(), on_wait).await {
            list.push(&looked_up.answer)?;
            rest.note(looked_up);
        }
    }
    list.finish("no addresses")?;
    if shutdown.is_requested() {
        let left = ips.len() - asked + rest.deferred;
        context.printer.note(&format!("stopped: {left} of {} addresses have no answer", ips.len()));
    } else {
        rest.report(context, locator.database_build().is_none().then(|| places_remedy(&locator)));
    }
    Ok(shutdown.exit(rest.exit()))
}

/// Named one by one; of more a person reads the list itself.
const MOST_NAMED: usize = 10;

/// What was not answered.
#[derive(Default)]
struct Rest {
    failed: usize,
    deferred: usize,
    named: Vec<LookedUp>,
}

impl Rest {
    fn note(&mut self, looked_up: LookedUp) {
        match looked_up.answer.status {
            LookupStatus::Failed => self.failed += 1,
            LookupStatus::Deferred => self.deferred += 1,
            _ => return,
        }
        if self.named.len() < MOST_NAMED {
            self.named.push(looked_up);
        }
    }

    /// `remedy`: how to come by a database of places where there is none.
    fn report(&self, context: &Context<'_>, remedy: Option<String>) {
        for LookedUp { answer, failures } in &self.named {
            let mut details: Vec<String> =
                failures.iter().map(|(provider, message)| format!("{provider}: {message}")).collect();
            // One that is asked again says the same again.
            details.dedup();
            if details.is_empty() {
                details.extend(answer.reason.clone());
            }
            let could = if answer.status == LookupStatus::Deferred { "may yet" } else { "could" };
            let message = format!("no provider {could} locate `{}`", answer.ip);
            context.printer.failure(&Failure::error(message).with_details(details));
        }
        let uses_databases = context.configuration.providers.contains(&ProviderName::Mmdb);
        if self.failed > 0
            && uses_databases
            && let Some(remedy) = remedy
        {
            context.printer.note(&format!("hint: {remedy}"));
        } else if self.failed + self.deferred > 0 {
            context.printer.note("hint: `hostatlas providers` says what each provider is doing");
        }
    }

    const fn exit(&self) -> Exit {
        match (self.failed, self.deferred) {
            (0, 0) => Exit::Done,
            (0, _) => Exit::WaitsForQuota,
            _ => Exit::PartFailed,
        }
    }
}
