//! Hosts in private networks that the configuration puts on a place.

use hostatlas_domain::Address;
use hostatlas_geolocation::Lookup;
use hostatlas_store::{ApplyLocations, Attempt, HostSelection, LocationWrite, SelectHosts, SelectedHost};
use tracing::{info, warn};

use crate::{Error, Services};

/// Hosts in one write.
const BATCH: u32 = 5_000;

/// Which hosts in private networks are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those on no place: after an import.
    New,
    /// Those on the place of a site as well: the configuration may have changed since.
    All,
}

/// Puts the hosts of private networks where the configured sites are, and takes those off their place that no site
/// covers any more. A failure is logged: whoever calls this has more important things to do.
pub(crate) async fn place_sites(services: &Services, which: Which) {
    match place(services, which).await {
        Ok(0) => {}
        Ok(hosts) => {
            info!("Placed {hosts} private hosts by the configured sites");
            services.changed();
        }
        Err(error) => {
            warn!(
                error = &error as &dyn std::error::Error,
                "Private hosts could not be placed by their sites"
            );
        }
    }
}

async fn place(services: &Services, which: Which) -> Result<u64, Error> {
    let mut changed = 0;
    if which == Which::All {
        let (first, last) = (Address::from_key([0; 16]), Address::from_key([255; 16]));
        changed += walk(services, HostSelection::Special { first, last, sited: true }).await?;
    }
    for site in &services.config().sites {
        let (first, last) = (Address::from(site.network.network()), Address::from(site.network.broadcast()));
        changed += walk(services, HostSelection::Special { first, last, sited: false }).await?;
    }
    Ok(changed)
}

/// Writes where the hosts of a selection are by the sites; answers how many changed or were confirmed.
async fn walk(services: &Services, selection: HostSelection) -> Result<u64, Error> {
    let store = services.store();
    let mut after = None;
    let mut changed = 0;
    loop {
        let params = SelectHosts { selection: selection.clone(), after, limit: BATCH };
        let asked = tokio::time::Instant::now();
        let hosts = store.hosts_select(params).await?;
        let Some(last) = hosts.last() else { return Ok(changed) };
        after = Some(last.address);
        let addresses: Vec<Address> = hosts.iter().map(|host| host.address).collect();
        // No database is asked about these: their addresses are not public.
        let lookups = services.locator().locate_sorted(&addresses);
        let write = |(host, lookup): (&SelectedHost, Lookup)| LocationWrite {
            host: host.id,
            attempt: match lookup {
                Lookup::Located(located) => Attempt::Located(located),
                _ => Attempt::NotApplicable,
            },
        };
        let mut writes: Vec<_> = hosts.iter().zip(lookups).map(write).collect();
        // Selected by address; the contract of the write is by host.
        writes.sort_unstable_by_key(|write| write.host);
        let applied = store.locations_apply(ApplyLocations { writes, age: asked.elapsed() }).await?;
        changed += applied.located + applied.unsited;
    }
}
