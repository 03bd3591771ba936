use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{address, all, fixture};
use crate::{
    Answer,
    online::{HttpResponse, OnlineProvider},
};

static PROVIDERS: LazyLock<Vec<std::sync::Arc<dyn OnlineProvider>>> = LazyLock::new(all);

const DOCUMENTED: [&str; 12] = [
    fixture!("ip_api.json"),
    fixture!("ip_api_batch.json"),
    fixture!("ipinfo_legacy.json"),
    fixture!("ipinfo_batch.json"),
    fixture!("ipinfo_core.json"),
    fixture!("ipinfo_lite.json"),
    fixture!("freeipapi.json"),
    fixture!("ipgeolocation_v3.json"),
    fixture!("ipgeolocation_legacy.json"),
    fixture!("ipgeolocation_bulk.json"),
    fixture!("ipwhois.json"),
    fixture!("maxmind.json"),
];

/// All answers of all providers and endpoints to one response about one address.
fn answers(status: u16, body: &[u8], header: &[u8]) -> Vec<Answer> {
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "x-rl", "x-ttl", "ratelimit", "x-ratelimit-reset", "date"] {
        if let Ok(value) = HeaderValue::from_bytes(header) {
            headers.insert(name, value);
        }
    }
    let status = StatusCode::from_u16(status).expect("a status");
    let response = HttpResponse { status, headers, body: body.to_vec() };
    let asked = [address("203.0.113.77")];
    PROVIDERS
        .iter()
        .flat_map(|provider| (0..provider.endpoints().len()).map(move |endpoint| (provider, endpoint)))
        .filter_map(|(provider, endpoint)| provider.parse(endpoint, &asked, &response).answers.ok())
        .flat_map(|answers| {
            assert_eq!(answers.len(), 1);
            answers
        })
        .filter_map(Result::ok)
        .collect()
}

fn located(answers: &[Answer]) -> bool {
    answers.iter().any(|answer| matches!(answer, Answer::Found(_)))
}

proptest! {
    #[test]
    fn arbitrary_bytes_locate_nothing(
        status in 200_u16..600,
        body in vec(any::<u8>(), 0..200),
        header in vec(any::<u8>(), 0..40),
    ) {
        prop_assert!(!located(&answers(status, &body, &header)));
    }

    #[test]
    fn a_documented_answer_with_a_hole_locates_no_address_that_it_is_not_about(
        body in select(&DOCUMENTED[..]),
        at in any::<prop::sample::Index>(),
        put in vec(any::<u8>(), 0..4),
    ) {
        let mut bytes = body.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes.splice(at..=at, put);
        prop_assert!(!located(&answers(200, &bytes, b"5")));
        bytes.truncate(at);
        prop_assert!(!located(&answers(200, &bytes, b"5")));
    }

    #[test]
    fn any_numbers_give_a_place_on_earth_or_none(latitude in any::<f64>(), longitude in any::<f64>()) {
        let body = format!(
            r#"{{"status":"success","success":true,"query":"203.0.113.77","ip":"203.0.113.77","lat":{latitude},
                "lon":{longitude},"latitude":"{latitude}","longitude":"{longitude}"}}"#
        );
        for answer in answers(200, body.as_bytes(), b"1") {
            if let Answer::Found(located) = answer {
                let (latitude, longitude) =
                    (located.place.coordinate.latitude(), located.place.coordinate.longitude());
                prop_assert!(latitude.abs() <= 90.0 && longitude.abs() <= 180.0);
            }
        }
    }
}
