//! ipgeolocation.io: a thousand addresses a day with a free key; many at once for those who pay.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Address, LimitWindow, ProviderName, UnlocatedReason};
use http::StatusCode;
use serde::Serialize;
use url::Url;

use super::{
    configuration::{ConfigError, Key, ProviderConfig, addresses},
    json::{Json, malformed},
    reply::{Answers, Patience, in_order, message, refusal},
    service::{Protocol, Service, below, get, post, the_one},
};
use crate::{
    Answer, Credit, LookupError,
    online::{
        Endpoint, HttpRequest, OnlineProvider, Refusal,
        judge::{OnlineRecord, judge, numbered_name, same_address},
    },
};

const NAME: ProviderName = ProviderName::Ipgeolocation;
const PLANS: [&str; 3] = ["v3", "legacy", "paid"];

/// The free plans ask for a link.
const CREDIT: Credit =
    Credit { text: "IP geolocation by ipgeolocation.io", url: "https://ipgeolocation.io", license: None };

/// It takes 50,000 at once; an answer of this many stays small enough to be held.
const BATCH: u32 = 1_000;

/// The provider: `v3` without a plan.
pub fn provider(config: &ProviderConfig) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    let plan = match config.plan_among(NAME, &PLANS)? {
        0 => Plan::Free,
        1 => Plan::Legacy,
        _ => Plan::Paid,
    };
    let key = config.required_key(NAME)?;
    let spacing = Duration::from_millis(100);
    let daily = addresses("addresses a day", 1_000, LimitWindow::Day, spacing);
    let limits = match plan {
        Plan::Free => vec![daily],
        Plan::Legacy => vec![daily, addresses("addresses a month", 30_000, LimitWindow::Month, spacing)],
        Plan::Paid => vec![addresses("addresses a month", 150_000, LimitWindow::Month, spacing)],
    };
    let mut endpoints = vec![Endpoint { name: "single", batch: 1, limits: limits.clone() }];
    if plan == Plan::Paid {
        endpoints.insert(0, Endpoint { name: "batch", batch: BATCH, limits });
    }
    Ok(Service {
        name: NAME,
        base_url: config.base(NAME, "https://api.ipgeolocation.io/")?,
        endpoints: config.limit(NAME, endpoints)?,
        patience: Patience::DAYS,
        terms: "A free key has 1,000 addresses a day. Its terms want a link and bound how long answers are kept.",
        credit: (plan != Plan::Paid).then_some(CREDIT),
        protocol: Ipgeolocation { plan, key: key.clone() },
        key: Some(key),
    }
    .shared())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    Free,
    Legacy,
    Paid,
}

struct Ipgeolocation {
    plan: Plan,
    key: Key,
}

#[derive(Serialize)]
struct Batch<'asked> {
    ips: &'asked [Address],
}

impl Protocol for Ipgeolocation {
    fn request(&self, base: &Url, endpoint: &Endpoint, addresses: &[Address]) -> HttpRequest {
        // It takes its key in the query alone.
        let mut query = vec![("apiKey", self.key.expose())];
        if self.plan != Plan::Legacy {
            query.push(("fields", "location,asn,time_zone"));
        }
        if endpoint.batch > 1 {
            let url = below(base, &["v3", "ipgeo-bulk"], &query);
            return post(url, Vec::new(), &Batch { ips: addresses }, addresses.len());
        }
        let address = the_one(addresses);
        query.push(("ip", &address));
        let path: &[&str] = if self.plan == Plan::Legacy { &["ipgeo"] } else { &["v3", "ipgeo"] };
        get(below(base, path, &query), Vec::new(), 1)
    }

    fn read(
        &self,
        endpoint: &Endpoint,
        asked: &[Address],
        status: StatusCode,
        body: Result<&Json, String>,
    ) -> Result<Answers, Refusal> {
        let known = body.as_ref().ok().copied();
        if endpoint.batch == 1
            && let Some(said) = known.and_then(message)
        {
            match status.as_u16() {
                // A bogon, or an address that is not in its database.
                404 | 423 => return Ok(vec![Ok(Answer::Miss(UnlocatedReason::NoRecord))]),
                400 => return Ok(vec![Err(malformed(said))]),
                _ => {}
            }
        }
        if let Some(refusal) = refusal(status, known) {
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
    if *body.get("ip") == Json::Null
        && let Some(said) = message(body)
    {
        let unknown =
            ["bogon", "private", "reserved", "not exist", "not found"].iter().any(|word| said.contains(word));
        return if unknown { Ok(Answer::Miss(UnlocatedReason::NoRecord)) } else { Err(malformed(said)) };
    }
    same_address(asked, body.text("ip")?)?;
    // The newer answers have parts, the older ones are flat.
    let place = if *body.get("location") == Json::Null { body } else { body.part("location")? };
    let (network, zone) = (body.part("asn")?, body.part("time_zone")?);
    judge(
        NAME,
        &OnlineRecord {
            latitude: place.number("latitude")?,
            longitude: place.number("longitude")?,
            city: place.text("city")?,
            region: place.text("state_prov")?,
            country_code: place.text("country_code2")?,
            country: place.text("country_name")?,
            timezone: zone.text("name")?,
            asn: numbered_name(network.text("as_number")?).0,
            as_organization: network.text("organization")?,
            organization: body.text("organization")?,
            isp: body.text("isp")?,
            accuracy_km: place.number("accuracy_radius")?,
        },
    )
}
