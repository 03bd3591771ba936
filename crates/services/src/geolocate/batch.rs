use std::{num::NonZeroUsize, time::Duration};

use hostatlas_domain::{Address, HostId};
use hostatlas_geolocation::{DeferralCause, LocateOptions, Lookup};
use hostatlas_store::{ApplyLocations, LocationWrite, SelectedHost};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{GeolocateRequest, Plan, Tracker, attempt, chunk_size, locate_offline, online, patience, select};
use crate::{Error, Services};

/// Hosts in one write, measured best on SQLite: 250,000 a second and more, in transactions under 100 ms.
const WRITE_BATCH: u32 = 20_000;
/// Hosts in one write where online providers are asked: their answers come slowly, and should be seen.
const ONLINE_BATCH: u32 = 5_000;
/// Batches that are looked up while one is written; more would only wait for the writer.
const AHEAD: usize = 2;

/// What came of looking some hosts up.
pub(super) struct Found {
    /// What was concluded.
    pub(super) batch: Batch,
    /// Hosts for which a provider has to be waited for.
    pub(super) waiting: Vec<SelectedHost>,
    /// Hosts that only providers could know that do not answer.
    pub(super) unanswered: Vec<SelectedHost>,
}

/// Hosts and what was found about them.
pub(super) struct Batch {
    pub(super) hosts: Vec<HostId>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) asked: Instant,
}

/// Selects, looks up and writes in three overlapping stages. Hosts for which an online provider has to be waited for
/// are left for the end, so that they hold up nobody whom a database knows.
pub(super) async fn run(
    services: &Services,
    request: &GeolocateRequest,
    plan: Plan,
    cancel: &CancellationToken,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    let stop = cancel.child_token();
    // A consumer that fails must not leave the producer waiting for room.
    let _stop_with_us = stop.clone().drop_guard();
    let producer = tokio::spawn(produce(services.clone(), request.clone(), plan, stop, sender));
    let (mut left, mut unanswered) = (Vec::new(), Vec::new());
    while let Some(found) = receiver.recv().await {
        left.extend(found.waiting);
        unanswered.extend(found.unanswered);
        write(services, found.batch, tracker).await?;
        tracker.tell();
    }
    producer.await.map_err(|error| Error::Internal(error.into()))??;
    online::wait_for(services, request, left, &mut unanswered, cancel, tracker).await?;
    online::try_again(services, request, unanswered, cancel, tracker).await
}

async fn produce(
    services: Services,
    request: GeolocateRequest,
    plan: Plan,
    stop: CancellationToken,
    sender: mpsc::Sender<Found>,
) -> Result<(), Error> {
    let online = services.locator().has_online();
    let workers = request.max_workers.unwrap_or(services.config().max_workers);
    // Online, `--batch-size` is about requests; how much is read and written at once is our own affair.
    let size = if online { ONLINE_BATCH } else { chunk_size(request.batch_size, WRITE_BATCH) };
    let mut after: Option<Address> = None;
    while !stop.is_cancelled() {
        let selected = select(&services, &plan.selection, after, size).await?;
        let Some(last) = selected.last() else { break };
        after = Some(last.address);
        let asked = Instant::now();
        let addresses: Vec<Address> = selected.iter().map(|host| host.address).collect();
        let lookups = if online {
            let options = options(&request, Duration::ZERO);
            let located = services.locator().locate_with(&addresses, options);
            let Some(lookups) = stop.run_until_cancelled(located).await else { break };
            lookups
        } else {
            locate_offline(&services, addresses, workers).await
        };
        if sender.send(apart(selected, lookups, asked)).await.is_err() {
            break;
        }
        if !request.delay.is_zero() {
            stop.run_until_cancelled(tokio::time::sleep(request.delay)).await;
        }
    }
    Ok(())
}

/// How online providers are asked for a request.
pub(super) const fn options(request: &GeolocateRequest, patience: Duration) -> LocateOptions {
    let batch_size: Option<NonZeroUsize> = request.batch_size;
    LocateOptions { force: request.force, patience, batch_size }
}

/// Sorts hosts by what came of their lookups.
pub(super) fn apart(selected: Vec<SelectedHost>, lookups: Vec<Lookup>, asked: Instant) -> Found {
    let mut batch = Batch { hosts: Vec::with_capacity(lookups.len()), lookups: Vec::new(), asked };
    let (mut waiting, mut unanswered) = (Vec::new(), Vec::new());
    for (host, lookup) in selected.into_iter().zip(lookups) {
        match patience::deferral(&lookup).map(|deferral| deferral.cause) {
            Some(DeferralCause::Quota) => waiting.push(host),
            Some(DeferralCause::Outage) => unanswered.push(host),
            None => {
                batch.hosts.push(host.id);
                batch.lookups.push(lookup);
            }
        }
    }
    Found { batch, waiting, unanswered }
}

pub(super) async fn write(services: &Services, batch: Batch, tracker: &mut Tracker<'_>) -> Result<(), Error> {
    let build = services.locator().database_build();
    let mut writes: Vec<LocationWrite> = Vec::with_capacity(batch.hosts.len());
    for (host, lookup) in batch.hosts.into_iter().zip(&batch.lookups) {
        tracker.count(lookup);
        writes.extend(attempt(lookup, build).map(|attempt| LocationWrite { host, attempt }));
    }
    // Selected by address; the contract of the write is by host.
    writes.sort_unstable_by_key(|write| write.host);
    if !writes.is_empty() {
        services.store().locations_apply(ApplyLocations { writes, age: batch.asked.elapsed() }).await?;
        services.changed();
    }
    Ok(())
}
