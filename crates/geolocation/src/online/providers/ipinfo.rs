//! ipinfo.io with coordinates: the legacy service, free within a month's quota, and the paid Core, Plus and Max.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Address, LimitWindow, ProviderName, UnlocatedReason};
use http::{HeaderName, HeaderValue, StatusCode, header};
use url::Url;

use super::{
    configuration::{ConfigError, Key, ProviderConfig, addresses},
    json::{Json, malformed, number},
    reply::{Answers, Patience, by_key, message, refusal, shown},
    service::{Protocol, Service, below, get, post, the_one},
};
use crate::{
    Answer, LookupError,
    credit::IPINFO,
    online::{
        Endpoint, HttpRequest, OnlineProvider, Refusal,
        judge::{OnlineRecord, judge, numbered_name, same_address},
    },
};

const NAME: ProviderName = ProviderName::Ipinfo;
const PLANS: [&str; 4] = ["legacy", "core", "plus", "max"];

/// The provider: `legacy` without a plan.
pub fn provider(config: &ProviderConfig) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    let plan = match config.plan_among(NAME, &PLANS)? {
        0 => Plan::Legacy,
        1 => Plan::Lookup(Product { path: "lookup", prefix: "lookup/" }),
        2 => Plan::Lookup(Product { path: "plus", prefix: "plus/" }),
        _ => Plan::Lookup(Product { path: "max", prefix: "max/" }),
    };
    let key = if plan == Plan::Legacy { config.usable_key() } else { Some(config.required_key(NAME)?) };
    let spacing = Duration::from_millis(50);
    let limit = match (plan, &key) {
        (Plan::Legacy, None) => addresses("addresses a day", 1_000, LimitWindow::Day, spacing),
        (Plan::Legacy, Some(_)) => addresses("addresses a month", 50_000, LimitWindow::Month, spacing),
        (Plan::Lookup(_), _) => addresses("addresses a month", 150_000, LimitWindow::Month, spacing),
    };
    let mut endpoints = vec![Endpoint { name: "single", batch: 1, limits: vec![limit.clone()] }];
    if key.is_some() {
        endpoints.insert(0, Endpoint { name: "batch", batch: 1_000, limits: vec![limit] });
    }
    let published = if plan == Plan::Legacy { "https://ipinfo.io/" } else { "https://api.ipinfo.io/" };
    Ok(Service {
        name: NAME,
        base_url: config.base(NAME, published)?,
        endpoints: config.limit(NAME, endpoints)?,
        patience: Patience::DAYS,
        terms: "A thousand addresses a day without a token; its quota counts addresses, in batches too.",
        credit: (plan == Plan::Legacy).then_some(IPINFO),
        protocol: Ipinfo { plan, authorization: bearer(key.as_ref(), NAME)? },
        key,
    }
    .shared())
}

/// The token as a header, which keeps it out of every URL.
pub fn bearer(
    key: Option<&Key>,
    provider: ProviderName,
) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
    key.map(|key| Ok((header::AUTHORIZATION, key.header(provider, "Bearer ")?))).into_iter().collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    Legacy,
    Lookup(Product),
}

/// One of the paid lookups.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Product {
    /// The first segment of its path.
    path: &'static str,
    /// The same before an address in a batch.
    prefix: &'static str,
}

struct Ipinfo {
    plan: Plan,
    authorization: Vec<(HeaderName, HeaderValue)>,
}

impl Ipinfo {
    /// What stands before an address in a batch, so that it need not be guessed which product is meant.
    const fn prefix(&self) -> &'static str {
        match self.plan {
            Plan::Legacy => "",
            Plan::Lookup(product) => product.prefix,
        }
    }
}

impl Protocol for Ipinfo {
    fn request(&self, base: &Url, endpoint: &Endpoint, addresses: &[Address]) -> HttpRequest {
        let headers = self.authorization.clone();
        if endpoint.batch > 1 {
            let asked: Vec<String> =
                addresses.iter().map(|address| format!("{}{address}", self.prefix())).collect();
            return post(below(base, &["batch"], &[]), headers, &asked, addresses.len());
        }
        let address = the_one(addresses);
        let url = match self.plan {
            Plan::Legacy => below(base, &[&address, "json"], &[]),
            Plan::Lookup(product) => below(base, &[product.path, &address], &[]),
        };
        get(url, headers, 1)
    }

    fn read(
        &self,
        endpoint: &Endpoint,
        asked: &[Address],
        status: StatusCode,
        body: Result<&Json, String>,
    ) -> Result<Answers, Refusal> {
        let item: fn(&Json) -> _ = if self.plan == Plan::Legacy { legacy } else { core };
        read(item, self.prefix(), endpoint, asked, status, body)
    }
}

/// What all products of ipinfo have in common.
pub fn read(
    item: fn(&Json) -> Result<Answer, LookupError>,
    prefix: &str,
    endpoint: &Endpoint,
    asked: &[Address],
    status: StatusCode,
    body: Result<&Json, String>,
) -> Result<Answers, Refusal> {
    let known = body.as_ref().ok().copied();
    // It knows this address for none: that is no failure of all the others.
    if endpoint.batch == 1
        && matches!(status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST)
        && let Some(said) = known.and_then(message)
    {
        return Ok(vec![Err(malformed(said))]);
    }
    if let Some(refusal) = refusal(status, known) {
        return Err(refusal);
    }
    let body = body.map_err(Refusal::Malformed)?;
    let judged = |body: &Json, address: Address| {
        let body = body.object()?;
        if *body.get("error") != Json::Null {
            return Err(malformed(message(body).unwrap_or_else(|| "it failed without a reason".to_owned())));
        }
        same_address(address, body.text("ip")?)?;
        if *body.get("bogon") == Json::Bool(true) {
            return Ok(Answer::Miss(UnlocatedReason::NoRecord));
        }
        item(body)
    };
    if endpoint.batch > 1 {
        return by_key(body, prefix, asked, judged);
    }
    Ok(asked.iter().map(|&address| judged(body, address)).collect())
}

fn legacy(body: &Json) -> Result<Answer, LookupError> {
    let point = body.text("loc")?.filter(|text| !text.trim().is_empty()).map(pair).transpose()?;
    let (asn, holder) = numbered_name(body.text("org")?);
    judge(
        NAME,
        &OnlineRecord {
            latitude: point.map(|(latitude, _)| latitude),
            longitude: point.map(|(_, longitude)| longitude),
            city: body.text("city")?,
            region: body.text("region")?,
            country_code: body.text("country")?,
            timezone: body.text("timezone")?,
            asn,
            as_organization: holder,
            ..OnlineRecord::default()
        },
    )
}

/// `37.4056,-122.0775`
fn pair(text: &str) -> Result<(f64, f64), LookupError> {
    text.split_once(',')
        .and_then(|(latitude, longitude)| Some((number(latitude)?, number(longitude)?)))
        .ok_or_else(|| malformed(format!("`loc` is `{}`, which is no point", shown(text))))
}

fn core(body: &Json) -> Result<Answer, LookupError> {
    let (place, network) = (body.part("geo")?, body.part("as")?);
    judge(
        NAME,
        &OnlineRecord {
            latitude: place.number("latitude")?,
            longitude: place.number("longitude")?,
            city: place.text("city")?,
            region: place.text("region")?,
            country_code: place.text("country_code")?,
            country: place.text("country")?,
            timezone: place.text("timezone")?,
            asn: numbered_name(network.text("asn")?).0,
            as_organization: network.text("name")?,
            accuracy_km: place.number("radius")?,
            ..OnlineRecord::default()
        },
    )
}
