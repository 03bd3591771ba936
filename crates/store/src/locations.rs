use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{
    Address, CountryCoverage, Coverage, HostId, Located, Place, RecentResult, Timestamp, UnlocatedReason,
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
    /// No site covers its special address any more: a host that a site had placed has no place again. About any other
    /// host it says nothing and is ignored.
    NotApplicable,
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
    /// Hosts that stay where a person put them, whatever the answer says.
    pub pinned: u64,
    /// Hosts that no site places any more.
    pub unsited: u64,
    /// Answers that came too late, or whose host is gone or not applicable.
    pub ignored: u64,
}

/// Writing and counting locations.
#[async_trait]
pub trait LocationStore: Send + Sync {
    /// Writes a batch of answers: places and networks (made once, never renumbered), hosts, history of moves,
    /// counters and recent results, in one transaction.
    ///
    /// A pinned host keeps its place: an answer that locates it moves `located_at` and `attempted_at`, any other moves
    /// `attempted_at` alone. A host with a special address is `not_applicable` and stays so, unless the answer is one
    /// of [`hostatlas_domain::ProviderName::Site`]: such a host counts as located until it gets
    /// [`Attempt::NotApplicable`]; answers of others are ignored. The effects of finished jobs obey the same rules.
    async fn locations_apply(&self, params: ApplyLocations) -> Result<AppliedLocations, StoreError>;

    /// Puts a host on a place that a person names, and holds it there. Its provider is
    /// [`hostatlas_domain::ProviderName::Manual`], its network stays, a move is noted in its history. A host with a
    /// special address may be pinned too. Pinning again moves it. [`StoreError::UnknownHost`] if no scan saw it.
    async fn location_pin(&self, address: Address, place: Place) -> Result<(), StoreError>;

    /// Lets a pinned host go; answers whether it was pinned. It stands where it stood until the next answer, which is
    /// due at once: its `located_at` becomes 1970, so that every age makes it stale. One with a special address is
    /// `not_applicable` again. [`StoreError::UnknownHost`] if no scan saw it.
    async fn location_unpin(&self, address: Address) -> Result<bool, StoreError>;

    /// The coverage counts, from counters.
    async fn coverage(&self, max_age: Duration) -> Result<Coverage, StoreError>;

    /// Located hosts by country, most first; those whose country is not known come as one entry.
    async fn coverage_countries(&self) -> Result<Vec<CountryCoverage>, StoreError>;

    /// The latest attempts, newest first, at most 100. After bulk work only some of each batch are kept.
    async fn coverage_recent(&self, limit: u32) -> Result<Vec<RecentResult>, StoreError>;
}
