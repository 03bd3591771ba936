use std::{error::Error, io};

use hostatlas_store::StoreError;
pub(crate) use hostatlas_store::backend::corrupt;
use sqlx::postgres::PgDatabaseError;

/// `PostgreSQL`'s error codes that mean something to us.
pub(crate) mod code {
    pub(crate) const PROTOCOL_VIOLATION: &str = "08P01";
    pub(crate) const NOT_SUPPORTED: &str = "0A000";
    pub(crate) const READ_ONLY: &str = "25006";
    pub(crate) const IDLE_IN_TRANSACTION: &str = "25P03";
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
    pub(crate) const NOT_NOW: &str = "55000";
    pub(crate) const LOCK_TIMEOUT: &str = "55P03";
    pub(crate) const STATEMENT_TIMEOUT: &str = "57014";
    pub(crate) const STOPPING: &str = "57P01";
    pub(crate) const CRASHED: &str = "57P02";
    pub(crate) const STARTING: &str = "57P03";
    pub(crate) const IDLE: &str = "57P05";
    /// How the codes of lost connections begin; [`PROTOCOL_VIOLATION`] is one that means something else.
    pub(crate) const CONNECTION: &str = "08";
    pub(crate) const IO_ERROR: &str = "58030";
    pub(crate) const INDEX_CORRUPTED: &str = "XX002";
}

/// What a user does about a pooler that hands each transaction to another session.
pub(crate) const POOLER_REMEDY: &str =
    "a pooler that shares sessions is between: add `pooler=transaction` to the URL's parameters";

/// Rights on the tables are not enough: only who owns them, and may make something in their schema, makes indexes.
pub(crate) const OWN_TABLES: &str = "let the user own the database and the tables of hostatlas in it: \
    `ALTER DATABASE ... OWNER TO`, and for each table `ALTER TABLE ... OWNER TO`";
const NO_SERVER: &str =
    "what answers there does not speak PostgreSQL's protocol: correct the URL's host and port";
/// As [`LOST`], of a server that had let us in.
const CUT: &str =
    "the connection was cut: the server may be stopping or recovering from a crash, so try again in a moment";
/// As [`UNANSWERED`], of a server that had let us in.
pub(crate) const SILENT: &str = "the server did not answer in time: see whether it runs and can be reached";
const LOST: &str = "the connection was cut: the server may be starting, stopping or recovering from a crash, so try \
    again in a moment; if it stays so, what answers there does not speak PostgreSQL's protocol: correct the URL's host and port";
pub(crate) const UNANSWERED: &str = "the server does not answer: start it, or correct the URL";

/// All connections of this process are at work for others in it.
pub(crate) const NO_CONNECTION_LEFT: StoreError =
    StoreError::TookTooLong { what: "no connection of this process became free" };

/// What poolers say, with the code of a broken protocol, while the server behind them is away.
const SERVER_BEHIND_IS_AWAY: [&str; 6] = [
    "server login has been failing",
    "cannot connect to server",
    "server conn crashed",
    "starting up",
    "shutting down",
    "query_wait_timeout",
];

/// What an error of the engine means to callers.
pub(crate) fn engine(error: sqlx::Error) -> StoreError {
    match code_of(&error) {
        Some(code::LOCK_TIMEOUT) => StoreError::Busy,
        Some(code::STATEMENT_TIMEOUT) => {
            StoreError::TookTooLong { what: "a statement was ended before it was done" }
        }
        Some(code::READ_ONLY) => only_read(&error),
        Some(code::DISK_FULL | code::IO_ERROR) => StoreError::NotWritable {
            reason: said(&error),
            remedy: "free space on the server, or mend its disk; what was acknowledged is safe".to_owned(),
        },
        Some(code::NO_PRIVILEGE) => {
            StoreError::NotWritable { reason: said(&error), remedy: OWN_TABLES.to_owned() }
        }
        Some(code::STATEMENT_MISSING | code::STATEMENT_TWICE) => {
            other(format!("{}: {POOLER_REMEDY}", said(&error)))
        }
        _ if matches!(error, sqlx::Error::PoolTimedOut) => NO_CONNECTION_LEFT,
        _ if matches!(error, sqlx::Error::PoolClosed) => other("the database is closed"),
        _ => StoreError::Engine(Box::new(error)),
    }
}

/// A standby, or a transaction that was told so.
fn only_read(error: &sqlx::Error) -> StoreError {
    StoreError::NotWritable {
        reason: format!("the server only lets it be read ({})", said(error)),
        remedy: "a standby follows another server: name the primary in the URL, or promote this one"
            .to_owned(),
    }
}

/// What an error of the statement that begins a transaction means.
pub(crate) fn beginning(location: &str, error: sqlx::Error) -> StoreError {
    match code_of(&error) {
        // How a standby answers to `READ WRITE`.
        Some(code::NOT_SUPPORTED) => only_read(&error),
        _ => since_connected(location, engine(error)).error,
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

/// Whether the server was lost, starts, stops, does not answer or has no room, so that the same may succeed in a moment.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    match (code_of(error), error) {
        (Some(code::PROTOCOL_VIOLATION), _) => {
            SERVER_BEHIND_IS_AWAY.iter().any(|away| said(error).contains(away))
        }
        (
            Some(
                code::STARTING
                | code::STOPPING
                | code::CRASHED
                | code::IDLE
                | code::IDLE_IN_TRANSACTION
                | code::TOO_MANY_CONNECTIONS,
            ),
            _,
        )
        | (None, sqlx::Error::PoolTimedOut) => true,
        (Some(code), _) => code.starts_with(code::CONNECTION),
        (None, sqlx::Error::Io(source)) => {
            is_cut(source.kind())
                || matches!(
                    source.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::HostUnreachable
                        | io::ErrorKind::NetworkUnreachable
                )
        }
        _ => false,
    }
}

/// Whether the server itself says that it did not commit. What it says while it ends the connection does not tell, nor
/// does what a pooler says of a server that it lost.
pub(crate) fn is_rolled_back(error: &sqlx::Error) -> bool {
    match code_of(error) {
        // The session was ended while it waited for us, so before it was asked to commit.
        Some(code::IDLE_IN_TRANSACTION) => true,
        Some(code) => !code.starts_with(code::CONNECTION) && !is_passing(error),
        None => false,
    }
}

/// That nobody knows whether a commit happened whose answer was lost.
pub(crate) fn outcome_unknown(location: &str, error: sqlx::Error) -> StoreError {
    match since_connected(location, engine(error)).error {
        StoreError::Unreachable { location, reason } => StoreError::OutcomeUnknown { location, reason },
        error => StoreError::OutcomeUnknown { location: location.to_owned(), reason: error.to_string() },
    }
}

const fn is_cut(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
    )
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
        (Some(code::NO_PRIVILEGE), _) => {
            format!("{}: `GRANT CONNECT` on the database to the user, and {OWN_TABLES}", said(&error))
        }
        (Some(code::NOT_NOW), _) => {
            format!("{}: `ALTER DATABASE ... ALLOW_CONNECTIONS true` lets them in", said(&error))
        }
        (Some(code::TOO_MANY_CONNECTIONS), _) => {
            format!(
                "{}: end other processes, raise the limit (`max_connections`, or `CONNECTION LIMIT` of the role or \
                 database), or put a pooler before the server",
                said(&error)
            )
        }
        (Some(code::PROTOCOL_VIOLATION), _) if said(&error).contains("startup parameter") => {
            format!("{}: {POOLER_REMEDY}", said(&error))
        }
        (Some(code::PROTOCOL_VIOLATION), _) if !is_passing(&error) => {
            format!("{}: correct the URL, or what the pooler is told about it", said(&error))
        }
        (Some(_), _) if is_passing(&error) => format!("{}: try again in a moment", said(&error)),
        (_, sqlx::Error::Tls(source)) => tls(&source.to_string()),
        (_, sqlx::Error::Io(source)) if is_about_certificates(source) => tls(&source.to_string()),
        (_, sqlx::Error::Io(source)) if is_cut(source.kind()) => LOST.to_owned(),
        (_, sqlx::Error::Io(source)) => {
            format!("{source}: no server answers there; start it, or correct the URL's host and port")
        }
        (_, sqlx::Error::Protocol(_)) => NO_SERVER.to_owned(),
        _ => return engine(error),
    };
    unreachable(location, reason)
}

/// That a server is of no use at the moment, and why. `location` has no password.
pub(crate) fn unreachable(location: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Unreachable { location: location.to_owned(), reason: reason.into() }
}

/// Why something failed.
pub(crate) struct Failed {
    pub(crate) error: StoreError,
    /// Whether the same may succeed in a moment.
    pub(crate) passes: bool,
}

impl Failed {
    fn for_now(error: StoreError) -> Self {
        Self { error, passes: true }
    }
}

/// What lasts until somebody does something about it.
impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self { error, passes: false }
    }
}

/// What an error means after the server had let us in: that it was lost is no matter of the URL.
pub(crate) fn since_connected(location: &str, error: StoreError) -> Failed {
    let source = match error {
        StoreError::Engine(source) => source,
        // Whoever was let in once meets nothing else.
        unreachable @ StoreError::Unreachable { .. } => return Failed::for_now(unreachable),
        error => return error.into(),
    };
    match source.downcast::<sqlx::Error>() {
        // An answer that was cut off in the middle reads as one that makes no sense.
        Ok(error) if matches!(*error, sqlx::Error::Protocol(_)) => {
            Failed::for_now(unreachable(location, CUT))
        }
        Ok(error) if matches!(&*error, sqlx::Error::Io(source) if is_cut(source.kind())) => {
            Failed::for_now(unreachable(location, CUT))
        }
        Ok(error) if is_passing(&error) => Failed::for_now(opening(location, *error)),
        Ok(error) => StoreError::Engine(error).into(),
        Err(source) => StoreError::Engine(source).into(),
    }
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
pub(crate) fn said(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// The five characters of the server's error code.
pub(crate) fn code_of(error: &sqlx::Error) -> Option<&str> {
    Some(error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(kind: io::ErrorKind) -> sqlx::Error {
        sqlx::Error::Io(kind.into())
    }

    #[test]
    fn only_what_passes_is_waited_for() {
        for passing in [
            io(io::ErrorKind::ConnectionRefused),
            io(io::ErrorKind::ConnectionReset),
            io(io::ErrorKind::UnexpectedEof),
            sqlx::Error::PoolTimedOut,
        ] {
            assert!(is_passing(&passing), "{passing:?}");
        }
        for lasting in [
            io(io::ErrorKind::NotFound),
            io(io::ErrorKind::InvalidData),
            sqlx::Error::Protocol("no server".to_owned()),
        ] {
            assert!(!is_passing(&lasting), "{lasting:?}");
        }
    }

    #[test]
    fn a_connection_that_is_cut_says_so_whenever_that_was() {
        let cut = || io(io::ErrorKind::ConnectionReset);
        assert!(opening("here", cut()).to_string().contains("try again in a moment"));
        for error in [cut(), sqlx::Error::Protocol("expected BindComplete".to_owned())] {
            let Failed { error, passes } = since_connected("here", engine(error));
            assert!(matches!(&error, StoreError::Unreachable { reason, .. } if reason == CUT), "{error:?}");
            assert!(passes);
        }
        let Failed { error, passes } = since_connected("here", corrupt("a riddle"));
        assert!(matches!(error, StoreError::Engine(_)) && !passes);
    }
}
