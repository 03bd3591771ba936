use serde::Serialize;

use super::{JobId, JobState};
use crate::Address;

/// A job that was named and could not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefusedJob {
    /// Its id.
    pub id: JobId,
    /// Why it was left as it is.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "unknown"))]
    pub reason: JobRefusal,
}

/// Why a job was left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobRefusal {
    /// There is no job of this id.
    Unknown,
    /// Its state does not permit it.
    State(JobState),
    /// It is finished, and another job of the same host and kind is live.
    Replaced,
}

impl JobRefusal {
    /// The word in JSON: `unknown`, `replaced`, or the job's state.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::State(state) => state.slug(),
            Self::Replaced => "replaced",
        }
    }

    /// What to tell a person, as the end of a sentence that begins with the job.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Unknown => "does not exist: finished jobs are deleted after a while",
            Self::State(JobState::Available) => "waits for a worker already",
            Self::State(JobState::Running) => "is running",
            Self::State(JobState::Scheduled) => "is scheduled",
            Self::State(JobState::Retryable) => "waits for its next attempt",
            Self::State(JobState::Completed) => "is completed",
            Self::State(JobState::Cancelled) => "is cancelled",
            Self::State(JobState::Discarded) => "is discarded",
            Self::Replaced => "is finished, and another job for the same host and kind is live",
        }
    }
}

impl Serialize for JobRefusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

/// An address that was named and got no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RefusedAddress {
    /// The address.
    pub ip: Address,
    /// Why.
    pub reason: AddressRefusal,
}

/// Why an address got no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AddressRefusal {
    /// No scan has seen it.
    Unknown,
    /// It is private or special, so there is no place to look up.
    NotApplicable,
}

impl AddressRefusal {
    /// What to tell a person, as the end of a sentence that begins with the address.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Unknown => "is not a known host: no scan has seen it, so import it first",
            Self::NotApplicable => "has no place: it is a private or special-purpose address",
        }
    }
}
