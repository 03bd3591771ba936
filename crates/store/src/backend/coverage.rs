use std::{collections::BTreeMap, time::Duration};

use hostatlas_domain::{
    Address, AddressClass, CountryCode, CountryCoverage, Coverage, LocationState, Precision, ProviderName,
    RecentResult, Timestamp, UnlocatedReason,
};

use super::{PlaceRow, corrupt};
use crate::StoreError;

const HOUR_MILLIS: i64 = 3_600_000;

/// The hour of a time in ms since 1970, as the counter `located_hour` counts it.
#[must_use]
pub const fn hour_of(millis: i64) -> i64 {
    millis.div_euclid(HOUR_MILLIS)
}

/// What was located before this hour is stale at `now`, in ms since 1970.
#[must_use]
pub fn stale_before(now: i64, max_age: Duration) -> i64 {
    // With age zero all is stale, even what was located in this hour.
    if max_age.is_zero() { i64::MAX } else { hour_of(Timestamp::from_millis(now).minus(max_age).as_millis()) }
}

/// The coverage that counters say: each by its name, its key and what it counts. `stale` hosts are located for too long.
///
/// # Errors
///
/// A counter of a state that this program does not know.
pub fn coverage(counters: Vec<(String, i64, i64)>, stale: i64) -> Result<Coverage, StoreError> {
    let mut coverage = Coverage { stale: count(stale), ..Coverage::default() };
    let mut pending_live = 0;
    for (name, key, hosts) in counters {
        let (number, hosts) = (u8::try_from(key).unwrap_or(u8::MAX), count(hosts));
        match name.as_str() {
            "state" => {
                coverage.total += hosts;
                match LocationState::from_number(number).ok_or_else(|| corrupt("a counter"))? {
                    LocationState::Pending => coverage.pending = hosts,
                    LocationState::Located => coverage.located = hosts,
                    LocationState::Unlocated => coverage.unlocated = hosts,
                    LocationState::NotApplicable => coverage.not_applicable = hosts,
                }
            }
            "pending_live" => pending_live = hosts,
            "reason" => {
                let slug = UnlocatedReason::from_number(number).map(UnlocatedReason::slug);
                note(&mut coverage.unlocated_reasons, slug, hosts);
            }
            "class" => {
                let class = AddressClass::from_number(number).filter(|class| !class.is_public());
                note(&mut coverage.not_applicable_classes, class.map(AddressClass::slug), hosts);
            }
            "precision" => {
                note(&mut coverage.precision, Precision::from_number(number).map(Precision::slug), hosts);
            }
            "provider" => {
                note(
                    &mut coverage.providers,
                    ProviderName::from_number(number).map(ProviderName::name),
                    hosts,
                );
            }
            _ => {}
        }
    }
    coverage.pending_unqueued = coverage.pending.saturating_sub(pending_live);
    coverage.percent_located = Coverage::percent(coverage.located, coverage.total, coverage.not_applicable);
    Ok(coverage)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn note(map: &mut BTreeMap<String, u64>, name: Option<&'static str>, hosts: u64) {
    if let Some(name) = name.filter(|_| hosts > 0) {
        map.insert(name.to_owned(), hosts);
    }
}

/// How many located hosts stand in a country, and how many of them on a city.
#[must_use]
pub fn country_coverage((code, hosts, precise): (String, i64, i64)) -> CountryCoverage {
    let known = code.parse::<CountryCode>().ok();
    CountryCoverage {
        country_code: known.map(|known| known.to_string()),
        country: known.map(|known| known.name().to_owned()),
        hosts: count(hosts),
        precise: count(precise),
    }
}

/// The columns of a recent result, joined to its host and place.
#[derive(Debug)]
pub struct RecentRow {
    /// The host's key.
    pub address: Vec<u8>,
    /// What the host was then.
    pub state: u8,
    /// Why it has no place.
    pub reason: Option<u8>,
    /// Who answered.
    pub provider: Option<u8>,
    /// When, in ms since 1970.
    pub attempted_at: i64,
    /// Where it was found; none where it was not.
    pub place: Option<PlaceRow>,
}

impl RecentRow {
    /// As people see it.
    ///
    /// # Errors
    ///
    /// An address, a state or a place that no version of ours writes.
    pub fn result(self) -> Result<RecentResult, StoreError> {
        let address = self.address.try_into().map_err(|_| corrupt("an address"))?;
        let reason = self.reason.and_then(UnlocatedReason::from_number);
        let provider = self.provider.and_then(ProviderName::from_number);
        let summary = match self.place {
            Some(place) => place.place().ok_or_else(|| corrupt("a place"))?.label(),
            None => reason.map_or_else(String::new, |reason| reason.label().to_owned()),
        };
        Ok(RecentResult {
            ip: Address::from_key(address),
            location_state: LocationState::from_number(self.state)
                .ok_or_else(|| corrupt("a location state"))?,
            summary,
            provider: provider.map(|provider| provider.name().to_owned()),
            attempted_at: Timestamp::from_millis(self.attempted_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_coverage() {
        let counter = |name: &str, key, hosts| (name.to_owned(), key, hosts);
        let counters = vec![
            counter("state", 0, 5),
            counter("state", 1, 3),
            counter("state", 3, 2),
            counter("pending_live", 0, 4),
            counter("class", 0, 8),
            counter("class", 1, 2),
            counter("precision", 0, 3),
            counter("provider", 200, 3),
            counter("reason", 0, 0),
            counter("what a newer version counts", 0, 9),
        ];
        let coverage = coverage(counters, -1).expect("coverage");
        assert_eq!((coverage.total, coverage.pending, coverage.pending_unqueued), (10, 5, 1));
        assert_eq!((coverage.located, coverage.not_applicable, coverage.stale), (3, 2, 0));
        assert_eq!((coverage.unlocated_reasons.len(), coverage.providers.len()), (0, 0));
        let classes: Vec<_> = coverage.not_applicable_classes.values().collect();
        assert_eq!((classes, coverage.precision.len()), (vec![&2], 1));
        assert!(super::coverage(vec![counter("state", 9, 1)], 0).is_err());
    }

    #[test]
    fn with_age_zero_all_is_stale() {
        assert_eq!(stale_before(7_200_000, Duration::from_hours(1)), 1);
        assert!(stale_before(7_200_000, Duration::ZERO) > hour_of(7_200_000));
    }
}
