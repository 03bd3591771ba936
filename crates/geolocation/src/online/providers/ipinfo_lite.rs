//! ipinfo.io Lite: free and practically without a limit, but it knows the country and the network alone.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Address, Precision, ProviderName};
use http::{HeaderName, HeaderValue, StatusCode};
use url::Url;

use super::{
    configuration::{ConfigError, ProviderConfig, a_minute},
    ipinfo::{bearer, read},
    json::Json,
    reply::{Answers, Patience},
    service::{Protocol, Service, below, get, post, the_one},
};
use crate::{
    Answer, LookupError,
    credit::IPINFO_LITE,
    online::{
        Endpoint, HttpRequest, OnlineProvider, Refusal,
        judge::{OnlineRecord, judge, numbered_name},
    },
};

const NAME: ProviderName = ProviderName::IpinfoLite;

/// The provider. A token is free but needed.
pub fn provider(config: &ProviderConfig) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    let key = config.required_key(NAME)?;
    // It publishes no limit. Both are what one polite customer needs at most.
    let batches = a_minute("batches a minute", 300, Duration::from_millis(100));
    let lookups = a_minute("lookups a minute", 1_500, Duration::from_millis(20));
    let endpoints = vec![
        Endpoint { name: "batch", batch: 1_000, limits: vec![batches] },
        Endpoint { name: "single", batch: 1, limits: vec![lookups] },
    ];
    Ok(Service {
        name: NAME,
        base_url: config.base(NAME, "https://api.ipinfo.io/")?,
        endpoints: config.limit(NAME, endpoints)?,
        patience: Patience::MINUTES,
        terms: "Country and network alone. CC BY-SA 4.0: pages that show its answers name IPinfo.",
        credit: Some(IPINFO_LITE),
        protocol: Lite { authorization: bearer(Some(&key), NAME)? },
        key: Some(key),
    }
    .shared())
}

struct Lite {
    authorization: Vec<(HeaderName, HeaderValue)>,
}

impl Protocol for Lite {
    fn request(&self, base: &Url, endpoint: &Endpoint, addresses: &[Address]) -> HttpRequest {
        let headers = self.authorization.clone();
        if endpoint.batch > 1 {
            return post(below(base, &["batch", "lite"], &[]), headers, &addresses, addresses.len());
        }
        get(below(base, &["lite", &the_one(addresses)], &[]), headers, 1)
    }

    fn finest(&self) -> Precision {
        Precision::Country
    }

    fn read(
        &self,
        endpoint: &Endpoint,
        asked: &[Address],
        status: StatusCode,
        body: Result<&Json, String>,
    ) -> Result<Answers, Refusal> {
        read(item, "", endpoint, asked, status, body)
    }
}

fn item(body: &Json) -> Result<Answer, LookupError> {
    judge(
        NAME,
        &OnlineRecord {
            country_code: body.text("country_code")?,
            country: body.text("country")?,
            asn: numbered_name(body.text("asn")?).0,
            as_organization: body.text("as_name")?,
            ..OnlineRecord::default()
        },
    )
}
