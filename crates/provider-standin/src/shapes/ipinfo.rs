use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::{Question, Shape, is_refused, list, no_such_path};
use crate::{
    answers::{Entry, Figure, Outcome},
    http::{Request, Response},
};

const BATCH: usize = 1_000;

/// Which of the three shapes.
#[derive(Clone, Copy)]
pub(super) enum Plan {
    Legacy,
    Lite,
    Core,
}

/// A first segment `api` stands for the host api.ipinfo.io, whose batch looks up in the shape of Core.
pub(super) fn understand(request: &Request, service: Shape) -> Result<Question, Response> {
    let key = request.key();
    if key.as_deref().is_some_and(is_refused) {
        return Err(key_rejected());
    }
    let (path, service) = match request.path.strip_prefix("api/") {
        Some(path) => (path, Shape::IpinfoCore),
        None => (request.path.as_str(), service),
    };
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let shape = shape(first, service);
    if shape != Shape::IpinfoLegacy && key.is_none() {
        return Err(key_rejected());
    }
    match (first, rest) {
        ("batch", plan) => batch(request, plan, service),
        ("lite" | "lookup" | "plus" | "max", address) if !address.is_empty() => {
            Ok(Question::single(shape, address).paid(shape == Shape::IpinfoCore))
        }
        (address, "" | "json") if service == Shape::IpinfoLegacy => Ok(Question::single(shape, address)),
        _ => Err(no_such_path()),
    }
}

fn shape(word: &str, service: Shape) -> Shape {
    match word {
        "lite" => Shape::IpinfoLite,
        "lookup" | "core" | "plus" | "max" => Shape::IpinfoCore,
        _ => service,
    }
}

/// Items are addresses, alone or after the word of a plan; the path may name the plan instead.
fn batch(request: &Request, plan: &str, service: Shape) -> Result<Question, Response> {
    let asked = list(&request.body, "ip").filter(|_| request.method == "POST").ok_or_else(no_such_path)?;
    if asked.len() > BATCH {
        return Err(Response::json(400, &json!({ "error": "Batch size exceeds 1000" })));
    }
    let word = asked.first().and_then(|first| first.split_once('/')).map_or(plan, |(word, _)| word);
    let shape = shape(word, service);
    Ok(Question::batch(shape, asked).paid(shape == Shape::IpinfoCore))
}

#[derive(Serialize)]
struct Legacy<'a> {
    ip: &'a str,
    hostname: String,
    city: &'a str,
    region: &'a str,
    country: &'a str,
    loc: String,
    org: String,
    postal: &'a str,
    timezone: &'a str,
}

#[derive(Serialize)]
struct Lite<'a> {
    ip: &'a str,
    asn: String,
    as_name: String,
    as_domain: &'a str,
    country_code: &'a str,
    country: &'a str,
    continent_code: &'a str,
    continent: &'a str,
}

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the documented answer")]
struct Core<'a> {
    ip: &'a str,
    hostname: String,
    geo: Geo<'a>,
    #[serde(rename = "as")]
    system: System,
    is_anonymous: bool,
    is_anycast: bool,
    is_hosting: bool,
    is_mobile: bool,
    is_satellite: bool,
}

#[derive(Serialize)]
struct Geo<'a> {
    city: &'a str,
    region: &'a str,
    region_code: &'a str,
    country: &'a str,
    country_code: &'a str,
    continent: &'a str,
    continent_code: &'a str,
    latitude: &'a Figure,
    longitude: &'a Figure,
    timezone: &'a str,
    postal_code: &'a str,
}

#[derive(Serialize)]
struct System {
    asn: String,
    name: String,
    domain: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

struct Item<'a>(Plan, &'a Entry);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(plan, entry) = self;
        let ip = entry.shown.as_str();
        let Some(place) = entry.place() else {
            let mut map = serializer.serialize_map(Some(2))?;
            if matches!(entry.outcome, Outcome::Invalid) {
                map.serialize_entry("error", "Please provide a valid IP address")?;
            } else {
                map.serialize_entry("ip", ip)?;
                map.serialize_entry("bogon", &true)?;
            }
            return map.end();
        };
        let city = &place.city;
        let hostname = format!("host-{}.stand-in.example", ip.replace([':', '.'], "-"));
        let asn = format!("AS{}", place.asn);
        match plan {
            Plan::Legacy => Legacy {
                ip,
                hostname,
                city: &place.name,
                region: city.region,
                country: city.country_code,
                loc: format!("{},{}", place.latitude.text(), place.longitude.text()),
                org: format!("{asn} {}", place.organization()),
                postal: "10000",
                timezone: city.timezone,
            }
            .serialize(serializer),
            Plan::Lite => Lite {
                ip,
                asn,
                as_name: place.organization(),
                as_domain: "stand-in.example",
                country_code: city.country_code,
                country: city.country,
                continent_code: city.continent_code,
                continent: city.continent(),
            }
            .serialize(serializer),
            Plan::Core => Core {
                ip,
                hostname,
                geo: Geo {
                    city: &place.name,
                    region: city.region,
                    region_code: city.region_code,
                    country: city.country,
                    country_code: city.country_code,
                    continent: city.continent(),
                    continent_code: city.continent_code,
                    latitude: &place.latitude,
                    longitude: &place.longitude,
                    timezone: city.timezone,
                    postal_code: "10000",
                },
                system: System {
                    asn,
                    name: place.organization(),
                    domain: "stand-in.example",
                    kind: "hosting",
                },
                is_anonymous: false,
                is_anycast: false,
                is_hosting: true,
                is_mobile: false,
                is_satellite: false,
            }
            .serialize(serializer),
        }
    }
}

/// A batch: an object whose names are what was asked.
struct Keyed<'a>(Plan, &'a [Entry]);

impl Serialize for Keyed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.1.iter().map(|entry| (&entry.asked, Item(self.0, entry))))
    }
}

pub(super) fn render(plan: Plan, entries: &[Entry], batch: bool) -> Response {
    match (entries, plan) {
        ([entry], Plan::Legacy) if !batch && matches!(entry.outcome, Outcome::Invalid) => {
            let error = json!({ "title": "Wrong ip", "message": "Please provide a valid IP address" });
            Response::json(404, &json!({ "status": 404, "error": error }))
        }
        ([entry], _) if !batch => Response::json(
            if matches!(entry.outcome, Outcome::Invalid) { 400 } else { 200 },
            &Item(plan, entry),
        ),
        _ => Response::json(200, &Keyed(plan, entries)),
    }
}

pub(super) fn rate_limited() -> Response {
    let message = "Upgrade to increase your usage limits at https://ipinfo.io/pricing, or contact us via https://ipinfo.io/contact";
    Response::json(429, &json!({ "title": "Rate limit exceeded", "message": message }))
}

pub(super) fn key_rejected() -> Response {
    let message = "Please ensure you've entered your token correctly.";
    Response::json(403, &json!({ "status": 403, "error": { "title": "Unknown token", "message": message } }))
}

pub(super) fn ok_with_error() -> Response {
    let error = json!({ "title": "Wrong ip", "message": "Please provide a valid IP address" });
    Response::json(200, &json!({ "status": 404, "error": error }))
}
