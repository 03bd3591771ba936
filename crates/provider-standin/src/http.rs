use std::fmt::Write as _;

use base64::Engine as _;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest head of a request: far above what a client of these providers sends.
const HEAD_LIMIT: usize = 64 * 1024;
/// Longest body of a request: 50,000 addresses are less than 3 MB.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// One request, read whole.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// The path without its first slash.
    pub path: String,
    /// What follows the question mark, decoded.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// One response, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status; need not be one that exists.
    pub status: u16,
    /// Beside the length, which is always right here.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// A request for `target`, which begins with a slash, as if it had been read from a connection.
    pub fn new(method: &str, target: &str, body: &[u8]) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            path: path.trim_start_matches('/').replace("%3A", ":").replace("%2C", ","),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: Vec::new(),
            body: body.to_vec(),
        }
    }

    /// The same with one more header; the name in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Name and password of HTTP Basic.
    pub fn basic(&self) -> Option<(String, String)> {
        let encoded = self.header("authorization")?.strip_prefix("Basic ")?;
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
    }

    /// The key that the request carries, wherever these providers take one.
    pub fn key(&self) -> Option<String> {
        let named = ["key", "token", "apiKey"].into_iter().find_map(|name| self.parameter(name));
        let header = || self.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let plain = || self.header("x-api-key");
        named.or_else(header).or_else(plain).map(str::to_owned).or_else(|| self.basic().map(|(name, _)| name))
    }
}

impl Response {
    /// An answer in JSON.
    pub fn json<T: Serialize>(status: u16, body: &T) -> Self {
        let body = serde_json::to_vec(body).expect("what the stand-in says has a JSON form");
        Self { status, headers: vec![("Content-Type", "application/json; charset=utf-8".to_owned())], body }
    }

    /// An answer of another kind.
    pub fn of(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("Content-Type", content_type.to_owned())], body: body.into() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Status line and headers as they go over the wire, with the blank line.
    pub fn head(&self, length: Option<&str>) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        for (name, value) in &self.headers {
            // Writing to a String never fails.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(length) = length {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// All of it as it goes over the wire.
    pub fn wire(&self) -> Vec<u8> {
        let length = self.body.len().to_string();
        // These have no body by definition; a length of one would make clients wait for it.
        let bodiless = matches!(self.status, 204 | 304);
        let mut wire = self.head((!bodiless).then_some(length.as_str()));
        if !bodiless {
            wire.extend_from_slice(&self.body);
        }
        wire
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301..=308 => "Moved",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        422 => "Unprocessable Entity",
        423 => "Locked",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

/// Reads requests from one connection, one after the other.
pub(crate) struct Requests {
    buffer: Vec<u8>,
}

impl Requests {
    pub(crate) const fn new() -> Self {
        Self { buffer: Vec::new() }
    }

    /// The next request; `None` once the other side has closed, or sends what is no request.
    pub(crate) async fn next<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Option<Request> {
        loop {
            match parse(&self.buffer) {
                Parsed::Nonsense => return None,
                Parsed::Partial => self.fill(stream).await?,
                Parsed::Head { mut request, head, body } => {
                    while self.buffer.len() < head + body {
                        self.fill(stream).await?;
                    }
                    request.body = self.buffer[head..head + body].to_vec();
                    self.buffer.drain(..head + body);
                    return Some(request);
                }
            }
        }
    }

    async fn fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Option<()> {
        let read = stream.read_buf(&mut self.buffer).await.ok()?;
        (read > 0).then_some(())
    }
}

/// What stands at the beginning of the bytes so far.
enum Parsed {
    /// The head of a request, how long it is, and how long the body will be.
    Head { request: Request, head: usize, body: usize },
    /// More is needed.
    Partial,
    /// No request will come of it.
    Nonsense,
}

fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_LIMIT => return Parsed::Partial,
        _ => return Parsed::Nonsense,
    };
    let (Some(method), Some(path)) = (parsed.method, parsed.path) else { return Parsed::Nonsense };
    let mut request = Request::new(method, path, &[]);
    request.headers = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    match request.header("content-length").map_or(Ok(0), |length| length.trim().parse()) {
        Ok(body) if body <= BODY_LIMIT => Parsed::Head { request, head, body },
        _ => Parsed::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_read_one_after_the_other_from_any_pieces() {
        let wire = b"POST /ip-api/batch?fields=lat,lon HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n[\"8.8.8.8\"]GET /a HTTP/1.1\r\n\r\n";
        let mut pieces = tokio_test_stream(wire);
        let mut requests = Requests::new();

        let first = requests.next(&mut pieces).await.unwrap();
        let second = requests.next(&mut pieces).await.unwrap();

        assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "ip-api/batch"));
        assert_eq!(
            (first.parameter("fields"), first.body.as_slice()),
            (Some("lat,lon"), &b"[\"8.8.8.8\"]"[..])
        );
        assert_eq!((second.method.as_str(), second.path.as_str()), ("GET", "a"));
        assert!(requests.next(&mut pieces).await.is_none());
    }

    /// A stream that gives three bytes at a time.
    fn tokio_test_stream(wire: &[u8]) -> impl AsyncRead + Unpin {
        struct Pieces(Vec<u8>);
        impl AsyncRead for Pieces {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
                buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let length = self.0.len().min(3).min(buffer.remaining());
                buffer.put_slice(&self.0[..length]);
                self.0.drain(..length);
                std::task::Poll::Ready(Ok(()))
            }
        }
        Pieces(wire.to_vec())
    }

    #[test]
    fn a_key_is_found_wherever_providers_take_one() {
        let basic = Request::new("GET", "/", &[]).with_header("authorization", "Basic dG9rZW46c2VjcmV0");

        assert_eq!(Request::new("GET", "/?token=abc", &[]).key().as_deref(), Some("abc"));
        assert_eq!(
            Request::new("GET", "/", &[]).with_header("authorization", "Bearer abc").key().as_deref(),
            Some("abc")
        );
        assert_eq!(basic.basic(), Some(("token".to_owned(), "secret".to_owned())));
    }
}
