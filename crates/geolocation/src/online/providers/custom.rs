//! A service that the operator describes: where it is asked, and where in its answers the facts stand.

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};

use hostatlas_domain::{Address, Asn, LimitWindow, ProviderName, UnlocatedReason};
use http::{HeaderName, HeaderValue, StatusCode};
use url::Url;

use super::{
    configuration::{ConfigError, Key, ProviderConfig, a_minute, checked_url, refuse_clear_text},
    custom_description::{
        CustomBatch, CustomConfig, CustomFailure, CustomFields, check_batch, check_failure, check_fields,
        checked_headers, checked_limits, error,
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
pub(super) const KEY: &str = "{key}";
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

    let limits = checked_limits(name, "limits", limits)?
        .unwrap_or_else(|| vec![a_minute("calls a minute", 60, Duration::from_secs(1))]);
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
        credit: None,
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
            let unknown = self.failure.unknown.contains(&said);
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
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
