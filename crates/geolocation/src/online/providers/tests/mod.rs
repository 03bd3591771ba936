//! The documented bodies, read and refused. They stand in `fixtures/` as their documentation shows them.

mod batches;
mod custom;
mod examples;
mod failures;
mod hostile;
mod requests;

use std::sync::Arc;

use hostatlas_domain::{Address, ProviderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{ProviderConfig, provider};
use crate::{
    Answer, LookupError,
    online::{HttpResponse, OnlineProvider, Refusal, Reply},
};

/// A key that must never be seen.
const CANARY: &str = "canary-key-7f3a";

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name))
    };
}
use fixture;

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// A provider with a key and account, of the plan if it is not empty.
fn keyed(name: ProviderName, plan: &str) -> Arc<dyn OnlineProvider> {
    let config = ProviderConfig {
        key: Some(CANARY.into()),
        account_id: Some("42".to_owned()),
        plan: (!plan.is_empty()).then(|| plan.to_owned()),
        ..ProviderConfig::default()
    };
    provider(name, &config).expect("a provider")
}

/// A provider as it is without any configuration.
fn free(name: ProviderName) -> Arc<dyn OnlineProvider> {
    provider(name, &ProviderConfig::default()).expect("a provider")
}

/// Every provider in every plan.
fn all() -> Vec<Arc<dyn OnlineProvider>> {
    use ProviderName::{Freeipapi, IpApi, Ipgeolocation, Ipinfo, IpinfoLite, Ipwhois, Maxmind};
    let keyed = [
        (IpApi, ""),
        (Ipinfo, "legacy"),
        (Ipinfo, "core"),
        (Ipinfo, "plus"),
        (Ipinfo, "max"),
        (IpinfoLite, ""),
        (Freeipapi, ""),
        (Ipgeolocation, "v3"),
        (Ipgeolocation, "legacy"),
        (Ipgeolocation, "paid"),
        (Ipwhois, ""),
        (Maxmind, "geolite"),
        (Maxmind, "city"),
    ]
    .map(|(name, plan)| keyed(name, plan));
    keyed.into_iter().chain([IpApi, Ipinfo, Freeipapi, Ipwhois].map(free)).collect()
}

/// The position of the endpoint with this name.
fn endpoint(provider: &dyn OnlineProvider, name: &str) -> usize {
    provider.endpoints().iter().position(|endpoint| endpoint.name == name).expect("such an endpoint")
}

/// What `provider` reads in a response of its endpoint `name`.
fn read(
    provider: &dyn OnlineProvider,
    name: &str,
    asked: &[&str],
    status: u16,
    body: &str,
) -> Result<Vec<Result<Answer, LookupError>>, Refusal> {
    reply(provider, name, asked, status, &[], body.as_bytes()).answers
}

fn reply(
    provider: &dyn OnlineProvider,
    name: &str,
    asked: &[&str],
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: &[u8],
) -> Reply {
    let asked: Vec<Address> = asked.iter().copied().map(address).collect();
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
        .collect();
    let status = StatusCode::from_u16(status).expect("a status");
    provider.parse(endpoint(provider, name), &asked, &HttpResponse { status, headers, body: body.to_vec() })
}
