//! Where a database is, read from a URL.

use std::{fmt, fs, str::FromStr};

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

/// Those that say how much a server's certificate has to prove, and what they can be.
const ENCRYPTION: [&str; 2] = ["sslmode", "ssl-mode"];
const DEGREES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Those that name a file with a certificate or a key, or hold what would be in it.
const FILES: [&str; 6] = ["sslrootcert", "ssl-root-cert", "sslcert", "ssl-cert", "sslkey", "ssl-key"];
/// How such a file begins, after what may stand before: RFC 7468.
const PEM: &str = "-----BEGIN ";

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
                (name, value) if PARAMETERS.contains(&name) => {
                    check(name, value).map_err(|reason| unreachable(&shown, &reason))?;
                    kept.push((name.to_owned(), value.to_owned()));
                }
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

/// What is wrong with a parameter, where the engine would say it later and of something else.
fn check(name: &str, value: &str) -> Result<(), String> {
    if ENCRYPTION.contains(&name) && !DEGREES.contains(&value.to_ascii_lowercase().as_str()) {
        return Err(format!("`{name}` can only be {}", DEGREES.join(", ")));
    }
    if FILES.contains(&name) && !value.contains(PEM) {
        let text =
            fs::read(value).map_err(|error| format!("`{value}`, its `{name}`, cannot be read: {error}"))?;
        if !String::from_utf8_lossy(&text).contains(PEM) {
            return Err(format!("`{value}`, its `{name}`, holds no certificate or key in PEM form"));
        }
    }
    Ok(())
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
    fn a_wrong_value_is_refused_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (missing, nonsense) = (folder.path().join("missing.crt"), folder.path().join("nonsense.crt"));
        std::fs::write(&nonsense, "no certificate").expect("a file");
        for (parameter, said) in [
            ("sslmode=sometimes".to_owned(), "verify-full"),
            (format!("sslrootcert={}", missing.display()), "missing.crt"),
            (format!("sslkey={}", nonsense.display()), "PEM"),
        ] {
            let error = Location::from_str(&format!("postgres://me@db.test/atlas?{parameter}"));
            let error = error.expect_err("a mistake").to_string();
            let (name, _) = parameter.split_once('=').expect("a value");
            assert!(error.contains(&format!("`{name}`")) && error.contains(said), "{error}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_by_its_name() {
        let error =
            Location::from_str("postgres://me@db.test/atlas?poler=transaction").expect_err("a mistake");
        assert!(error.to_string().contains("`poler`"), "{error}");
    }
}
