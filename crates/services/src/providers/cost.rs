use hostatlas_domain::{Address, LookupCost, ThirdParty};
use hostatlas_store::SelectHosts;

use crate::{Error, GeolocateRequest, Selection, Services};

/// Hosts that are looked at before the answer is "at least so many": reading them takes a tenth of a second.
const MOST_HOSTS: u64 = 50_000;
/// Hosts read at once.
const CHUNK: u32 = 10_000;

/// Walks the selection and asks the databases about it.
pub(super) async fn of_selection(
    services: &Services,
    selection: &Selection,
    force: bool,
) -> Result<LookupCost, Error> {
    let request = GeolocateRequest { force, ..GeolocateRequest::of(selection.clone()) };
    let plan = services.geolocate().plan(&request).await?;
    let mut cost =
        LookupCost { exact: true, third_parties: third_parties(services), ..LookupCost::default() };
    if cost.third_parties.is_empty() {
        cost.exact = plan.total.is_some();
        cost.hosts = plan.total.unwrap_or_default();
        return Ok(cost);
    }
    let mut after = None;
    loop {
        let params = SelectHosts { selection: plan.selection.clone(), after, limit: CHUNK };
        let hosts = services.store().hosts_select(params).await?;
        let Some(last) = hosts.last() else { return Ok(cost) };
        after = Some(last.address);
        let addresses: Vec<Address> = hosts.iter().map(|host| host.address).collect();
        cost.hosts += addresses.len() as u64;
        cost.online += services.locator().would_send(&addresses, force).await as u64;
        if cost.hosts >= MOST_HOSTS {
            cost.exact = plan.total == Some(cost.hosts);
            return Ok(cost);
        }
    }
}

/// For a few addresses.
pub(super) async fn of_addresses(services: &Services, addresses: &[Address], force: bool) -> LookupCost {
    let third_parties = third_parties(services);
    let online = services.locator().would_send(addresses, force).await as u64;
    LookupCost { hosts: addresses.len() as u64, online, exact: true, third_parties }
}

/// Who sees addresses, in the order of asking.
pub(super) fn third_parties(services: &Services) -> Vec<ThirdParty> {
    let providers = services.locator().providers().into_iter();
    let third_party = |provider: hostatlas_geolocation::ProviderInfo| {
        Some(ThirdParty {
            provider: provider.name.name().to_owned(),
            host: provider.third_party?,
            clear_text: provider.clear_text,
        })
    };
    providers.filter_map(third_party).collect()
}
