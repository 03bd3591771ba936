use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Network, Place, ProviderName, Timestamp};

/// After how long a location is stale, unless configured otherwise.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_hours(30 * 24);

/// After how long a failed lookup is tried again on its own: long enough for an outage to be over.
pub const FAILURE_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What one provider says about where an address is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Where. A provider may know the network alone; such an answer locates nothing.
    pub place: Option<Place>,
    /// The network; may be empty.
    pub network: Network,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// Who says so.
    pub provider: ProviderName,
    /// Accuracy radius in kilometres, if the provider gives one.
    pub accuracy_km: Option<u16>,
    /// Build time of the database file, for offline providers.
    pub database_build: Option<Timestamp>,
}

/// A location that has a place: the only kind that can be stored as located.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where.
    pub place: Place,
    /// The network; may be empty.
    pub network: Network,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// Who says so.
    pub provider: ProviderName,
    /// Accuracy radius in kilometres.
    pub accuracy_km: Option<u16>,
    /// Build time of the database file.
    pub database_build: Option<Timestamp>,
}

impl Location {
    /// The located form, if there is a place.
    pub fn into_located(self) -> Option<Located> {
        let Self { place, network, timezone, provider, accuracy_km, database_build } = self;
        place.map(|place| Located { place, network, timezone, provider, accuracy_km, database_build })
    }
}

/// A partition of the hosts by what is known of their location. The numbers are those in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LocationState {
    /// No attempt concluded.
    Pending,
    /// On a place.
    Located,
    /// An attempt concluded without a place; the reason is kept.
    Unlocated,
    /// A private or special-purpose address, which has no place.
    NotApplicable,
}

impl LocationState {
    /// All of them; the position is the number that is stored.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Located, Self::Unlocated, Self::NotApplicable];

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads [`LocationState::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word in JSON, URLs and style names.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Located => "located",
            Self::Unlocated => "unlocated",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// The word on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Located => "Located",
            Self::Unlocated => "Unlocated",
            Self::NotApplicable => "Not applicable",
        }
    }
}

/// Why a host has no place although it was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnlocatedReason {
    /// Asked and not known, by every provider.
    NoRecord,
    /// No database of this address family is installed, and no online provider is on.
    NoDatabase,
    /// The only answer was (0, 0), or a country that is none.
    NullIsland,
    /// A provider asked us to wait, until the job gave up.
    RateLimited,
    /// An answer could not be read.
    Malformed,
    /// No provider answered: refused, timed out, or broke.
    Unreachable,
    /// The key or token was refused.
    Rejected,
    /// The worker died three times while it ran this job alone.
    Poison,
    /// Whatever else an attempt ended with.
    Failed,
}

impl UnlocatedReason {
    /// All of them; the position is the number that is stored: append only.
    pub const ALL: [Self; 9] = [
        Self::NoRecord,
        Self::NoDatabase,
        Self::NullIsland,
        Self::RateLimited,
        Self::Malformed,
        Self::Unreachable,
        Self::Rejected,
        Self::Poison,
        Self::Failed,
    ];

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads [`UnlocatedReason::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The code in JSON, URLs and queries.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::NoRecord => "no_record",
            Self::NoDatabase => "no_database",
            Self::NullIsland => "null_island",
            Self::RateLimited => "rate_limited",
            Self::Malformed => "malformed",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::Poison => "poison",
            Self::Failed => "failed",
        }
    }

    /// A sentence for a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoRecord => "No provider knows the address",
            Self::NoDatabase => "No database for its address family",
            Self::NullIsland => "The answer was 0, 0",
            Self::RateLimited => "Rate limited",
            Self::Malformed => "The answer could not be read",
            Self::Unreachable => "No provider answered",
            Self::Rejected => "The provider refused our key",
            Self::Poison => "Its worker died three times",
            Self::Failed => "The lookup failed",
        }
    }

    /// Whether somebody was asked and did not know: such a host is due again with a newer database, not by the hour.
    pub const fn is_miss(self) -> bool {
        matches!(self, Self::NoRecord | Self::NullIsland)
    }
}

impl fmt::Display for UnlocatedReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.slug())
    }
}

/// What [`due`] has to know of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocationFacts {
    /// Its location state.
    pub state: LocationState,
    /// When it was last located.
    pub located_at: Option<Timestamp>,
    /// When an attempt last concluded.
    pub attempted_at: Option<Timestamp>,
    /// Why it is unlocated.
    pub reason: Option<UnlocatedReason>,
    /// Build time of the database that was asked.
    pub database_build: Option<Timestamp>,
}

/// By what [`due`] measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuePolicy {
    /// After how long a location is stale; zero makes every located host due.
    pub max_age: Duration,
    /// After how long a failure is tried again.
    pub failure_retry_after: Duration,
    /// Build time of the newest database at hand.
    pub database_build: Option<Timestamp>,
}

impl Default for DuePolicy {
    fn default() -> Self {
        Self { max_age: DEFAULT_MAX_AGE, failure_retry_after: FAILURE_RETRY_AFTER, database_build: None }
    }
}

/// Whether a location of this time is older than `max_age`. A time in the future is fresh: two machines' clocks may
/// differ a little, and asking again would not help. With `max_age` zero everything is stale.
pub fn is_stale(located_at: Timestamp, now: Timestamp, max_age: Duration) -> bool {
    max_age.is_zero() || now.since(located_at) > max_age
}

/// Whether a host should be looked up at `now`.
///
/// Import, `geolocate`, the coverage page and schedules share this rule; the backends' SQL is tested against it.
/// A host is due that was never attempted; that is located and stale; whose miss is stale or older than the database
/// at hand; whose failure is older than [`DuePolicy::failure_retry_after`].
pub fn due(host: &LocationFacts, now: Timestamp, policy: &DuePolicy) -> bool {
    let Some(attempted_at) = host.attempted_at else {
        return host.state != LocationState::NotApplicable;
    };
    match host.state {
        LocationState::NotApplicable => false,
        LocationState::Pending => true,
        LocationState::Located => is_stale(host.located_at.unwrap_or(attempted_at), now, policy.max_age),
        LocationState::Unlocated => {
            if host.reason.is_some_and(UnlocatedReason::is_miss) {
                is_stale(attempted_at, now, policy.max_age) || host.database_build < policy.database_build
            } else {
                now.since(attempted_at) > policy.failure_retry_after
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

    fn facts(state: LocationState, age_hours: u64, reason: Option<UnlocatedReason>) -> LocationFacts {
        let then = NOW.minus(Duration::from_secs(age_hours * 3600));
        let located_at = (state == LocationState::Located).then_some(then);
        LocationFacts { state, located_at, attempted_at: Some(then), reason, database_build: None }
    }

    #[test]
    fn due_follows_its_four_rules() {
        use LocationState::{Located, NotApplicable, Pending, Unlocated};
        let (miss, failure) = (Some(UnlocatedReason::NoRecord), Some(UnlocatedReason::Unreachable));
        let never = LocationFacts { attempted_at: None, ..facts(Pending, 0, None) };
        let cases = [
            (never, true),
            (facts(Located, 24, None), false),
            (facts(Located, 24 * 31, None), true),
            (facts(Unlocated, 24, miss), false),
            (facts(Unlocated, 24 * 31, miss), true),
            (facts(Unlocated, 0, failure), false),
            (facts(Unlocated, 2, failure), true),
            (facts(NotApplicable, 24 * 365, None), false),
        ];
        for (host, expected) in cases {
            assert_eq!(due(&host, NOW, &DuePolicy::default()), expected, "{host:?}");
        }
    }

    #[test]
    fn a_newer_database_makes_a_miss_due() {
        let miss = facts(LocationState::Unlocated, 1, Some(UnlocatedReason::NoRecord));
        let policy = DuePolicy { database_build: Some(NOW), ..DuePolicy::default() };
        assert!(due(&miss, NOW, &policy));
    }

    #[test]
    fn a_location_from_the_future_is_fresh() {
        assert!(!is_stale(NOW.plus(Duration::from_mins(1)), NOW, DEFAULT_MAX_AGE));
    }
}
