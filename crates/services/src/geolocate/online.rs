//! Waiting for online providers, on behalf of a person who waits for the run.

use std::time::Duration;

use hostatlas_domain::Address;
use hostatlas_geolocation::Lookup;
use hostatlas_store::SelectedHost;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    DIRECT_PATIENCE, GeolocateRequest, Tracker,
    batch::{apart, options, write},
};
use crate::{Error, Services};

/// Hosts that are asked about together. Few enough that answers are written and counted every few seconds, and enough
/// for several full requests to the widest provider at once.
const SLICE: usize = 2_000;
/// Rounds without any answer that are borne, each after the wait that the providers asked for: another process may
/// have been faster.
const VAIN_ROUNDS: u32 = 2;

/// Looks up what had to wait, window after window, for as long as the next window opens within
/// [`DIRECT_PATIENCE`]. What then still waits is counted as deferred and stays due.
pub(super) async fn wait_for(
    services: &Services,
    request: &GeolocateRequest,
    mut left: Vec<SelectedHost>,
    cancel: &CancellationToken,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let mut vain = 0;
    while !left.is_empty() && !cancel.is_cancelled() {
        let later = left.split_off(SLICE.min(left.len()));
        let slice = std::mem::replace(&mut left, later);
        let asked = Instant::now();
        let addresses: Vec<Address> = slice.iter().map(|host| host.address).collect();
        let located = services.locator().locate_with(&addresses, options(request, DIRECT_PATIENCE));
        let Some(lookups) = cancel.run_until_cancelled(located).await else {
            left.extend(slice);
            break;
        };
        let next = soonest(&lookups);
        let (batch, deferred) = apart(slice, lookups, asked);
        let concluded = batch.hosts.len();
        left.extend(deferred);
        write(services, batch, tracker).await?;
        tracker.tell(false);
        if concluded > 0 {
            vain = 0;
        } else {
            let wait = next.unwrap_or(Duration::MAX);
            if wait > DIRECT_PATIENCE || vain == VAIN_ROUNDS {
                break;
            }
            vain += 1;
            cancel.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        if !request.delay.is_zero() {
            cancel.run_until_cancelled(tokio::time::sleep(request.delay)).await;
        }
    }
    if !cancel.is_cancelled() {
        let summary = &mut tracker.progress.summary;
        summary.considered += left.len() as u64;
        summary.deferred += left.len() as u64;
    }
    Ok(())
}

/// After how long the first of those that wait may be asked about.
fn soonest(lookups: &[Lookup]) -> Option<Duration> {
    let waits = lookups.iter().filter_map(|lookup| match lookup {
        Lookup::Deferred { wait, .. } => Some(*wait),
        _ => None,
    });
    waits.min()
}
