use hostatlas_domain::{Address, AddressClass, InvalidQuery, Problem, ProblemCode};
use hostatlas_scan::ScanError;
use hostatlas_store::StoreError;

/// Why a use case could not do what was asked: the only error that REST, server functions and the command line see.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be understood.
    #[error("{detail}")]
    InvalidRequest {
        /// What is wrong with it, naming the thing.
        detail: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The request is understood, but this version cannot do it.
    #[error("{detail}")]
    NotSupported {
        /// What cannot be done.
        detail: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// There is no such thing.
    #[error("{detail}")]
    NotFound {
        /// What was looked for.
        detail: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// It contradicts what is there.
    #[error("{detail}")]
    Conflict {
        /// What contradicts what.
        detail: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// It cannot be done at the moment.
    #[error("{detail}")]
    Unavailable {
        /// What is missing.
        detail: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A private or special-purpose address, which has no place and is never looked up.
    #[error("`{ip}` has no place: it is a {} address", class.label().to_lowercase())]
    NotApplicable {
        /// The address.
        ip: Address,
        /// Its class.
        class: AddressClass,
    },
    /// Another living process is the worker.
    #[error("another process is the worker: {holder}")]
    WorkerRoleHeld {
        /// Its process id and when it began.
        holder: String,
    },
    /// The input of an import cannot be read, or is no scan output.
    #[error("cannot import `{name}`")]
    Scan {
        /// The input.
        name: String,
        /// What is wrong with it.
        #[source]
        source: ScanError,
    },
    /// Stopped by a person before it was done.
    #[error("{detail}")]
    Interrupted {
        /// What was stopped, and what stays of it.
        detail: String,
        /// How to go on.
        hint: Option<String>,
    },
    /// The database cannot be used as it is.
    #[error(transparent)]
    Database(StoreError),
    /// A change was asked for, and it is not known whether it was made.
    #[error(transparent)]
    OutcomeUnknown(StoreError),
    /// Our fault, or the engine's.
    #[error("something went wrong inside hostatlas")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(crate) fn invalid(detail: impl Into<String>, hint: &str) -> Self {
        Self::InvalidRequest { detail: detail.into(), hint: Some(hint.to_owned()) }
    }

    /// The error as REST and server functions answer it. It holds no text of the engine and no path: those are for
    /// the log and for the command line.
    pub fn problem(&self) -> Problem {
        let code = self.code();
        let detail = match self {
            Self::Internal(_) => {
                "Something went wrong on our side; the request id leads to the log.".to_owned()
            }
            Self::Database(StoreError::NotWritable { .. }) => {
                "The database cannot be written: its disk is full, or it may only be read.".to_owned()
            }
            Self::Database(StoreError::Busy | StoreError::TookTooLong { .. }) => {
                "The database was busy for too long.".to_owned()
            }
            Self::Database(_) => "The database cannot be used.".to_owned(),
            Self::OutcomeUnknown(_) => {
                "The database did not say in time whether the change was written: it may be, or not."
                    .to_owned()
            }
            other => other.to_string(),
        };
        let hint = match self {
            Self::Database(StoreError::Busy | StoreError::TookTooLong { .. }) => {
                Some("try again in a moment".to_owned())
            }
            Self::Database(_) => Some("run `hostatlas doctor` on the server".to_owned()),
            other => other.hint(),
        };
        Problem::new(code, detail, hint)
    }

    /// What kind of problem it is.
    pub const fn code(&self) -> ProblemCode {
        match self {
            Self::InvalidRequest { .. } | Self::Scan { .. } => ProblemCode::InvalidRequest,
            Self::NotSupported { .. } => ProblemCode::NotSupported,
            Self::NotFound { .. } => ProblemCode::NotFound,
            Self::Conflict { .. } | Self::NotApplicable { .. } | Self::WorkerRoleHeld { .. } => {
                ProblemCode::Conflict
            }
            Self::Unavailable { .. } | Self::Interrupted { .. } | Self::Database(_) => {
                ProblemCode::Unavailable
            }
            Self::OutcomeUnknown(_) => ProblemCode::OutcomeUnknown,
            Self::Internal(_) => ProblemCode::Internal,
        }
    }

    /// Whether the database has become that of a newer version: this program cannot go on with it.
    pub const fn is_schema_newer(&self) -> bool {
        matches!(self, Self::Database(StoreError::SchemaNewer { .. }))
    }

    /// What to do about it, for the `hint:` line of the command line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidRequest { hint, .. }
            | Self::NotSupported { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::Conflict { hint, .. }
            | Self::Unavailable { hint, .. }
            | Self::Interrupted { hint, .. } => hint.clone(),
            Self::NotApplicable { class, .. } => Some(class.explanation().to_owned()),
            Self::WorkerRoleHeld { .. } => Some(
                "stop that process first, or let it do the work: it takes jobs of every process".to_owned(),
            ),
            Self::Scan { source, .. } => Some(scan_hint(source).to_owned()),
            Self::Database(error) => database_hint(error),
            Self::OutcomeUnknown(_) => Some(
                "look whether it is there, or ask for the same again: what was done already is not done twice".to_owned(),
            ),
            Self::Internal(_) => None,
        }
    }

    /// The exit code of the command line: 2 for a request that cannot be understood, 5 for an outcome that is not known,
    /// 130 for an interruption, else 1.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::InvalidRequest { .. } | Self::NotSupported { .. } => 2,
            Self::OutcomeUnknown(_) => 5,
            Self::Interrupted { .. } => 130,
            _ => 1,
        }
    }
}

const fn scan_hint(error: &ScanError) -> &'static str {
    match error {
        ScanError::NotAScan { .. } => "name its format with `--format` if you know it better",
        ScanError::Read(_) => {
            "check that the file is there and readable, then import it again: what was stored stays"
        }
        ScanError::Damaged(_) => "decompress it again from its source; what came before the damage is stored",
    }
}

fn database_hint(error: &StoreError) -> Option<String> {
    let hint = match error {
        // What to do about a server is said with what is wrong with it.
        StoreError::Unreachable { location, .. } if location.starts_with("postgres") => {
            "`hostatlas config show` says where the URL was set"
        }
        StoreError::SchemaHalf { .. } => {
            "nothing was changed; docs/OPERATIONS.md says how a database is restored"
        }
        StoreError::Unreachable { .. } => {
            "check the path and its permissions, or name another with `HOSTATLAS_DATABASE_URL`"
        }
        StoreError::NotADatabase { .. } => {
            "name the right one with `HOSTATLAS_DATABASE_URL`; this one was not touched"
        }
        StoreError::SchemaNewer { .. } => "use the version of hostatlas that wrote it, or a later one",
        StoreError::SchemaBehind { .. } => "run `hostatlas db migrate`",
        StoreError::EngineTooOld { .. } => {
            "install one that is new enough; the SQLite that hostatlas brings along always is"
        }
        StoreError::NotWritable { remedy, .. } => remedy.as_str(),
        StoreError::Busy => "another process holds a lock, or writes without a pause: try again in a moment",
        StoreError::TookTooLong { .. } => {
            "much goes on at once, or the server is slow: try again in a moment; `pg_stat_activity` shows what it does"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::UnknownHost(_) => {
                Self::NotFound { detail, hint: Some("no scan has seen it: import it first".to_owned()) }
            }
            StoreError::UnknownJob(_) => Self::NotFound {
                detail,
                hint: Some("finished jobs are deleted after a while; see `hostatlas jobs list`".to_owned()),
            },
            StoreError::UnknownImport(_) => Self::NotFound {
                detail,
                hint: Some("`hostatlas import list` and the coverage page list the imports".to_owned()),
            },
            StoreError::UnknownRun(_) => Self::NotFound { detail, hint: None },
            StoreError::RunInProgress(_) => {
                Self::Conflict { detail, hint: Some("wait for it, or cancel it first".to_owned()) }
            }
            StoreError::CopyUnfinished { source_location } => Self::Conflict {
                detail,
                hint: Some(format!(
                    "finish it with `hostatlas db copy --from {source_location} --to URL`, or remove this database"
                )),
            },
            StoreError::Conflict(_) | StoreError::LeaseLost => Self::Conflict { detail, hint: None },
            StoreError::InvalidCursor => {
                Self::invalid(detail, "leave the cursor out to start from the first page")
            }
            StoreError::NotSupported { what, remedy } => {
                Self::NotSupported { detail: what, hint: Some(remedy) }
            }
            StoreError::WorkerRoleHeld { holder } => Self::WorkerRoleHeld { holder },
            StoreError::Stopped => Self::Interrupted { detail, hint: None },
            StoreError::OutcomeUnknown { .. } => Self::OutcomeUnknown(error),
            StoreError::Engine(source) => Self::Internal(source),
            other => Self::Database(other),
        }
    }
}

impl From<InvalidQuery> for Error {
    fn from(error: InvalidQuery) -> Self {
        let (detail, hint) = (error.to_string(), Some(error.hint()));
        match error {
            InvalidQuery::Value { .. } => Self::InvalidRequest { detail, hint },
            InvalidQuery::NotSupported { .. } => Self::NotSupported { detail, hint },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> StoreError {
        StoreError::Unreachable { location: "/secret".to_owned(), reason: "secret".to_owned() }
    }

    fn unknown() -> StoreError {
        StoreError::OutcomeUnknown { location: "/secret".to_owned(), reason: "secret".to_owned() }
    }

    fn not_writable() -> StoreError {
        StoreError::NotWritable { reason: "secret".to_owned(), remedy: "a secret remedy".to_owned() }
    }

    #[test]
    fn what_the_engine_says_stays_inside() {
        let errors = [
            Error::from(StoreError::Engine("no such table: secret".into())),
            Error::from(unreachable()),
            Error::from(unknown()),
            Error::from(not_writable()),
        ];
        for error in errors {
            let problem = error.problem();
            assert!(
                !problem.detail.contains("secret") && !problem.hint.unwrap_or_default().contains("secret")
            );
        }
    }

    #[test]
    fn a_database_that_cannot_be_written_says_what_helps() {
        assert_eq!(Error::from(not_writable()).hint().as_deref(), Some("a secret remedy"));
    }

    #[test]
    fn an_error_has_one_status_and_one_exit_code() {
        let cases = [
            (Error::invalid("`limit` is 0", "use 1 to 1000"), 400, 2),
            (Error::from(StoreError::UnknownJob(hostatlas_domain::JobId(7))), 404, 1),
            (Error::from(StoreError::RunInProgress(hostatlas_domain::RunId(7))), 409, 1),
            (Error::from(StoreError::Busy), 503, 1),
            (Error::from(StoreError::TookTooLong { what: "an index was not made in its time" }), 503, 1),
            (Error::from(unreachable()), 503, 1),
            (Error::from(unknown()), 504, 5),
            (Error::from(not_writable()), 503, 1),
            (Error::Interrupted { detail: "stopped".to_owned(), hint: None }, 503, 130),
        ];
        for (error, status, exit_code) in cases {
            assert_eq!((error.problem().status, error.exit_code()), (status, exit_code), "{error}");
        }
    }
}
