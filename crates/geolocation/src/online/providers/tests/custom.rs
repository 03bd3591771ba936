use hostatlas_domain::{ProviderName, UnlocatedReason};
use http::Method;

use super::{CANARY, address, read};
use crate::{
    Answer, LookupError,
    online::{CustomConfig, OnlineProvider, Refusal, custom},
};

const DESCRIPTION: &str = r#"{
    "url": "https://geo.example/v1/{ip}?lang=en",
    "key": "canary-key-7f3a",
    "headers": {"X-Api-Key": "{key}"},
    "fields": {
        "address": "/data/ip", "point": "/data/loc", "city": "/data/names/0", "country_code": "/data/cc",
        "asn": "/data/as", "accuracy_km": "/data/radius"
    },
    "failure": {"at": "/ok", "unless": "true", "message": "/why", "unknown": ["not found"], "unknown_statuses": [404]},
    "batch": {"url": "https://geo.example/v1/many", "size": 50, "under": "addresses", "answers": "/results"},
    "limits": [{"name": "addresses a day", "permits": 500, "window": "day", "unit": "addresses", "spacing_ms": 20}]
}"#;

const ANSWER: &str = r#"{"ok":true,"data":{"ip":"8.8.8.8","loc":"37.4056, -122.0775","names":["Mountain View"],"cc":"US",
    "as":15169,"radius":"12.5"}}"#;

fn described(change: impl FnOnce(&mut CustomConfig)) -> Result<std::sync::Arc<dyn OnlineProvider>, String> {
    let mut config: CustomConfig = serde_json::from_str(DESCRIPTION).expect("a description");
    change(&mut config);
    custom(ProviderName::Custom2, config).map_err(|error| error.to_string())
}

fn service() -> std::sync::Arc<dyn OnlineProvider> {
    described(|_| ()).expect("a service")
}

#[test]
fn a_described_service_is_asked_as_described() {
    let service = service();
    let (many, one) = (
        service.request(0, &[address("8.8.8.8"), address("2001:db8::1")]),
        service.request(1, &[address("2001:db8::1")]),
    );
    assert_eq!(one.url.as_str(), "https://geo.example/v1/2001:db8::1?lang=en");
    assert_eq!((many.url.as_str(), &many.method), ("https://geo.example/v1/many", &Method::POST));
    assert_eq!(many.body.as_deref(), Some(&br#"{"addresses":["8.8.8.8","2001:db8::1"]}"#[..]));
    for request in [&many, &one] {
        let (_, key) = request.headers.iter().find(|(name, _)| name == "x-api-key").expect("the header");
        assert!(key.is_sensitive() && key == CANARY);
    }
    assert_eq!((service.base_url().as_str(), service.endpoints()[0].batch), ("https://geo.example/", 50));
    assert_eq!(service.endpoints()[1].limits[0].permits, 500);
    assert_ne!(service.account(), 0);
}

#[test]
fn a_described_answer_gives_its_facts() {
    let answers = read(&*service(), "single", &["8.8.8.8"], 200, ANSWER).expect("answers");
    let [Ok(Answer::Found(located))] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(
        (located.provider, located.place.coordinate.units(), located.place.label(), located.accuracy_km),
        (ProviderName::Custom2, (3_740_560, -12_207_750), "Mountain View".to_owned(), Some(13))
    );
    assert_eq!(located.network.asn.map(|asn| asn.0), Some(15169));
}

#[test]
fn described_failures_are_told_apart() {
    let service = service();
    let single = |status, body: &str| read(&*service, "single", &["8.8.8.8"], status, body);
    let miss = Ok(vec![Ok(Answer::Miss(UnlocatedReason::NoRecord))]);
    assert_eq!(single(200, r#"{"ok":false,"why":"not found"}"#), miss);
    assert_eq!(single(404, ""), miss);
    assert_eq!(
        single(200, r#"{"ok":false,"why":"broken"}"#),
        Ok(vec![Err(LookupError::Malformed { detail: "broken".to_owned() })])
    );
    assert!(matches!(single(200, r#"{"ok":"true"}"#), Ok(answers) if answers[0].is_err()));
    assert_eq!(single(429, ""), Err(Refusal::RateLimited));
    assert!(matches!(read(&*service, "batch", &["8.8.8.8"], 404, ""), Err(Refusal::Malformed(_))));
}

#[test]
fn described_batches_are_lists_or_objects() {
    let body = format!(r#"{{"results":[{ANSWER},{{"ok":false,"why":"not found"}}]}}"#);
    let located = |answers: Result<Vec<_>, Refusal>| {
        answers.map(|all| all.iter().map(Result::is_ok).collect::<Vec<_>>())
    };
    let list = read(&*service(), "batch", &["8.8.8.8", "9.9.9.9"], 200, &body);
    assert_eq!(located(list), Ok(vec![true, true]));
    let keyed = described(|config| {
        let batch = config.batch.as_mut().expect("a batch");
        (batch.keyed, batch.answers) = (true, None);
    })
    .expect("a service");
    let body = format!(r#"{{"8.8.8.8":{ANSWER}}}"#);
    assert_eq!(located(read(&*keyed, "batch", &["9.9.9.9", "8.8.8.8"], 200, &body)), Ok(vec![false, true]));
}

#[test]
fn a_key_may_stand_in_the_url_however_it_is_written() {
    let service = described(|config| {
        config.url = "https://geo.example/{ip}?token={key}".to_owned();
        config.key = Some("a&b/ü".into());
        config.headers.clear();
    })
    .expect("a service");
    let request = service.request(1, &[address("8.8.8.8")]);
    assert_eq!(request.url.as_str(), "https://geo.example/8.8.8.8?token=a%26b%2F%C3%BC");
}

#[test]
fn a_wrong_description_names_its_field() {
    type Change = fn(&mut CustomConfig);
    let cases: [(Change, &str); 15] = [
        (|config| config.url.clear(), "`custom-2` needs a description: at least its `url`, and its `fields`"),
        (
            |config| config.url = "https://geo.example/".to_owned(),
            "`url` of `custom-2` must have `{ip}` where the address goes",
        ),
        (|config| config.url = "not {ip}".to_owned(), "`url` of `custom-2` is no URL"),
        (|config| config.url = "https://{ip}.geo.example/".to_owned(), "`url` of `custom-2` is no URL"),
        (
            |config| config.url = "file:///{ip}".to_owned(),
            "the URL of `custom-2` must begin with https:// or http://",
        ),
        (
            |config| config.url = "http://geo.example/{ip}".to_owned(),
            "the key of `custom-2` would go to geo.example in clear text: use https",
        ),
        (|config| config.key = None, "`headers.X-Api-Key` of `custom-2` has `{key}`, but there is no key"),
        (
            |config| drop(config.headers.insert("a b".to_owned(), String::new())),
            "`headers.a b` of `custom-2` is no name that a header can have",
        ),
        (
            |config| config.fields.city = Some("city".to_owned()),
            "`fields.city` of `custom-2` must be a JSON pointer, which begins with `/`",
        ),
        (
            |config| config.fields.latitude = Some("/lat".to_owned()),
            "`fields.longitude` of `custom-2` is missing, while `fields.latitude` is there",
        ),
        (
            |config| config.fields = crate::online::CustomFields::default(),
            "`fields` of `custom-2` must say where a point or a country stands",
        ),
        (|config| config.failure.at = None, "`failure.at` of `custom-2` must say where the value stands"),
        (
            |config| config.failure.unless = None,
            "`failure` of `custom-2` must have `is` or `unless` beside `at`",
        ),
        (
            |config| config.batch.iter_mut().for_each(|batch| batch.size = 1),
            "`batch.size` of `custom-2` must be 2 to 1,000",
        ),
        (
            |config| config.limits[0].permits = 0,
            "`limits` of `custom-2` allows nothing: leave the provider out instead",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(described(change).map(|_| ()), Err(expected.to_owned()));
    }
    let config = serde_json::from_str(DESCRIPTION).expect("a description");
    assert!(custom(ProviderName::IpApi, config).is_err());
}

#[test]
fn an_unknown_word_in_a_description_is_refused() {
    for text in [r#"{"uri":"x"}"#, r#"{"fields":{"lat":"/a"}}"#, r#"{"limits":[{"name":"a","permits":1}]}"#] {
        assert!(serde_json::from_str::<CustomConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn a_limit_of_a_description_is_written_as_everywhere() {
    let limits = |text: &str| {
        let description = DESCRIPTION.replace(
            r#"[{"name": "addresses a day", "permits": 500, "window": "day", "unit": "addresses", "spacing_ms": 20}]"#,
            text,
        );
        assert_ne!(description, DESCRIPTION);
        let config = serde_json::from_str(&description).map_err(|error| error.to_string())?;
        let service = custom(ProviderName::Custom2, config).map_err(|error| error.to_string())?;
        let limits = &service.endpoints().last().expect("an endpoint").limits;
        Ok::<_, String>(
            limits.iter().map(|limit| (limit.name.to_string(), limit.permits)).collect::<Vec<_>>(),
        )
    };
    assert_eq!(limits(r#"["600/min"]"#), Ok(vec![("a minute".to_owned(), 600)]));
    assert_eq!(limits(r#"["unlimited"]"#), Ok(Vec::new()));
    let refused = limits(r#"["600"]"#).expect_err("not a limit");
    assert!(refused.contains("`600` is not a limit: write limits as 45/min"), "{refused}");
}

#[test]
fn a_description_that_is_printed_shows_no_key() {
    let mut config: CustomConfig = serde_json::from_str(DESCRIPTION).expect("a description");
    config.headers.insert("Authorization".to_owned(), format!("Basic {CANARY}"));
    config.url = format!("https://geo.example/{{ip}}?key={CANARY}");
    config.batch.iter_mut().for_each(|batch| batch.url = format!("https://geo.example/{CANARY}"));
    assert!(!format!("{config:?}").contains(CANARY));
}
