use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;
use hostatlas_domain::{Address, Precision, ProviderName};
use hostatlas_geolocation::{
    LocateOptions, Lookup,
    online::{
        CustomConfig, Endpoint, HttpRequest, HttpResponse, HttpTransport, OnlineOptions, OnlineProvider,
        ProviderConfig, Refusal, Reply, Transport, custom, provider,
    },
};
use hostatlas_provider_standin::{Fault, Request, Settings, StandIn, World};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use url::Url;

/// Whom the matrix is about.
pub const PROVIDERS: [ProviderName; 8] = [
    ProviderName::IpApi,
    ProviderName::Ipinfo,
    ProviderName::IpinfoLite,
    ProviderName::Freeipapi,
    ProviderName::Ipgeolocation,
    ProviderName::Ipwhois,
    ProviderName::Maxmind,
    ProviderName::Custom1,
];
/// Whoever is asked when the others fail; it never has a fault.
pub const HEALTHY: ProviderName = ProviderName::Custom4;
/// The key of every provider. The stand-in grants bulk to keys with `paid` in them.
pub const KEY: &str = "paidCANARY7f3a9c5e1d";
/// Waits no longer for leave than this: closed providers are to be deferred, not waited for.
pub const OPTIONS: LocateOptions =
    LocateOptions { force: false, patience: Duration::from_millis(200), batch_size: None };
/// The seed of the world and of the storm.
pub const SEED: u64 = 20_261_123;

/// How many hosts the long form is for; `None` in short form.
pub fn long_form() -> Option<u32> {
    std::env::var("HOSTATLAS_FAULTS_HOSTS").ok()?.parse().ok()
}

/// Public addresses, other ones for each `first`.
pub fn addresses(first: u32, count: u32) -> Vec<Address> {
    (first..first + count)
        .map(|number| IpAddr::V4(Ipv4Addr::from_bits(0x1700_0000 + number)).into())
        .collect()
}

/// A stand-in without limits, in which one address of eight is known to nobody.
pub async fn stand_in() -> StandIn {
    let world = World { seed: SEED, unknown_one_in: 8, gap_one_in: 0 };
    let settings = Settings { world, unlimited: true, ban_after: None, ..Settings::default() };
    StandIn::start(settings).await.expect("a port on loopback")
}

/// A client that may call this machine. Its connections belong to the runtime of the test that makes it.
pub fn transport() -> Arc<HttpTransport> {
    Arc::new(HttpTransport::new(OnlineOptions { allow_private: true }))
}

/// Answers as the stand-in would, without a connection: what has no fault shall not fail for want of time on a busy
/// machine.
pub struct Direct(pub Arc<StandIn>);

#[async_trait]
impl Transport for Direct {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Refusal> {
        let HttpRequest { method, url, headers, body, .. } = request;
        let target =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let mut asked = Request::new(method.as_str(), &target, &body.unwrap_or_default());
        let text = |value: HeaderValue| value.to_str().unwrap_or_default().to_owned();
        asked.headers =
            headers.into_iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let answered = self.0.answer(asked);
        Ok(HttpResponse {
            status: StatusCode::from_u16(answered.status).expect("no fault, so a status that exists"),
            headers: HeaderMap::new(),
            body: answered.body,
        })
    }
}

/// Which of a provider's endpoints are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Single,
    Batch,
    Both,
}

/// `name` at `base_url`, with limits so wide that nobody waits; `None` if it has no endpoint of that mode.
pub fn eased(name: ProviderName, base_url: &str, mode: Mode) -> Option<Arc<dyn OnlineProvider>> {
    let inner = configured(name, base_url);
    let chosen: Vec<usize> = (0..inner.endpoints().len())
        .filter(|position| match mode {
            Mode::Single => inner.endpoints()[*position].batch == 1,
            Mode::Batch => inner.endpoints()[*position].batch > 1,
            Mode::Both => true,
        })
        .collect();
    let endpoints: Vec<Endpoint> = chosen
        .iter()
        .map(|position| {
            let mut endpoint = inner.endpoints()[*position].clone();
            for limit in &mut endpoint.limits {
                (limit.permits, limit.spacing) = (10_000_000, Duration::ZERO);
            }
            endpoint
        })
        .collect();
    (!endpoints.is_empty()).then(|| Arc::new(Eased { inner, chosen, endpoints }) as _)
}

/// As an operator configures it, with a key wherever it takes one.
pub fn configured(name: ProviderName, base_url: &str) -> Arc<dyn OnlineProvider> {
    if name.name().starts_with("custom") {
        return custom(name, custom_config(base_url)).expect("a description");
    }
    provider(name, &provider_config(name, base_url)).expect("a configuration")
}

pub fn provider_config(name: ProviderName, base_url: &str) -> ProviderConfig {
    ProviderConfig {
        base_url: Some(Url::parse(base_url).expect("a URL")),
        key: Some(KEY.to_owned().into()),
        account_id: Some("1".to_owned()),
        plan: (name == ProviderName::Ipgeolocation).then(|| "paid".to_owned()),
        limits: None,
    }
}

pub fn custom_config(base_url: &str) -> CustomConfig {
    serde_json::from_value(json!({
        "url": format!("{base_url}{{ip}}"),
        "key": KEY,
        "headers": { "X-Api-Key": "{key}" },
        "fields": {
            "address": "/ip", "latitude": "/latitude", "longitude": "/longitude", "city": "/city",
            "region": "/region", "country_code": "/country_code", "country": "/country",
            "timezone": "/timezone", "asn": "/asn", "organization": "/organization",
        },
        "batch": { "url": format!("{base_url}batch"), "size": 100 },
    }))
    .expect("a description")
}

/// A provider with some of its endpoints, at other limits.
struct Eased {
    inner: Arc<dyn OnlineProvider>,
    chosen: Vec<usize>,
    endpoints: Vec<Endpoint>,
}

impl OnlineProvider for Eased {
    fn name(&self) -> ProviderName {
        self.inner.name()
    }

    fn base_url(&self) -> &Url {
        self.inner.base_url()
    }

    fn account(&self) -> u32 {
        self.inner.account()
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn request(&self, endpoint: usize, addresses: &[Address]) -> HttpRequest {
        self.inner.request(self.chosen[endpoint], addresses)
    }

    fn parse(&self, endpoint: usize, addresses: &[Address], response: &HttpResponse) -> Reply {
        self.inner.parse(self.chosen[endpoint], addresses, response)
    }

    fn terms(&self) -> &'static str {
        self.inner.terms()
    }
}

/// What a lookup came to, against the truth.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Where it truly is, or in the country where it is.
    Located,
    /// Nobody knows it, and that was said.
    UnknownIndeed,
    /// A miss, of an address that somebody knows.
    Missed,
    /// Failed, with a reason.
    Failed,
    /// Still due.
    Deferred,
    /// Somewhere else. Never to be.
    Wrong(String),
}

pub fn judge(stand_in: &StandIn, address: Address, lookup: &Lookup) -> Verdict {
    let truth = stand_in.city(address.ip());
    match lookup {
        Lookup::Located(located) => {
            let place = &located.place;
            let Some(city) = truth else { return Verdict::Wrong(format!("{address} is nowhere: {place:?}")) };
            let country = place.country.map(|country| country.to_string());
            let near = (place.coordinate.latitude() - city.latitude).abs() < 0.01
                && (place.coordinate.longitude() - city.longitude).abs() < 0.01;
            let right = near
                || (place.precision == Precision::Country && country.as_deref() == Some(city.country_code));
            let clean = |text: &Option<String>| {
                text.as_ref()
                    .is_none_or(|text| text.chars().count() <= 256 && !text.contains(char::is_control))
            };
            if right && clean(&place.city) && clean(&place.region) {
                Verdict::Located
            } else {
                Verdict::Wrong(format!("{address} is in {}: {located:?}", city.name))
            }
        }
        Lookup::Miss(_) if truth.is_none() => Verdict::UnknownIndeed,
        Lookup::Miss(_) => Verdict::Missed,
        Lookup::Failed { failures, .. } if failures.is_empty() => {
            Verdict::Wrong(format!("{address} failed without a word"))
        }
        Lookup::Failed { .. } => Verdict::Failed,
        Lookup::Deferred(deferral) if deferral.why.is_empty() => {
            Verdict::Wrong(format!("{address} waits for nothing"))
        }
        Lookup::Deferred { .. } => Verdict::Deferred,
        Lookup::NotApplicable(class) => Verdict::Wrong(format!("{address} is no {class} address")),
    }
}

/// Whether a wrong country can be told from this provider's answers: from coordinates, which this one does not give.
pub fn is_detectable(fault: Fault, provider: ProviderName) -> bool {
    !(provider == ProviderName::IpinfoLite && fault == Fault::WrongCountry)
}

/// Panics of any thread so far. The count begins with the first call.
pub fn panics() -> &'static AtomicU64 {
    static PANICS: OnceLock<&'static AtomicU64> = OnceLock::new();
    PANICS.get_or_init(|| {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            before(panic);
        }));
        &COUNT
    })
}

/// Prints a report of the long form, which is what it is run for.
#[expect(clippy::print_stdout, reason = "`make faults` prints its reports")]
pub fn print_report(report: &serde_json::Value) {
    println!("{report:#}");
}
