//! freeipapi.com: sixty addresses a minute for every server, one by one.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Address, ProviderName};
use http::{HeaderName, HeaderValue, StatusCode};
use url::Url;

use super::{
    configuration::{ConfigError, ProviderConfig, a_minute},
    ipinfo::bearer,
    json::Json,
    reply::{Answers, Patience, message, refusal},
    service::{Protocol, Service, below, get, the_one},
};
use crate::{
    Answer, LookupError,
    online::{
        Endpoint, HttpRequest, OnlineProvider, Refusal,
        judge::{OnlineRecord, judge, numbered_name, same_address},
    },
};

const NAME: ProviderName = ProviderName::Freeipapi;

/// The provider; the paid host if a key is set.
pub fn provider(config: &ProviderConfig) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    let key = config.usable_key();
    let published = if key.is_some() { "https://freeipapi.com/" } else { "https://free.freeipapi.com/" };
    // Evenly, and a little slower than once a second: no sixty seconds hold more than sixty calls.
    let lookups = a_minute("lookups a minute", 60, Duration::from_millis(1_005));
    Ok(Service {
        name: NAME,
        base_url: config.base(NAME, published)?,
        endpoints: config.limit(NAME, vec![Endpoint { name: "single", batch: 1, limits: vec![lookups] }])?,
        patience: Patience::MINUTES,
        terms: "Its limit counts for each server's address; a key raises it.",
        credit: None,
        protocol: Freeipapi { authorization: bearer(key.as_ref(), NAME)? },
        key,
    }
    .shared())
}

struct Freeipapi {
    authorization: Vec<(HeaderName, HeaderValue)>,
}

impl Protocol for Freeipapi {
    fn request(&self, base: &Url, _endpoint: &Endpoint, addresses: &[Address]) -> HttpRequest {
        get(below(base, &["api", "json", &the_one(addresses)], &[]), self.authorization.clone(), 1)
    }

    fn read(
        &self,
        _endpoint: &Endpoint,
        asked: &[Address],
        status: StatusCode,
        body: Result<&Json, String>,
    ) -> Result<Answers, Refusal> {
        if let Some(refusal) = refusal(status, body.as_ref().ok().copied()) {
            return Err(refusal);
        }
        let body = body.map_err(Refusal::Malformed)?;
        if *body.get("ipAddress") == Json::Null
            && let Some(said) = message(body)
        {
            return Err(Refusal::Malformed(said));
        }
        Ok(asked.iter().map(|&address| item(body, address)).collect())
    }
}

fn item(body: &Json, asked: Address) -> Result<Answer, LookupError> {
    let body = body.object()?;
    same_address(asked, body.text("ipAddress")?)?;
    // A country may have several zones, and nobody says which of them this is; the older shape names one.
    let timezone = match body.get("timeZones") {
        Json::List(zones) if zones.len() == 1 => zones[0].as_text(),
        _ => body.get("timeZone").as_text().filter(|zone| zone.contains('/')),
    };
    judge(
        NAME,
        &OnlineRecord {
            latitude: body.number("latitude")?,
            longitude: body.number("longitude")?,
            city: body.text("cityName")?,
            region: body.text("regionName")?,
            country_code: body.text("countryCode")?,
            country: body.text("countryName")?,
            timezone,
            asn: numbered_name(body.text("asn")?).0,
            as_organization: body.text("asnOrganization")?,
            ..OnlineRecord::default()
        },
    )
}
