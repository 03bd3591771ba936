//! MaxMind's web services: `GeoLite` is free, `GeoIP` City is paid by the query.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hostatlas_domain::{Address, LimitWindow, ProviderName, UnlocatedReason};
use http::{HeaderName, HeaderValue, StatusCode, header};
use url::Url;

use super::{
    configuration::{ConfigError, ProviderConfig, addresses, sensitive},
    json::{Json, malformed},
    reply::{Answers, Patience, message, refusal},
    service::{Protocol, Service, below, get, the_one},
};
use crate::{
    Answer, LookupError,
    credit::GEOLITE,
    online::{
        Endpoint, HttpRequest, OnlineProvider, Refusal,
        judge::{OnlineRecord, judge, same_address, system_number},
    },
};

const NAME: ProviderName = ProviderName::Maxmind;
const PLANS: [&str; 2] = ["geolite", "city"];

/// The provider: `geolite` without a plan.
pub fn provider(config: &ProviderConfig) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    let spacing = Duration::from_millis(50);
    let free = config.plan_among(NAME, &PLANS)? == 0;
    let (published, permits) = if free {
        ("https://geolite.info/", 1_000)
    } else {
        // No limit but the credit; a bound that an operator notices before the bill.
        ("https://geoip.maxmind.com/", 100_000)
    };
    let key = config.required_key(NAME)?;
    let account = config.required_account(NAME)?;
    let credentials = STANDARD.encode(format!("{account}:{}", key.expose()));
    let authorization = sensitive(NAME, &format!("Basic {credentials}"))?;
    let daily = addresses("lookups a day", permits, LimitWindow::Day, spacing);
    Ok(Service {
        name: NAME,
        base_url: config.base(NAME, published)?,
        endpoints: config.limit(NAME, vec![Endpoint { name: "single", batch: 1, limits: vec![daily] }])?,
        patience: Patience::DAYS,
        terms: "MaxMind's licence: not to identify persons or households, and old answers are not kept.",
        credit: free.then_some(GEOLITE),
        protocol: Maxmind { authorization: (header::AUTHORIZATION, authorization) },
        key: Some(key),
    }
    .shared())
}

struct Maxmind {
    authorization: (HeaderName, HeaderValue),
}

impl Protocol for Maxmind {
    fn request(&self, base: &Url, _endpoint: &Endpoint, addresses: &[Address]) -> HttpRequest {
        let url = below(base, &["geoip", "v2.1", "city", &the_one(addresses)], &[]);
        get(url, vec![self.authorization.clone()], 1)
    }

    fn read(
        &self,
        _endpoint: &Endpoint,
        asked: &[Address],
        status: StatusCode,
        body: Result<&Json, String>,
    ) -> Result<Answers, Refusal> {
        let known = body.as_ref().ok().copied();
        let code = known.and_then(|body| body.get("code").as_text());
        match (status.as_u16(), code) {
            (404, Some("IP_ADDRESS_NOT_FOUND")) | (400, Some("IP_ADDRESS_RESERVED")) => {
                return Ok(vec![Ok(Answer::Miss(UnlocatedReason::NoRecord))]);
            }
            (400, Some("IP_ADDRESS_INVALID" | "IP_ADDRESS_REQUIRED")) => {
                let said = known.and_then(message).unwrap_or_else(|| "the address was refused".to_owned());
                return Ok(vec![Err(malformed(said))]);
            }
            _ => {}
        }
        if let Some(refusal) = refusal(status, known) {
            return Err(refusal);
        }
        let body = body.map_err(Refusal::Malformed)?;
        Ok(asked.iter().map(|&address| item(body, address)).collect())
    }
}

fn item(body: &Json, asked: Address) -> Result<Answer, LookupError> {
    let body = body.object()?;
    let (traits, location) = (body.part("traits")?, body.part("location")?);
    same_address(asked, traits.text("ip_address")?)?;
    let country = body.part("country")?;
    judge(
        NAME,
        &OnlineRecord {
            latitude: location.number("latitude")?,
            longitude: location.number("longitude")?,
            city: name(body.part("city")?)?,
            region: name(body.at("/subdivisions/0"))?,
            country_code: country.text("iso_code")?,
            country: name(country)?,
            timezone: location.text("time_zone")?,
            asn: system_number(traits.number("autonomous_system_number")?),
            as_organization: traits.text("autonomous_system_organization")?,
            organization: traits.text("organization")?,
            isp: traits.text("isp")?,
            accuracy_km: location.number("accuracy_radius")?,
        },
    )
}

/// The English of names by language.
fn name(named: &Json) -> Result<Option<&str>, LookupError> {
    named.part("names")?.text("en")
}
