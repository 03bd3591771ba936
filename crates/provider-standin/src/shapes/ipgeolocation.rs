use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::json;

use super::{Question, Shape, is_refused, no_such_path};
use crate::{
    answers::{Entry, Outcome, Place},
    http::{Request, Response},
};

const BATCH: usize = 50_000;

/// A key with `paid` in it stands for a plan that has the bulk endpoint.
pub(super) fn understand(request: &Request) -> Result<Question, Response> {
    let key = request.parameter("apiKey").unwrap_or_default();
    if is_refused(key) {
        return Err(key_rejected());
    }
    let (shape, bulk) = match request.path.as_str() {
        "v3/ipgeo" => (Shape::IpgeolocationV3, false),
        "v3/ipgeo-bulk" => (Shape::IpgeolocationV3, true),
        "ipgeo" => (Shape::IpgeolocationLegacy, false),
        "ipgeo-bulk" => (Shape::IpgeolocationLegacy, true),
        _ => return Err(no_such_path()),
    };
    if !bulk {
        let address = request.parameter("ip").ok_or_else(|| message(400, "Provide an IP address."))?;
        return Ok(Question::single(shape, address).paid(key.contains("paid")));
    }
    if request.method != "POST" {
        return Err(message(405, "Request method is not allowed."));
    }
    if !key.contains("paid") {
        return Err(message(
            401,
            "Bulk IP to geolocation lookup is not supported on your free subscription.",
        ));
    }
    let asked = serde_json::from_slice::<serde_json::Value>(&request.body)
        .ok()
        .and_then(|body| serde_json::from_value::<Vec<String>>(body.get("ips")?.clone()).ok())
        .ok_or_else(|| message(400, "Provide a list of IP addresses."))?;
    if asked.len() > BATCH {
        return Err(Response::of(
            413,
            "text/html",
            "<html><head><title>413 Request Entity Too Large</title></head></html>",
        ));
    }
    Ok(Question::batch(shape, asked).paid(true))
}

#[derive(Serialize)]
struct Location<'a> {
    continent_code: &'a str,
    continent_name: &'a str,
    country_code2: &'a str,
    country_name: &'a str,
    country_name_official: &'a str,
    country_capital: &'a str,
    state_prov: &'a str,
    state_code: String,
    district: &'a str,
    city: &'a str,
    zipcode: &'a str,
    latitude: Cow<'a, str>,
    longitude: Cow<'a, str>,
    is_eu: bool,
}

#[derive(Serialize)]
struct Asn<'a> {
    as_number: String,
    organization: String,
    country: &'a str,
}

#[derive(Serialize)]
struct Version3<'a> {
    ip: &'a str,
    location: Location<'a>,
    asn: Asn<'a>,
}

#[derive(Serialize)]
struct Legacy<'a> {
    ip: &'a str,
    #[serde(flatten)]
    location: Location<'a>,
    isp: String,
    organization: String,
    asn: String,
    time_zone: serde_json::Value,
}

struct Item<'a> {
    legacy: bool,
    entry: &'a Entry,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ip = self.entry.shown.as_str();
        let Some(place) = self.entry.place() else {
            return json!({ "message": failure(self.entry).1 }).serialize(serializer);
        };
        let location = location(place);
        let asn = format!("AS{}", place.asn);
        let organization = place.organization();
        if self.legacy {
            let time_zone = json!({ "name": place.city.timezone });
            Legacy { ip, location, isp: organization.clone(), organization, asn, time_zone }
                .serialize(serializer)
        } else {
            let asn = Asn { as_number: asn, organization, country: place.city.country_code };
            Version3 { ip, location, asn }.serialize(serializer)
        }
    }
}

fn location(place: &Place) -> Location<'_> {
    let city = &place.city;
    Location {
        continent_code: city.continent_code,
        continent_name: city.continent(),
        country_code2: city.country_code,
        country_name: city.country,
        country_name_official: city.country,
        country_capital: "",
        state_prov: city.region,
        state_code: format!("{}-{}", city.country_code, city.region_code),
        district: "",
        city: &place.name,
        zipcode: "",
        latitude: place.latitude.text(),
        longitude: place.longitude.text(),
        is_eu: false,
    }
}

fn failure(entry: &Entry) -> (u16, String) {
    let asked = &entry.shown;
    match entry.outcome {
        Outcome::Invalid => (400, format!("'{asked}' is not a valid IP address.")),
        Outcome::Special(_) => (423, format!("'{asked}' is a bogon IP address.")),
        _ => (404, format!("Provided IP address '{asked}' does not exist in IPGeolocation DB.")),
    }
}

pub(super) fn render(legacy: bool, entries: &[Entry], batch: bool) -> Response {
    match entries {
        [entry] if !batch => {
            let status = if entry.place().is_some() { 200 } else { failure(entry).0 };
            Response::json(status, &Item { legacy, entry })
        }
        entries => {
            let found = entries.iter().filter(|entry| entry.place().is_some()).count().to_string();
            let items: Vec<_> = entries.iter().map(|entry| Item { legacy, entry }).collect();
            Response::json(200, &items)
                .with_header("X-Credits-Charged", found.clone())
                .with_header("X-Successful-Record", found)
        }
    }
}

fn message(status: u16, text: &str) -> Response {
    Response::json(status, &json!({ "message": text }))
}

pub(super) fn rate_limited() -> Response {
    message(429, "You have exceeded your daily limit of 1000 requests.")
}

pub(super) fn key_rejected() -> Response {
    message(
        401,
        "Provided API key is not valid. Contact technical support for assistance at support@ipgeolocation.io",
    )
}

pub(super) fn ok_with_error() -> Response {
    message(200, "Something went wrong.")
}
