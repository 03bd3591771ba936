use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Address, LocationState, Timestamp};

/// How much of what was found is located, as `stats coverage --json` prints it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Coverage {
    /// All hosts: the sum of the four states.
    pub total: u64,
    /// On a place.
    pub located: u64,
    /// No attempt concluded.
    pub pending: u64,
    /// An attempt concluded without a place.
    pub unlocated: u64,
    /// Private and special-purpose addresses.
    pub not_applicable: u64,
    /// Of the located, how many were located longer ago than the maximum age (counted to the hour).
    pub stale: u64,
    /// Of the pending, how many have no live job.
    pub pending_unqueued: u64,
    /// 100 · located / (total − not applicable); null where nothing can be located.
    pub percent_located: Option<f64>,
    /// Unlocated hosts by reason.
    pub unlocated_reasons: BTreeMap<String, u64>,
    /// Not applicable hosts by class.
    pub not_applicable_classes: BTreeMap<String, u64>,
    /// Located hosts by precision.
    pub precision: BTreeMap<String, u64>,
    /// Located hosts by provider.
    pub providers: BTreeMap<String, u64>,
}

impl Coverage {
    /// 100 · located / (total − not applicable).
    #[expect(clippy::cast_precision_loss, reason = "host counts stay far below 2^53")]
    pub fn percent(located: u64, total: u64, not_applicable: u64) -> Option<f64> {
        let locatable = total.saturating_sub(not_applicable);
        (locatable > 0).then(|| 100.0 * located as f64 / locatable as f64)
    }
}

/// Located hosts of a country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountryCoverage {
    /// ISO 3166-1 alpha-2 code; null where the provider named none.
    pub country_code: Option<String>,
    /// Its name.
    pub country: Option<String>,
    /// Hosts.
    pub hosts: u64,
    /// Of those, how many are known to the city.
    pub precise: u64,
}

/// Located hosts of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProviderCoverage {
    /// Its name.
    pub provider: String,
    /// Hosts.
    pub hosts: u64,
}

/// One of the latest attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecentResult {
    /// The host.
    pub ip: Address,
    /// What it became.
    pub location_state: LocationState,
    /// City, region or country; or why there is none.
    pub summary: String,
    /// Who said so.
    pub provider: Option<String>,
    /// When.
    pub attempted_at: Timestamp,
}
