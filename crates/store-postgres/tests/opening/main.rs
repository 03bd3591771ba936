//! What may be opened, and what is said of everything else.

#[path = "../support/mod.rs"]
mod support;

mod refusals;
mod schema;
mod waiting;

use hostatlas_store::StoreError;
use hostatlas_store_postgres::OpenMode;
use support::refusal;

/// What is said of a database that cannot be reached.
async fn why_unreachable(url: &str) -> String {
    let error = refusal(url, OpenMode::Existing).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    error.to_string()
}

/// The part of a URL between its user and its database.
fn address(url: &str) -> String {
    let (_, rest) = url.split_once('@').expect("a user");
    rest.split('/').next().expect("an address").to_owned()
}

fn with_user(url: &str, user: &str) -> String {
    let (_, rest) = url.split_once('@').expect("a user");
    format!("postgres://{user}@{rest}")
}
