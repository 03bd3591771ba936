use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    Address, AddressClass, HostFilter, ImportId, LocationState, LookupView, Place, PlaceId, PortNumber,
    Precision, Protocol, Timestamp, UnlocatedReason,
};

/// The row of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub i64);

/// Where a host is, as pages and REST show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostLocation {
    /// The answer.
    #[serde(flatten)]
    pub answer: LookupView,
    /// When it was found; null after a person let the host go, until it is looked up again.
    pub located_at: Option<Timestamp>,
    /// The place that it shares with other hosts.
    pub place_id: PlaceId,
}

/// One open or closed port of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Service {
    /// Its port.
    pub port: PortNumber,
    /// Its protocol.
    pub protocol: Protocol,
    /// `open` or `closed`.
    pub state: String,
    /// What a scanner takes it for; null if no scanner said.
    pub service: Option<String>,
    /// What it said, every control character escaped (`\x1b`); text to show, never markup.
    pub banner: Option<String>,
    /// First seen.
    pub first_seen: Timestamp,
    /// Last seen.
    pub last_seen: Timestamp,
}

/// A service that opened or closed after it was first seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// When.
    pub at: Timestamp,
    /// Its port.
    pub port: PortNumber,
    /// Its protocol.
    pub protocol: Protocol,
    /// `open` or `closed`: what it became.
    pub state: String,
}

/// A move of a host from one place to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocationChange {
    /// When the new place was found.
    pub at: Timestamp,
    /// Where it was thought to be.
    pub from: Place,
    /// Where it is thought to be since.
    pub to: Place,
    /// How far, in kilometres.
    pub distance_km: f64,
    /// Who says so.
    pub provider: String,
}

/// All that is known of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Host {
    /// Its address.
    pub ip: Address,
    /// First seen.
    pub first_seen: Timestamp,
    /// Last seen.
    pub last_seen: Timestamp,
    /// Location state.
    pub location_state: LocationState,
    /// Why it is unlocated.
    pub unlocated_reason: Option<UnlocatedReason>,
    /// What kind of address it is.
    pub address_class: AddressClass,
    /// Where it is.
    pub location: Option<HostLocation>,
    /// Whether a person fixed the location, so that no answer replaces it.
    #[serde(default)]
    pub pinned: bool,
    /// When an attempt to locate it last concluded.
    pub attempted_at: Option<Timestamp>,
    /// Whether its location is stale.
    pub stale: bool,
    /// Its services, by port.
    pub services: Vec<Service>,
    /// The import that first brought it.
    pub first_import: Option<ImportId>,
    /// The import that last saw it.
    pub last_import: Option<ImportId>,
}

/// A row of the host list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostSummary {
    /// Its address.
    pub ip: Address,
    /// First seen.
    pub first_seen: Timestamp,
    /// Last seen.
    pub last_seen: Timestamp,
    /// Location state.
    pub location_state: LocationState,
    /// Why it is unlocated.
    pub unlocated_reason: Option<UnlocatedReason>,
    /// What kind of address it is.
    pub address_class: AddressClass,
    /// Whether its location is stale.
    pub stale: bool,
    /// Its place.
    pub place_id: Option<PlaceId>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// What the point stands for.
    pub precision: Option<Precision>,
    /// City.
    pub city: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    pub country_code: Option<String>,
    /// Country name.
    pub country: Option<String>,
    /// `AS` and number.
    pub asn: Option<String>,
    /// Holder of the autonomous system.
    pub organization: Option<String>,
    /// Who located it.
    pub provider: Option<String>,
    /// Accuracy radius in kilometres.
    pub accuracy_km: Option<u16>,
    /// When it was located; null where it was not, and after a person let it go until it is looked up again.
    pub located_at: Option<Timestamp>,
    /// Its first open ports, lowest first, at most eight.
    pub ports: Vec<PortNumber>,
    /// How many ports are open in all.
    pub open_ports: u32,
}

/// By what the host list is sorted. A filtered list is always by address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostSort {
    /// Lowest address first.
    #[default]
    Address,
    /// Newest first sight first.
    FirstSeen,
    /// Latest sight first.
    LastSeen,
    /// Latest located first.
    LocatedAt,
}

impl HostSort {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Address, Self::FirstSeen, Self::LastSeen, Self::LocatedAt];

    /// The word in URLs.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::FirstSeen => "first_seen",
            Self::LastSeen => "last_seen",
            Self::LocatedAt => "located_at",
        }
    }

    /// In which orders the hosts of a filter can be listed: only the list of all hosts has other orders than by address.
    pub fn available(filter: &HostFilter) -> &'static [Self] {
        if filter.is_empty() { &Self::ALL } else { &[Self::Address] }
    }
}

/// No order has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no order `{0}`: use address, first_seen, last_seen or located_at")]
pub struct UnknownHostSort(String);

impl FromStr for HostSort {
    type Err = UnknownHostSort;

    /// Reads [`HostSort::slug`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|sort| sort.slug() == text)
            .ok_or_else(|| UnknownHostSort(crate::sanitize(text, 64)))
    }
}
