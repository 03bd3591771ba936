use std::{error::Error, io};

use hostatlas_store::StoreError;
pub(crate) use hostatlas_store::backend::corrupt;
use sqlx::postgres::PgDatabaseError;

/// `PostgreSQL`'s error codes that mean something to us.
pub(crate) mod code {
    pub(crate) const PROTOCOL_VIOLATION: &str = "08P01";
    pub(crate) const READ_ONLY: &str = "25006";
    pub(crate) const STATEMENT_MISSING: &str = "26000";
    pub(crate) const NOT_AUTHORIZED: &str = "28000";
    pub(crate) const WRONG_PASSWORD: &str = "28P01";
    pub(crate) const NO_DATABASE: &str = "3D000";
    pub(crate) const SERIALIZATION: &str = "40001";
    pub(crate) const DEADLOCK: &str = "40P01";
    pub(crate) const NO_PRIVILEGE: &str = "42501";
    pub(crate) const STATEMENT_TWICE: &str = "42P05";
    pub(crate) const DISK_FULL: &str = "53100";
    pub(crate) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(crate) const LOCK_TIMEOUT: &str = "55P03";
    pub(crate) const STATEMENT_TIMEOUT: &str = "57014";
    pub(crate) const STARTING: &str = "57P03";
    pub(crate) const IO_ERROR: &str = "58030";
}

/// What a user does about a pooler that hands each transaction to another session.
pub(crate) const POOLER_REMEDY: &str =
    "a pooler that shares sessions is between: add `pooler=transaction` to the URL's parameters";

const NO_SERVER: &str =
    "what answers there does not speak PostgreSQL's protocol: correct the URL's host and port";

/// What an error of the engine means to callers.
pub(crate) fn engine(error: sqlx::Error) -> StoreError {
    match code_of(&error) {
        Some(code::STATEMENT_TIMEOUT | code::LOCK_TIMEOUT) => StoreError::Busy,
        Some(code::READ_ONLY | code::DISK_FULL | code::IO_ERROR) => {
            StoreError::NotWritable { reason: said(&error) }
        }
        Some(code::STATEMENT_MISSING | code::STATEMENT_TWICE) => {
            other(format!("{}: {POOLER_REMEDY}", said(&error)))
        }
        _ if matches!(error, sqlx::Error::PoolTimedOut) => StoreError::Busy,
        _ if matches!(error, sqlx::Error::PoolClosed) => other("the database is closed"),
        _ => StoreError::Engine(Box::new(error)),
    }
}

/// An error that is no one else's.
pub(crate) fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Engine(error.into())
}

/// Whether the transaction lost a race and may simply be run again: the server rolled all of it back.
pub(crate) fn may_run_again(error: &StoreError) -> bool {
    let StoreError::Engine(source) = error else { return false };
    let code = source.downcast_ref::<sqlx::Error>().and_then(code_of);
    matches!(code, Some(code::SERIALIZATION | code::DEADLOCK))
}

/// What an error at opening means, and what to do about it. `location` has no password, nor has what a server says.
pub(crate) fn opening(location: &str, error: sqlx::Error) -> StoreError {
    let reason = match (code_of(&error), &error) {
        (Some(code::WRONG_PASSWORD | code::NOT_AUTHORIZED), _) => {
            format!("{}: correct the user and password of the URL, or let them in", said(&error))
        }
        (Some(code::NO_DATABASE), _) => {
            format!("{}: make it with `createdb`, or correct the URL", said(&error))
        }
        (Some(code::TOO_MANY_CONNECTIONS), _) => {
            format!("{}: raise `max_connections`, or put a pooler before the server", said(&error))
        }
        (Some(code::STARTING), _) => format!("{}: try again in a moment", said(&error)),
        (Some(code::PROTOCOL_VIOLATION), _) if said(&error).contains("startup parameter") => {
            format!("{}: {POOLER_REMEDY}", said(&error))
        }
        (Some(code::PROTOCOL_VIOLATION), _) => {
            format!("{}: correct the URL, or what the pooler is told about it", said(&error))
        }
        (_, sqlx::Error::Tls(source)) => tls(&source.to_string()),
        (_, sqlx::Error::Io(source)) if is_about_certificates(source) => tls(&source.to_string()),
        (_, sqlx::Error::Io(source)) if source.kind() == io::ErrorKind::UnexpectedEof => NO_SERVER.to_owned(),
        (_, sqlx::Error::Io(source)) => {
            format!("{source}: no server answers there; start it, or correct the URL's host and port")
        }
        (_, sqlx::Error::Protocol(_)) => NO_SERVER.to_owned(),
        (_, sqlx::Error::PoolTimedOut) => {
            "the server does not answer: start it, or correct the URL".to_owned()
        }
        _ => return engine(error),
    };
    StoreError::Unreachable { location: location.to_owned(), reason }
}

fn tls(reason: &str) -> String {
    format!(
        "no trusted encryption ({reason}): name the certificate's authority with `sslrootcert=FILE`, have the server \
         offer TLS, or ask for less with `sslmode`"
    )
}

fn is_about_certificates(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData || error.to_string().contains("certificate")
}

/// The server's own words, without the value that a detail may quote.
fn said(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// The five characters of the server's error code.
pub(crate) fn code_of(error: &sqlx::Error) -> Option<&str> {
    Some(error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.code())
}
