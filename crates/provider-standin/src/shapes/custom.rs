use serde::Serialize;
use serde_json::json;

use super::{Question, Shape, is_refused, list, no_such_path};
use crate::{
    answers::{Entry, Figure},
    http::{Request, Response},
};

/// A service as an operator might describe one: `/{ip}`, `/json/{ip}` or `/?ip=`, and a list to `/batch`.
pub(super) fn understand(request: &Request) -> Result<Question, Response> {
    if request.key().as_deref().is_some_and(is_refused) {
        return Err(key_rejected());
    }
    if request.path == "batch" {
        let asked = list(&request.body, "ip").ok_or_else(no_such_path)?;
        return Ok(Question::batch(Shape::Custom, asked));
    }
    let path = request.path.strip_prefix("json/").unwrap_or(&request.path);
    let address = Some(path).filter(|path| !path.is_empty()).or_else(|| request.parameter("ip"));
    address.map(|address| Question::single(Shape::Custom, address)).ok_or_else(no_such_path)
}

#[derive(Serialize)]
struct Item<'a> {
    ip: &'a str,
    country_code: Option<&'a str>,
    country: Option<&'a str>,
    region: Option<&'a str>,
    city: Option<&'a str>,
    latitude: &'a Figure,
    longitude: &'a Figure,
    timezone: Option<&'a str>,
    asn: Option<String>,
    organization: Option<String>,
}

fn item(entry: &Entry) -> Item<'_> {
    let place = entry.place();
    Item {
        ip: &entry.shown,
        country_code: place.map(|place| place.city.country_code),
        country: place.map(|place| place.city.country),
        region: place.map(|place| place.city.region),
        city: place.map(|place| &*place.name),
        latitude: place.map_or(&Figure::Null, |place| &place.latitude),
        longitude: place.map_or(&Figure::Null, |place| &place.longitude),
        timezone: place.map(|place| place.city.timezone),
        asn: place.map(|place| format!("AS{}", place.asn)),
        organization: place.map(crate::answers::Place::organization),
    }
}

pub(super) fn render(entries: &[Entry], batch: bool) -> Response {
    match entries {
        [entry] if !batch => Response::json(200, &item(entry)),
        entries => Response::json(200, &entries.iter().map(item).collect::<Vec<_>>()),
    }
}

pub(super) fn rate_limited() -> Response {
    Response::json(429, &json!({ "error": "rate limit exceeded" }))
}

pub(super) fn key_rejected() -> Response {
    Response::json(401, &json!({ "error": "unknown key" }))
}
