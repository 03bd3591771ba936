use serde::{Serialize, Serializer};
use serde_json::json;

use super::{Question, Shape, is_refused, list};
use crate::{
    answers::{Entry, Figure, Outcome},
    http::{Request, Response},
};

const BATCH: usize = 100;

/// Bulk takes a key, and its addresses in the path with commas or in the body as a list.
pub(super) fn understand(request: &Request) -> Result<Question, Response> {
    let key = request.parameter("key");
    if key.is_some_and(is_refused) {
        return Err(key_rejected());
    }
    let path = request.path.as_str();
    let Some(rest) = path.strip_prefix("bulk").filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return Ok(Question::single(Shape::Ipwhois, path).paid(key.is_some()));
    };
    if key.is_none() {
        return Err(failed("Bulk lookups need a paid plan"));
    }
    let asked = match rest.trim_start_matches('/') {
        "" => list(&request.body, "ip").ok_or_else(|| failed("Invalid request body"))?,
        path => path.split(',').map(str::to_owned).collect(),
    };
    if asked.len() > BATCH {
        return Err(failed("Too many IP addresses"));
    }
    Ok(Question::batch(Shape::Ipwhois, asked).paid(true))
}

#[derive(Serialize)]
struct Found<'a> {
    ip: &'a str,
    success: bool,
    #[serde(rename = "type")]
    family: &'a str,
    continent: &'a str,
    continent_code: &'a str,
    country: &'a str,
    country_code: &'a str,
    region: &'a str,
    region_code: &'a str,
    city: &'a str,
    latitude: &'a Figure,
    longitude: &'a Figure,
    is_eu: bool,
    postal: &'a str,
    connection: Connection,
    timezone: Timezone<'a>,
}

#[derive(Serialize)]
struct Connection {
    asn: u32,
    org: String,
    isp: String,
    domain: &'static str,
}

#[derive(Serialize)]
struct Timezone<'a> {
    id: &'a str,
}

struct Item<'a>(&'a Entry);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ip = self.0.shown.as_str();
        let Some(place) = self.0.place() else {
            let message = if matches!(self.0.outcome, Outcome::Invalid) {
                "Invalid IP address"
            } else {
                "Reserved range"
            };
            return json!({ "ip": ip, "success": false, "message": message }).serialize(serializer);
        };
        let city = &place.city;
        Found {
            ip,
            success: true,
            family: if ip.contains(':') { "IPv6" } else { "IPv4" },
            continent: city.continent(),
            continent_code: city.continent_code,
            country: city.country,
            country_code: city.country_code,
            region: city.region,
            region_code: city.region_code,
            city: &place.name,
            latitude: &place.latitude,
            longitude: &place.longitude,
            is_eu: false,
            postal: "",
            connection: Connection {
                asn: place.asn,
                org: place.organization(),
                isp: place.organization(),
                domain: "stand-in.example",
            },
            timezone: Timezone { id: city.timezone },
        }
        .serialize(serializer)
    }
}

pub(super) fn render(entries: &[Entry], batch: bool) -> Response {
    match entries {
        [entry] if !batch => Response::json(200, &Item(entry)),
        entries => Response::json(200, &entries.iter().map(Item).collect::<Vec<_>>()),
    }
}

fn failed(message: &str) -> Response {
    Response::json(200, &json!({ "success": false, "message": message }))
}

pub(super) fn rate_limited() -> Response {
    let message = "You've hit the rate limit";
    Response::json(429, &json!({ "success": false, "message": message }))
}

pub(super) fn key_rejected() -> Response {
    Response::json(401, &json!({ "success": false, "message": "Invalid API key" }))
}

pub(super) fn ok_with_error() -> Response {
    failed("Internal error")
}
