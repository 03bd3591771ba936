//! What requests bring, read so that every mistake is answered as a problem.

use std::{fmt, marker::PhantomData};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, header, request::Parts},
};
use hostatlas_domain::sanitize;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};

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

/// A JSON object as the body.
pub struct Json<T>(pub T);

/// A JSON object as the body, or none (no body, or null) where nothing has to be said: `curl -X POST` sends none.
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let missing =
            || Refusal::invalid("the request has no body", "`/api/openapi.json` describes the body");
        object(request, state).await?.map(Self).ok_or_else(missing)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(object(request, state).await?.unwrap_or_default()))
    }
}

/// The object that is the body; none where there is no body.
async fn object<T: DeserializeOwned, S: Send + Sync>(
    request: Request,
    state: &S,
) -> Result<Option<T>, Refusal> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json =
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    let unreadable = |_| Refusal::invalid("the body could not be read", "send it again");
    let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
    if body.is_empty() {
        return Ok(None);
    }
    // A form of a foreign page cannot send this type without asking first.
    if !is_json {
        let refusal =
            Refusal::invalid("the body is not JSON", "send it with `content-type: application/json`");
        return Err(refusal.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    serde_json::from_slice(&body).map(|given: Option<Object<T>>| given.map(|Object(value)| value)).map_err(
        |error| {
            let refusal = Refusal::invalid(
                format!("the body cannot be read: {}", sanitize(&error.to_string(), 300)),
                "`/api/openapi.json` describes the body",
            );
            if error.is_data() { refusal.with_status(StatusCode::UNPROCESSABLE_ENTITY) } else { refusal }
        },
    )
}

/// A value that is read from an object alone: serde takes an array for a struct as well, its items for the fields in
/// their order, and a list of nulls for one in which nothing is set.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Reads an object inside a body, with `deserialize_with`; null is none.
pub fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}

/// Reads whole numbers inside a body, with `deserialize_with`; null is none.
pub fn optional_whole_numbers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<i64>>, D::Error> {
    let numbers = Option::<Vec<serde_json::Number>>::deserialize(deserializer)?;
    numbers.map(|numbers| numbers.iter().map(whole).collect()).transpose()
}

/// Reads a whole number inside a body, with `deserialize_with`; null is none.
pub fn optional_whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Option::<serde_json::Number>::deserialize(deserializer)?.as_ref().map(whole).transpose()
}

/// JSON does not tell `7.0` from `7`, and some programs write it so.
fn whole<T: std::str::FromStr, E: serde::de::Error>(number: &serde_json::Number) -> Result<T, E> {
    let text = number.to_string();
    let digits = text.strip_suffix(".0").unwrap_or(&text);
    digits.parse().map_err(|_| E::custom(format!("{number} is no whole number that is taken here")))
}

/// A number in the path.
pub fn number(text: &str, what: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| {
        Refusal::invalid(
            format!("`{}` is not the id of {what}", sanitize(text, 64)),
            "ids are whole numbers, as in `42`",
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
