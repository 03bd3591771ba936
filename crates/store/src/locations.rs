use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{
    CountryCoverage, Coverage, HostId, Located, RecentResult, Timestamp, UnlocatedReason,
};

use crate::StoreError;

/// How an attempt to locate a host concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// On a place. Equal answers should be the same `Arc`: a batch is written once for each.
    Located(Arc<Located>),
    /// Without a place. A host that was located stays so, and only its `attempted_at` moves.
    Unlocated {
        /// Why.
        reason: UnlocatedReason,
        /// Build time of the database that was asked.
        database_build: Option<Timestamp>,
    },
}

/// What to write about one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationWrite {
    /// The host.
    pub host: HostId,
    /// What was found.
    pub attempt: Attempt,
}

/// A batch of answers.
#[derive(Clone, Debug)]
pub struct ApplyLocations {
    /// The answers, at most one for each host, sorted by host.
    pub writes: Vec<LocationWrite>,
    /// How long ago the lookups were made: an answer older than the stored `attempted_at` changes nothing.
    pub age: Duration,
}

/// What a batch changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppliedLocations {
    /// Hosts that are on the place that was found.
    pub located: u64,
    /// Of those, how many stood elsewhere before.
    pub moved: u64,
    /// Hosts whose attempt concluded without a place.
    pub unlocated: u64,
    /// Answers that came too late, or whose host is gone or not applicable.
    pub ignored: u64,
}

/// Writing and counting locations.
#[async_trait]
pub trait LocationStore: Send + Sync {
    /// Writes a batch of answers: places and networks (made once, never renumbered), hosts, history of moves,
    /// counters and recent results, in one transaction.
    async fn locations_apply(&self, params: ApplyLocations) -> Result<AppliedLocations, StoreError>;

    /// The coverage counts, from counters.
    async fn coverage(&self, max_age: Duration) -> Result<Coverage, StoreError>;

    /// Located hosts by country, most first; those whose country is not known come as one entry.
    async fn coverage_countries(&self) -> Result<Vec<CountryCoverage>, StoreError>;

    /// The latest attempts, newest first, at most 100. After bulk work only some of each batch are kept.
    async fn coverage_recent(&self, limit: u32) -> Result<Vec<RecentResult>, StoreError>;
}
