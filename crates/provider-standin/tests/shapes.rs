//! Every shape, limit and ban, as the providers document them.

use std::time::Duration;

use hostatlas_domain::ProviderName;
use hostatlas_provider_standin::{Fault, Request, Response, Settings, StandIn, World};
use serde_json::{Value, json};

const KNOWN: &str = "8.8.8.8";

async fn stand_in() -> StandIn {
    let world = World { seed: 3, unknown_one_in: 0, gap_one_in: 0 };
    StandIn::start(Settings { world, ..Settings::default() }).await.unwrap()
}

fn get(path: &str) -> Request {
    Request::new("GET", path, &[])
}

fn post(path: &str, body: &Value) -> Request {
    Request::new("POST", path, body.to_string().as_bytes())
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

/// The body with every figure and name of a place replaced by its kind, so that only the shape is left.
fn shape(response: &Response) -> String {
    let text = text(response);
    let mut shape = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("\":") {
        let (name, value) = rest.split_at(start + 2);
        let name = &name[name[..start].rfind('"').unwrap() + 1..start];
        let kind = match value.as_bytes()[0] {
            b'"' => "text",
            b'{' => "object",
            b'[' => "list",
            b't' | b'f' => "bool",
            _ => "number",
        };
        shape.push(format!("{name}:{kind}"));
        rest = value;
    }
    shape.join(" ")
}

#[tokio::test]
async fn ip_api_answers_in_the_documented_order_with_what_is_left_of_the_window() {
    let stand_in = stand_in().await;

    let single = stand_in.answer(get(&format!("/ip-api/json/{KNOWN}")));
    let chosen = stand_in.answer(get(&format!("/ip-api/json/{KNOWN}?fields=status,lat,query")));
    let batch = stand_in.answer(post("/ip-api/batch", &json!([KNOWN, {"query": "10.0.0.1"}, "2"])));

    assert_eq!(
        shape(&single),
        "query:text status:text country:text countryCode:text region:text regionName:text city:text zip:text \
         lat:number lon:number timezone:text isp:text org:text as:text"
    );
    assert_eq!(shape(&chosen), "query:text status:text lat:number");
    let items: Vec<Value> = serde_json::from_slice(&batch.body).unwrap();
    assert_eq!(items[1], json!({"query": "10.0.0.1", "status": "fail", "message": "private range"}));
    assert_eq!(items[2], json!({"query": "2", "status": "fail", "message": "invalid query"}));
    assert_eq!(
        (header(&single, "X-Rl"), header(&chosen, "X-Rl"), header(&batch, "X-Rl")),
        (Some("44"), Some("43"), Some("14"))
    );
    assert!(header(&batch, "X-Ttl").unwrap().parse::<u64>().unwrap() <= 60);
}

#[tokio::test]
async fn ip_api_refuses_more_than_a_hundred_at_once_and_a_wrong_key() {
    let stand_in = stand_in().await;
    let many: Vec<String> = (0..101).map(|last| format!("8.8.8.{last}")).collect();

    assert_eq!(stand_in.answer(post("/ip-api/batch", &json!(many))).status, 422);
    let refused = stand_in.answer(get(&format!("/ip-api/json/{KNOWN}?key=bad")));
    assert_eq!(refused.status, 403);
    assert!(text(&refused).contains("invalid/expired key, renew at https://members.ip-api.com/order"));
}

#[tokio::test]
async fn ipinfo_has_three_shapes_and_a_batch_by_what_was_asked() {
    let stand_in = stand_in().await;
    let with_token = |request: Request| request.with_header("authorization", "Bearer token");

    let legacy = stand_in.answer(get(&format!("/ipinfo/{KNOWN}/json")));
    let lite = stand_in.answer(with_token(get(&format!("/ipinfo-lite/lite/{KNOWN}"))));
    let core = stand_in.answer(with_token(get(&format!("/ipinfo/api/lookup/{KNOWN}"))));
    let batch = stand_in.answer(post("/ipinfo/batch", &json!([KNOWN, "10.0.0.1"])));
    let core_batch = stand_in.answer(with_token(post("/ipinfo/api/batch", &json!([KNOWN]))));
    let without = stand_in.answer(get(&format!("/ipinfo-lite/lite/{KNOWN}")));

    assert_eq!(
        shape(&legacy),
        "ip:text hostname:text city:text region:text country:text loc:text org:text postal:text timezone:text"
    );
    assert_eq!(
        shape(&lite),
        "ip:text asn:text as_name:text as_domain:text country_code:text country:text continent_code:text \
         continent:text"
    );
    assert_eq!(
        shape(&core),
        "ip:text hostname:text geo:object city:text region:text region_code:text country:text country_code:text \
         continent:text continent_code:text latitude:number longitude:number timezone:text postal_code:text \
         as:object asn:text name:text domain:text type:text is_anonymous:bool is_anycast:bool is_hosting:bool \
         is_mobile:bool is_satellite:bool"
    );
    let batch: Value = serde_json::from_slice(&batch.body).unwrap();
    assert_eq!(batch["10.0.0.1"], json!({"ip": "10.0.0.1", "bogon": true}));
    assert_eq!(batch[KNOWN], serde_json::from_slice::<Value>(&legacy.body).unwrap());
    assert!(text(&core_batch).contains("\"geo\":"));
    assert_eq!((without.status, text(&without).contains("Unknown token")), (403, true));
}

#[tokio::test]
async fn freeipapi_answers_numbers_and_knows_nothing_as_dashes_and_zeros() {
    let stand_in = stand_in().await;

    let known = stand_in.answer(get(&format!("/freeipapi/api/json/{KNOWN}")));
    let unknown: Value =
        serde_json::from_slice(&stand_in.answer(get("/freeipapi/api/json/10.0.0.1")).body).unwrap();

    assert_eq!(
        shape(&known),
        "ipVersion:number ipAddress:text latitude:number longitude:number countryName:text countryCode:text \
         capital:text phoneCodes:list timeZones:list zipCode:text cityName:text regionName:text continent:text \
         continentCode:text currencies:list languages:list asn:text asnOrganization:text isProxy:bool"
    );
    assert_eq!((&unknown["cityName"], &unknown["latitude"]), (&json!("-"), &json!(0.0)));
}

#[tokio::test]
async fn ipgeolocation_gives_coordinates_as_text_and_bulk_to_paid_plans_alone() {
    let stand_in = stand_in().await;
    let ips = json!({"ips": [KNOWN, "10.0.0.1"]});

    let version3 = stand_in.answer(get(&format!("/ipgeolocation/v3/ipgeo?apiKey=key&ip={KNOWN}")));
    let legacy = stand_in.answer(get(&format!("/ipgeolocation/ipgeo?apiKey=key&ip={KNOWN}")));
    let bogon = stand_in.answer(get("/ipgeolocation/v3/ipgeo?apiKey=key&ip=10.0.0.1"));
    let keyless = stand_in.answer(get(&format!("/ipgeolocation/v3/ipgeo?ip={KNOWN}")));
    let free = stand_in.answer(post("/ipgeolocation/v3/ipgeo-bulk?apiKey=key", &ips));
    let paid = stand_in.answer(post("/ipgeolocation/v3/ipgeo-bulk?apiKey=paid", &ips));

    assert!(shape(&version3).starts_with("ip:text location:object continent_code:text"));
    assert!(shape(&version3).contains("latitude:text longitude:text is_eu:bool asn:object as_number:text"));
    assert!(shape(&legacy).starts_with("ip:text continent_code:text"));
    assert_eq!((bogon.status, text(&bogon)), (423, r#"{"message":"'10.0.0.1' is a bogon IP address."}"#));
    assert_eq!((keyless.status, free.status, paid.status), (401, 401, 200));
    let items: Vec<Value> = serde_json::from_slice(&paid.body).unwrap();
    assert_eq!(items[1], json!({"message": "'10.0.0.1' is a bogon IP address."}));
    assert_eq!(header(&paid, "X-Successful-Record"), Some("1"));
}

#[tokio::test]
async fn ipwhois_says_with_200_what_fails() {
    let stand_in = stand_in().await;

    let known = stand_in.answer(get(&format!("/ipwhois/{KNOWN}")));
    let limited = stand_in.answer(get(&format!("/ipwhois/{KNOWN}")));
    let bulk = stand_in.answer(get(&format!("/ipwhois/bulk/{KNOWN},127.0.0.1?key=key")));
    let free_bulk = stand_in.answer(get(&format!("/ipwhois/bulk/{KNOWN}")));

    assert_eq!(
        shape(&known),
        "ip:text success:bool type:text continent:text continent_code:text country:text country_code:text \
         region:text region_code:text city:text latitude:number longitude:number is_eu:bool postal:text \
         connection:object asn:number org:text isp:text domain:text timezone:object id:text"
    );
    assert_eq!((limited.status, header(&limited, "Retry-After")), (429, Some("1")));
    let items: Vec<Value> = serde_json::from_slice(&bulk.body).unwrap();
    assert_eq!(items[1], json!({"ip": "127.0.0.1", "success": false, "message": "Reserved range"}));
    assert!(
        text(&free_bulk).starts_with(r#"{"message":"#) && text(&free_bulk).contains(r#""success":false"#)
    );
}

#[tokio::test]
async fn maxmind_wants_an_account_and_a_licence_and_has_a_code_for_each_failure() {
    let stand_in = stand_in().await;
    // 1:licence, and 1:bad
    let with = |path: &str, basic: &str| get(path).with_header("authorization", &format!("Basic {basic}"));
    let city = |address: &str| format!("/maxmind/geoip/v2.1/city/{address}");

    let known = stand_in.answer(with(&city(KNOWN), "MTpsaWNlbmNl"));
    let reserved = stand_in.answer(with(&city("10.0.0.1"), "MTpsaWNlbmNl"));
    let nobody = stand_in.answer(get(&city(KNOWN)));
    let wrong = stand_in.answer(with(&city(KNOWN), "MTpiYWQ="));

    assert!(shape(&known).starts_with("city:object names:object en:text continent:object code:text"));
    assert!(shape(&known).contains("accuracy_radius:number latitude:number longitude:number time_zone:text"));
    assert!(header(&known, "Content-Type").unwrap().starts_with("application/vnd.maxmind.com-city+json"));
    assert_eq!(
        (reserved.status, text(&reserved)),
        (400, r#"{"code":"IP_ADDRESS_RESERVED","error":"The address 10.0.0.1 is a private address."}"#)
    );
    assert_eq!((nobody.status, text(&nobody).contains("ACCOUNT_ID_REQUIRED")), (401, true));
    assert_eq!((wrong.status, text(&wrong).contains("AUTHORIZATION_INVALID")), (401, true));
}

#[tokio::test]
async fn a_described_service_answers_one_plain_shape() {
    let stand_in = stand_in().await;

    let one = stand_in.answer(get(&format!("/custom-2/{KNOWN}")));
    let batch = stand_in.answer(post("/custom-2/batch", &json!([KNOWN])));

    assert_eq!(
        shape(&one),
        "ip:text country_code:text country:text region:text city:text latitude:number longitude:number \
         timezone:text asn:text organization:text"
    );
    assert_eq!(text(&batch), format!("[{}]", text(&one)));
}

#[tokio::test(start_paused = true)]
async fn whoever_keeps_to_the_headers_is_never_refused_and_who_does_not_is_banned() {
    let stand_in = stand_in().await;
    let ask = || stand_in.answer(post("/ip-api/batch", &json!([KNOWN])));

    let first: Vec<u16> = (0..15).map(|_| ask().status).collect();
    let refused = ask();
    tokio::time::advance(Duration::from_secs(61)).await;
    let after = ask();
    for _ in 0..14 + 21 {
        ask();
    }
    let banned = ask();
    let statistics = stand_in.statistics(ProviderName::IpApi);

    assert_eq!(first, [200; 15]);
    assert_eq!((refused.status, header(&refused, "X-Rl")), (429, Some("0")));
    assert_eq!((after.status, header(&after, "X-Rl")), (200, Some("14")));
    assert_eq!(banned.status, 403);
    assert_eq!((statistics.banned, statistics.violations), (true, 23));
    let asked = statistics.addresses_asked;
    assert_eq!((asked, statistics.addresses_answered, statistics.distinct_addresses), (53, 30, 1));
}

#[tokio::test]
async fn faults_come_for_as_many_requests_as_they_were_set_for_and_are_no_answers() {
    let stand_in = stand_in().await;
    stand_in.set_fault_for(ProviderName::Freeipapi, Fault::Antipode, 1);
    let ask = || {
        let response = stand_in.answer(get(&format!("/freeipapi/api/json/{KNOWN}")));
        serde_json::from_slice::<Value>(&response.body).unwrap()["latitude"].as_f64().unwrap()
    };

    let (spoilt, whole) = (ask(), ask());

    let city = stand_in.city(KNOWN.parse().unwrap()).unwrap();
    assert_eq!([spoilt, whole].map(f64::to_bits), [-city.latitude, city.latitude].map(f64::to_bits));
    let statistics = stand_in.statistics(ProviderName::Freeipapi);
    assert_eq!((statistics.requests, statistics.faulted, statistics.addresses_answered), (2, 1, 1));
}

#[tokio::test]
async fn control_sets_faults_by_name_and_tells_what_was_seen() {
    let stand_in = stand_in().await;

    let set = stand_in.answer(post("/control", &json!({"provider": "ip-api", "fault": "captive-portal"})));
    let asked = stand_in.answer(get(&format!("/ip-api/json/{KNOWN}")));
    let seen: Value = serde_json::from_slice(&stand_in.answer(get("/control")).body).unwrap();
    let wrong = stand_in.answer(post("/control", &json!({"fault": "no-such-fault"})));

    assert_eq!(set.status, 200);
    assert!(text(&asked).contains("guest network"));
    assert_eq!(seen["providers"]["ip-api"]["statistics"]["faulted"], json!(1));
    assert_eq!(seen["providers"]["ip-api"]["fault"], json!("captive-portal"));
    assert_eq!(wrong.status, 400);
}
