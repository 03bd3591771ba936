use std::time::Duration;

use hostatlas_domain::Address;
use hostatlas_geolocation::Lookup;
use hostatlas_store::{ApplyLocations, LocationWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    DIRECT_PATIENCE, GeolocateRequest, Plan, Tracker, Waiting, attempt,
    batch::options,
    patience::{one, patiently},
    select,
};
use crate::{Error, Services};

/// Hosts read at once; they are looked up one by one.
const READ_AHEAD: u32 = 500;
/// Answers are written when so many are at hand...
const WRITE_AT: usize = 500;
/// ...or after so long, whichever is first: a slow provider's answers should not wait.
const WRITE_AFTER: Duration = Duration::from_millis(250);

/// Looks hosts up one after the other, with a pause between two.
pub(super) async fn run(
    services: &Services,
    request: &GeolocateRequest,
    plan: Plan,
    cancel: &CancellationToken,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let mut after: Option<Address> = None;
    let mut pending: Vec<LocationWrite> = Vec::new();
    let mut oldest = Instant::now();
    loop {
        let selected = select(services, &plan.selection, after, READ_AHEAD).await?;
        let Some(last) = selected.last() else { break };
        after = Some(last.address);
        for host in selected {
            if cancel.is_cancelled() {
                return write(services, &mut pending, oldest).await;
            }
            if pending.is_empty() {
                oldest = Instant::now();
            }
            let lookup = locate(services, request, host.address, cancel, tracker).await;
            if cancel.is_cancelled() && matches!(lookup, Lookup::Deferred(_)) {
                return write(services, &mut pending, oldest).await;
            }
            tracker.count(&lookup);
            let build = services.locator().database_build();
            pending.extend(attempt(&lookup, build).map(|attempt| LocationWrite { host: host.id, attempt }));
            if pending.len() >= WRITE_AT || oldest.elapsed() >= WRITE_AFTER || !request.delay.is_zero() {
                write(services, &mut pending, oldest).await?;
            }
            tracker.tell();
            if !request.delay.is_zero() {
                cancel.run_until_cancelled(tokio::time::sleep(request.delay)).await;
            }
        }
    }
    write(services, &mut pending, oldest).await
}

async fn locate(
    services: &Services,
    request: &GeolocateRequest,
    address: Address,
    cancel: &CancellationToken,
    tracker: &mut Tracker<'_>,
) -> Lookup {
    let locator = services.locator();
    if locator.has_online() {
        let mut on_wait = |waiting: &Waiting| tracker.wait(waiting);
        let options = options(request, DIRECT_PATIENCE);
        one(patiently(locator, &[address], options, cancel, &mut on_wait).await)
    } else {
        locator.locate(address).await
    }
}

async fn write(services: &Services, pending: &mut Vec<LocationWrite>, oldest: Instant) -> Result<(), Error> {
    if pending.is_empty() {
        return Ok(());
    }
    let mut writes = std::mem::take(pending);
    writes.sort_unstable_by_key(|write| write.host);
    services.store().locations_apply(ApplyLocations { writes, age: oldest.elapsed() }).await?;
    services.changed();
    Ok(())
}
