//! Server functions, a file a noun. Each is: authorize, get services, call one method, return.
//!
//! Their paths are under `/api/fn`. A plain form may call those that change something: it is led back to where it came
//! from, with what happened in the address.

#![expect(missing_docs, reason = "the macro makes a struct of each function's arguments")]

pub mod attributions;
pub mod coverage;
pub mod databases;
pub mod hosts;
pub mod imports;
pub mod jobs;
pub mod map;
pub mod providers;
pub mod runs;
pub mod schedules;
#[cfg(feature = "ssr")]
pub mod told;
pub mod workers;

#[cfg(feature = "ssr")]
mod context {
    use hostatlas_domain::ProblemCode;
    use hostatlas_services::{Permission, Services};
    use leptos::prelude::use_context;

    use crate::ApiError;

    /// The use cases. The server puts them into the context of every request.
    pub fn services() -> Result<Services, ApiError> {
        use_context()
            .ok_or_else(|| ApiError::new(ProblemCode::Internal, "the request came without its services"))
    }

    /// Whether whoever asks may do this.
    pub fn authorize(permission: Permission) -> Result<(), ApiError> {
        Ok(services()?.authorize(permission)?)
    }
}

#[cfg(feature = "ssr")]
pub use context::{authorize, services};
