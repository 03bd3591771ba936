use hostatlas_domain::LookupStatus;

use super::addresses;
use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{Column, Show},
};

#[derive(Debug, clap::Args)]
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
    let locator = context.locator()?;
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    let mut failures: Vec<String> = Vec::new();
    let mut failed = 0;
    for part in ips.chunks(PART) {
        for answer in hostatlas_services::lookup(&locator, part).await {
            if answer.status == LookupStatus::Failed {
                failed += 1;
                let reason = answer.reason.as_deref().unwrap_or("failed");
                if failures.len() < 10 {
                    failures.push(format!("{}: {reason}", answer.ip));
                }
            }
            list.push(&answer)?;
        }
    }
    list.finish("no addresses")?;
    if failed == 0 {
        return Ok(Exit::Done);
    }
    for failure in &failures {
        context.printer.warning(failure);
    }
    if locator.database_build().is_none() {
        context.printer.note(&format!(
            "hint: there is no location database in `{}`: put one there, or name it with HOSTATLAS_MMDB_CITY",
            context.configuration.mmdb_dir.display()
        ));
    }
    Ok(Exit::PartFailed)
}
