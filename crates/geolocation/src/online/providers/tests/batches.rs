use hostatlas_domain::{ProviderName, UnlocatedReason};

use super::{fixture, free, keyed, read};
use crate::{Answer, LookupError, online::Refusal};

/// One letter for each answer: located, missed, or damaged.
fn letters(answers: &Result<Vec<Result<Answer, LookupError>>, Refusal>) -> String {
    match answers {
        Err(refusal) => format!("{refusal:?}"),
        Ok(answers) => answers
            .iter()
            .map(|answer| match answer {
                Ok(Answer::Found(_)) => 'L',
                Ok(Answer::Miss(UnlocatedReason::NoRecord | UnlocatedReason::NullIsland)) => 'M',
                Ok(Answer::Miss(_)) => '?',
                Err(_) => 'D',
            })
            .collect(),
    }
}

#[test]
fn a_batch_of_ip_api_is_read_in_its_order() {
    let provider = free(ProviderName::IpApi);
    let body = fixture!("ip_api_batch.json");
    let batch = |asked: &[&str], body| letters(&read(&*provider, "batch", asked, 200, body));
    assert_eq!(batch(&["208.80.152.201", "24.48.0.1"], body), "LD");
    assert_eq!(batch(&["24.48.0.1", "208.80.152.201"], body), "DD");
    assert_eq!(batch(&["208.80.152.201"], body), "Malformed(\"2 answers came to 1 questions\")");
    assert_eq!(batch(&["208.80.152.201"], "[]"), "Malformed(\"0 answers came to 1 questions\")");
    assert_eq!(batch(&["208.80.152.201"], fixture!("ip_api_private.json")), "Malformed(\"private range\")");
}

#[test]
fn a_damaged_item_harms_no_other() {
    let provider = free(ProviderName::IpApi);
    let good =
        r#"{"status":"success","query":"8.8.8.8","countryCode":"US","city":"X","lat":37.4,"lon":-122.1}"#;
    let bad = [
        "5",
        "null",
        "[]",
        r#"{"status":"success","query":"9.9.9.9","lat":1,"lat":2,"lon":3}"#,
        r#"{"status":"success","query":"9.9.9.9","lat":"north","lon":3}"#,
        r#"{"status":"success","query":"9.9.9.9","lat":95,"lon":3}"#,
        r#"{"status":"success","query":"9.9.9.9","lat":5}"#,
        r#"{"status":"success","query":"9.9.9.9","countryCode":"DE","lat":8.68,"lon":50.11}"#,
        r#"{"status":"maybe","query":"9.9.9.9","lat":50.11,"lon":8.68}"#,
        r#"{"query":"9.9.9.9","lat":50.11,"lon":8.68}"#,
        r#"{"status":"success","query":"9.9.9.9","city":["X"],"lat":50.11,"lon":8.68}"#,
    ];
    for bad in bad {
        let body = format!("[{good},{bad},{good}]");
        let answers = read(&*provider, "batch", &["8.8.8.8", "9.9.9.9", "8.8.8.8"], 200, &body);
        assert_eq!(letters(&answers), "LDL", "{bad}");
    }
}

#[test]
fn a_batch_of_ipinfo_is_read_by_its_keys() {
    let provider = keyed(ProviderName::Ipinfo, "");
    let batch = |asked: &[&str], body: &str| letters(&read(&*provider, "batch", asked, 200, body));
    let body = fixture!("ipinfo_batch.json");
    assert_eq!(batch(&["8.8.8.8", "8.8.4.4", "9.9.9.9"], body), "MLD");
    assert_eq!(batch(&["9.9.9.9"], body), "Malformed(\"it has no answer to any question\")");
    let written_otherwise =
        r#"{"2001:4860:0:0::8888":{"ip":"2001:4860::8888","loc":"37.4,-122.1","country":"US"}}"#;
    assert_eq!(batch(&["2001:4860::8888"], written_otherwise), "L");
    let twice = r#"{"2001:db8::1":{"ip":"2001:db8::1","bogon":true},"2001:db8:0::1":{"ip":"2001:db8::1","bogon":true}}"#;
    assert_eq!(batch(&["2001:db8::1"], twice), "D");
    let one_key_twice =
        r#"{"8.8.8.8":{"ip":"8.8.8.8","bogon":true},"8.8.8.8":{"ip":"8.8.8.8","bogon":true}}"#;
    assert!(batch(&["8.8.8.8"], one_key_twice).starts_with("Malformed"));
}

#[test]
fn a_batch_of_ipinfo_core_has_its_product_in_its_keys() {
    let item = fixture!("ipinfo_core.json");
    for (plan, prefix) in [("core", "lookup/"), ("plus", "plus/"), ("max", "max/")] {
        let provider = keyed(ProviderName::Ipinfo, plan);
        let body = format!("{{\"{prefix}8.8.8.8\":{item}}}");
        assert_eq!(letters(&read(&*provider, "batch", &["8.8.8.8"], 200, &body)), "L");
    }
    let lite = format!("{{\"8.8.8.8\":{}}}", fixture!("ipinfo_lite.json"));
    let provider = keyed(ProviderName::IpinfoLite, "");
    assert_eq!(letters(&read(&*provider, "batch", &["8.8.8.8"], 200, &lite)), "L");
}

#[test]
fn a_batch_of_ipgeolocation_has_failures_without_an_address() {
    let provider = keyed(ProviderName::Ipgeolocation, "paid");
    let body = fixture!("ipgeolocation_bulk.json");
    let batch = |asked: &[&str], status, body: &str| letters(&read(&*provider, "batch", asked, status, body));
    assert_eq!(batch(&["165.227.0.0", "10.0.0.1"], 200, body), "LM");
    assert_eq!(
        batch(&["165.227.0.0"], 401, r#"{"message":"Bulk lookups are a paid feature."}"#),
        "Rejected(\"401: Bulk lookups are a paid feature.\")"
    );
}

#[test]
fn a_batch_of_ipwhois_fails_as_a_whole_by_a_bare_object() {
    let provider = keyed(ProviderName::Ipwhois, "");
    let batch = |body: &str| letters(&read(&*provider, "batch", &["8.8.4.4", "8.8.4.4"], 200, body));
    let both = format!("[{},{}]", fixture!("ipwhois.json"), fixture!("ipwhois_reserved.json"));
    assert_eq!(batch(&both), "LM");
    assert_eq!(
        batch(fixture!("ipwhois_bulk_failed.json")),
        "Rejected(\"Bulk lookups are not available on your plan\")"
    );
    assert_eq!(
        batch(r#"{"success":false,"message":"Too many IP addresses"}"#),
        "Malformed(\"Too many IP addresses\")"
    );
}
