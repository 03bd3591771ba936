use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hostatlas_domain::ProblemCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::errors::Refusal;

/// Longer than any honest answer at ten million hosts; streams are not bound by it.
const DEADLINE: Duration = Duration::from_secs(15);
/// Answers in the making. Two cores serve so many in well under the deadline.
const MOST_REQUESTS: usize = 256;
/// Open event streams: each page has one, and each costs a task.
const MOST_STREAMS: usize = 128;

/// Exports in the making: each reads for as long as its reader takes.
const MOST_EXPORTS: usize = 8;

/// How much may go on at once.
pub struct Limits {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(MOST_REQUESTS)),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            exports: Arc::new(Semaphore::new(MOST_EXPORTS)),
        }
    }
}

impl Limits {
    /// The right to one event stream, for as long as it is held.
    pub fn stream(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        permit.map_err(|_| {
            Refusal::new(
                ProblemCode::Unavailable,
                "too many pages listen for changes",
                Some("close some of them"),
            )
        })
    }

    /// The right to one export, for as long as it is held.
    pub fn export(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.exports).try_acquire_owned();
        permit.map_err(|_| {
            Refusal::new(
                ProblemCode::Unavailable,
                "too many exports are going on",
                Some("wait until one of them is done"),
            )
        })
    }
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
