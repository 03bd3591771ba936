//! Waiting for online providers, on behalf of a person who waits for the run.

use std::time::Duration;

use hostatlas_domain::Address;
use hostatlas_store::SelectedHost;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    DIRECT_PATIENCE, GeolocateRequest, Tracker,
    batch::{Found, apart, options, write},
    patience::patiently,
};
use crate::{Error, Services};

/// Hosts that are asked about together. Few enough that answers are written and counted every few seconds, and enough
/// for several full requests to the widest provider at once.
const SLICE: usize = 2_000;
/// How long a slice waits for permits before what it has is written.
const SLICE_PATIENCE: Duration = Duration::from_secs(2);
/// Hosts for which the next window is waited for: as many as the common batch endpoints take.
const PROBE: usize = 100;
/// Rounds without any answer that are borne: the first was short, and in the others another process may have been
/// faster.
const VAIN_ROUNDS: u32 = 3;

/// Looks up what had to wait, window after window, for as long as the next window opens within
/// [`DIRECT_PATIENCE`]. What then still waits is counted as deferred and stays due; hosts that only providers could know
/// that do not answer are added to `unanswered`.
pub(super) async fn wait_for(
    services: &Services,
    request: &GeolocateRequest,
    mut left: Vec<SelectedHost>,
    unanswered: &mut Vec<SelectedHost>,
    cancel: &CancellationToken,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let mut vain = 0;
    while !left.is_empty() && !cancel.is_cancelled() {
        // When nobody could be asked at once, the next answers are waited for; they are few, to be written soon.
        let (size, patience) = if vain == 0 { (SLICE, SLICE_PATIENCE) } else { (PROBE, DIRECT_PATIENCE) };
        let later = left.split_off(size.min(left.len()));
        let slice = std::mem::replace(&mut left, later);
        let found = ask(services, request, slice, patience, cancel, tracker).await;
        let (concluded, waits) = (found.batch.hosts.len(), !found.waiting.is_empty());
        left.extend(found.waiting);
        unanswered.extend(found.unanswered);
        write(services, found.batch, tracker).await?;
        tracker.tell();
        if concluded > 0 {
            vain = 0;
        } else if vain == VAIN_ROUNDS {
            break;
        } else if waits {
            vain += 1;
        }
        if !request.delay.is_zero() {
            cancel.run_until_cancelled(tokio::time::sleep(request.delay)).await;
        }
    }
    count_deferred(&left, cancel, tracker);
    Ok(())
}

/// Looks hosts up once more whose providers did not answer: one that was out for a moment may be back. Nobody is waited
/// for; what is still not answered is counted as deferred and stays due.
pub(super) async fn try_again(
    services: &Services,
    request: &GeolocateRequest,
    mut left: Vec<SelectedHost>,
    cancel: &CancellationToken,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    while !left.is_empty() && !cancel.is_cancelled() {
        let later = left.split_off(SLICE.min(left.len()));
        let slice = std::mem::replace(&mut left, later);
        let found = ask(services, request, slice, Duration::ZERO, cancel, tracker).await;
        let concluded = found.batch.hosts.len();
        left.extend(found.waiting.into_iter().chain(found.unanswered));
        write(services, found.batch, tracker).await?;
        if concluded == 0 {
            break;
        }
    }
    count_deferred(&left, cancel, tracker);
    Ok(())
}

async fn ask(
    services: &Services,
    request: &GeolocateRequest,
    slice: Vec<SelectedHost>,
    patience: Duration,
    cancel: &CancellationToken,
    tracker: &mut Tracker<'_>,
) -> Found {
    let asked = Instant::now();
    let addresses: Vec<Address> = slice.iter().map(|host| host.address).collect();
    let options = options(request, patience);
    let mut on_wait = |waiting: &super::Waiting| tracker.wait(waiting);
    let lookups = patiently(services.locator(), &addresses, options, cancel, &mut on_wait).await;
    apart(slice, lookups, asked)
}

/// Hosts that stay due. A run that was cancelled did not consider them.
fn count_deferred(left: &[SelectedHost], cancel: &CancellationToken, tracker: &mut Tracker<'_>) {
    if !cancel.is_cancelled() {
        let summary = &mut tracker.progress.summary;
        summary.considered += left.len() as u64;
        summary.deferred += left.len() as u64;
    }
}
