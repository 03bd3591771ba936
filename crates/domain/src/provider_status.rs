//! What the providers page shows: how each provider does, and what each said of one host.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Location, LookupView, ProviderName, Timestamp, UnlocatedReason};

/// Upper edges of the latency classes, in milliseconds: each about 1.5 times the one before.
const LATENCY_EDGES: [u32; 20] =
    [5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450, 675, 1000, 1500, 2250, 3400, 5000, 7500, 11_000];

/// How long calls took, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies(pub [u32; LATENCY_EDGES.len()]);

impl Latencies {
    /// Counts one call.
    pub fn record(&mut self, took: Duration) {
        let millis = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        let class = LATENCY_EDGES.partition_point(|edge| *edge < millis).min(LATENCY_EDGES.len() - 1);
        self.0[class] = self.0[class].saturating_add(1);
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// The upper edge, in milliseconds, of the class in which the `share` (0 to 1) fastest calls end; `None` before
    /// the first call.
    pub fn quantile(&self, share: f64) -> Option<u32> {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
        let wanted = total as f64 * share.clamp(0.0, 1.0);
        let mut seen = 0_u64;
        self.0.iter().zip(LATENCY_EDGES).find_map(|(count, edge)| {
            seen += u64::from(*count);
            #[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
            let reached = *count > 0 && seen as f64 >= wanted;
            reached.then_some(edge)
        })
    }
}

/// What a provider was asked, and what came of it. Kept in the ledger; also the amount by which one call adds to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderTally {
    /// Requests.
    pub calls: u64,
    /// Requests that brought no usable answer at all.
    pub failed_calls: u64,
    /// Addresses that were sent.
    pub addresses: u64,
    /// Of those, located.
    pub located: u64,
    /// Of those, asked and not known.
    pub missed: u64,
    /// How long the calls took.
    pub latencies: Latencies,
}

impl ProviderTally {
    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed_calls = self.failed_calls.saturating_add(other.failed_calls);
        self.addresses = self.addresses.saturating_add(other.addresses);
        self.located = self.located.saturating_add(other.located);
        self.missed = self.missed.saturating_add(other.missed);
        self.latencies.add(&other.latencies);
    }
}

/// Whether a provider is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is asked.
    #[default]
    Closed,
    /// It failed too often and is left alone for a while.
    Open,
    /// One call finds out whether it answers again.
    HalfOpen,
}

/// One limit and how far it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitStatus {
    /// What is limited: `batches a minute`.
    pub name: String,
    /// How many in one window.
    pub permits: u32,
    /// How many are left in this window.
    pub left: u32,
    /// When the window ends; `None` where none is open.
    pub resets_at: Option<Timestamp>,
    /// The provider asked to be left alone until then.
    pub closed_until: Option<Timestamp>,
}

/// How one provider does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProviderStatus {
    /// Its name in configuration.
    pub name: String,
    /// Whether it is configured, and so asked.
    pub enabled: bool,
    /// Its place in the order of asking, from 1; 0 where it is not asked.
    pub position: u32,
    /// The third party that sees the addresses; `None` for what answers on this machine.
    pub third_party: Option<String>,
    /// Whether addresses travel unencrypted.
    pub clear_text: bool,
    /// Why it is not asked although it is configured: a refused key, a missing one.
    pub disabled_because: Option<String>,
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// When an open breaker lets one call through.
    pub breaker_until: Option<Timestamp>,
    /// Its limits.
    pub limits: Vec<LimitStatus>,
    /// Requests so far.
    pub calls: u64,
    /// Addresses that were sent so far.
    pub addresses_sent: u64,
    /// Of those, located.
    pub located: u64,
    /// Of those, not known to it.
    pub missed: u64,
    /// Calls that brought an answer, in percent; `None` before the first.
    pub success_percent: Option<f64>,
    /// Half of the calls took at most so many milliseconds.
    pub p50_ms: Option<u32>,
    /// 95 % of the calls took at most so many milliseconds.
    pub p95_ms: Option<u32>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// When it was last called.
    pub last_call_at: Option<Timestamp>,
    /// What a person should know of its terms.
    pub terms: Option<String>,
    /// Build time of the newest database, for offline providers.
    pub database_build: Option<Timestamp>,
}

/// What one provider said of one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderAnswer {
    /// Who said it.
    pub provider: ProviderName,
    /// When.
    pub answered_at: Timestamp,
    /// What.
    pub status: ProviderAnswerStatus,
}

/// What a provider said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderAnswerStatus {
    /// It is here.
    Located(Box<Location>),
    /// It was asked and knows no place.
    Miss(UnlocatedReason),
}

/// All that was said of one host, side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostAnswers {
    /// Whether a person fixed the location, so that no answer replaces it.
    pub pinned: bool,
    /// The answers, the chosen one first, then by distance from it.
    pub answers: Vec<HostAnswer>,
    /// How far apart the two that differ most are, in kilometres; `None` with fewer than two places.
    pub spread_km: Option<f64>,
}

/// One answer beside the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostAnswer {
    /// The answer; its `provider` says who gave it.
    pub answer: LookupView,
    /// When it was given; `None` for one that was computed just now from a database.
    pub answered_at: Option<Timestamp>,
    /// Whether this is the location that the host has.
    pub chosen: bool,
    /// How far it is from the chosen one, in kilometres.
    pub distance_km: Option<f64>,
}

/// How long locating what is left takes with one provider, at what it allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Forecast {
    /// Which.
    pub provider: String,
    /// Hosts that are left.
    pub hosts: u64,
    /// How long they take, in seconds; `None` where it cannot be said.
    pub seconds: Option<u64>,
}

/// What a lookup would send to whom, so that a person can decide before it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LookupCost {
    /// Hosts that would be looked up.
    pub hosts: u64,
    /// Of those, how many online providers would be asked about: each is sent to one of them, and to the next if that
    /// one does not know. Answers that are still kept make it fewer.
    pub online: u64,
    /// Whether all hosts were counted; else there are more.
    pub exact: bool,
    /// Who sees those addresses that are sent, in the order of asking; empty where no online provider is asked.
    pub third_parties: Vec<ThirdParty>,
}

/// Somebody else's machine that is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ThirdParty {
    /// The provider's name in configuration.
    pub provider: String,
    /// The machine's name.
    pub host: String,
    /// Whether addresses travel unencrypted.
    pub clear_text: bool,
}
