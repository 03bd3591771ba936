//! Where a database is, read from a URL.

use std::{fmt, str::FromStr};

use hostatlas_store::StoreError;
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// Parameters of a URL that are understood; any other is a mistake that must not pass in silence.
const PARAMETERS: [&str; 14] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
];

/// A URL that was understood.
#[derive(Clone)]
pub(crate) struct Location {
    /// For people: without the password.
    pub(crate) text: String,
    /// How to connect, without any setting of ours.
    pub(crate) options: PgConnectOptions,
    /// Whether a pooler hands each transaction to another session.
    pub(crate) is_pooled: bool,
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Location").field(&self.text).finish()
    }
}

impl FromStr for Location {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let mut url =
            Url::parse(text).map_err(|error| unreachable(&without_password(text), &error.to_string()))?;
        let shown = without_password(text);
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(unreachable(&shown, "it does not begin with `postgres://`"));
        }
        let mut is_pooled = false;
        let mut kept = Vec::new();
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("pooler", "transaction") => is_pooled = true,
                ("pooler", _) => return Err(unreachable(&shown, "`pooler` can only be `transaction`")),
                (name, _) if PARAMETERS.contains(&name) => kept.push((name.to_owned(), value.into_owned())),
                (name, _) => {
                    let known = PARAMETERS.join(", ");
                    let reason = format!("it has no parameter `{name}`; there are pooler, {known}");
                    return Err(unreachable(&shown, &reason));
                }
            }
        }
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        // The engine's error may quote a value of the URL.
        let options = PgConnectOptions::from_str(url.as_str())
            .map_err(|_| unreachable(&shown, "it is no URL such as postgres://user@host:5432/database"))?;
        Ok(Self { text: shown, options, is_pooled })
    }
}

fn unreachable(location: &str, reason: &str) -> StoreError {
    StoreError::Unreachable { location: location.to_owned(), reason: reason.to_owned() }
}

/// A URL as it may be shown: no password, and none of the parameters, one of which may be one.
pub(crate) fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        // It cannot be told where the password is.
        return "postgres://…".to_owned();
    };
    // A URL that cannot have a password has nothing to hide.
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_nothing_that_is_shown() {
        let urls = [
            "postgres://me:secret@db.test:5432/atlas",
            "postgres://me@db.test/atlas?password=secret&pooler=transaction",
            "postgres://me:secret@db.test/atlas?sslmode=sometimes",
            "postgres://me:secret@db.test/atlas?pooler=secret",
            "postgres://me:secret@db.test:port/atlas",
            "postgres://me:secret@db.test/atlas?pasword=secret",
            "http://me:secret@db.test/atlas",
        ];
        for url in urls {
            let shown = match Location::from_str(url) {
                Ok(location) => format!("{location:?} {}", location.text),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn a_pooler_is_said_in_the_url() {
        let pooled = Location::from_str("postgres://me@db.test/atlas?pooler=transaction&sslmode=require");
        assert!(pooled.expect("a URL").is_pooled);
        assert!(!Location::from_str("postgres://me@db.test/atlas").expect("a URL").is_pooled);
    }

    #[test]
    fn an_unknown_parameter_is_refused_by_its_name() {
        let error =
            Location::from_str("postgres://me@db.test/atlas?poler=transaction").expect_err("a mistake");
        assert!(error.to_string().contains("`poler`"), "{error}");
    }
}
