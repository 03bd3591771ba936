//! What islands read of REST answers: only the fields that they draw, with times as text.
//!
//! The types of `domain` would do, but they bring a parser of dates into the browser, and the first view has a budget.

use hostatlas_domain::{AddressClass, JobState, LocationState, Page, Precision, Protocol, RunState, UnlocatedReason};
use serde::{Deserialize, Serialize};

/// A host in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostRow {
    /// Its address.
    pub ip: String,
    /// Location state.
    pub location_state: LocationState,
    /// Whether its location is stale.
    pub stale: bool,
    /// What its point stands for.
    pub precision: Option<Precision>,
    /// Holder of its autonomous system.
    pub organization: Option<String>,
    /// When it was located, RFC 3339.
    pub located_at: Option<String>,
    /// Its first open ports.
    pub ports: Vec<u16>,
    /// How many are open in all.
    pub open_ports: u32,
}

/// All that the panel shows of one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostDetail {
    /// Its address.
    pub ip: String,
    /// Location state.
    pub location_state: LocationState,
    /// Why it is unlocated.
    pub unlocated_reason: Option<UnlocatedReason>,
    /// What kind of address it is.
    pub address_class: AddressClass,
    /// Where it is.
    pub location: Option<HostPosition>,
    /// Whether its location is stale.
    pub stale: bool,
    /// Its services.
    pub services: Vec<HostService>,
}

/// Where a host is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostPosition {
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub precision: Option<Precision>,
    pub city: Option<String>,
    pub region: Option<String>,
    pub country: Option<String>,
    pub asn: Option<String>,
    pub organization: Option<String>,
    pub provider: Option<String>,
    pub accuracy_km: Option<u16>,
    pub database_build: Option<String>,
    pub located_at: String,
}

impl HostPosition {
    /// `Frankfurt am Main, Germany`
    pub fn name(&self) -> String {
        let finest = self.city.as_deref().or(self.region.as_deref());
        match (finest, self.country.as_deref()) {
            (Some(finest), Some(country)) => format!("{finest}, {country}"),
            (Some(name), None) | (None, Some(name)) => name.to_owned(),
            (None, None) => "an unnamed place".to_owned(),
        }
    }

    /// Where it is and how sure that is, in words.
    pub fn accuracy(&self) -> Option<String> {
        match (self.precision, self.accuracy_km) {
            (Some(Precision::Country), _) => Some("country known, place not".to_owned()),
            (Some(Precision::Region), _) => Some("region known, city not".to_owned()),
            (_, Some(kilometres)) => Some(format!("within {kilometres}\u{a0}km")),
            _ => None,
        }
    }
}

/// One port of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostService {
    pub port: u16,
    pub protocol: Protocol,
    pub state: String,
    pub service: Option<String>,
}

/// A job that an island watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobProgress {
    pub state: JobState,
    pub last_error: Option<String>,
    pub result: Option<String>,
    pub waiting_because: Option<String>,
}

/// A run that an island watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    pub id: i64,
    pub state: RunState,
    pub total: u64,
    pub considered: u64,
    pub located: u64,
    pub unlocated: u64,
    pub failed: u64,
    pub skipped: u64,
    pub rate: f64,
    pub seconds_left: Option<f64>,
    pub error: Option<String>,
}

/// The head of a place's panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaceHead {
    /// Its row.
    pub id: i64,
    /// What a person calls it.
    pub label: String,
    /// Its country.
    pub country: Option<String>,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What its point stands for.
    pub precision: Precision,
    /// How many hosts stand on it.
    pub hosts: u64,
}

/// What a place's panel shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacePanelData {
    /// The place.
    pub head: PlaceHead,
    /// A page of its hosts.
    pub page: Page<HostRow>,
    /// The host that is open in it.
    pub open: Option<HostDetail>,
}

#[cfg(feature = "ssr")]
mod from_domain {
    use hostatlas_domain::{Host, HostLocation, HostSummary, Page, Run, Timestamp};

    use super::{HostDetail, HostPosition, HostRow, HostService, RunProgress};

    fn text(moment: Timestamp) -> String {
        moment.to_string()
    }

    impl From<HostSummary> for HostRow {
        fn from(host: HostSummary) -> Self {
            Self {
                ip: host.ip.to_string(),
                location_state: host.location_state,
                stale: host.stale,
                precision: host.precision,
                organization: host.organization,
                located_at: host.located_at.map(text),
                ports: host.ports.into_iter().map(u16::from).collect(),
                open_ports: host.open_ports,
            }
        }
    }

    /// A page of rows as islands draw them.
    pub fn rows(page: Page<HostSummary>) -> Page<HostRow> {
        Page { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }

    impl From<HostLocation> for HostPosition {
        fn from(location: HostLocation) -> Self {
            let HostLocation { answer, located_at, .. } = location;
            Self {
                latitude: answer.latitude,
                longitude: answer.longitude,
                precision: answer.precision,
                city: answer.city,
                region: answer.region,
                country: answer.country,
                asn: answer.asn,
                organization: answer.organization,
                provider: answer.provider,
                accuracy_km: answer.accuracy_km,
                database_build: answer.database_build.map(text),
                located_at: text(located_at),
            }
        }
    }

    impl From<Host> for HostDetail {
        fn from(host: Host) -> Self {
            let services = host.services.into_iter().map(|service| HostService {
                port: service.port.get(),
                protocol: service.protocol,
                state: service.state,
                service: service.service,
            });
            Self {
                ip: host.ip.to_string(),
                location_state: host.location_state,
                unlocated_reason: host.unlocated_reason,
                address_class: host.address_class,
                location: host.location.map(Into::into),
                stale: host.stale,
                services: services.collect(),
            }
        }
    }

    impl From<Run> for RunProgress {
        fn from(run: Run) -> Self {
            Self {
                id: run.id.0,
                state: run.state,
                total: run.total,
                considered: run.summary.considered,
                located: run.summary.located,
                unlocated: run.summary.unlocated,
                failed: run.summary.failed,
                skipped: run.summary.skipped,
                rate: run.rate,
                seconds_left: run.seconds_left,
                error: run.error,
            }
        }
    }
}

#[cfg(feature = "ssr")]
pub use from_domain::rows;
