use hostatlas_domain::{
    CountryCoverage, Coverage, Host, HostFilter, HostSort, HostSummary, LocationState, Page, query_terms,
    sanitize,
};
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

    /// A page of the hosts that match `q` (empty: all). An order that such a list does not have is refused.
    ///
    /// `limit` is 1 to 1000. A page may hold fewer hosts, even none, and still have a next cursor.
    pub async fn search(
        &self,
        q: &str,
        sort: HostSort,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<HostSummary>, Error> {
        let filter = parse_query(q)?.filter().clone();
        check_order(&filter, sort)?;
        let params = SearchHosts {
            filter,
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

    /// Why no host matches `q`, where that can be said in bounded work; `None` also where some host does.
    pub async fn nothing_because(&self, q: &str) -> Result<Option<String>, Error> {
        if self.is_without(&HostFilter::default()).await? {
            return Ok(Some("no host has been imported yet".to_owned()));
        }
        let query = parse_query(q)?;
        if !self.is_without(query.filter()).await? {
            return Ok(None);
        }
        let terms = query_terms(q);
        for term in &terms {
            let alone = parse_query(&term.text)?;
            if self.is_without(alone.filter()).await? {
                return Ok(without(&term.text, alone.filter(), terms.len()));
            }
        }
        Ok((terms.len() > 1)
            .then(|| "each of these terms matches hosts, but no host matches all of them".to_owned()))
    }

    /// Whether it is certain that no host passes a filter.
    async fn is_without(&self, filter: &HostFilter) -> Result<bool, Error> {
        let max_age = self.services.config().max_age;
        let count = self.services.store().hosts_count(filter.clone(), max_age, 1).await?;
        Ok(count.exact && count.hosts == 0)
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

/// Why no host passes the filter of one term.
fn without(term: &str, filter: &HostFilter, terms: usize) -> Option<String> {
    if let Some(range) = filter.range {
        return Some(if range.prefix_len() == range.max_prefix_len() {
            format!("no imported scan saw the address `{}`", range.addr())
        } else {
            format!("no imported scan saw an address in `{range}`")
        });
    }
    if let Some(word) = filter.words.first() {
        let word = sanitize(word, 80);
        return Some(format!("no city, region, country or organization contains `{word}`"));
    }
    // Of a single term that is all there is to say, and the search has said it.
    (terms > 1).then(|| format!("`{}` alone matches no host", sanitize(term, 80)))
}

fn check_order(filter: &HostFilter, sort: HostSort) -> Result<(), Error> {
    let available = HostSort::available(filter);
    if available.contains(&sort) {
        return Ok(());
    }
    let words = |orders: &mut dyn Iterator<Item = HostSort>| {
        orders.map(|order| format!("`{}`", order.slug())).collect::<Vec<_>>().join(", ")
    };
    let others = words(&mut HostSort::ALL.into_iter().filter(|order| !available.contains(order)));
    Err(Error::NotSupported {
        detail: format!("a list that a query filters cannot be sorted by `{}`", sort.slug()),
        hint: Some(format!(
            "sort it by {}; {others} are for the list of all hosts",
            words(&mut available.iter().copied())
        )),
    })
}
