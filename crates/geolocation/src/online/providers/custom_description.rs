//! How an operator describes a service, and what is refused of a description.

use std::{collections::BTreeMap, fmt, time::Duration};

use hostatlas_domain::{InvalidLimit, Limit, LimitUnit, LimitWindow, ProviderName};
use http::{HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    configuration::{ConfigError, Key, check_limit, sensitive},
    custom::KEY,
};

/// No batch is larger, so that an answer can be held.
const LARGEST_BATCH: u32 = 1_000;

/// A service that answers with JSON. Its `Debug` shows neither URL nor headers, where a key may stand.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomConfig {
    /// Where one address is asked about: `https://geo.example/v1/{ip}?token={key}`.
    pub url: String,
    /// What `{key}` stands for.
    pub key: Option<SecretString>,
    /// Sent with every request: `Authorization = "Bearer {key}"`. Prefer this to a key in the URL.
    pub headers: BTreeMap<String, String>,
    /// Where in an answer the facts stand.
    pub fields: CustomFields,
    /// How an answer says that it is none.
    pub failure: CustomFailure,
    /// How many addresses are asked about at once, if they can be.
    pub batch: Option<CustomBatch>,
    /// What the service allows, each as in `60 lookups/min`; one call a second unless given. A table in place of the text
    /// can also say `spacing_ms`, the shortest time between two calls.
    #[serde(deserialize_with = "limits")]
    pub limits: Vec<Limit>,
}

/// JSON pointers (`/location/lat`) to the facts of one answer. Needed are a point, or a country.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomFields {
    /// The address that the answer is about. Without it, an answer about another address cannot be told.
    pub address: Option<String>,
    /// Degrees north, a number or text that is one.
    pub latitude: Option<String>,
    /// Degrees east.
    pub longitude: Option<String>,
    /// Both in one text: `37.4056,-122.0775`.
    pub point: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Region, state or province.
    pub region: Option<String>,
    /// ISO 3166-1 alpha-2 code of the country.
    pub country_code: Option<String>,
    /// English name of the country.
    pub country: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// Number of the autonomous system, a number or text: `15169`, `AS15169`, `AS15169 Google LLC`.
    pub asn: Option<String>,
    /// Its holder.
    pub organization: Option<String>,
    /// Access provider.
    pub isp: Option<String>,
    /// Accuracy radius in kilometres.
    pub accuracy_km: Option<String>,
}

/// How an answer with status 200 says that it is none, and which failures are about the address alone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomFailure {
    /// Pointer to the value that tells.
    pub at: Option<String>,
    /// It failed if the value, as text, is this.
    pub is: Option<String>,
    /// It failed unless the value, as text, is this.
    pub unless: Option<String>,
    /// Pointer to the reason.
    pub message: Option<String>,
    /// Reasons that mean: this address is not known.
    pub unknown: Vec<String>,
    /// Statuses that mean so, of a request about one address: `[404]`.
    pub unknown_statuses: Vec<u16>,
}

/// Many addresses at once: a POST of a JSON array.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomBatch {
    /// Where.
    pub url: String,
    /// How many addresses at most, 2 to 1,000.
    pub size: u32,
    /// The array is sent under this key of an object; alone without one.
    pub under: Option<String>,
    /// Pointer to the answers; the whole body without one.
    pub answers: Option<String>,
    /// The answers are an object with the addresses as keys, in place of an array in their order.
    pub keyed: bool,
    /// What the service allows of batches; the same limits as for single addresses unless given.
    #[serde(deserialize_with = "limits")]
    pub limits: Vec<Limit>,
}

/// A limit as a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitTable {
    /// In a few words: `lookups a minute`. Limits of the same name are one count.
    name: String,
    /// How many in a window; at least 1.
    permits: u32,
    /// How long a window is.
    window: WindowName,
    /// What is counted: `calls` unless `addresses`.
    #[serde(default = "calls")]
    unit: LimitUnit,
    /// Shortest time between two calls, in milliseconds.
    #[serde(default)]
    spacing_ms: u32,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WindowName {
    Second,
    Minute,
    Hour,
    Day,
    Month,
}

const fn calls() -> LimitUnit {
    LimitUnit::Calls
}

impl From<LimitTable> for Limit {
    fn from(table: LimitTable) -> Self {
        let LimitTable { name, permits, window, unit, spacing_ms } = table;
        let window = match window {
            WindowName::Second => LimitWindow::Rolling(Duration::from_secs(1)),
            WindowName::Minute => LimitWindow::Rolling(Duration::from_mins(1)),
            WindowName::Hour => LimitWindow::Rolling(Duration::from_hours(1)),
            WindowName::Day => LimitWindow::Day,
            WindowName::Month => LimitWindow::Month,
        };
        let spacing = Duration::from_millis(u64::from(spacing_ms));
        Self { name: name.into(), unit, permits, window, spacing }
    }
}

/// A limit in either form. Not an untagged enum: that would not say what is wrong.
struct Written(Limit);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;

        impl<'de> Visitor<'de> for Reads {
            type Value = Written;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a limit as in `60 lookups/min`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
                text.parse()
                    .map(Written)
                    .map_err(|error| E::custom(format!("{error}: {}", InvalidLimit::HINT)))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Written, A::Error> {
                LimitTable::deserialize(MapAccessDeserializer::new(table)).map(|table| Written(table.into()))
            }
        }
        deserializer.deserialize_any(Reads)
    }
}

fn limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Limit>, D::Error> {
    let written: Vec<Written> = Vec::deserialize(deserializer)?;
    Ok(written.into_iter().map(|Written(limit)| limit).collect())
}

impl fmt::Debug for CustomConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fields, failure, batch, limits, .. } = self;
        formatter
            .debug_struct("CustomConfig")
            .field("fields", fields)
            .field("failure", failure)
            .field("batch", batch)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CustomBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, under, answers, keyed, limits, .. } = self;
        formatter
            .debug_struct("CustomBatch")
            .field("size", size)
            .field("under", under)
            .field("answers", answers)
            .field("keyed", keyed)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}

pub(super) fn error(provider: ProviderName, field: &str, problem: &str) -> ConfigError {
    ConfigError::Field { provider, field: field.to_owned(), problem: problem.to_owned() }
}

fn check_pointer(provider: ProviderName, field: &str, pointer: Option<&String>) -> Result<(), ConfigError> {
    match pointer {
        Some(pointer) if !pointer.starts_with('/') => {
            Err(error(provider, field, "must be a JSON pointer, which begins with `/`"))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_fields(provider: ProviderName, fields: &CustomFields) -> Result<(), ConfigError> {
    let named = [
        ("address", &fields.address),
        ("latitude", &fields.latitude),
        ("longitude", &fields.longitude),
        ("point", &fields.point),
        ("city", &fields.city),
        ("region", &fields.region),
        ("country_code", &fields.country_code),
        ("country", &fields.country),
        ("timezone", &fields.timezone),
        ("asn", &fields.asn),
        ("organization", &fields.organization),
        ("isp", &fields.isp),
        ("accuracy_km", &fields.accuracy_km),
    ];
    for (name, pointer) in named {
        check_pointer(provider, &format!("fields.{name}"), pointer.as_ref())?;
    }
    let missing = |field, other| error(provider, field, &format!("is missing, while `{other}` is there"));
    match (&fields.latitude, &fields.longitude) {
        (Some(_), None) => Err(missing("fields.longitude", "fields.latitude")),
        (None, Some(_)) => Err(missing("fields.latitude", "fields.longitude")),
        (None, None)
            if fields.point.is_none() && fields.country.is_none() && fields.country_code.is_none() =>
        {
            Err(error(provider, "fields", "must say where a point or a country stands"))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_failure(provider: ProviderName, failure: &CustomFailure) -> Result<(), ConfigError> {
    check_pointer(provider, "failure.at", failure.at.as_ref())?;
    check_pointer(provider, "failure.message", failure.message.as_ref())?;
    let tells = failure.is.is_some() || failure.unless.is_some();
    match (&failure.at, tells) {
        (Some(_), false) => Err(error(provider, "failure", "must have `is` or `unless` beside `at`")),
        (None, true) => Err(error(provider, "failure.at", "must say where the value stands")),
        _ => Ok(()),
    }
}

pub(super) fn check_batch(provider: ProviderName, batch: &CustomBatch) -> Result<(), ConfigError> {
    check_pointer(provider, "batch.answers", batch.answers.as_ref())?;
    if (2..=LARGEST_BATCH).contains(&batch.size) {
        return Ok(());
    }
    Err(error(provider, "batch.size", "must be 2 to 1,000"))
}

pub(super) fn checked_limits(
    provider: ProviderName,
    field: &str,
    limits: Vec<Limit>,
) -> Result<Option<Vec<Limit>>, ConfigError> {
    if limits.iter().any(Limit::is_unlimited) {
        return Ok(Some(Vec::new()));
    }
    match limits.iter().find_map(|limit| check_limit(limit).err()) {
        Some(problem) => Err(error(provider, field, problem)),
        None => Ok((!limits.is_empty()).then_some(limits)),
    }
}

pub(super) fn checked_headers(
    provider: ProviderName,
    headers: BTreeMap<String, String>,
    key: Option<&Key>,
) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
    headers
        .into_iter()
        .map(|(name, template)| {
            let field = format!("headers.{}", hostatlas_domain::sanitize(&name, 64));
            let header: HeaderName =
                name.parse().map_err(|_| error(provider, &field, "is no name that a header can have"))?;
            let value = match key {
                Some(key) => template.replace(KEY, key.expose()),
                None if template.contains(KEY) => {
                    return Err(error(provider, &field, "has `{key}`, but there is no key"));
                }
                None => template,
            };
            // Every header that an operator sets may hold a secret, written out or as the key.
            Ok((header, sensitive(provider, &value)?))
        })
        .collect()
}
