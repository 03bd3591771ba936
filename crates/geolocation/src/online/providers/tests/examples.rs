use std::fmt::Write;

use hostatlas_domain::{CountryCode, ProviderName};

use super::{all, fixture, free, keyed, read};
use crate::{Answer, LookupError, online::Refusal};

/// The facts of a single answer in one line.
fn facts(answers: &Result<Vec<Result<Answer, LookupError>>, Refusal>) -> String {
    let Ok(answers) = answers else { return format!("{answers:?}") };
    let [Ok(Answer::Found(located))] = answers.as_slice() else { return format!("{answers:?}") };
    let place = &located.place;
    let mut line = format!("{:?} {:?}", place.coordinate.units(), place.precision);
    let mut add = |text: Option<&str>| {
        let _ = write!(line, " | {}", text.unwrap_or("none"));
    };
    add(place.city.as_deref());
    add(place.region.as_deref());
    add(place.country.map(CountryCode::as_str));
    add(located.timezone.as_deref());
    add(located.network.asn.map(|asn| asn.to_string()).as_deref());
    add(located.network.organization.as_deref());
    add(located.network.isp.as_deref());
    add(located.accuracy_km.map(|radius| radius.to_string()).as_deref());
    assert_eq!(located.database_build, None);
    format!("{} {line}", located.provider)
}

#[test]
fn every_documented_answer_gives_its_documented_facts() {
    use ProviderName::{Freeipapi, IpApi, Ipgeolocation, Ipinfo, IpinfoLite, Ipwhois, Maxmind};
    let cases = [
        (
            free(IpApi),
            "24.48.0.1",
            fixture!("ip_api.json"),
            "ip-api (4549950, -7358480) City | Montreal | Quebec | CA | America/Toronto | AS5769 | Videotron Telecom \
             Ltee | Le Groupe Videotron Ltee | none",
        ),
        (
            free(Ipinfo),
            "8.8.8.8",
            fixture!("ipinfo_legacy.json"),
            "ipinfo (3740560, -12207750) City | Mountain View | California | US | America/Los_Angeles | AS15169 | \
             Google LLC | none | none",
        ),
        (
            keyed(Ipinfo, "core"),
            "8.8.8.8",
            fixture!("ipinfo_core.json"),
            "ipinfo (3740560, -12207750) City | Mountain View | California | US | America/Los_Angeles | AS15169 | \
             Google LLC | none | none",
        ),
        (
            keyed(IpinfoLite, ""),
            "8.8.8.8",
            fixture!("ipinfo_lite.json"),
            "ipinfo-lite (3950000, -9835000) Country | none | none | US | none | AS15169 | Google LLC | none | none",
        ),
        (
            free(Freeipapi),
            "183.95.255.255",
            fixture!("freeipapi.json"),
            "freeipapi (3991750, 11636200) City | Jinrongjie (Xicheng District) | Beijing | CN | none | AS4837 | \
             CHINA UNICOM China169 Backbone | none | none",
        ),
        (
            free(Freeipapi),
            "183.95.255.255",
            fixture!("freeipapi_older.json"),
            "freeipapi (3991750, 11636200) City | Beijing | Beijing | CN | none | none | none | none | none",
        ),
        (
            keyed(Ipgeolocation, "v3"),
            "165.227.0.0",
            fixture!("ipgeolocation_v3.json"),
            "ipgeolocation (3735983, -12198144) City | Santa Clara | California | US | America/Los_Angeles | AS14061 \
             | DigitalOcean, LLC | none | none",
        ),
        (
            keyed(Ipgeolocation, "legacy"),
            "76.184.236.184",
            fixture!("ipgeolocation_legacy.json"),
            "ipgeolocation (3315048, -9683466) City | Frisco | Texas | US | America/Chicago | none | Charter \
             Communications Inc | Charter Communications Inc | none",
        ),
        (
            free(Ipwhois),
            "8.8.4.4",
            fixture!("ipwhois.json"),
            "ipwhois (3738605, -12208385) City | Mountain View | California | US | America/Los_Angeles | AS15169 | \
             Google LLC | Google LLC | none",
        ),
        (
            keyed(Maxmind, ""),
            "8.8.8.8",
            fixture!("maxmind.json"),
            "maxmind (3738600, -12208380) City | Mountain View | California | US | America/Los_Angeles | AS15169 | \
             Google LLC | none | 20",
        ),
    ];
    for (provider, asked, body, expected) in cases {
        assert_eq!(facts(&read(&*provider, "single", &[asked], 200, body)), expected);
    }
}

#[test]
fn no_provider_takes_the_answer_about_another_address() {
    let bodies = [
        fixture!("ip_api.json"),
        fixture!("ipinfo_legacy.json"),
        fixture!("ipinfo_core.json"),
        fixture!("ipinfo_lite.json"),
        fixture!("freeipapi.json"),
        fixture!("ipgeolocation_v3.json"),
        fixture!("ipgeolocation_legacy.json"),
        fixture!("ipwhois.json"),
        fixture!("maxmind.json"),
    ];
    for provider in all() {
        for body in bodies {
            let answers = read(&*provider, "single", &["9.9.9.9"], 200, body);
            let located = answers.is_ok_and(|answers| answers.iter().any(Result::is_ok));
            assert!(!located, "{} {body}", provider.name());
        }
    }
}
