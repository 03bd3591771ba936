use hostatlas_domain::{Problem, ProblemCode};
use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};

/// Why a server function did not do what it was asked: the same problem that REST answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", problem.detail)]
pub struct ApiError {
    /// What happened, and what to do about it.
    pub problem: Problem,
}

impl ApiError {
    /// A problem of `code`.
    pub fn new(code: ProblemCode, detail: &str) -> Self {
        Self { problem: Problem::new(code, detail.to_owned(), None) }
    }
}

impl FromServerFnError for ApiError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(_)
            | ServerFnErrorErr::MissingArg(_)
            | ServerFnErrorErr::Deserialization(_) => {
                Self::new(ProblemCode::InvalidRequest, "the form was not filled in as this page sends it")
            }
            _ => Self::new(ProblemCode::Internal, "the request could not be handled"),
        }
    }
}

#[cfg(feature = "ssr")]
impl From<hostatlas_services::Error> for ApiError {
    fn from(error: hostatlas_services::Error) -> Self {
        let problem = error.problem();
        if problem.code == ProblemCode::Internal {
            tracing::error!(error = &error as &dyn std::error::Error, "A page could not be made: {error}");
        }
        Self { problem }
    }
}
