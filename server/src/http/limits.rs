use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hostatlas_domain::ProblemCode;
use tokio::sync::Semaphore;

use super::{
    body::LargeBodies,
    client::Client,
    errors::Refusal,
    shares::{Full, Share, Shares},
};

/// Longer than any honest answer at ten million hosts; streams are not bound by it.
const DEADLINE: Duration = Duration::from_secs(15);
/// Answers in the making. Two cores serve so many in well under the deadline.
const MOST_REQUESTS: usize = 256;
/// Open event streams. Each costs a connection and about 20 KiB (docs/BENCHMARKS.md).
pub const MOST_STREAMS: usize = 4_096;
/// Of one client: the tabs of a browser share one, and several browsers and scripts may be his.
const STREAMS_OF_ONE: usize = 16;
/// Exports in the making: each reads for as long as its reader takes.
const MOST_EXPORTS: usize = 8;
/// Of one client, so that others get theirs.
const EXPORTS_OF_ONE: usize = 4;

/// How much may go on at once.
pub struct Limits {
    requests: Arc<Semaphore>,
    streams: Arc<Shares>,
    exports: Arc<Shares>,
    pub(super) large_bodies: LargeBodies,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(MOST_REQUESTS)),
            streams: Shares::new(MOST_STREAMS, STREAMS_OF_ONE),
            exports: Shares::new(MOST_EXPORTS, EXPORTS_OF_ONE),
            large_bodies: LargeBodies::default(),
        }
    }
}

impl Limits {
    /// The right to one event stream, for as long as it is held.
    pub fn stream(&self, client: Client) -> Result<Share, Refusal> {
        take(&self.streams, client, "event streams")
    }

    /// The right to one export, for as long as it is held.
    pub fn export(&self, client: Client) -> Result<Share, Refusal> {
        take(&self.exports, client, "exports")
    }
}

fn take(shares: &Arc<Shares>, client: Client, what: &str) -> Result<Share, Refusal> {
    shares.take(client).map_err(|full| match full {
        Full::Client => Refusal::new(
            ProblemCode::Unavailable,
            format!("this client has {} {what} already", shares.each()),
            Some("end some of them; a proxy has to name its clients in X-Forwarded-For, or all of them are one"),
        )
        .with_status(StatusCode::TOO_MANY_REQUESTS),
        Full::All => Refusal::new(
            ProblemCode::Unavailable,
            format!("too many {what} at once"),
            Some("wait until one of them ends"),
        ),
    })
}

/// Refuses at once what could only wait: a queue that grows helps nobody.
pub async fn shed_load(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = limits.requests.try_acquire() else {
        let refusal = Refusal::new(
            ProblemCode::Unavailable,
            "too many requests at once",
            Some("try again in a moment"),
        );
        let mut response = refusal.into_response();
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return response;
    };
    next.run(request).await
}

/// Gives up on an answer that does not begin in time.
pub async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(
            ProblemCode::Timeout,
            "the answer took longer than 15 seconds",
            Some("narrow the query, or try again when less is going on"),
        )
        .into_response(),
    }
}
