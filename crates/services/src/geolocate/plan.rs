//! From what was asked for to the hosts that are meant.

use std::time::Duration;

use hostatlas_domain::{Address, DuePolicy, HostFilter, Timestamp};
use hostatlas_store::{HostSelection, SelectHosts, SelectedHost, StoreError};

use super::{Geolocate, GeolocateRequest, Selection};
use crate::{
    Error, Services,
    request::{parse_addresses, parse_conditions},
};

/// A selection, understood.
pub(crate) struct Plan {
    pub(crate) selection: HostSelection,
    pub(crate) total: Option<u64>,
}

impl Geolocate {
    pub(crate) async fn plan(&self, request: &GeolocateRequest) -> Result<Plan, Error> {
        let max_age = request.max_age.unwrap_or(self.services.config().max_age);
        let selection = match &request.selection {
            Selection::Due if request.force => HostSelection::All,
            Selection::Query(_) if !request.force => {
                let policy = DuePolicy { max_age, ..self.services.due_policy() };
                only_due(understand(&self.services, &request.selection, max_age)?, policy)
            }
            selection => understand(&self.services, selection, max_age)?,
        };
        let total = self.total(&request.selection, &selection, max_age).await?;
        Ok(Plan { selection, total })
    }

    async fn total(
        &self,
        asked: &Selection,
        selection: &HostSelection,
        max_age: Duration,
    ) -> Result<Option<u64>, Error> {
        let store = self.services.store();
        if let HostSelection::Addresses(addresses) = selection {
            return Ok(Some(addresses.len() as u64));
        }
        if let (Selection::Query(_), HostSelection::Filter { filter, max_age, due }) = (asked, selection) {
            if due.is_some() {
                // How many of the matching hosts are due is not counted anywhere.
                return Ok(None);
            }
            let count = store.hosts_count(filter.clone(), *max_age, 100_000).await?;
            return Ok(count.exact.then_some(count.hosts));
        }
        let coverage = store.coverage(max_age).await?;
        let stale = if max_age.is_zero() { coverage.located } else { coverage.stale };
        Ok(match (asked, selection) {
            (_, HostSelection::All) => Some(coverage.total - coverage.not_applicable),
            (Selection::Missing, _) => Some(coverage.pending + coverage.unlocated),
            (Selection::Stale, _) => Some(stale),
            // How many unlocated hosts are due is not counted anywhere.
            _ if coverage.unlocated > 0 => None,
            _ => Some(coverage.pending + stale),
        })
    }
}

/// The hosts that a selection means, where a location is stale after `max_age`.
pub(crate) fn understand(
    services: &Services,
    selection: &Selection,
    max_age: Duration,
) -> Result<HostSelection, Error> {
    Ok(match selection {
        Selection::Due => HostSelection::Due(DuePolicy { max_age, ..services.due_policy() }),
        Selection::Missing => HostSelection::Due(missing_policy()),
        Selection::Stale => {
            let filter = HostFilter { stale: true, ..HostFilter::default() };
            HostSelection::Filter { filter, max_age, due: None }
        }
        Selection::All => HostSelection::All,
        Selection::Query(q) => HostSelection::Filter { filter: parse_conditions(q)?, max_age, due: None },
        Selection::Addresses(ips) => HostSelection::Addresses(parse_addresses(ips)?),
    })
}

/// Of a selection by filter, the hosts that are due.
fn only_due(selection: HostSelection, policy: DuePolicy) -> HostSelection {
    match selection {
        HostSelection::Filter { filter, max_age, .. } => {
            HostSelection::Filter { filter, max_age, due: Some(policy) }
        }
        other => other,
    }
}

/// Nothing located is due, everything else is.
fn missing_policy() -> DuePolicy {
    DuePolicy {
        max_age: Duration::from_hours(100 * 365 * 24),
        failure_retry_after: Duration::ZERO,
        database_build: Some(Timestamp::from_millis(i64::MAX)),
    }
}

/// The hosts of a selection after `after`, by address.
pub(super) async fn select(
    services: &Services,
    selection: &HostSelection,
    after: Option<Address>,
    limit: u32,
) -> Result<Vec<SelectedHost>, StoreError> {
    let params = SelectHosts { selection: selection.clone(), after, limit };
    services.store().hosts_select(params).await
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::{LocationFacts, LocationState, UnlocatedReason, due};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

    #[test]
    fn missing_means_pending_and_unlocated_however_recently_tried() {
        let facts = |state, reason| LocationFacts {
            state,
            located_at: (state == LocationState::Located).then_some(Timestamp::from_secs(1)),
            attempted_at: Some(NOW),
            reason,
            database_build: Some(NOW),
        };
        let cases = [
            facts(LocationState::Pending, None),
            facts(LocationState::Unlocated, Some(UnlocatedReason::NoRecord)),
            facts(LocationState::Located, None),
            facts(LocationState::NotApplicable, None),
        ];
        assert_eq!(cases.map(|host| due(&host, NOW, &missing_policy())), [true, true, false, false]);
    }
}
