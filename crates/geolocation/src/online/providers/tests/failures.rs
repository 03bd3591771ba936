use std::time::Duration;

use hostatlas_domain::{Closed, ProviderName, UnlocatedReason};

use super::{CANARY, all, fixture, free, keyed, read, reply};
use crate::{
    Answer, LookupError,
    online::{OnlineProvider, Refusal},
};

type Outcome = Result<Vec<Result<Answer, LookupError>>, Refusal>;

#[expect(clippy::unnecessary_wraps, reason = "it is one of the ways in which a call may end")]
fn unknown() -> Outcome {
    Ok(vec![Ok(Answer::Miss(UnlocatedReason::NoRecord))])
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the ways in which a call may end")]
fn damaged(detail: &str) -> Outcome {
    Ok(vec![Err(LookupError::Malformed { detail: detail.to_owned() })])
}

fn rejected(said: &str) -> Outcome {
    Err(Refusal::Rejected(said.to_owned()))
}

fn malformed(said: &str) -> Outcome {
    Err(Refusal::Malformed(said.to_owned()))
}

fn check(provider: &dyn OnlineProvider, asked: &str, cases: &[(u16, &str, Outcome)]) {
    for (status, body, expected) in cases {
        assert_eq!(read(provider, "single", &[asked], *status, body), *expected, "{status} {body}");
    }
}

#[test]
fn ip_api_fails_as_documented() {
    check(
        &*free(ProviderName::IpApi),
        "24.48.0.1",
        &[
            (200, fixture!("ip_api_private.json"), unknown()),
            (200, fixture!("ip_api_reserved.json"), unknown()),
            (200, fixture!("ip_api_invalid.json"), damaged("invalid query")),
            (
                403,
                fixture!("ip_api_no_https.json"),
                rejected(
                    "403: SSL unavailable for this endpoint, order a key at https://members.ip-api.com/",
                ),
            ),
            (
                403,
                fixture!("ip_api_bad_key.json"),
                rejected("403: invalid/expired key, renew at https://members.ip-api.com/order"),
            ),
            (429, "", Err(Refusal::RateLimited)),
            (422, "", malformed("422 Unprocessable Entity")),
        ],
    );
}

#[test]
fn ipinfo_fails_as_documented() {
    let common = [
        (200, fixture!("ipinfo_bogon.json"), unknown()),
        (404, fixture!("ipinfo_wrong_ip.json"), damaged("Please provide a valid IP address")),
        (400, fixture!("ipinfo_lite_invalid.json"), damaged("Please provide a valid IP address")),
        (403, fixture!("ipinfo_unknown_token.json"), rejected("403: Please ensure you have a valid token")),
        (429, fixture!("ipinfo_rate_limited.json"), Err(Refusal::RateLimited)),
        (500, "Internal Server Error", Err(Refusal::Unavailable("500 Internal Server Error".to_owned()))),
        (404, "<html></html>", malformed("404 Not Found")),
    ];
    for provider in [
        free(ProviderName::Ipinfo),
        keyed(ProviderName::Ipinfo, "legacy"),
        keyed(ProviderName::Ipinfo, "core"),
        keyed(ProviderName::IpinfoLite, ""),
    ] {
        check(&*provider, "8.8.8.8", &common);
    }
}

#[test]
fn freeipapi_fails_as_documented() {
    let nowhere = Ok(vec![Ok(Answer::Miss(UnlocatedReason::NullIsland))]);
    check(
        &*free(ProviderName::Freeipapi),
        "183.95.255.255",
        &[
            (200, fixture!("freeipapi_unknown.json"), nowhere),
            (200, r#"{"message":"try later"}"#, malformed("try later")),
            (429, "Too Many Requests", Err(Refusal::RateLimited)),
        ],
    );
}

#[test]
fn ipgeolocation_fails_as_documented() {
    for plan in ["v3", "legacy", "paid"] {
        check(
            &*keyed(ProviderName::Ipgeolocation, plan),
            "165.227.0.0",
            &[
                (423, fixture!("ipgeolocation_bogon.json"), unknown()),
                (404, fixture!("ipgeolocation_not_found.json"), unknown()),
                (400, fixture!("ipgeolocation_invalid.json"), damaged("Provided IP address is not valid.")),
                (
                    401,
                    fixture!("ipgeolocation_bad_key.json"),
                    rejected("401: Provided API key is not valid. Contact technical support for assistance."),
                ),
                (405, "", malformed("405 Method Not Allowed")),
                (413, "<html>413 Request Entity Too Large</html>", malformed("413 Payload Too Large")),
                (429, fixture!("ipgeolocation_used_up.json"), Err(Refusal::RateLimited)),
                (499, "", Err(Refusal::Unavailable("499 <unknown status code>".to_owned()))),
                (404, "<html></html>", malformed("404 Not Found")),
            ],
        );
    }
}

#[test]
fn ipwhois_fails_as_documented() {
    check(
        &*free(ProviderName::Ipwhois),
        "8.8.4.4",
        &[
            (200, fixture!("ipwhois_reserved.json"), unknown()),
            (200, fixture!("ipwhois_invalid.json"), damaged("Invalid IP address")),
            (200, fixture!("ipwhois_used_up.json"), Err(Refusal::RateLimited)),
            (200, r#"{"success":false,"message":"Invalid API key"}"#, rejected("Invalid API key")),
            (200, r#"{"success":false}"#, malformed("it failed without a reason")),
            (200, r#"{"ip":"8.8.4.4"}"#, damaged("the answer does not say whether it is one")),
        ],
    );
}

#[test]
fn maxmind_fails_as_documented() {
    check(
        &*keyed(ProviderName::Maxmind, ""),
        "8.8.8.8",
        &[
            (400, fixture!("maxmind_reserved.json"), unknown()),
            (404, fixture!("maxmind_not_found.json"), unknown()),
            (400, fixture!("maxmind_invalid.json"), damaged("The value 8.8.8 is not a valid IP address.")),
            (
                401,
                fixture!("maxmind_unauthorized.json"),
                rejected("401: Your account ID or license key could not be authenticated."),
            ),
            (402, fixture!("maxmind_out_of_funds.json"), Err(Refusal::RateLimited)),
            (
                403,
                fixture!("maxmind_no_permission.json"),
                rejected("403: You do not have permission to use the service."),
            ),
            (404, "<html></html>", malformed("404 Not Found")),
        ],
    );
}

#[test]
fn whatever_stands_in_between_is_no_answer() {
    let portal = fixture!("captive_portal.html");
    for provider in all() {
        for endpoint in provider.endpoints() {
            let said = |status, body: &str| read(&*provider, endpoint.name, &["9.9.9.9"], status, body);
            assert_eq!(said(200, portal), malformed("a web page came in place of an answer"));
            assert_eq!(said(200, " "), malformed("the answer is empty"));
            assert!(matches!(said(302, portal), Err(Refusal::Unavailable(_))));
            assert!(matches!(said(503, portal), Err(Refusal::Unavailable(_))));
            assert!(matches!(said(403, portal), Err(Refusal::Rejected(_))));
            assert!(matches!(said(204, ""), Err(Refusal::Malformed(_))));
        }
    }
}

#[test]
fn a_used_up_day_is_not_asked_after_every_minute() {
    let closed = |name, status| {
        let provider = keyed(name, "");
        reply(&*provider, "single", &["9.9.9.9"], status, &[], b"{}").observation.closed
    };
    let hour = Some(Closed::For(Duration::from_hours(1)));
    assert_eq!(closed(ProviderName::Ipgeolocation, 429), hour);
    assert_eq!(closed(ProviderName::Maxmind, 402), hour);
    assert_eq!(closed(ProviderName::IpApi, 429), Some(Closed::Unsaid));
}

#[test]
fn a_refusal_in_a_body_closes_like_one_in_a_status() {
    let reply = reply(
        &*free(ProviderName::Ipwhois),
        "single",
        &["8.8.4.4"],
        200,
        &[("retry-after", "30")],
        fixture!("ipwhois_used_up.json").as_bytes(),
    );
    assert_eq!(reply.observation.closed, Some(Closed::For(Duration::from_secs(31))));
}

#[test]
fn a_key_that_a_provider_repeats_goes_no_further() {
    for provider in all().into_iter().filter(|provider| provider.account() != 0) {
        for endpoint in provider.endpoints() {
            for status in [200, 400, 401, 403, 404, 422, 500] {
                let body = format!(
                    r#"{{"success":false,"status":"fail","query":"9.9.9.9","ip":"9.9.9.9","message":"no {CANARY}"}}"#
                );
                let answers = read(&*provider, endpoint.name, &["9.9.9.9"], status, &body);
                assert!(!format!("{answers:?}").contains(CANARY), "{} {status} {answers:?}", provider.name());
            }
        }
    }
}
