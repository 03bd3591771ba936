//! Waiting for online providers, on behalf of a person who waits for the run.

use std::time::Duration;

use hostatlas_domain::Address;
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
/// How long a slice waits for permits before what it has is written.
const SLICE_PATIENCE: Duration = Duration::from_secs(2);
/// For how long answers that are on their way are waited for once the run was cancelled.
const GRACE: Duration = Duration::from_secs(3);
/// Hosts for which the next window is waited for: as many as the common batch endpoints take.
const PROBE: usize = 100;
/// Rounds without any answer that are borne: the first was short, and in the others another process may have been
/// faster.
const VAIN_ROUNDS: u32 = 3;

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
        // When nobody could be asked at once, the next answers are waited for; they are few, to be written soon.
        let (size, patience) = if vain == 0 { (SLICE, SLICE_PATIENCE) } else { (PROBE, DIRECT_PATIENCE) };
        let later = left.split_off(size.min(left.len()));
        let slice = std::mem::replace(&mut left, later);
        let asked = Instant::now();
        let addresses: Vec<Address> = slice.iter().map(|host| host.address).collect();
        let located = services.locator().locate_with(&addresses, options(request, patience));
        let too_late = async {
            cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let lookups = tokio::select! {
            lookups = located => lookups,
            () = too_late => break,
        };
        let (batch, deferred) = apart(slice, lookups, asked);
        let concluded = batch.hosts.len();
        left.extend(deferred);
        write(services, batch, tracker).await?;
        tracker.tell();
        if concluded > 0 {
            vain = 0;
        } else if vain == VAIN_ROUNDS {
            break;
        } else {
            vain += 1;
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
