//! Bodies are read whole before a request takes its place among those that are answered: who sends slowly waits for
//! himself, and nobody waits for him.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use hostatlas_domain::ProblemCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{errors::Refusal, limits::Limits};

/// No request of ours is larger: scans are imported by the command line.
const LARGEST: usize = 1024 * 1024;
/// What every form of our pages and most scripts send. As much may be kept for each connection there is.
const SMALL: usize = 8 * 1024;
/// Larger bodies that may be on their way: this bounds their memory.
const MOST_LARGE: usize = 16;
/// A body that has not come by then never will: as with heads.
const DEADLINE: Duration = Duration::from_secs(10);

/// How many larger bodies may be on their way.
pub struct LargeBodies(Arc<Semaphore>);

impl Default for LargeBodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_LARGE)))
    }
}

/// Hands a request on once its body is there.
pub async fn read(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let read = tokio::time::timeout(DEADLINE, whole(body, &limits.large_bodies)).await;
    match read.unwrap_or_else(|_| Err(too_slow())) {
        Ok((body, _large)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(refusal) => {
            let mut response = refusal.into_response();
            // What is left of the body must not be taken for the next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

/// The body, and where it is a larger one the right to keep it.
async fn whole(body: Body, large: &LargeBodies) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    if body.size_hint().lower() > LARGEST as u64 {
        return Err(too_large());
    }
    let (mut kept, mut permit) = (Vec::new(), None);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::invalid("the body broke off", "send it again"))?;
        let length = kept.len() + chunk.len();
        if length > LARGEST {
            return Err(too_large());
        }
        if length > SMALL && permit.is_none() {
            // Waiting is right here, under the deadline: the places are few, and honest bodies come in a moment.
            let place = Arc::clone(&large.0).acquire_owned().await;
            permit =
                Some(place.map_err(|_| Refusal::new(ProblemCode::Internal, "no place for a body", None))?);
        }
        // Copied: a chunk of one byte keeps the whole buffer of its connection.
        kept.extend_from_slice(&chunk);
    }
    Ok((kept.into(), permit))
}

fn too_large() -> Refusal {
    Refusal::new(
        ProblemCode::TooLarge,
        "the request is larger than 1 MiB",
        Some("name hosts by a query, or import scans with `hostatlas import`"),
    )
}

fn too_slow() -> Refusal {
    let detail = format!("the body did not arrive within {} seconds", DEADLINE.as_secs());
    let refusal = Refusal::new(ProblemCode::Timeout, detail, Some("send it faster, or in several requests"));
    refusal.with_status(StatusCode::REQUEST_TIMEOUT)
}
