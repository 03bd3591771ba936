use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Asn, CountryCode, ImportId, LocationState, PlaceId, PortNumber, ProviderName, UnlocatedReason};

/// Which hosts a list, a map or a bulk action means; all given parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostFilter {
    /// Inside this block.
    pub range: Option<IpNet>,
    /// In one of these countries.
    pub countries: Vec<CountryCode>,
    /// In a city of this name, upper and lower case alike; districts in parentheses count as the city.
    pub city: Option<String>,
    /// With one of these ports open.
    pub ports: Vec<PortNumber>,
    /// In one of these autonomous systems.
    pub asns: Vec<Asn>,
    /// Whose organization's name contains this, upper and lower case alike.
    pub organization: Option<String>,
    /// In this location state.
    pub state: Option<LocationState>,
    /// Located longer ago than the maximum age.
    pub stale: bool,
    /// Unlocated for this reason.
    pub reason: Option<UnlocatedReason>,
    /// Located by this provider.
    pub provider: Option<ProviderName>,
    /// On this place.
    pub place: Option<PlaceId>,
    /// First brought by this import.
    pub import: Option<ImportId>,
    /// Whose city, region, country or organization contains each of these words.
    pub words: Vec<String>,
}

impl HostFilter {
    /// Whether it lets every host pass.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
