use serde::{Deserialize, Serialize};

/// What a change touched; live pages listen by topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Places and how many hosts stand on them.
    Map,
    /// Jobs and their counts, and paused kinds.
    Jobs,
    /// Coverage counts, runs and recent results.
    Coverage,
    /// Imports.
    Imports,
}

impl Topic {
    /// All of them; the position is the number that is stored.
    pub const ALL: [Self; 4] = [Self::Map, Self::Jobs, Self::Coverage, Self::Imports];

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The event name in `GET /api/v1/events`.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Jobs => "jobs",
            Self::Coverage => "coverage",
            Self::Imports => "imports",
        }
    }
}

/// That something under a topic changed; the number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicChange {
    /// What changed.
    pub topic: Topic,
    /// Its change number.
    pub number: i64,
}
