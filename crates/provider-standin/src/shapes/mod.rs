//! How each provider is asked, and what its answers look like.

mod custom;
mod freeipapi;
mod ip_api;
mod ipgeolocation;
mod ipinfo;
mod ipwhois;
mod maxmind;

use std::time::Duration;

use hostatlas_domain::ProviderName;

use crate::{
    answers::Entry,
    http::{Request, Response},
};

/// A request, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) shape: Shape,
    /// What is asked about, as it was written.
    pub(crate) asked: Vec<String>,
    pub(crate) batch: bool,
    /// With a paid plan, which has no limits here.
    pub(crate) paid: bool,
}

/// The ways in which answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// With the fields that were asked for.
    IpApi {
        fields: u32,
    },
    IpinfoLegacy,
    IpinfoLite,
    IpinfoCore,
    Freeipapi,
    IpgeolocationV3,
    IpgeolocationLegacy,
    Ipwhois,
    Maxmind,
    Custom,
}

impl Question {
    pub(crate) fn single(shape: Shape, asked: &str) -> Self {
        Self { shape, asked: vec![asked.to_owned()], batch: false, paid: false }
    }

    pub(crate) const fn batch(shape: Shape, asked: Vec<String>) -> Self {
        Self { shape, asked, batch: true, paid: false }
    }

    pub(crate) fn paid(self, paid: bool) -> Self {
        Self { paid, ..self }
    }
}

/// What `request` (its path without the provider's prefix) asks `provider`, or how that one refuses it.
pub(crate) fn understand(provider: ProviderName, request: &Request) -> Result<Question, Response> {
    match provider {
        ProviderName::IpApi => ip_api::understand(request),
        ProviderName::Ipinfo => ipinfo::understand(request, Shape::IpinfoLegacy),
        ProviderName::IpinfoLite => ipinfo::understand(request, Shape::IpinfoLite),
        ProviderName::Freeipapi => freeipapi::understand(request),
        ProviderName::Ipgeolocation => ipgeolocation::understand(request),
        ProviderName::Ipwhois => ipwhois::understand(request),
        ProviderName::Maxmind => maxmind::understand(request),
        _ => custom::understand(request),
    }
}

/// The answer in the shape that was asked for.
pub(crate) fn render(question: &Question, entries: &[Entry]) -> Response {
    let batch = question.batch;
    match question.shape {
        Shape::IpApi { fields } => ip_api::render(fields, entries, batch),
        Shape::IpinfoLegacy => ipinfo::render(ipinfo::Plan::Legacy, entries, batch),
        Shape::IpinfoLite => ipinfo::render(ipinfo::Plan::Lite, entries, batch),
        Shape::IpinfoCore => ipinfo::render(ipinfo::Plan::Core, entries, batch),
        Shape::Freeipapi => freeipapi::render(entries),
        Shape::IpgeolocationV3 => ipgeolocation::render(false, entries, batch),
        Shape::IpgeolocationLegacy => ipgeolocation::render(true, entries, batch),
        Shape::Ipwhois => ipwhois::render(entries, batch),
        Shape::Maxmind => maxmind::render(entries),
        Shape::Custom => custom::render(entries, batch),
    }
}

/// How `provider` refuses for want of quota, which comes back after `resets_in`.
pub(crate) fn rate_limited(provider: ProviderName, resets_in: Duration) -> Response {
    let seconds = resets_in.as_secs().max(1).to_string();
    match provider {
        ProviderName::IpApi => ip_api::rate_limited(resets_in),
        ProviderName::Ipinfo | ProviderName::IpinfoLite => ipinfo::rate_limited(),
        ProviderName::Freeipapi => freeipapi::rate_limited(),
        ProviderName::Ipgeolocation => ipgeolocation::rate_limited(),
        ProviderName::Ipwhois => ipwhois::rate_limited().with_header("Retry-After", seconds),
        ProviderName::Maxmind => maxmind::rate_limited(),
        _ => custom::rate_limited().with_header("Retry-After", seconds),
    }
}

/// How `provider` refuses a key.
pub(crate) fn key_rejected(provider: ProviderName) -> Response {
    match provider {
        ProviderName::IpApi => ip_api::key_rejected(),
        ProviderName::Ipinfo | ProviderName::IpinfoLite => ipinfo::key_rejected(),
        ProviderName::Ipgeolocation => ipgeolocation::key_rejected(),
        ProviderName::Ipwhois => ipwhois::key_rejected(),
        ProviderName::Maxmind => maxmind::key_rejected(),
        _ => custom::key_rejected(),
    }
}

/// How `provider` tells of a failure with status 200; those that never do answer as ipwho.is does.
pub(crate) fn ok_with_error(provider: ProviderName) -> Response {
    match provider {
        ProviderName::IpApi => ip_api::ok_with_error(),
        ProviderName::Ipinfo | ProviderName::IpinfoLite => ipinfo::ok_with_error(),
        ProviderName::Ipgeolocation => ipgeolocation::ok_with_error(),
        ProviderName::Maxmind => maxmind::ok_with_error(),
        _ => ipwhois::ok_with_error(),
    }
}

/// How `provider` adds to an answer what is left of its limits.
pub(crate) fn with_quota(
    provider: ProviderName,
    response: Response,
    left: u32,
    resets_in: Duration,
) -> Response {
    match provider {
        // Whole seconds, rounded down: what nobody documents is taken at its worst.
        ProviderName::IpApi => response
            .with_header("X-Rl", left.to_string())
            .with_header("X-Ttl", resets_in.as_secs().to_string()),
        _ => response,
    }
}

/// How `provider` answers who is banned.
pub(crate) fn banned() -> Response {
    Response::of(
        403,
        "text/html",
        "<html><head><title>403 Forbidden</title></head><body>banned</body></html>\n",
    )
}

/// A path that this provider does not serve.
fn no_such_path() -> Response {
    Response::of(404, "text/html", "<html><head><title>404 Not Found</title></head></html>\n")
}

/// A list of addresses, each as text or under `name` in an object.
fn list(body: &[u8], name: &str) -> Option<Vec<String>> {
    let items: Vec<serde_json::Value> = serde_json::from_slice(body).ok()?;
    items
        .into_iter()
        .map(|item| match item {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Object(mut object) => {
                object.remove(name).and_then(|value| value.as_str().map(str::to_owned))
            }
            _ => None,
        })
        .collect()
}

/// Whether a key is one that the stand-in refuses, so that a person can see that too.
fn is_refused(key: &str) -> bool {
    key.is_empty() || key.starts_with("bad")
}
