//! Every refusal leaves as problem+json with the request's id, whoever made it.

use std::{
    any::Any,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use axum::{
    Json,
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hostatlas_domain::{Problem, ProblemCode};
use hostatlas_services::Error;
use tracing::{Instrument, error, info_span, warn};

/// A refusal on its way out; [`complete`] adds path and request id.
#[derive(Debug)]
pub struct Refusal(Box<Problem>);

impl Refusal {
    /// A problem of `code`.
    pub fn new(code: ProblemCode, detail: impl Into<String>, hint: Option<&str>) -> Self {
        Self(Box::new(Problem::new(code, detail.into(), hint.map(str::to_owned))))
    }

    /// A request that cannot be understood.
    pub fn invalid(detail: impl Into<String>, hint: &str) -> Self {
        Self::new(ProblemCode::InvalidRequest, detail, Some(hint))
    }

    /// The same under a more exact HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status.as_u16();
        self
    }
}

impl From<Error> for Refusal {
    /// The only place where an error of a use case is logged: once, inside the span that has the request's id.
    fn from(error: Error) -> Self {
        let problem = error.problem();
        match problem.code {
            ProblemCode::Internal => {
                error!(error = &error as &dyn std::error::Error, "Request failed: {error}");
            }
            ProblemCode::Unavailable => {
                warn!(error = &error as &dyn std::error::Error, "Request refused: {error}");
            }
            _ => {}
        }
        Self(Box::new(problem))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(*self.0);
        response
    }
}

#[derive(Clone)]
struct RequestId(String);

/// Gives each request an id that the answer, the log and every problem name.
pub async fn name_request(mut request: Request, next: Next) -> Response {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static SEED: std::sync::LazyLock<RandomState> = std::sync::LazyLock::new(RandomState::new);
    let id = format!("{:016x}", SEED.hash_one(COUNTER.fetch_add(1, Ordering::Relaxed)));
    let span = info_span!("request", id, method = %request.method(), path = request.uri().path());
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// Writes problems out, and makes a problem of what the framework refuses in plain text.
pub async fn complete(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| unexplained(&response));
    let Some(mut problem) = problem else { return response };
    problem.instance = Some(path);
    problem.request_id = id;
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (status, Json(problem)).into_response();
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers_mut().remove(&name) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    answer
}

/// The problem behind an error answer that nobody of ours wrote. Pages and server functions explain themselves.
fn unexplained(response: &Response) -> Option<Problem> {
    let status = response.status();
    let explained = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"));
    let by_server_function = response.headers().contains_key("serverfnerror");
    if explained || by_server_function || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let (code, detail, hint) = match status {
        StatusCode::NOT_FOUND => (ProblemCode::NotFound, NOTHING_HERE, Some(LISTED)),
        StatusCode::METHOD_NOT_ALLOWED => {
            (ProblemCode::NotSupported, "this address does not take that method", None)
        }
        StatusCode::REQUEST_TIMEOUT => (ProblemCode::Timeout, "the request took too long", None),
        StatusCode::SERVICE_UNAVAILABLE => (ProblemCode::Unavailable, "too many requests at once", None),
        status if status.is_server_error() => (ProblemCode::Internal, INTERNAL, None),
        _ => (ProblemCode::InvalidRequest, "the request cannot be understood", None),
    };
    Some(Problem {
        status: status.as_u16(),
        ..Problem::new(code, detail.to_owned(), hint.map(str::to_owned))
    })
}

const NOTHING_HERE: &str = "there is nothing here";
const LISTED: &str = "`/api/openapi.json` lists what there is";
const INTERNAL: &str = "Something went wrong on our side; the request id leads to the log.";

/// The answer when a handler panicked.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let message =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    error!(panic = message.unwrap_or("unknown"), "A request handler panicked");
    Refusal::new(ProblemCode::Internal, INTERNAL, None).into_response()
}

/// What has no route.
pub async fn not_found() -> Refusal {
    Refusal::new(ProblemCode::NotFound, NOTHING_HERE, Some(LISTED))
}
