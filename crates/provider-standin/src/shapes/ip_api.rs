use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::{Question, Shape, is_refused, list, no_such_path};
use crate::{
    answers::{Entry, Outcome},
    http::{Request, Response},
};

/// Every field in the order of the answer, with its bit in the numeric form of `fields`.
const FIELDS: [(&str, u32); 25] = [
    ("query", 8_192),
    ("status", 16_384),
    ("message", 32_768),
    ("continent", 1_048_576),
    ("continentCode", 2_097_152),
    ("country", 1),
    ("countryCode", 2),
    ("region", 4),
    ("regionName", 8),
    ("city", 16),
    ("district", 524_288),
    ("zip", 32),
    ("lat", 64),
    ("lon", 128),
    ("timezone", 256),
    ("offset", 33_554_432),
    ("currency", 8_388_608),
    ("isp", 512),
    ("org", 1_024),
    ("as", 2_048),
    ("asname", 4_194_304),
    ("reverse", 4_096),
    ("mobile", 65_536),
    ("proxy", 131_072),
    ("hosting", 16_777_216),
];
/// What is answered without `fields`.
const DEFAULT_FIELDS: u32 = 61_439;
const BATCH: usize = 100;

pub(super) fn understand(request: &Request) -> Result<Question, Response> {
    let key = request.parameter("key");
    if key.is_some_and(is_refused) {
        return Err(key_rejected());
    }
    let shape = Shape::IpApi { fields: fields(request.parameter("fields")) };
    if let Some(address) = request.path.strip_prefix("json/") {
        return Ok(Question::single(shape, address).paid(key.is_some()));
    }
    if request.path != "batch" || request.method != "POST" {
        return Err(no_such_path());
    }
    match list(&request.body, "query") {
        Some(asked) if asked.len() <= BATCH => Ok(Question::batch(shape, asked).paid(key.is_some())),
        Some(_) => Err(Response::of(422, "text/plain", "")),
        None => Err(Response::of(400, "text/plain", "")),
    }
}

fn fields(asked: Option<&str>) -> u32 {
    let Some(asked) = asked else { return DEFAULT_FIELDS };
    asked.parse().unwrap_or_else(|_| {
        asked
            .split(',')
            .filter_map(|name| FIELDS.iter().find(|(field, _)| *field == name))
            .fold(0, |fields, (_, bit)| fields | bit)
    })
}

struct Item<'a> {
    fields: u32,
    entry: &'a Entry,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, bit) in FIELDS {
            if self.fields & bit != 0 {
                self.field(name, &mut map)?;
            }
        }
        map.end()
    }
}

impl Item<'_> {
    fn field<M: SerializeMap>(&self, name: &str, map: &mut M) -> Result<(), M::Error> {
        let Some(place) = self.entry.place() else {
            let message = match self.entry.outcome {
                Outcome::Invalid => "invalid query",
                Outcome::Special(class) if class.slug() == "private" => "private range",
                _ => "reserved range",
            };
            return match name {
                "query" => map.serialize_entry(name, &self.entry.shown),
                "status" => map.serialize_entry(name, "fail"),
                "message" => map.serialize_entry(name, message),
                _ => Ok(()),
            };
        };
        let city = &place.city;
        match name {
            "query" => map.serialize_entry(name, &self.entry.shown),
            "status" => map.serialize_entry(name, "success"),
            "continent" => map.serialize_entry(name, city.continent()),
            "continentCode" => map.serialize_entry(name, city.continent_code),
            "country" => map.serialize_entry(name, city.country),
            "countryCode" => map.serialize_entry(name, city.country_code),
            "region" => map.serialize_entry(name, city.region_code),
            "regionName" => map.serialize_entry(name, city.region),
            "city" => map.serialize_entry(name, &place.name),
            "district" | "zip" | "reverse" | "currency" => map.serialize_entry(name, ""),
            "lat" => map.serialize_entry(name, &place.latitude),
            "lon" => map.serialize_entry(name, &place.longitude),
            "timezone" => map.serialize_entry(name, city.timezone),
            "offset" => map.serialize_entry(name, &0),
            "isp" | "org" => map.serialize_entry(name, &place.organization()),
            "as" => map.serialize_entry(name, &format!("AS{} {}", place.asn, place.organization())),
            "asname" => map.serialize_entry(name, "STAND-IN"),
            "mobile" | "proxy" | "hosting" => map.serialize_entry(name, &false),
            _ => Ok(()),
        }
    }
}

pub(super) fn render(fields: u32, entries: &[Entry], batch: bool) -> Response {
    let items: Vec<_> = entries.iter().map(|entry| Item { fields, entry }).collect();
    match items.as_slice() {
        [item] if !batch => Response::json(200, item),
        items => Response::json(200, &items),
    }
}

pub(super) fn rate_limited(resets_in: Duration) -> Response {
    Response::of(429, "text/plain", "")
        .with_header("X-Rl", "0")
        .with_header("X-Ttl", resets_in.as_secs().to_string())
}

pub(super) fn key_rejected() -> Response {
    let message = "invalid/expired key, renew at https://members.ip-api.com/order";
    Response::json(403, &json!({ "status": "fail", "message": message }))
}

pub(super) fn ok_with_error() -> Response {
    Response::json(200, &json!({ "status": "fail", "message": "invalid query" }))
}
