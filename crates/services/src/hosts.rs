use hostatlas_domain::{CountryCoverage, Coverage, Host, HostSort, HostSummary, LocationState, Page};
use hostatlas_store::{HostCount, HostFacets, HostHistory, SearchHosts};

use crate::{
    Error, Services,
    request::{parse_address, parse_cursor, parse_limit, parse_query},
};

/// Reading hosts.
#[derive(Clone)]
pub struct Hosts {
    services: Services,
}

impl Hosts {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// A page of the hosts that match `q` (empty: all). A filtered list is by address whatever `sort` says.
    ///
    /// `limit` is 1 to 1000. A page may hold fewer hosts, even none, and still have a next cursor.
    pub async fn search(
        &self,
        q: &str,
        sort: HostSort,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<HostSummary>, Error> {
        let params = SearchHosts {
            filter: parse_query(q)?.filter().clone(),
            sort,
            cursor: parse_cursor(cursor)?,
            limit: parse_limit(limit)?,
            max_age: self.services.config().max_age,
        };
        Ok(self.services.store().hosts_search(params).await?)
    }

    /// How many hosts match `q`, counted to `cap` at most.
    pub async fn count(&self, q: &str, cap: u64) -> Result<HostCount, Error> {
        let filter = parse_query(q)?.filter().clone();
        Ok(self.services.store().hosts_count(filter, self.services.config().max_age, cap).await?)
    }

    /// What the hosts that match `q` are: all of them where `q` is empty, else the first `cap`.
    pub async fn facets(&self, q: &str, cap: u32) -> Result<HostFacets, Error> {
        let filter = parse_query(q)?.filter().clone();
        if !filter.is_empty() {
            return Ok(self
                .services
                .store()
                .hosts_facets(filter, self.services.config().max_age, cap)
                .await?);
        }
        // Of all hosts counters are kept, so nothing has to be looked at.
        let coverage = self.services.coverage().get().await?;
        let countries = self.services.coverage().countries().await?;
        Ok(of_all(coverage, &countries))
    }

    /// All that is known of one host.
    pub async fn get(&self, ip: &str) -> Result<Host, Error> {
        let address = parse_address(ip)?;
        Ok(self.services.store().host_get(address, self.services.config().max_age).await?)
    }

    /// Its moves, and its services that opened or closed; newest first, at most 50 each.
    pub async fn history(&self, ip: &str) -> Result<HostHistory, Error> {
        Ok(self.services.store().host_history(parse_address(ip)?).await?)
    }
}

fn of_all(coverage: Coverage, countries: &[CountryCoverage]) -> HostFacets {
    let states = [
        (LocationState::Located, coverage.located),
        (LocationState::Pending, coverage.pending),
        (LocationState::Unlocated, coverage.unlocated),
        (LocationState::NotApplicable, coverage.not_applicable),
    ];
    let states = states.into_iter().filter(|(_, hosts)| *hosts > 0);
    let countries = countries
        .iter()
        .filter_map(|country| Some((country.country_code.as_deref()?.parse().ok()?, country.hosts)));
    HostFacets {
        counted: HostCount { hosts: coverage.total, exact: true },
        states: states.map(|(state, hosts)| (state.slug().to_owned(), hosts)).collect(),
        stale: coverage.stale,
        reasons: coverage.unlocated_reasons,
        providers: coverage.providers,
        countries: countries.collect(),
    }
}
