//! Where many addresses are by the databases alone.

use std::num::NonZeroUsize;

use hostatlas_domain::{Address, ProviderName, UnlocatedReason};
use hostatlas_geolocation::Lookup;

use crate::Services;

/// Lookups below this are not worth another thread.
const THREAD_SHARE: usize = 2_000;

/// Where `addresses` are. They should ascend, for speed; `workers` bounds the threads.
pub(super) async fn locate_offline(
    services: &Services,
    addresses: Vec<Address>,
    workers: NonZeroUsize,
) -> Vec<Lookup> {
    let locator = services.locator();
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let shares = workers.get().min(cores).min(addresses.len().div_ceil(THREAD_SHARE)).max(1);
    let share = addresses.len().div_ceil(shares).max(1);
    let tasks: Vec<_> = addresses
        .chunks(share)
        .map(|chunk| {
            let (locator, chunk) = (locator.clone(), chunk.to_vec());
            (chunk.len(), tokio::task::spawn_blocking(move || locator.locate_sorted(&chunk)))
        })
        .collect();
    let mut lookups = Vec::with_capacity(addresses.len());
    for (length, task) in tasks {
        match task.await {
            Ok(found) => lookups.extend(found),
            // A provider that breaks down must not take the whole run along.
            Err(error) => lookups.extend((0..length).map(|_| Lookup::Failed {
                reason: UnlocatedReason::Failed,
                failures: vec![(ProviderName::Mmdb, error.to_string())],
            })),
        }
    }
    lookups
}
