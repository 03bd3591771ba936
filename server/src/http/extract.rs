//! What requests bring, read so that every mistake is answered as a problem.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request, rejection::BytesRejection},
    http::{StatusCode, header, request::Parts},
};
use hostatlas_domain::{ProblemCode, sanitize};
use serde::de::DeserializeOwned;

use super::errors::Refusal;

/// Items of a page, unless told otherwise: about a screen.
const DEFAULT_LIMIT: u32 = 50;

/// Parameters after the `?`. Unknown ones are refused where the type does so.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Refusal::invalid(
                sanitize(&rejection.body_text(), 300),
                "`/api/openapi.json` lists the parameters",
            )),
        }
    }
}

/// A JSON body. An empty body is the default: `curl -X POST` sends none.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let is_json =
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        let body = Bytes::from_request(request, state).await.map_err(|rejection| unreadable(&rejection))?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        // A form of a foreign page cannot send this type without asking first.
        if !is_json {
            let refusal =
                Refusal::invalid("the body is no JSON", "send it with `content-type: application/json`");
            return Err(refusal.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            let refusal = Refusal::invalid(
                format!("the body cannot be read: {}", sanitize(&error.to_string(), 300)),
                "`/api/openapi.json` describes the body",
            );
            if error.is_data() { refusal.with_status(StatusCode::UNPROCESSABLE_ENTITY) } else { refusal }
        })
    }
}

fn unreadable(rejection: &BytesRejection) -> Refusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Refusal::new(
            ProblemCode::TooLarge,
            "the request is larger than 1 MiB",
            Some("name hosts by a query, or import scans with `hostatlas import`"),
        );
    }
    Refusal::invalid("the body could not be read", "send it again")
}

/// A number in the path.
pub fn number(text: &str, what: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| {
        Refusal::invalid(
            format!("`{}` is no number of {what}", sanitize(text, 64)),
            "numbers are whole, as in `42`",
        )
    })
}

/// A word that a type knows; empty text is none.
pub fn word<T: std::str::FromStr<Err: std::fmt::Display>>(text: Option<&str>) -> Result<Option<T>, Refusal> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(|text| {
        text.parse().map_err(|error: T::Err| Refusal::invalid(error.to_string(), "see `/api/openapi.json`"))
    })
    .transpose()
}

/// The number of items of a page; none is [`DEFAULT_LIMIT`].
pub fn limit(limit: Option<&str>) -> Result<u32, Refusal> {
    match limit.map(str::trim).filter(|limit| !limit.is_empty()) {
        None => Ok(DEFAULT_LIMIT),
        Some(limit) => limit.parse().map_err(|_| {
            Refusal::invalid(format!("`limit` is `{}`", sanitize(limit, 32)), "use a limit from 1 to 1000")
        }),
    }
}
