use serde::Serialize;
use serde_json::json;

use super::{Question, Shape, is_refused, no_such_path};
use crate::{
    answers::{Entry, Figure, Outcome},
    http::{Request, Response},
};

pub(super) fn understand(request: &Request) -> Result<Question, Response> {
    match request.basic() {
        None => return Err(error(401, "ACCOUNT_ID_REQUIRED", "You have not supplied an account ID.")),
        Some((account, _)) if account.is_empty() => {
            return Err(error(401, "ACCOUNT_ID_REQUIRED", "You have not supplied an account ID."));
        }
        Some((_, key)) if key.is_empty() => {
            return Err(error(401, "LICENSE_KEY_REQUIRED", "You have not supplied a license key."));
        }
        Some((_, key)) if is_refused(&key) => return Err(key_rejected()),
        Some(_) => {}
    }
    let address = request.path.strip_prefix("geoip/v2.1/city/").ok_or_else(no_such_path)?;
    Ok(Question::single(Shape::Maxmind, address))
}

#[derive(Serialize)]
struct Item<'a> {
    city: Named<'a>,
    continent: Continent<'a>,
    country: Country<'a>,
    location: Location<'a>,
    postal: Postal<'a>,
    registered_country: Country<'a>,
    subdivisions: [Country<'a>; 1],
    traits: Traits<'a>,
}

#[derive(Serialize)]
struct Names<'a> {
    en: &'a str,
}

#[derive(Serialize)]
struct Named<'a> {
    names: Names<'a>,
}

#[derive(Serialize)]
struct Continent<'a> {
    code: &'a str,
    names: Names<'a>,
}

#[derive(Serialize)]
struct Country<'a> {
    iso_code: &'a str,
    names: Names<'a>,
}

#[derive(Serialize)]
struct Location<'a> {
    accuracy_radius: u16,
    latitude: &'a Figure,
    longitude: &'a Figure,
    time_zone: &'a str,
}

#[derive(Serialize)]
struct Postal<'a> {
    code: &'a str,
}

#[derive(Serialize)]
struct Traits<'a> {
    autonomous_system_number: u32,
    autonomous_system_organization: String,
    ip_address: &'a str,
    isp: String,
    organization: String,
    network: String,
}

pub(super) fn render(entries: &[Entry]) -> Response {
    let [entry] = entries else { return no_such_path() };
    let ip = entry.shown.as_str();
    let Some(place) = entry.place() else {
        return match entry.outcome {
            Outcome::Invalid => {
                error(400, "IP_ADDRESS_INVALID", &format!("The value {ip} is not a valid IP address."))
            }
            Outcome::Special(_) => {
                error(400, "IP_ADDRESS_RESERVED", &format!("The address {ip} is a private address."))
            }
            _ => error(404, "IP_ADDRESS_NOT_FOUND", &format!("The address {ip} is not in our database.")),
        };
    };
    let city = &place.city;
    let country = || Country { iso_code: city.country_code, names: Names { en: city.country } };
    let item = Item {
        city: Named { names: Names { en: &place.name } },
        continent: Continent { code: city.continent_code, names: Names { en: city.continent() } },
        country: country(),
        location: Location {
            accuracy_radius: 20,
            latitude: &place.latitude,
            longitude: &place.longitude,
            time_zone: city.timezone,
        },
        postal: Postal { code: "10000" },
        registered_country: country(),
        subdivisions: [Country { iso_code: city.region_code, names: Names { en: city.region } }],
        traits: Traits {
            autonomous_system_number: place.asn,
            autonomous_system_organization: place.organization(),
            ip_address: ip,
            isp: place.organization(),
            organization: place.organization(),
            network: format!("{ip}/{}", if ip.contains(':') { 128 } else { 32 }),
        },
    };
    let mut response = Response::json(200, &item);
    response.headers = vec![(
        "Content-Type",
        "application/vnd.maxmind.com-city+json; charset=UTF-8; version=2.1".to_owned(),
    )];
    response
}

fn error(status: u16, code: &str, text: &str) -> Response {
    Response::json(status, &json!({ "code": code, "error": text }))
}

pub(super) fn rate_limited() -> Response {
    error(429, "TOO_MANY_REQUESTS", "You have exceeded your daily limit of queries.")
}

pub(super) fn key_rejected() -> Response {
    error(401, "AUTHORIZATION_INVALID", "Your account ID or license key could not be authenticated.")
}

pub(super) fn ok_with_error() -> Response {
    error(200, "INSUFFICIENT_FUNDS", "The license key you have provided is out of queries.")
}
