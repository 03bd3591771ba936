use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{Coordinate, HostFilter, Place, PlaceId, Precision, TopicChange};

use crate::StoreError;

/// A place and how many hosts stand on it: 32 bytes, since every serving process keeps all of them in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceHosts {
    /// The place.
    pub id: PlaceId,
    /// Its point.
    pub coordinate: Coordinate,
    /// What the point stands for.
    pub precision: Precision,
    /// Hosts on it, 0 once all have moved away.
    pub hosts: u64,
}

/// What the map is made of, and what tells that it changed.
#[async_trait]
pub trait MapStore: Send + Sync {
    /// Places whose host count changed after change number `since` (0: all that have hosts), with the number to ask
    /// with next.
    async fn places_changed(&self, since: i64) -> Result<(Vec<PlaceHosts>, i64), StoreError>;

    /// The names of these places, in any order.
    async fn places_named(&self, ids: &[PlaceId]) -> Result<Vec<(PlaceId, Place)>, StoreError>;

    /// How many matching hosts stand on each place.
    async fn places_matching(
        &self,
        filter: HostFilter,
        max_age: Duration,
    ) -> Result<Vec<(PlaceId, u64)>, StoreError>;

    /// The change numbers of all topics. Cheap enough to ask every second.
    async fn changes(&self) -> Result<Vec<TopicChange>, StoreError>;
}
