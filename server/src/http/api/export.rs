use std::io;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::stream;
use hostatlas_domain::{HostSort, HostSummary, Page, Problem};
use hostatlas_services::{Permission, Services};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    commands::hosts::FIELDS,
    http::{AppState, api::attributions, client::Client, errors::Refusal, extract::Query, shares::Share},
    printer,
};

/// Hosts that are in memory at once.
const PAGE: u32 = 1_000;

pub fn router() -> Router<AppState> {
    Router::new().route("/hosts/export", get(export))
}

/// What to export.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportParameters {
    /// Terms that must all hold, as in `country:DE port:443 net:192.0.2.0/24`; empty: all hosts.
    q: Option<String>,
    /// `csv` (default, with a header line), `ndjson` or `addresses` (one a line).
    format: Option<String>,
    /// Only these fields, in this order, separated by commas; the names are those of `GET /hosts`. Not with `addresses`.
    fields: Option<String>,
}

/// Forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Ndjson,
    Addresses,
}

impl Format {
    fn read(text: Option<&str>) -> Result<Self, Refusal> {
        match text.map(str::trim).unwrap_or_default() {
            "" | "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Ndjson),
            "addresses" => Ok(Self::Addresses),
            _ => Err(Refusal::invalid("`format` is not known", "use csv, ndjson or addresses")),
        }
    }

    fn headers(self) -> HeaderMap {
        // Names that no query has a part in.
        let (kind, disposition) = match self {
            Self::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"hosts.csv\""),
            Self::Ndjson => ("application/x-ndjson", "attachment; filename=\"hosts.ndjson\""),
            Self::Addresses => ("text/plain; charset=utf-8", "attachment; filename=\"addresses.txt\""),
        };
        HeaderMap::from_iter([
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ])
    }

    fn head(self, fields: &[String]) -> String {
        let fields = if fields.is_empty() { FIELDS.join(",") } else { fields.join(",") };
        if self == Self::Csv { format!("{fields}\n") } else { String::new() }
    }

    fn line(self, host: &HostSummary, fields: &[String], into: &mut String) -> io::Result<()> {
        match self {
            Self::Csv if fields.is_empty() => {
                let value = printer::value(host).map_err(unwritable)?;
                into.push_str(&printer::csv_line(&value, &FIELDS));
            }
            Self::Csv => {
                into.push_str(&printer::csv_line(&printer::value(host).map_err(unwritable)?, fields));
            }
            Self::Ndjson if !fields.is_empty() => {
                let value = printer::value(host).map_err(unwritable)?;
                into.push_str(&printer::project(&value, fields).map_err(unwritable)?);
            }
            Self::Ndjson => into.push_str(&printer::document(host).map_err(unwritable)?),
            Self::Addresses => into.push_str(&host.ip.to_string()),
        }
        into.push('\n');
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn unwritable(failure: crate::failure::Failure) -> io::Error {
    io::Error::other(failure.to_string())
}

/// Every host that matches, by address, as a file. What breaks on the way breaks the connection off: a file that ends
/// properly is whole.
#[utoipa::path(get, path = "/api/v1/hosts/export", tag = "hosts", params(ExportParameters), responses(
    (status = 200, description = "the file", headers(
        ("x-attribution" = String, description = "whose data it is, as its licence asks; one for each. `/api/v1/attributions` has the same as JSON"),
    ), content((String = "text/csv"), (String = "application/x-ndjson"), (String = "text/plain"))),
    (status = 400, description = "the query is not understood or not supported", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "too many exports are going on", body = Problem, content_type = "application/problem+json"),
))]
pub async fn export(
    State(state): State<AppState>,
    client: Client,
    Query(parameters): Query<ExportParameters>,
) -> Result<Response, Refusal> {
    state.services.authorize(Permission::ViewHosts)?;
    let format = Format::read(parameters.format.as_deref())?;
    let fields = read_fields(parameters.fields.as_deref(), format)?;
    let place = state.limits.export(client)?;
    let q = parameters.q.unwrap_or_default();
    // Before the answer begins: afterwards nothing could be refused.
    let first = state.services.hosts().search(&q, HostSort::Address, None, PAGE).await?;
    let mut headers = format.headers();
    // Addresses alone are nobody's data but the scan's.
    if format != Format::Addresses {
        headers.extend(attributions::headers(&state.services).await?);
    }
    let export = Export {
        services: state.services,
        shutdown: state.shutdown,
        q,
        format,
        head: format.head(&fields),
        fields,
        next: Next::Page(first),
        _place: place,
    };
    let chunks = stream::try_unfold(export, |mut export| async move {
        let chunk = export.chunk().await.inspect_err(|error| {
            warn!(error = error as &dyn std::error::Error, "An export broke off: {error}");
        })?;
        Ok::<_, io::Error>(chunk.map(|chunk| (chunk, export)))
    });
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// The fields that were asked for; empty for all.
fn read_fields(text: Option<&str>, format: Format) -> Result<Vec<String>, Refusal> {
    let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let fields: Vec<String> = names.map(str::to_owned).collect();
    if !fields.is_empty() && format == Format::Addresses {
        return Err(Refusal::invalid("`fields` does not go with `format=addresses`", "use csv or ndjson"));
    }
    printer::check_known(&fields, &FIELDS).map_err(|failure| {
        Refusal::invalid(failure.to_string(), failure.hint().unwrap_or("`GET /api/v1/hosts` has the fields"))
    })?;
    Ok(fields)
}

/// An export on its way.
struct Export {
    services: Services,
    shutdown: CancellationToken,
    q: String,
    format: Format,
    fields: Vec<String>,
    head: String,
    next: Next,
    _place: Share,
}

/// What comes next.
enum Next {
    /// These hosts.
    Page(Page<HostSummary>),
    /// Those after this cursor.
    Cursor(String),
    /// Nothing.
    End,
}

impl Export {
    /// The next part of the file; none at its end. A page without a host is no part.
    async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut chunk = std::mem::take(&mut self.head);
        while chunk.is_empty() || matches!(self.next, Next::Page(_)) {
            let page = match std::mem::replace(&mut self.next, Next::End) {
                Next::End => break,
                Next::Page(page) => page,
                Next::Cursor(cursor) => self.read(&cursor).await?,
            };
            for host in &page.items {
                self.format.line(host, &self.fields, &mut chunk)?;
            }
            self.next = page.next_cursor.map_or(Next::End, Next::Cursor);
        }
        Ok((!chunk.is_empty()).then(|| Bytes::from(chunk)))
    }

    async fn read(&self, cursor: &str) -> io::Result<Page<HostSummary>> {
        if self.shutdown.is_cancelled() {
            return Err(io::Error::other("the server stops"));
        }
        let page = self.services.hosts().search(&self.q, HostSort::Address, Some(cursor), PAGE).await;
        page.map_err(io::Error::other)
    }
}
