//! Faults of the response: another one instead, or what becomes of the body.

use std::{io::Write, sync::OnceLock, time::Duration};

use flate2::{Compression, write::GzEncoder};
use hostatlas_domain::{ProviderName, Timestamp};
use serde_json::{Value, json};

use crate::{answers::unquote, fault::Fault, http::Response, shapes};

/// What one member of the bomb unpacks to. More than any answer may have, so that a client which reads only the first
/// member is hit as well.
const BOMB_MEMBER: usize = 12 * 1024 * 1024;
/// How many members follow each other.
const BOMB_MEMBERS: usize = 100;
/// For how long the quota faults that name a time want to be left alone.
pub(crate) const LEFT_ALONE: Duration = Duration::from_secs(2);

/// What is needed to answer something else.
pub(crate) struct Scene<'a> {
    pub(crate) provider: ProviderName,
    /// `http://127.0.0.1:…`, without a slash at the end.
    pub(crate) origin: &'a str,
    /// The request's path and query.
    pub(crate) path: &'a str,
    pub(crate) now: Timestamp,
    /// What the request was authorized with.
    pub(crate) key: Option<String>,
    /// A number that is another each time.
    pub(crate) count: u64,
}

/// The response that `fault` puts in the place of the true one, if that is what it does.
pub(crate) fn instead(fault: Fault, scene: &Scene<'_>) -> Option<Response> {
    redirect(fault, scene).or_else(|| refusal(fault, scene)).or_else(|| status(fault, scene))
}

/// A moment as HTTP writes it.
pub(crate) fn http_date(time: Timestamp) -> String {
    let since = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(0));
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}

fn redirect(fault: Fault, scene: &Scene<'_>) -> Option<Response> {
    let Scene { origin, path, count, .. } = scene;
    let port = origin.rsplit(':').next().unwrap_or_default();
    let (status, target) = match fault {
        Fault::RedirectLoop => (302, format!("{origin}/{path}")),
        Fault::RedirectChain => (307, format!("{origin}/{path}?hop={count}")),
        Fault::RedirectToLoopback => (302, format!("{origin}/trap/{path}")),
        Fault::RedirectToLocalhost => (307, format!("http://localhost:{port}/trap/{path}")),
        Fault::RedirectPermanent => (308, format!("{origin}/trap/{path}")),
        Fault::RedirectToFile => (301, "file:///etc/hostname".to_owned()),
        Fault::RedirectNowhere => return Some(Response::of(302, "text/plain", "")),
        _ => return None,
    };
    Some(Response::of(status, "text/html", "<a>Moved</a>").with_header("Location", target))
}

fn refusal(fault: Fault, scene: &Scene<'_>) -> Option<Response> {
    let after =
        |value: &str| Some(Response::of(429, "text/plain", "slow down").with_header("Retry-After", value));
    let ttl = |value: &str| {
        Some(Response::of(429, "text/plain", "").with_header("X-Rl", "0").with_header("X-Ttl", value))
    };
    let seconds = LEFT_ALONE.as_secs().to_string();
    match fault {
        Fault::RateLimited => Some(Response::of(429, "text/plain", "")),
        Fault::RateLimitedDocumented => Some(shapes::rate_limited(scene.provider, LEFT_ALONE)),
        Fault::RetryAfterSeconds => after(&seconds),
        Fault::RetryAfterDate => after(&http_date(scene.now.plus(LEFT_ALONE))),
        Fault::RetryAfterPastDate => after("Sun, 06 Nov 1994 08:49:37 GMT"),
        Fault::RetryAfterZero => after("0"),
        Fault::RetryAfterGarbage => after("soon"),
        Fault::RetryAfterNegative => after("-5"),
        Fault::RetryAfterHuge => after("99999999999999999999999999"),
        Fault::RateLimitReset => Some(
            Response::of(429, "text/plain", "")
                .with_header("RateLimit-Limit", "60")
                .with_header("RateLimit-Remaining", "0")
                .with_header("RateLimit-Reset", seconds),
        ),
        Fault::XTtlSeconds => ttl(&seconds),
        Fault::XTtlGarbage => ttl("soon"),
        Fault::XTtlNegative => ttl("-1"),
        Fault::Banned => Some(shapes::banned()),
        Fault::KeyRejected => Some(shapes::key_rejected(scene.provider)),
        _ => None,
    }
}

fn status(fault: Fault, scene: &Scene<'_>) -> Option<Response> {
    let html = |status: u16| {
        let text =
            format!("<html><head><title>{status}</title></head><body><center>nginx</center></body></html>");
        Some(Response::of(status, "text/html", text))
    };
    let message = |status: u16| Some(Response::json(status, &json!({ "message": "no" })));
    match fault {
        Fault::GzipBomb => Some(
            Response::of(200, "application/json", bomb().to_vec()).with_header("Content-Encoding", "gzip"),
        ),
        Fault::GzipGarbage => Some(
            Response::of(200, "application/json", "no gzip at all").with_header("Content-Encoding", "gzip"),
        ),
        Fault::EmptyBody => Some(Response::of(200, "application/json", "")),
        Fault::NoContent => Some(Response::of(204, "application/json", "")),
        Fault::NotModified => Some(Response::of(304, "application/json", "")),
        Fault::BadRequest => message(400),
        Fault::PaymentRequired => message(402),
        Fault::ForbiddenHtml => html(403),
        Fault::NotFoundHtml => html(404),
        Fault::MethodNotAllowed => message(405),
        Fault::RequestTimeout => html(408),
        Fault::PayloadTooLarge => html(413),
        Fault::Unprocessable => message(422),
        Fault::LegalReasons => html(451),
        Fault::InternalError => Some(Response::of(500, "text/plain", "Internal Server Error")),
        Fault::BadGateway => html(502),
        Fault::Unavailable => html(503).map(|response| response.with_header("Retry-After", "2")),
        Fault::GatewayTimeout => html(504),
        Fault::UnknownStatus => html(520),
        Fault::StatusBeyondAll => html(999),
        Fault::CaptivePortal => Some(Response::of(
            200,
            "text/html",
            "<!doctype html><title>Welcome to the guest network</title><form action=/login><button>Accept</button></form>",
        )),
        Fault::OkWithError => Some(shapes::ok_with_error(scene.provider)),
        Fault::KeyEchoed => {
            let said = format!("the key {} is unknown", scene.key.as_deref().unwrap_or("-"));
            Some(Response::json(
                400,
                &json!({ "status": "fail", "success": false, "message": said, "error": said, "reason": said }),
            ))
        }
        Fault::OtherJson => {
            Some(Response::json(200, &json!({ "weather": "fine", "lat": "none", "items": [1, 2] })))
        }
        _ => None,
    }
}

/// What becomes of the true response, spoilt entries included.
pub(crate) fn damage(fault: Fault, mut response: Response, batch: bool) -> Response {
    match fault {
        Fault::PartialContent => response.status = 206,
        Fault::TruncatedJson => response.body.truncate(response.body.len() * 2 / 3),
        Fault::DeepNesting => response.body = [vec![b'['; 200_000], vec![b']'; 200_000]].concat(),
        Fault::DuplicateKeys => response.body = duplicate_keys(response.body),
        Fault::NullBody => response.body = b"null".to_vec(),
        Fault::EmptyJson => response.body = if batch { b"[]".to_vec() } else { b"{}".to_vec() },
        Fault::WrongContainer => response.body = other_container(&response.body),
        Fault::InvalidUtf8 => response.body = invalid_utf8(response.body),
        Fault::TrailingJson => response.body = [response.body.clone(), response.body].concat(),
        Fault::NotANumber | Fault::Infinite => response.body = unquote(response.body),
        Fault::BatchNullItems if batch => response.body = every_second(&response.body, &Value::Null),
        Fault::BatchWordItems if batch => response.body = every_second(&response.body, &json!("error")),
        Fault::LastPermit => {
            response.headers.retain(|(name, _)| !name.starts_with("X-"));
            return response.with_header("X-Rl", "0").with_header("X-Ttl", LEFT_ALONE.as_secs().to_string());
        }
        _ => {}
    }
    response
}

/// Every latitude is also given as the pole's, before the true one.
fn duplicate_keys(body: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(body).expect("JSON is text");
    let pole = if text.contains("\"latitude\":\"") { "\"latitude\":\"90\"," } else { "\"latitude\":90.0," };
    text.replace("\"latitude\":", &format!("{pole}\"latitude\":"))
        .replace("\"lat\":", "\"lat\":90.0,\"lat\":")
        .replace("\"loc\":", "\"loc\":\"90,0\",\"loc\":")
        .into_bytes()
}

fn other_container(body: &[u8]) -> Vec<u8> {
    let other = match serde_json::from_slice(body) {
        Ok(Value::Array(items)) => json!({ "items": items }),
        Ok(other) => json!([other]),
        Err(_) => Value::Null,
    };
    other.to_string().into_bytes()
}

/// Bytes that are no UTF-8 at the beginning of every text.
fn invalid_utf8(body: Vec<u8>) -> Vec<u8> {
    let mut spoilt = Vec::with_capacity(body.len() * 2);
    for byte in body {
        spoilt.push(byte);
        if byte == b'"' {
            spoilt.extend_from_slice(&[0xff, 0xfe]);
        }
    }
    spoilt
}

fn every_second(body: &[u8], item: &Value) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(body).unwrap_or_default();
    match &mut value {
        Value::Array(items) => items.iter_mut().step_by(2).for_each(|slot| *slot = item.clone()),
        Value::Object(items) => items.values_mut().step_by(2).for_each(|slot| *slot = item.clone()),
        _ => {}
    }
    value.to_string().into_bytes()
}

/// Small on the wire, more than a gigabyte unpacked.
fn bomb() -> &'static [u8] {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![b' '; BOMB_MEMBER]).expect("memory takes what is written");
        encoder.finish().expect("memory takes what is written").repeat(BOMB_MEMBERS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_keys_come_with_the_pole_first_in_every_shape() {
        let spoilt = |body: &str| String::from_utf8(duplicate_keys(body.as_bytes().to_vec())).unwrap();

        assert_eq!(spoilt(r#"{"lat":1.5}"#), r#"{"lat":90.0,"lat":1.5}"#);
        assert_eq!(spoilt(r#"{"latitude":1.5}"#), r#"{"latitude":90.0,"latitude":1.5}"#);
        assert_eq!(spoilt(r#"{"latitude":"1.5"}"#), r#"{"latitude":"90","latitude":"1.5"}"#);
        assert_eq!(spoilt(r#"{"loc":"1,2"}"#), r#"{"loc":"90,0","loc":"1,2"}"#);
    }

    #[test]
    fn the_bomb_is_a_thousandth_of_what_it_unpacks_to() {
        assert!(bomb().len() * 200 < BOMB_MEMBER * BOMB_MEMBERS);
    }

    #[test]
    fn a_fault_of_the_response_is_answered_instead_of_the_truth() {
        let scene = Scene {
            provider: ProviderName::IpApi,
            origin: "http://127.0.0.1:9",
            path: "ip-api/json/8.8.8.8",
            now: Timestamp::from_secs(784_111_775),
            key: None,
            count: 3,
        };
        let header = |fault, name: &str| {
            let response = instead(fault, &scene).unwrap();
            response.headers.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
        };

        assert_eq!(
            header(Fault::RetryAfterDate, "Retry-After").as_deref(),
            Some("Sun, 06 Nov 1994 08:49:37 GMT")
        );
        assert_eq!(
            header(Fault::RedirectToLocalhost, "Location").as_deref(),
            Some("http://localhost:9/trap/ip-api/json/8.8.8.8")
        );
        assert_eq!(instead(Fault::Swapped, &scene), None);
    }
}
