//! Nothing is silently ignored: what the document does not list is refused.

use std::collections::HashMap;

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use hostatlas_domain::sanitize;
use serde_json::Value;

use super::DOCUMENT;
use crate::http::errors::Refusal;

/// No query is all hosts, and no cursor the first page.
const MAY_BE_EMPTY: [&str; 2] = ["q", "cursor"];

/// What an operation takes.
struct Operation {
    parameters: Vec<String>,
    has_body: bool,
}

/// By method and path, both as the router writes them.
static OPERATIONS: std::sync::LazyLock<HashMap<(String, String), Operation>> =
    std::sync::LazyLock::new(|| read(&DOCUMENT));

fn read(document: &Value) -> HashMap<(String, String), Operation> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, operation)| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let in_query = parameters.filter(|parameter| parameter["in"] == "query");
            let names = in_query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned));
            let takes =
                Operation { parameters: names.collect(), has_body: operation["requestBody"].is_object() };
            ((method.to_uppercase(), path.clone()), takes)
        })
    });
    operations.collect()
}

/// Refuses parameters that the operation does not have, and a body that says something where none is read.
pub async fn refuse_unknown(request: Request, next: Next) -> Response {
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let operation = path.and_then(|path| OPERATIONS.get(&(method.to_string(), path)));
    let Some(operation) = operation else { return next.run(request).await };
    if let Some(refusal) = unknown_parameter(request.uri().query().unwrap_or_default(), operation) {
        return refusal.into_response();
    }
    if operation.has_body {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    // It is in memory, and no larger than bodies may be.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if !matches!(body.trim_ascii(), b"" | b"null" | b"{}") {
        let refusal = Refusal::invalid("this request takes no body", "send it without one");
        return refusal.into_response();
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

fn unknown_parameter(query: &str, operation: &Operation) -> Option<Refusal> {
    let given = || url::form_urlencoded::parse(query.as_bytes());
    let empty = given().find(|(name, value)| value.is_empty() && !MAY_BE_EMPTY.contains(&name.as_ref()));
    let mut names = given().map(|(name, _)| name);
    let Some(unknown) = names.find(|name| !operation.parameters.iter().any(|known| known == name)) else {
        let (name, _) = empty?;
        return Some(Refusal::invalid(format!("`{name}` is empty"), "leave it out, or give it a value"));
    };
    let known = match operation.parameters.join("`, `") {
        known if known.is_empty() => "this request takes no parameters".to_owned(),
        known => format!("this request takes `{known}`"),
    };
    Some(Refusal::invalid(format!("unknown parameter `{}`", sanitize(&unknown, 64)), &known))
}
