//! ip-api.com. Without a key it is http only and for non-commercial use; it bans those that go on over its limits.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Address, ProviderName, UnlocatedReason};
use http::StatusCode;
use url::Url;

use super::{
    configuration::{ConfigError, Key, ProviderConfig, a_minute},
    json::{Json, malformed},
    reply::{Answers, Patience, in_order, message, refusal, shown},
    service::{Protocol, Service, below, get, post, the_one},
};
use crate::{
    Answer, LookupError,
    online::{
        Endpoint, HttpRequest, OnlineProvider, Refusal,
        judge::{OnlineRecord, judge, numbered_name, same_address},
    },
};

const NAME: ProviderName = ProviderName::IpApi;
const FREE: &str = "http://ip-api.com/";
const PAID: &str = "https://pro.ip-api.com/";
const FIELDS: &str = "status,message,query,country,countryCode,regionName,city,lat,lon,timezone,isp,org,as";

/// The provider; the paid one if a key is set.
pub fn provider(config: &ProviderConfig) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    let key = config.usable_key();
    let base_url = config.base(NAME, if key.is_some() { PAID } else { FREE })?;
    let (batches, lookups) = match key {
        None => (
            a_minute("batches a minute", 15, Duration::from_secs(1)),
            a_minute("lookups a minute", 45, Duration::from_millis(250)),
        ),
        // The paid service publishes no limit; this is what one polite customer needs at most.
        Some(_) => (
            a_minute("batches a minute", 600, Duration::from_millis(50)),
            a_minute("lookups a minute", 3_000, Duration::from_millis(20)),
        ),
    };
    let endpoints = vec![
        Endpoint { name: "batch", batch: 100, limits: vec![batches] },
        Endpoint { name: "single", batch: 1, limits: vec![lookups] },
    ];
    Ok(Service {
        name: NAME,
        base_url,
        endpoints: config.limit(NAME, endpoints)?,
        patience: Patience::MINUTES,
        terms: "Without a key for non-commercial use only, and addresses travel in clear text. Bans those that go \
                on over its limits.",
        credit: None,
        protocol: IpApi { key: key.clone() },
        key,
    }
    .shared())
}

struct IpApi {
    key: Option<Key>,
}

impl Protocol for IpApi {
    fn request(&self, base: &Url, endpoint: &Endpoint, addresses: &[Address]) -> HttpRequest {
        let mut query = vec![("fields", FIELDS), ("lang", "en")];
        // It takes its key in the query alone.
        query.extend(self.key.as_ref().map(|key| ("key", key.expose())));
        if endpoint.batch > 1 {
            return post(below(base, &["batch"], &query), Vec::new(), &addresses, addresses.len());
        }
        get(below(base, &["json", &the_one(addresses)], &query), Vec::new(), 1)
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
        if endpoint.batch > 1 {
            return in_order(body, asked, item);
        }
        Ok(asked.iter().map(|&address| item(body, address)).collect())
    }
}

fn item(body: &Json, asked: Address) -> Result<Answer, LookupError> {
    let body = body.object()?;
    same_address(asked, body.text("query")?)?;
    match body.text("status")? {
        Some("success") => {}
        Some("fail") => {
            return match body.text("message")? {
                Some("private range" | "reserved range") => Ok(Answer::Miss(UnlocatedReason::NoRecord)),
                _ => Err(malformed(message(body).unwrap_or_else(|| "it failed without a reason".to_owned()))),
            };
        }
        Some(status) => return Err(malformed(format!("unknown status `{}`", shown(status)))),
        None => return Err(malformed("the answer has no status")),
    }
    let (asn, holder) = numbered_name(body.text("as")?);
    judge(
        NAME,
        &OnlineRecord {
            latitude: body.number("lat")?,
            longitude: body.number("lon")?,
            city: body.text("city")?,
            region: body.text("regionName")?,
            country_code: body.text("countryCode")?,
            country: body.text("country")?,
            timezone: body.text("timezone")?,
            asn,
            as_organization: holder,
            organization: body.text("org")?,
            isp: body.text("isp")?,
            accuracy_km: None,
        },
    )
}
