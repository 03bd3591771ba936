use serde::Serialize;
use serde_json::json;

use super::{Question, Shape, no_such_path};
use crate::{
    answers::{Entry, Figure, Outcome},
    http::{Request, Response},
};

pub(super) fn understand(request: &Request) -> Result<Question, Response> {
    let address = request.path.strip_prefix("api/json/").ok_or_else(no_such_path)?;
    Ok(Question::single(Shape::Freeipapi, address).paid(request.key().is_some()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    ip_version: u8,
    ip_address: &'a str,
    latitude: &'a Figure,
    longitude: &'a Figure,
    country_name: &'a str,
    country_code: &'a str,
    capital: &'a str,
    phone_codes: [u16; 0],
    time_zones: [&'a str; 1],
    zip_code: &'a str,
    city_name: &'a str,
    region_name: &'a str,
    continent: &'a str,
    continent_code: &'a str,
    currencies: [&'a str; 0],
    languages: [&'a str; 0],
    asn: String,
    asn_organization: String,
    is_proxy: bool,
}

pub(super) fn render(entries: &[Entry]) -> Response {
    let [entry] = entries else { return no_such_path() };
    if matches!(entry.outcome, Outcome::Invalid) {
        return Response::json(400, &json!({ "message": "The ip address is not valid." }));
    }
    let nowhere = Figure::Degrees(0.0);
    let place = entry.place();
    let city = place.map(|place| place.city);
    // What it does not know is answered as 200 with dashes and zeros.
    let word = |of: fn(&crate::City) -> &'static str| city.as_ref().map_or("-", of);
    Response::json(
        200,
        &Item {
            ip_version: if entry.shown.contains(':') { 6 } else { 4 },
            ip_address: &entry.shown,
            latitude: place.map_or(&nowhere, |place| &place.latitude),
            longitude: place.map_or(&nowhere, |place| &place.longitude),
            country_name: word(|city| city.country),
            country_code: word(|city| city.country_code),
            capital: "-",
            phone_codes: [],
            time_zones: [word(|city| city.timezone)],
            zip_code: "-",
            city_name: place.map_or("-", |place| &place.name),
            region_name: word(|city| city.region),
            continent: word(crate::City::continent),
            continent_code: word(|city| city.continent_code),
            currencies: [],
            languages: [],
            asn: place.map_or_else(|| "-".to_owned(), |place| place.asn.to_string()),
            asn_organization: place.map_or_else(|| "-".to_owned(), crate::answers::Place::organization),
            is_proxy: false,
        },
    )
}

pub(super) fn rate_limited() -> Response {
    Response::json(429, &json!({ "message": "Too Many Attempts." }))
}
