use serde::{Deserialize, Serialize};

/// What kind of problem it is; clients may match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request cannot be understood.
    InvalidRequest,
    /// The request is understood, but this version cannot do it.
    NotSupported,
    /// There is no such thing.
    NotFound,
    /// The request came from a foreign origin or host.
    Forbidden,
    /// It contradicts what is there.
    Conflict,
    /// Too busy, or the database cannot be written.
    Unavailable,
    /// The body is too large.
    TooLarge,
    /// It took too long.
    Timeout,
    /// The change may be written, or not: the database did not say in time.
    OutcomeUnknown,
    /// Our fault; the request id leads to the log.
    Internal,
}

impl ProblemCode {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::NotSupported => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Unavailable => 503,
            Self::Timeout | Self::OutcomeUnknown => 504,
            Self::Internal => 500,
        }
    }

    /// The word in JSON.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::NotSupported => "not_supported",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Internal => "internal",
        }
    }

    /// A short title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request cannot be understood",
            Self::NotSupported => "Not supported",
            Self::NotFound => "Not found",
            Self::Forbidden => "Refused",
            Self::Conflict => "Conflict",
            Self::Unavailable => "Not available at the moment",
            Self::TooLarge => "Too large",
            Self::Timeout => "It took too long",
            Self::OutcomeUnknown => "It is not known whether it was done",
            Self::Internal => "Something went wrong on our side",
        }
    }
}

/// An error as RFC 9457 problem+json.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A URI reference that names the kind of problem: `/problems/not_found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The title of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, naming the thing.
    pub detail: String,
    /// The path that was asked for.
    pub instance: Option<String>,
    /// The kind, for programs.
    pub code: ProblemCode,
    /// What to do about it.
    pub hint: Option<String>,
    /// Leads to the log.
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem of `code`.
    pub fn new(code: ProblemCode, detail: String, hint: Option<String>) -> Self {
        Self {
            kind: format!("/problems/{}", code.slug()),
            title: code.title().to_owned(),
            status: code.status(),
            detail,
            instance: None,
            code,
            hint,
            request_id: None,
        }
    }
}
