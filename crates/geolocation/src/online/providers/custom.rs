//! A service that the operator describes: where it is asked, and where in its answers the facts stand.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use hostatlas_domain::{Address, Asn, Limit, LimitUnit, LimitWindow, ProviderName, UnlocatedReason};
use http::{HeaderName, HeaderValue, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{
    configuration::{
        ConfigError, Key, ProviderConfig, check_limit, checked_url, refuse_clear_text, sensitive,
    },
    json::{Json, malformed, number},
    reply::{Answers, Patience, by_key, in_order, message, refusal, shown},
    service::{Protocol, Service, get, post, the_one},
};
use crate::{
    Answer, LookupError,
    online::{
        Endpoint, HttpRequest, OnlineProvider, Refusal,
        judge::{OnlineRecord, judge, numbered_name, same_address, system_number},
    },
};

/// Stands for the address in a URL.
const ADDRESS: &str = "{ip}";
/// Stands for the key in a URL or header.
const KEY: &str = "{key}";
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
    /// What the service allows; one call a second unless given.
    pub limits: Vec<CustomLimit>,
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
    pub limits: Vec<CustomLimit>,
}

/// One limit of a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomLimit {
    /// In a few words: `lookups a minute`. Limits of the same name are one count.
    pub name: String,
    /// How many in a window; at least 1.
    pub permits: u32,
    /// How long a window is.
    pub window: CustomWindow,
    /// What is counted: `calls` unless `addresses`.
    #[serde(default = "calls")]
    pub unit: LimitUnit,
    /// Shortest time between two calls, in milliseconds.
    #[serde(default)]
    pub spacing_ms: u32,
}

/// Which time a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomWindow {
    /// From the first call on.
    Second,
    /// From the first call on.
    Minute,
    /// From the first call on.
    Hour,
    /// A calendar day in UTC.
    Day,
    /// A calendar month in UTC.
    Month,
}

const fn calls() -> LimitUnit {
    LimitUnit::Calls
}

impl From<CustomLimit> for Limit {
    fn from(limit: CustomLimit) -> Self {
        let CustomLimit { name, permits, window, unit, spacing_ms } = limit;
        let window = match window {
            CustomWindow::Second => LimitWindow::Rolling(Duration::from_secs(1)),
            CustomWindow::Minute => LimitWindow::Rolling(Duration::from_mins(1)),
            CustomWindow::Hour => LimitWindow::Rolling(Duration::from_hours(1)),
            CustomWindow::Day => LimitWindow::Day,
            CustomWindow::Month => LimitWindow::Month,
        };
        let spacing = Duration::from_millis(u64::from(spacing_ms));
        Self { name: name.into(), unit, permits, window, spacing }
    }
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

/// The service that `config` describes, under one of the names `custom-1` to `custom-4`.
///
/// ```
/// use hostatlas_domain::ProviderName;
/// use hostatlas_geolocation::online::{CustomConfig, custom};
///
/// let config: CustomConfig = serde_json::from_str(
///     r#"{"url": "https://geo.example/v1/{ip}", "fields": {"latitude": "/lat", "longitude": "/lon"}}"#,
/// )
/// .unwrap();
/// let service = custom(ProviderName::Custom1, config).unwrap();
/// assert_eq!(service.base_url().as_str(), "https://geo.example/");
/// ```
pub fn custom(name: ProviderName, config: CustomConfig) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    use ProviderName::{Custom1, Custom2, Custom3, Custom4};
    if !matches!(name, Custom1 | Custom2 | Custom3 | Custom4) {
        return Err(ConfigError::NotOnline(name));
    }
    if config.url.is_empty() {
        return Err(ConfigError::Undescribed(name));
    }
    let CustomConfig { url, key, headers, fields, failure, batch, limits } = config;
    let key = ProviderConfig { key, ..ProviderConfig::default() }.usable_key();
    check_fields(name, &fields)?;
    check_failure(name, &failure)?;
    let single = Template::new(name, "url", &url, key.as_ref(), true)?;
    let mut base_url = single.url("192.0.2.1");
    base_url.set_path("/");
    base_url.set_query(None);

    let limits = checked_limits(name, "limits", limits)?.unwrap_or_else(|| {
        vec![super::configuration::a_minute("calls a minute", 60, Duration::from_secs(1))]
    });
    let mut endpoints = Vec::new();
    let batch = match batch {
        None => None,
        Some(batch) => {
            check_batch(name, &batch)?;
            let own = checked_limits(name, "batch.limits", batch.limits.clone())?;
            let limits = own.unwrap_or_else(|| limits.clone());
            endpoints.push(Endpoint { name: "batch", batch: batch.size, limits });
            Some((Template::new(name, "batch.url", &batch.url, key.as_ref(), false)?, batch))
        }
    };
    let by_day = limits.iter().any(|limit| !matches!(limit.window, LimitWindow::Rolling(_)));
    endpoints.push(Endpoint { name: "single", batch: 1, limits });
    Ok(Service {
        name,
        base_url,
        endpoints,
        patience: if by_day { Patience::DAYS } else { Patience::MINUTES },
        terms: "A service that the operator described.",
        protocol: Custom {
            name,
            headers: checked_headers(name, headers, key.as_ref())?,
            single,
            batch,
            fields,
            failure,
        },
        key,
    }
    .shared())
}

struct Custom {
    name: ProviderName,
    headers: Vec<(HeaderName, HeaderValue)>,
    single: Template,
    batch: Option<(Template, CustomBatch)>,
    fields: CustomFields,
    failure: CustomFailure,
}

impl Protocol for Custom {
    fn request(&self, _base: &Url, endpoint: &Endpoint, addresses: &[Address]) -> HttpRequest {
        match &self.batch {
            Some((template, batch)) if endpoint.batch > 1 => {
                let (url, headers) = (template.url(""), self.headers.clone());
                match &batch.under {
                    None => post(url, headers, &addresses, addresses.len()),
                    Some(under) => post(url, headers, &BTreeMap::from([(under, addresses)]), addresses.len()),
                }
            }
            _ => get(self.single.url(&the_one(addresses)), self.headers.clone(), 1),
        }
    }

    fn read(
        &self,
        endpoint: &Endpoint,
        asked: &[Address],
        status: StatusCode,
        body: Result<&Json, String>,
    ) -> Result<Answers, Refusal> {
        if endpoint.batch == 1 && self.failure.unknown_statuses.contains(&status.as_u16()) {
            return Ok(vec![Ok(Answer::Miss(UnlocatedReason::NoRecord))]);
        }
        if let Some(refusal) = refusal(status, body.as_ref().ok().copied()) {
            return Err(refusal);
        }
        let body = body.map_err(Refusal::Malformed)?;
        let item = |body: &Json, address: Address| self.item(body, address);
        match &self.batch {
            Some((_, batch)) if endpoint.batch > 1 => {
                let answers = body.at(batch.answers.as_deref().unwrap_or_default());
                if batch.keyed { by_key(answers, "", asked, item) } else { in_order(answers, asked, item) }
            }
            _ => Ok(asked.iter().map(|&address| item(body, address)).collect()),
        }
    }
}

impl Custom {
    fn item(&self, body: &Json, asked: Address) -> Result<Answer, LookupError> {
        let body = body.object()?;
        if let Some(said) = self.failed(body) {
            let unknown = self.failure.unknown.iter().any(|reason| *reason == said);
            return if unknown { Ok(Answer::Miss(UnlocatedReason::NoRecord)) } else { Err(malformed(said)) };
        }
        let fields = &self.fields;
        if let Some(pointer) = &fields.address {
            same_address(asked, body.at(pointer).read_text(pointer)?)?;
        }
        let text = |pointer: &Option<String>| match pointer {
            Some(pointer) => body.at(pointer).read_text(pointer),
            None => Ok(None),
        };
        let degrees = |pointer: &Option<String>| match pointer {
            Some(pointer) => body.at(pointer).read_number(pointer),
            None => Ok(None),
        };
        let (mut latitude, mut longitude) = (degrees(&fields.latitude)?, degrees(&fields.longitude)?);
        if let Some(point) = text(&fields.point)?.filter(|point| !point.trim().is_empty()) {
            let (north, east) = point.split_once(',').unwrap_or((point, ""));
            let both = number(north.trim()).zip(number(east.trim()));
            let (north, east) = both.ok_or_else(|| malformed(format!("`{}` is no point", shown(point))))?;
            (latitude, longitude) = (Some(north), Some(east));
        }
        let (asn, holder) = system(body, fields.asn.as_deref())?;
        judge(
            self.name,
            &OnlineRecord {
                latitude,
                longitude,
                city: text(&fields.city)?,
                region: text(&fields.region)?,
                country_code: text(&fields.country_code)?,
                country: text(&fields.country)?,
                timezone: text(&fields.timezone)?,
                asn,
                as_organization: text(&fields.organization)?.or(holder),
                organization: None,
                isp: text(&fields.isp)?,
                accuracy_km: degrees(&fields.accuracy_km)?,
            },
        )
    }

    /// Why an answer is none, if it says so.
    fn failed(&self, body: &Json) -> Option<String> {
        let CustomFailure { at, is, unless, message: reason, .. } = &self.failure;
        let value = plain(body.at(at.as_deref()?));
        let failed = is.as_ref().is_some_and(|failure| value.as_ref() == Some(failure))
            || unless.as_ref().is_some_and(|success| value.as_ref() != Some(success));
        let said = || match reason {
            Some(pointer) => plain(body.at(pointer)).map(|text| shown(&text)),
            None => message(body),
        };
        failed.then(|| said().unwrap_or_else(|| "it failed without a reason".to_owned()))
    }
}

/// The autonomous system, as a number or as text.
fn system<'body>(
    body: &'body Json,
    pointer: Option<&str>,
) -> Result<(Option<Asn>, Option<&'body str>), LookupError> {
    let Some(pointer) = pointer else { return Ok((None, None)) };
    match body.at(pointer) {
        Json::Number(number) => Ok((system_number(Some(*number)), None)),
        value => Ok(numbered_name(value.read_text(pointer)?)),
    }
}

/// A value as the text that a configuration compares it with.
fn plain(value: &Json) -> Option<String> {
    match value {
        Json::Text(text) => Some(text.clone()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::List(_) | Json::Map(_) | Json::Ambiguous => None,
    }
}

/// A URL with places for the address and the key. Made only of text that is a URL with any address in it.
struct Template {
    text: String,
    /// The same for every address.
    checked: Url,
}

impl Template {
    fn new(
        provider: ProviderName,
        field: &str,
        template: &str,
        key: Option<&Key>,
        single: bool,
    ) -> Result<Self, ConfigError> {
        let problem = |problem: &str| error(provider, field, problem);
        if template.contains(ADDRESS) != single {
            return Err(problem(if single {
                "must have `{ip}` where the address goes"
            } else {
                "must not have `{ip}`: the addresses are sent in the body"
            }));
        }
        let text = match key {
            Some(key) => template.replace(KEY, &percent_encoded(key.expose())),
            None if template.contains(KEY) => return Err(problem("has `{key}`, but there is no key")),
            None => template.to_owned(),
        };
        let with =
            |address: &str| Url::parse(&text.replace(ADDRESS, address)).map_err(|_| problem("is no URL"));
        let (checked, other) = (checked_url(provider, with("192.0.2.1")?)?, with("2001:db8::1")?);
        if checked.origin() != other.origin() {
            return Err(problem("must not have `{ip}` in its host"));
        }
        if key.is_some() {
            refuse_clear_text(provider, &checked)?;
        }
        Ok(Self { text, checked })
    }

    fn url(&self, address: &str) -> Url {
        let mut url =
            Url::parse(&self.text.replace(ADDRESS, address)).unwrap_or_else(|_| self.checked.clone());
        url.set_fragment(None);
        url
    }
}

/// Text as it may stand in a path or a query alike.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

fn error(provider: ProviderName, field: &str, problem: &str) -> ConfigError {
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

fn check_fields(provider: ProviderName, fields: &CustomFields) -> Result<(), ConfigError> {
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

fn check_failure(provider: ProviderName, failure: &CustomFailure) -> Result<(), ConfigError> {
    check_pointer(provider, "failure.at", failure.at.as_ref())?;
    check_pointer(provider, "failure.message", failure.message.as_ref())?;
    let tells = failure.is.is_some() || failure.unless.is_some();
    match (&failure.at, tells) {
        (Some(_), false) => Err(error(provider, "failure", "must have `is` or `unless` beside `at`")),
        (None, true) => Err(error(provider, "failure.at", "must say where the value stands")),
        _ => Ok(()),
    }
}

fn check_batch(provider: ProviderName, batch: &CustomBatch) -> Result<(), ConfigError> {
    check_pointer(provider, "batch.answers", batch.answers.as_ref())?;
    if (2..=LARGEST_BATCH).contains(&batch.size) {
        return Ok(());
    }
    Err(error(provider, "batch.size", "must be 2 to 1,000"))
}

fn checked_limits(
    provider: ProviderName,
    field: &str,
    limits: Vec<CustomLimit>,
) -> Result<Option<Vec<Limit>>, ConfigError> {
    let limits: Vec<Limit> = limits.into_iter().map(Limit::from).collect();
    match limits.iter().find_map(|limit| check_limit(limit).err()) {
        Some(problem) => Err(error(provider, field, problem)),
        None => Ok((!limits.is_empty()).then_some(limits)),
    }
}

fn checked_headers(
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
