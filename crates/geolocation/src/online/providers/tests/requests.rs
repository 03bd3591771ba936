use std::time::Duration;

use hostatlas_domain::{LimitUnit, LimitWindow, ProviderName};
use secrecy::SecretString;
use url::Url;

use super::{CANARY, address, all, endpoint, free, keyed};
use crate::online::{OnlineProvider, ProviderConfig, provider};

/// A request in a few lines: what is asked, with which headers that hold a key, and what is sent.
fn written(provider: &dyn OnlineProvider, name: &str, asked: &[&str]) -> String {
    let asked: Vec<_> = asked.iter().copied().map(address).collect();
    let request = provider.request(endpoint(provider, name), &asked);
    let secret: Vec<&str> = request
        .headers
        .iter()
        .filter(|(_, value)| value.is_sensitive())
        .map(|(_, value)| value.to_str().expect("text"))
        .collect();
    let body = request.body.map(|body| String::from_utf8(body).expect("text")).unwrap_or_default();
    assert_eq!(request.addresses, asked.len());
    format!("{} {} {} {body}", request.method, request.url, secret.join(" ")).trim_end().to_owned()
}

#[test]
fn every_provider_is_asked_as_documented() {
    use ProviderName::{Freeipapi, IpApi, Ipgeolocation, Ipinfo, IpinfoLite, Ipwhois, Maxmind};
    let fields = "fields=status%2Cmessage%2Cquery%2Ccountry%2CcountryCode%2CregionName%2Ccity%2Clat%2Clon%2Ctimezone\
                  %2Cisp%2Corg%2Cas&lang=en";
    let (one, two) = (&["8.8.8.8"][..], &["8.8.8.8", "2001:db8::1"][..]);
    let bearer = "Bearer canary-key-7f3a";
    let cases = [
        (free(IpApi), "single", one, format!("GET http://ip-api.com/json/8.8.8.8?{fields}")),
        (
            free(IpApi),
            "batch",
            two,
            format!("POST http://ip-api.com/batch?{fields}  [\"8.8.8.8\",\"2001:db8::1\"]"),
        ),
        (
            keyed(IpApi, ""),
            "single",
            one,
            format!("GET https://pro.ip-api.com/json/8.8.8.8?{fields}&key={CANARY}"),
        ),
        (free(Ipinfo), "single", &["2001:db8::1"], "GET https://ipinfo.io/2001:db8::1/json".to_owned()),
        (keyed(Ipinfo, ""), "single", one, format!("GET https://ipinfo.io/8.8.8.8/json {bearer}")),
        (
            keyed(Ipinfo, ""),
            "batch",
            two,
            format!("POST https://ipinfo.io/batch {bearer} [\"8.8.8.8\",\"2001:db8::1\"]"),
        ),
        (keyed(Ipinfo, "core"), "single", one, format!("GET https://api.ipinfo.io/lookup/8.8.8.8 {bearer}")),
        (
            keyed(Ipinfo, "plus"),
            "batch",
            one,
            format!("POST https://api.ipinfo.io/batch {bearer} [\"plus/8.8.8.8\"]"),
        ),
        (keyed(IpinfoLite, ""), "single", one, format!("GET https://api.ipinfo.io/lite/8.8.8.8 {bearer}")),
        (
            keyed(IpinfoLite, ""),
            "batch",
            one,
            format!("POST https://api.ipinfo.io/batch/lite {bearer} [\"8.8.8.8\"]"),
        ),
        (free(Freeipapi), "single", one, "GET https://free.freeipapi.com/api/json/8.8.8.8".to_owned()),
        (keyed(Freeipapi, ""), "single", one, format!("GET https://freeipapi.com/api/json/8.8.8.8 {bearer}")),
        (
            keyed(Ipgeolocation, ""),
            "single",
            one,
            format!(
                "GET https://api.ipgeolocation.io/v3/ipgeo?apiKey={CANARY}&fields=location%2Casn%2Ctime_zone&ip=8.8.8.8"
            ),
        ),
        (
            keyed(Ipgeolocation, "legacy"),
            "single",
            one,
            format!("GET https://api.ipgeolocation.io/ipgeo?apiKey={CANARY}&ip=8.8.8.8"),
        ),
        (
            keyed(Ipgeolocation, "paid"),
            "batch",
            two,
            format!(
                "POST https://api.ipgeolocation.io/v3/ipgeo-bulk?apiKey={CANARY}&fields=location%2Casn%2Ctime_zone  \
                 {{\"ips\":[\"8.8.8.8\",\"2001:db8::1\"]}}"
            ),
        ),
        (free(Ipwhois), "single", one, "GET https://ipwho.is/8.8.8.8".to_owned()),
        (
            keyed(Ipwhois, ""),
            "batch",
            two,
            format!("GET https://ipwhois.pro/bulk/8.8.8.8,2001:db8::1?key={CANARY}"),
        ),
        (
            keyed(Maxmind, ""),
            "single",
            one,
            "GET https://geolite.info/geoip/v2.1/city/8.8.8.8 Basic NDI6Y2FuYXJ5LWtleS03ZjNh".to_owned(),
        ),
        (
            keyed(Maxmind, "city"),
            "single",
            one,
            "GET https://geoip.maxmind.com/geoip/v2.1/city/8.8.8.8 Basic NDI6Y2FuYXJ5LWtleS03ZjNh".to_owned(),
        ),
    ];
    for (provider, endpoint, asked, expected) in cases {
        assert_eq!(written(&*provider, endpoint, asked), expected);
    }
}

#[test]
fn another_base_keeps_its_path() {
    for base in ["http://127.0.0.1:8080/ip-api", "http://127.0.0.1:8080/ip-api/"] {
        let config = ProviderConfig { base_url: Url::parse(base).ok(), ..ProviderConfig::default() };
        let ip_api = provider(ProviderName::IpApi, &config).expect("a provider");
        assert_eq!(ip_api.base_url().as_str(), "http://127.0.0.1:8080/ip-api/");
        assert!(
            written(&*ip_api, "single", &["8.8.8.8"])
                .starts_with("GET http://127.0.0.1:8080/ip-api/json/8.8.8.8?")
        );
    }
}

#[test]
fn no_key_is_seen_in_a_request_that_is_printed() {
    for provider in all() {
        for index in 0..provider.endpoints().len() {
            let request = provider.request(index, &[address("8.8.8.8")]);
            let printed = format!("{request:?} {:?} {}", request.headers, provider.base_url());
            assert!(!printed.contains(CANARY) && !printed.contains("Basic N"), "{printed}");
        }
    }
}

#[test]
fn the_default_limits_are_the_published_ones() {
    use ProviderName::{Freeipapi, IpApi, Ipgeolocation, Ipinfo, Ipwhois, Maxmind};
    let minute = LimitWindow::Rolling(Duration::from_mins(1));
    let cases = [
        (free(IpApi), "batch", 100, 15, LimitUnit::Calls, minute, 1_000),
        (free(IpApi), "single", 1, 45, LimitUnit::Calls, minute, 250),
        (free(Ipinfo), "single", 1, 1_000, LimitUnit::Addresses, LimitWindow::Day, 50),
        (keyed(Ipinfo, ""), "batch", 1_000, 50_000, LimitUnit::Addresses, LimitWindow::Month, 50),
        (free(Freeipapi), "single", 1, 60, LimitUnit::Calls, minute, 1_005),
        (keyed(Ipgeolocation, ""), "single", 1, 1_000, LimitUnit::Addresses, LimitWindow::Day, 100),
        (free(Ipwhois), "single", 1, 60, LimitUnit::Calls, minute, 1_050),
        (keyed(Maxmind, ""), "single", 1, 1_000, LimitUnit::Addresses, LimitWindow::Day, 50),
    ];
    for (provider, name, batch, permits, unit, window, spacing) in cases {
        let endpoint = &provider.endpoints()[endpoint(&*provider, name)];
        let limit = &endpoint.limits[0];
        assert_eq!(
            (endpoint.batch, limit.permits, limit.unit, limit.window, limit.spacing),
            (batch, permits, unit, window, Duration::from_millis(spacing)),
            "{} {name}",
            provider.name()
        );
    }
}

#[test]
fn the_widest_endpoint_comes_first_and_one_address_can_always_be_asked() {
    for provider in all() {
        let sizes: Vec<u32> = provider.endpoints().iter().map(|endpoint| endpoint.batch).collect();
        assert!(sizes.is_sorted_by(|wide, narrow| wide > narrow) && sizes.last() == Some(&1), "{sizes:?}");
        assert!(provider.endpoints().iter().all(|endpoint| !endpoint.limits.is_empty()));
    }
}

#[test]
fn an_account_is_its_keys_and_reveals_nothing() {
    let (with, without) = (keyed(ProviderName::Ipinfo, ""), free(ProviderName::Ipinfo));
    assert_eq!((with.account(), without.account()), (keyed(ProviderName::IpApi, "").account(), 0));
    let blank = ProviderConfig { key: Some(SecretString::from("  ")), ..ProviderConfig::default() };
    assert_eq!(provider(ProviderName::Ipinfo, &blank).map(|provider| provider.account()).ok(), Some(0));
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_remedy() {
    use ProviderName::{Custom1, Freeipapi, IpApi, Ipgeolocation, Ipinfo, IpinfoLite, Maxmind, Mmdb};
    let with_base = |base: &str, key: Option<&str>| ProviderConfig {
        base_url: Some(Url::parse(base).expect("a URL")),
        key: key.map(SecretString::from),
        ..ProviderConfig::default()
    };
    let key = || Some(SecretString::from("k"));
    let plain = ProviderConfig::default;
    let limit = |name: &'static str, permits| {
        let mut limit = free(IpApi).endpoints()[0].limits[0].clone();
        limit.name = name.into();
        limit.permits = permits;
        ProviderConfig { limits: Some(vec![limit]), ..ProviderConfig::default() }
    };
    let cases = [
        (Maxmind, plain(), "`maxmind` needs a key: set HOSTATLAS_PROVIDER_MAXMIND_KEY"),
        (
            Maxmind,
            ProviderConfig { key: key(), ..plain() },
            "`maxmind` needs the account that its key belongs to: set HOSTATLAS_PROVIDER_MAXMIND_ACCOUNT",
        ),
        (IpinfoLite, plain(), "`ipinfo-lite` needs a key: set IPINFO_TOKEN"),
        (
            Ipinfo,
            ProviderConfig { plan: Some("core".to_owned()), ..plain() },
            "`ipinfo` needs a key: set IPINFO_TOKEN",
        ),
        (Ipgeolocation, plain(), "`ipgeolocation` needs a key: set IPGEOLOCATION_API_KEY"),
        (
            Ipgeolocation,
            ProviderConfig { plan: Some("v9".to_owned()), key: key(), ..plain() },
            "`ipgeolocation` has no plan `v9`: it has v3, legacy, paid",
        ),
        (
            Freeipapi,
            ProviderConfig { key: Some(SecretString::from("a\nb")), ..plain() },
            "the key of `freeipapi` has characters that no header may have",
        ),
        (IpApi, with_base("ftp://x/", None), "the URL of `ip-api` must begin with https:// or http://"),
        (
            IpApi,
            with_base("http://me:secret@x/", None),
            "the URL of `ip-api` must have no user or password: a key has its own setting",
        ),
        (IpApi, with_base("http://x/?a=b", None), "the URL of `ip-api` must have no `?`"),
        (
            Freeipapi,
            with_base("http://geo.example/", Some("k")),
            "the key of `freeipapi` would go to geo.example in clear text: use https",
        ),
        (
            IpApi,
            limit("calls", 5),
            "the limit `calls` of `ip-api` is none that it has: batches a minute, lookups a minute",
        ),
        (
            IpApi,
            limit("batches a minute", 0),
            "the limit `batches a minute` of `ip-api` allows nothing: leave the provider out instead",
        ),
        (Mmdb, plain(), "`mmdb` is no online provider"),
        (Custom1, plain(), "`custom-1` needs a description: at least its `url`, and its `fields`"),
    ];
    for (name, config, expected) in cases {
        let error = provider(name, &config).map(|_| ()).expect_err("a refusal");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_configured_limit_takes_the_place_of_its_namesake() {
    let mut limit = free(ProviderName::IpApi).endpoints()[1].limits[0].clone();
    limit.permits = 7;
    let config = ProviderConfig { limits: Some(vec![limit]), ..ProviderConfig::default() };
    let ip_api = provider(ProviderName::IpApi, &config).expect("a provider");
    let permits: Vec<u32> = ip_api.endpoints().iter().map(|endpoint| endpoint.limits[0].permits).collect();
    assert_eq!(permits, [15, 7]);
}
