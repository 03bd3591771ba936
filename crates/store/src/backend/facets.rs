use std::collections::BTreeMap;

use hostatlas_domain::{CountryCode, LocationState, ProviderName, UnlocatedReason};

use super::corrupt;
use crate::{HostCount, HostFacets, StoreError};

/// Hosts that a backend looks at for facets, whatever matches: as many as it looks at to count them.
const FACETS_WALK_PAGES: u32 = 20;

/// Gathers the hosts that facets count, page by page, until it has enough of them or has looked far enough.
#[derive(Debug)]
pub struct FacetWalk {
    hosts: Vec<i64>,
    cap: usize,
    pages_left: u32,
    all: bool,
}

impl FacetWalk {
    /// Will gather at most `cap` hosts.
    #[must_use]
    pub fn new(cap: u32) -> Self {
        Self { hosts: Vec::new(), cap: cap as usize, pages_left: FACETS_WALK_PAGES, all: false }
    }

    /// How many hosts the next page may have; none when no further page is wanted.
    #[must_use]
    pub fn next_limit(&self) -> Option<u32> {
        let missing = u32::try_from(self.cap.saturating_sub(self.hosts.len())).unwrap_or(u32::MAX);
        (!self.all && self.pages_left > 0 && missing > 0).then_some(missing)
    }

    /// Takes the ids of a page. `is_last`: there is no page after it.
    pub fn add(&mut self, hosts: impl IntoIterator<Item = i64>, is_last: bool) {
        self.hosts.extend(hosts);
        self.pages_left -= 1;
        self.all = is_last;
    }

    /// The hosts to count.
    #[must_use]
    pub fn hosts(&self) -> &[i64] {
        &self.hosts
    }

    /// The facets of these groups.
    ///
    /// # Errors
    ///
    /// A state that no version of ours writes.
    pub fn facets(&self, groups: Vec<FacetGroup>) -> Result<HostFacets, StoreError> {
        let counted = HostCount { hosts: self.hosts.len() as u64, exact: self.all };
        let mut facets = HostFacets { counted, ..HostFacets::default() };
        let mut countries: BTreeMap<CountryCode, u64> = BTreeMap::new();
        for group in groups {
            let hosts = u64::try_from(group.hosts).unwrap_or(0);
            let state = known(group.state, LocationState::from_number);
            let state = state.ok_or_else(|| corrupt("a location state"))?;
            *facets.states.entry(state.slug().to_owned()).or_default() += hosts;
            facets.stale += if group.stale { hosts } else { 0 };
            if state == LocationState::Unlocated
                && let Some(reason) =
                    group.reason.and_then(|reason| known(reason, UnlocatedReason::from_number))
            {
                *facets.reasons.entry(reason.slug().to_owned()).or_default() += hosts;
            }
            if state == LocationState::Located
                && let Some(provider) =
                    group.provider.and_then(|provider| known(provider, ProviderName::from_number))
            {
                *facets.providers.entry(provider.name().to_owned()).or_default() += hosts;
            }
            if let Some(country) = group.country.and_then(|code| code.parse().ok()) {
                *countries.entry(country).or_default() += hosts;
            }
        }
        facets.countries = countries.into_iter().collect();
        // Stable, so that equal ones stay by code.
        facets.countries.sort_by_key(|(_, hosts)| std::cmp::Reverse(*hosts));
        Ok(facets)
    }
}

fn known<T>(number: i64, of: fn(u8) -> Option<T>) -> Option<T> {
    u8::try_from(number).ok().and_then(of)
}

/// Hosts that are alike in all that facets count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetGroup {
    /// Their location state.
    pub state: i64,
    /// Whether they are stale.
    pub stale: bool,
    /// Why they have no place.
    pub reason: Option<i64>,
    /// Who located them.
    pub provider: Option<i64>,
    /// The country of their place; empty where it is in none.
    pub country: Option<String>,
    /// How many they are.
    pub hosts: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_ends_with_the_last_page_at_its_cap_or_when_it_has_looked_far_enough() {
        let mut walk = FacetWalk::new(5);
        walk.add([1, 2, 3], false);
        assert_eq!(walk.next_limit(), Some(2));
        walk.add([4, 5], false);
        assert_eq!((walk.next_limit(), walk.hosts().len()), (None, 5));
        assert_eq!(walk.facets(Vec::new()).expect("facets").counted, HostCount { hosts: 5, exact: false });
        let mut whole = FacetWalk::new(5);
        whole.add([1, 2], true);
        assert_eq!(whole.next_limit(), None);
        assert_eq!(whole.facets(Vec::new()).expect("facets").counted, HostCount { hosts: 2, exact: true });
        let mut far = FacetWalk::new(5);
        let pages = std::iter::from_fn(|| far.next_limit().map(|_| far.add([], false))).count();
        assert_eq!(pages, FACETS_WALK_PAGES as usize);
    }

    #[test]
    fn groups_are_summed_up_and_numbers_of_a_newer_version_are_left_out() {
        let group = |state, provider, country: &str, hosts| FacetGroup {
            state,
            stale: false,
            reason: None,
            provider,
            country: Some(country.to_owned()),
            hosts,
        };
        let groups = vec![
            group(1, Some(0), "DE", 3),
            group(1, Some(200), "FR", 3),
            group(1, Some(0), "", 1),
            FacetGroup { stale: true, ..group(1, Some(0), "JP", 9) },
            FacetGroup { reason: Some(0), country: None, ..group(2, Some(0), "", 4) },
        ];
        let facets = FacetWalk::new(9).facets(groups).expect("facets");
        let counts = |counts: &[(&str, u64)]| -> BTreeMap<String, u64> {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        assert_eq!(facets.states, counts(&[("located", 16), ("unlocated", 4)]));
        assert_eq!((facets.stale, facets.providers), (9, counts(&[("mmdb", 13)])));
        let reason = UnlocatedReason::from_number(0).expect("a reason").slug();
        assert_eq!(facets.reasons, counts(&[(reason, 4)]));
        let countries: Vec<_> =
            facets.countries.iter().map(|(code, hosts)| (code.to_string(), *hosts)).collect();
        assert_eq!(countries, [("JP".to_owned(), 9), ("DE".to_owned(), 3), ("FR".to_owned(), 3)]);
        assert!(FacetWalk::new(9).facets(vec![group(9, None, "", 1)]).is_err());
    }
}
