//! ipwho.is and ipwhois.pro: about one address a second for non-commercial use, many at once for those who pay.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Address, ProviderName, UnlocatedReason};
use http::StatusCode;
use url::Url;

use super::{
    configuration::{ConfigError, Key, ProviderConfig, a_minute},
    json::{Json, malformed},
    reply::{Answers, Patience, in_order, message, refusal, shown},
    service::{Protocol, Service, below, get, the_one},
};
use crate::{
    Answer, LookupError,
    online::{
        Endpoint, HttpRequest, OnlineProvider, Refusal,
        judge::{OnlineRecord, judge, same_address, system_number},
    },
};

const NAME: ProviderName = ProviderName::Ipwhois;

/// The provider; the paid host if a key is set.
pub fn provider(config: &ProviderConfig) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    let key = config.usable_key();
    let single = |limit| Endpoint { name: "single", batch: 1, limits: vec![limit] };
    let (published, endpoints) = if key.is_some() {
        // It publishes no rate for those who pay; both are what one polite customer needs at most.
        let batches = a_minute("batches a minute", 600, Duration::from_millis(50));
        let lookups = a_minute("lookups a minute", 1_200, Duration::from_millis(50));
        let batch = Endpoint { name: "batch", batch: 100, limits: vec![batches] };
        ("https://ipwhois.pro/", vec![batch, single(lookups)])
    } else {
        ("https://ipwho.is/", vec![single(a_minute("lookups a minute", 60, Duration::from_millis(1_050)))])
    };
    Ok(Service {
        name: NAME,
        base_url: config.base(NAME, published)?,
        endpoints: config.limit(NAME, endpoints)?,
        patience: Patience::MINUTES,
        terms: "Without a key for non-commercial use only.",
        credit: None,
        protocol: Ipwhois { key: key.clone() },
        key,
    }
    .shared())
}

struct Ipwhois {
    key: Option<Key>,
}

impl Protocol for Ipwhois {
    fn request(&self, base: &Url, endpoint: &Endpoint, addresses: &[Address]) -> HttpRequest {
        // It takes its key in the query alone.
        let query: Vec<_> = self.key.iter().map(|key| ("key", key.expose())).collect();
        if endpoint.batch > 1 {
            let list: Vec<String> = addresses.iter().map(Address::to_string).collect();
            return get(below(base, &["bulk", &list.join(",")], &query), Vec::new(), addresses.len());
        }
        get(below(base, &[&the_one(addresses)], &query), Vec::new(), 1)
    }

    fn read(
        &self,
        endpoint: &Endpoint,
        asked: &[Address],
        status: StatusCode,
        body: Result<&Json, String>,
    ) -> Result<Answers, Refusal> {
        if let Some(refusal) = refusal(status, body.as_ref().ok().copied()) {
            return Err(refusal);
        }
        let body = body.map_err(Refusal::Malformed)?;
        // One object in place of a list, or one that names no address, is about the whole call.
        let whole = endpoint.batch > 1 || *body.get("ip") == Json::Null;
        if whole && *body.get("success") == Json::Bool(false) {
            return Err(failure(&message(body).unwrap_or_default()));
        }
        if endpoint.batch > 1 {
            return in_order(body, asked, item);
        }
        Ok(asked.iter().map(|&address| item(body, address)).collect())
    }
}

/// It says with 200 and a sentence what others say with a status.
fn failure(said: &str) -> Refusal {
    let lower = said.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if any(&["limit", "too many requests", "quota"]) {
        Refusal::RateLimited
    } else if any(&["key", "plan", "subscription", "not allowed", "denied"]) {
        Refusal::Rejected(shown(said))
    } else {
        Refusal::Malformed(if said.is_empty() {
            "it failed without a reason".to_owned()
        } else {
            shown(said)
        })
    }
}

fn item(body: &Json, asked: Address) -> Result<Answer, LookupError> {
    let body = body.object()?;
    same_address(asked, body.text("ip")?)?;
    match body.get("success") {
        Json::Bool(true) => {}
        Json::Bool(false) => {
            let said = message(body).unwrap_or_default();
            let unknown = ["reserved", "private"].iter().any(|word| said.to_lowercase().contains(word));
            return if unknown { Ok(Answer::Miss(UnlocatedReason::NoRecord)) } else { Err(malformed(said)) };
        }
        _ => return Err(malformed("the answer does not say whether it is one")),
    }
    let (network, zone) = (body.part("connection")?, body.part("timezone")?);
    judge(
        NAME,
        &OnlineRecord {
            latitude: body.number("latitude")?,
            longitude: body.number("longitude")?,
            city: body.text("city")?,
            region: body.text("region")?,
            country_code: body.text("country_code")?,
            country: body.text("country")?,
            timezone: zone.text("id")?,
            asn: system_number(network.number("asn")?),
            organization: network.text("org")?,
            isp: network.text("isp")?,
            ..OnlineRecord::default()
        },
    )
}
