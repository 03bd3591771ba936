use std::fmt::Write;

use clap::ValueEnum;
use hostatlas_domain::{
    Host, HostAnswer, HostAnswers, HostSort, LookupStatus, QUERY_FIELDS, QueryField, Timestamp,
};
use hostatlas_services::{OpenMode, PinLocation, Services};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    numbers::{decimal, whole},
    printer::{Column, Format, Show, fields_help, key_values},
};

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Hosts that match, as in `country:DE port:443 net:192.0.2.0/24`
    #[command(after_help = search_help())]
    Search {
        /// The query; several words must all hold. Without one, all hosts
        #[arg(value_name = "QUERY")]
        query: Vec<String>,
        /// `address`, and without a query also `first_seen`, `last_seen` or `located_at`
        #[arg(long, default_value = "address")]
        sort: HostSort,
        /// How many, 1 to 1000
        #[arg(long, default_value = "50", allow_negative_numbers = true, value_parser = whole(1_u32..=1000))]
        limit: u32,
        /// The cursor that the page before printed
        #[arg(long)]
        cursor: Option<String>,
    },
    /// All that is known of a host
    #[command(after_help = fields_help(&SHOWN_FIELDS))]
    Show {
        /// Its address
        ip: String,
    },
    /// Say where a host is; no lookup moves it until it is unpinned
    Pin {
        /// Its address
        ip: String,
        /// Degrees north
        #[arg(long, allow_negative_numbers = true, value_parser = decimal(-90.0..=90.0))]
        latitude: f64,
        /// Degrees east
        #[arg(long, allow_negative_numbers = true, value_parser = decimal(-180.0..=180.0))]
        longitude: f64,
        /// City
        #[arg(long)]
        city: Option<String>,
        /// Region, state or province
        #[arg(long)]
        region: Option<String>,
        /// Two letters of ISO 3166-1, as in DE
        #[arg(long, value_name = "CODE")]
        country: Option<String>,
    },
    /// Unpin a host; it is looked up again
    Unpin {
        /// Its address
        ip: String,
    },
    /// Every host that matches, to the end
    #[command(after_help = search_help())]
    Export {
        /// The query; without one, all hosts
        #[arg(value_name = "QUERY")]
        query: Vec<String>,
        /// What to write
        #[arg(long, value_enum)]
        format: Option<ExportFormat>,
    },
}

/// Forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// With a header line
    Csv,
    /// One document a line
    Ndjson,
    /// One address a line
    Addresses,
}

/// What can be asked for, and what is printed.
fn search_help() -> String {
    let mut text = "Fields of a query; all terms must hold:".to_owned();
    for QueryField { name, aliases, asks, example, .. } in QUERY_FIELDS {
        let others =
            if aliases.is_empty() { String::new() } else { format!(" (also {})", aliases.join(", ")) };
        let _ = write!(text, "\n  {name:<10} {example:<20} {asks}{others}");
    }
    text.push_str(
        "\nA word without a field is an address, a block, an AS number or a port if it looks like one; any other word is \
         looked for in the names of cities, regions, countries and organizations.\n\n",
    );
    text + &fields_help(&FIELDS)
}

const COLUMNS: [Column; 7] = [
    Column::new("IP", "ip", Show::Text),
    Column::new("STATE", "location_state", Show::Text),
    Column::new("CITY", "city", Show::Text),
    Column::new("COUNTRY", "country", Show::Text),
    Column::new("PORTS", "ports", Show::Text),
    Column::new("ORGANIZATION", "organization", Show::Text),
    Column::new("LAST SEEN", "last_seen", Show::Time),
];
/// What is known of a host in a list, in the order of the columns of CSV.
pub const FIELDS: [&str; 22] = [
    "ip",
    "first_seen",
    "last_seen",
    "location_state",
    "unlocated_reason",
    "address_class",
    "stale",
    "place_id",
    "latitude",
    "longitude",
    "precision",
    "city",
    "region",
    "country_code",
    "country",
    "asn",
    "organization",
    "provider",
    "accuracy_km",
    "located_at",
    "ports",
    "open_ports",
];

/// What is known of a host.
const SHOWN_FIELDS: [&str; 32] = [
    "ip",
    "first_seen",
    "last_seen",
    "location_state",
    "unlocated_reason",
    "address_class",
    "location.ip",
    "location.status",
    "location.latitude",
    "location.longitude",
    "location.precision",
    "location.city",
    "location.region",
    "location.country",
    "location.country_code",
    "location.timezone",
    "location.asn",
    "location.organization",
    "location.isp",
    "location.provider",
    "location.accuracy_km",
    "location.database_build",
    "location.reason",
    "location.located_at",
    "location.place_id",
    "pinned",
    "attempted_at",
    "stale",
    "services",
    "first_import",
    "last_import",
    "answers",
];

/// Rows of one page of an export.
const EXPORT_PAGE: u32 = 1_000;

pub async fn run(context: &Context<'_>, action: Action) -> Result<Exit, Failure> {
    let services = context.services(OpenMode::Existing).await?;
    match action {
        Action::Search { query, sort, limit, cursor } => {
            search(context, &services, &query.join(" "), sort, cursor.as_deref(), limit).await
        }
        Action::Show { ip } => {
            let host = services.hosts().get(&ip).await?;
            let answers = services.providers().answers(&ip).await?;
            let shown = HostAndAnswers { host: &host, answers: &answers.answers };
            context.printer.object_of(&SHOWN_FIELDS, &shown, || human(&host, &answers))?;
            Ok(Exit::Done)
        }
        Action::Pin { ip, latitude, longitude, city, region, country } => {
            let location = PinLocation { latitude, longitude, city, region, country_code: country };
            pinned(context, &services.providers().pin(&ip, location).await?)
        }
        Action::Unpin { ip } => pinned(context, &services.providers().unpin(&ip).await?),
        Action::Export { query, format } => export(context, &services, &query.join(" "), format).await,
    }
}

fn pinned(context: &Context<'_>, host: &Host) -> Result<Exit, Failure> {
    let known = &SHOWN_FIELDS[..SHOWN_FIELDS.len() - 1];
    context.printer.object_of(known, host, || human(host, &HostAnswers::default()))?;
    Ok(Exit::Done)
}

async fn search(
    context: &Context<'_>,
    services: &Services,
    query: &str,
    sort: HostSort,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Exit, Failure> {
    let mut list = context.printer.list(&COLUMNS, &FIELDS)?;
    let mut cursor = cursor.map(str::to_owned);
    let mut left = limit;
    // A page of a rare filter may be short or empty and still have a next one.
    while left > 0 {
        let page = services.hosts().search(query, sort, cursor.as_deref(), left).await?;
        for host in &page.items {
            list.push(host)?;
        }
        left = left.saturating_sub(u32::try_from(page.items.len()).unwrap_or(u32::MAX));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let printed = list.finish("no host matches")?;
    if printed == 0
        && cursor.is_none()
        && let Some(reason) = services.hosts().nothing_because(query).await?
    {
        context.printer.note(&reason);
    }
    if let Some(cursor) = cursor {
        context.printer.note(&format!("there may be more: --cursor {cursor}"));
    }
    Ok(Exit::Done)
}

async fn export(
    context: &Context<'_>,
    services: &Services,
    query: &str,
    format: Option<ExportFormat>,
) -> Result<Exit, Failure> {
    if let Some(format) = format {
        refuse_contradiction(context, format)?;
    }
    let printer = context.printer.in_format(match format {
        Some(ExportFormat::Csv) => Some(Format::Csv),
        Some(ExportFormat::Ndjson) => Some(Format::Ndjson),
        Some(ExportFormat::Addresses) | None => None,
    });
    let mut list = match format {
        Some(ExportFormat::Addresses) => None,
        _ => Some(printer.list(&COLUMNS, &FIELDS)?),
    };
    let mut cursor: Option<String> = None;
    loop {
        let page = services.hosts().search(query, HostSort::Address, cursor.as_deref(), EXPORT_PAGE).await?;
        for host in &page.items {
            match &mut list {
                Some(list) => list.push(host)?,
                None => printer.text(&host.ip.to_string())?,
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if let Some(list) = list {
        list.finish("no host matches")?;
        printer.flush()?;
        // On standard error, so that whoever reads the file finds data alone in it.
        for attribution in services.admin().attributions().await? {
            printer.note(&format!("attribution: {attribution}"));
        }
    }
    printer.flush()?;
    Ok(Exit::Done)
}

/// `--format` says what the flags of every command say in their way: not both.
fn refuse_contradiction(context: &Context<'_>, format: ExportFormat) -> Result<(), Failure> {
    if context.printer.format_is_asked_for() {
        return Err(Failure::usage("`--format` does not go with `--json`, `--ndjson`, `--csv` or `--table`")
            .with_hint("keep one of them"));
    }
    if format == ExportFormat::Addresses && context.printer.chooses_fields() {
        return Err(Failure::usage("`--format addresses` does not go with `--fields`")
            .with_hint("it prints the addresses alone; use `--format csv` to choose fields"));
    }
    Ok(())
}

/// A host, and what each provider said of it.
#[derive(serde::Serialize)]
struct HostAndAnswers<'a> {
    #[serde(flatten)]
    host: &'a Host,
    answers: &'a [HostAnswer],
}

/// The answers that are not the host's location, a line each.
fn others(answers: &HostAnswers) -> String {
    let mut text = String::new();
    for HostAnswer { answer, distance_km, .. } in answers.answers.iter().filter(|answer| !answer.chosen) {
        let names = [&answer.city, &answer.region, &answer.country];
        let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
        let said = match (answer.status, &answer.reason) {
            (LookupStatus::Located, _) => names.join(", "),
            (LookupStatus::Miss, _) => "does not know it".to_owned(),
            (_, reason) => reason.clone().unwrap_or_else(|| "did not answer".to_owned()),
        };
        let away = distance_km.map_or_else(String::new, |distance| format!(", {distance:.0} km away"));
        let provider = answer.provider.as_deref().unwrap_or("-");
        let _ = write!(text, "\n  {provider}: {said}{away}");
    }
    if text.is_empty() { text } else { format!("\nothers say{text}") }
}

fn human(host: &Host, answers: &HostAnswers) -> String {
    let mut text = key_values(&[
        ("ip", host.ip.to_string()),
        ("first seen", host.first_seen.to_readable()),
        ("last seen", host.last_seen.to_readable()),
        ("location", location(host)),
    ]);
    if let Some(found) = &host.location {
        let answer = &found.answer;
        let network =
            [&answer.asn, &answer.organization].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
        let stale = if host.stale { " (stale)" } else { "" };
        let _ = write!(
            text,
            "\nnetwork     {network}\nlocated     {}{stale} by {}",
            found.located_at.map_or_else(|| "not since it was unpinned".to_owned(), Timestamp::to_readable),
            answer.provider.as_deref().unwrap_or("-")
        );
        if host.pinned {
            text.push_str("\npinned      no lookup moves it until `hostatlas hosts unpin`");
        }
    }
    text.push_str(&others(answers));
    for service in &host.services {
        let _ = write!(text, "\n{}/{} {}", service.port, service.protocol, service.state);
        if let Some(name) = &service.service {
            let _ = write!(text, " {name}");
        }
        text.push_str(&banner_lines(service.banner.as_deref().unwrap_or_default()));
    }
    text
}

/// All that a service said, below its port. Control characters are stored escaped, so the carriage return of a line's
/// end is the text `\x0d`.
fn banner_lines(banner: &str) -> String {
    let mut text = String::new();
    for line in banner.trim_end_matches(['\n', ' ']).lines() {
        let _ = write!(text, "\n    {}", line.trim_end_matches("\\x0d").trim_end());
    }
    text
}

fn location(host: &Host) -> String {
    let Some(found) = &host.location else {
        let reason = host.unlocated_reason.map_or_else(String::new, |reason| format!(": {}", reason.label()));
        return format!("{}{reason}", host.location_state.label());
    };
    let answer = &found.answer;
    let names = [&answer.city, &answer.region, &answer.country];
    let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
    match answer.latitude.zip(answer.longitude) {
        Some((north, east)) => format!("{} ({north:.4}, {east:.4})", names.join(", ")),
        None => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_is_shown_whole_with_a_line_for_each_of_its_lines() {
        let banner = "HTTP/1.1 200 OK\\x0d\nServer: nginx\\x0d\n\\x0d\n<p>\n";
        assert_eq!(banner_lines(banner), "\n    HTTP/1.1 200 OK\n    Server: nginx\n    \n    <p>");
        assert_eq!(banner_lines(""), "");
    }

    #[test]
    fn help_lists_every_field_of_a_query() {
        let help = search_help();
        for field in QUERY_FIELDS {
            assert!(help.contains(field.example), "{}", field.name);
        }
        assert!(FIELDS.iter().all(|field| help.contains(field)));
    }
}
