use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{Coordinate, HostFilter, Place, PlaceId, Precision, Topic, TopicChange};

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

/// One history of a database, as one process tells them apart. A copy that is put in the place of the database begins
/// another, and so does a server that takes over without the newest transactions: from then on numbers of rows and of
/// changes mean something else, even once they have caught up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HistoryId(pub u64);

/// Up to where something in memory is known: it is true for as long as this stays equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The history.
    pub history: HistoryId,
    /// The change number of one topic in it.
    pub number: i64,
}

/// The change numbers of all topics, in one history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The history. What was read in another one has to be read anew.
    pub history: HistoryId,
    /// A number for each topic. It moves with every commit that changes something under the topic.
    pub topics: Vec<TopicChange>,
}

impl Changes {
    /// Up to where a topic is known.
    #[must_use]
    pub fn version(&self, topic: Topic) -> Option<Version> {
        let change = self.topics.iter().find(|change| change.topic == topic)?;
        Some(Version { history: self.history, number: change.number })
    }

    /// The topics that changed since `earlier`: all of them, if that was another history.
    pub fn since(&self, earlier: &Self) -> impl Iterator<Item = Topic> {
        let topics = self.topics.iter().map(|change| change.topic);
        topics.filter(|topic| self.version(*topic) != earlier.version(*topic))
    }
}

/// What the map is made of, and what tells that it changed.
#[async_trait]
pub trait MapStore: Send + Sync {
    /// Places whose host count changed after change number `since` (0: all that have hosts), with the number to ask
    /// with next in the same history.
    async fn places_changed(&self, since: i64) -> Result<(Vec<PlaceHosts>, i64), StoreError>;

    /// The names of these places, in any order.
    async fn places_named(&self, ids: &[PlaceId]) -> Result<Vec<(PlaceId, Place)>, StoreError>;

    /// How many matching hosts stand on each place.
    async fn places_matching(
        &self,
        filter: HostFilter,
        max_age: Duration,
    ) -> Result<Vec<(PlaceId, u64)>, StoreError>;

    /// The change numbers of all topics, and the history that they belong to: another one than before, as soon as the
    /// database is another one or a number went back. Cheap enough to ask every second.
    async fn changes(&self) -> Result<Changes, StoreError>;
}
