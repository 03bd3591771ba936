use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use hostatlas_domain::{
    Address, CountryCode, Cursor, DuePolicy, Host, HostFilter, HostId, HostSort, HostSummary, LocationChange,
    Page, PlaceId, ProviderName, ServiceChange,
};

use crate::StoreError;

/// A page of the host list.
#[derive(Clone, Debug)]
pub struct SearchHosts {
    /// Which hosts.
    pub filter: HostFilter,
    /// In which order. With a filter it is always by address.
    pub sort: HostSort,
    /// After which host.
    pub cursor: Option<Cursor>,
    /// How many, 1 to 1000.
    pub limit: u32,
    /// After how long a location is stale.
    pub max_age: Duration,
}

/// How many hosts match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCount {
    /// So many were counted.
    pub hosts: u64,
    /// Whether counting came to its end.
    pub exact: bool,
}

/// What the hosts that match a filter are, by what a list of them is narrowed by. Names are those of the query language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacets {
    /// How many hosts were counted, and whether those are all that match.
    pub counted: HostCount,
    /// By location state; states without a host are left out. So for the next three.
    pub states: BTreeMap<String, u64>,
    /// Of the located, how many are stale.
    pub stale: u64,
    /// The unlocated by reason.
    pub reasons: BTreeMap<String, u64>,
    /// The located by provider.
    pub providers: BTreeMap<String, u64>,
    /// Those on a place by country, most hosts first, then by code. Places that are in no country are left out.
    pub countries: Vec<(CountryCode, u64)>,
}

/// What happened to a host.
#[derive(Clone, Debug, Default)]
pub struct HostHistory {
    /// Its moves, newest first, at most 50.
    pub locations: Vec<LocationChange>,
    /// Its services that opened or closed, newest first, at most 50.
    pub services: Vec<ServiceChange>,
}

/// Which hosts an operation over many means.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made for a walk over many hosts")]
pub enum HostSelection {
    /// Those that are due.
    Due(DuePolicy),
    /// All whose address is public.
    All,
    /// Public ones that match.
    Filter {
        /// Which.
        filter: HostFilter,
        /// After how long a location is stale.
        max_age: Duration,
        /// Only those of them that are due by this policy. `None` takes all.
        due: Option<DuePolicy>,
    },
    /// These; unknown ones are left out.
    Addresses(Vec<Address>),
    /// These, which a selection before answered; those that are gone by now are left out where something is done to them.
    Hosts(Vec<SelectedHost>),
    /// Those in a block whose address is special. The only selection that holds such hosts: a site may place them with
    /// [`crate::LocationStore::locations_apply`]. No job is made for them.
    Special {
        /// The block's first address.
        first: Address,
        /// Its last.
        last: Address,
        /// `false`: those that are on no place. `true`: those that a site has placed; pinned ones are left out.
        sited: bool,
    },
}

/// Walks through a selection by address.
#[derive(Clone, Debug)]
pub struct SelectHosts {
    /// Which hosts.
    pub selection: HostSelection,
    /// Only those after this address.
    pub after: Option<Address>,
    /// At most so many.
    pub limit: u32,
}

/// A host of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectedHost {
    /// Its row.
    pub id: HostId,
    /// Its address.
    pub address: Address,
}

/// A host that is on a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocatedHost {
    /// Its address.
    pub address: Address,
    /// Its place: [`crate::MapStore::places_changed`] has its point, [`crate::MapStore::places_named`] its names.
    pub place: PlaceId,
    /// Who says so.
    pub provider: ProviderName,
}

/// Reading hosts.
#[async_trait]
pub trait HostStore: Send + Sync {
    /// A page of hosts.
    ///
    /// Reads a bounded number of rows: a page may hold fewer than `limit` hosts, even none, and still have a next
    /// cursor.
    async fn hosts_search(&self, params: SearchHosts) -> Result<Page<HostSummary>, StoreError>;

    /// How many hosts match, counted to `cap` at most.
    async fn hosts_count(
        &self,
        filter: HostFilter,
        max_age: Duration,
        cap: u64,
    ) -> Result<HostCount, StoreError>;

    /// What the hosts that match are, of the first `cap` of them by address.
    ///
    /// Reads a bounded number of rows, as lists do: where a rare match lies behind many other hosts, fewer than `cap` are
    /// counted although there are more.
    async fn hosts_facets(
        &self,
        filter: HostFilter,
        max_age: Duration,
        cap: u32,
    ) -> Result<HostFacets, StoreError>;

    /// One host. [`StoreError::UnknownHost`] if no scan saw it.
    async fn host_get(&self, address: Address, max_age: Duration) -> Result<Host, StoreError>;

    /// What happened to a host. [`StoreError::UnknownHost`] if no scan saw it.
    async fn host_history(&self, address: Address) -> Result<HostHistory, StoreError>;

    /// The next hosts of a selection, by address. An empty answer is the end.
    async fn hosts_select(&self, params: SelectHosts) -> Result<Vec<SelectedHost>, StoreError>;

    /// The next located hosts after an address, by address, at most `limit`. An empty answer is the end. Reads nothing
    /// but the hosts, for whoever compares a million of them.
    async fn hosts_located(&self, after: Option<Address>, limit: u32)
    -> Result<Vec<LocatedHost>, StoreError>;
}
