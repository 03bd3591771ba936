use hostatlas_domain::{Host, HostSort, HostSummary, Page};
use hostatlas_store::{HostCount, HostHistory, SearchHosts};

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
