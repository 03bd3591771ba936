use std::{sync::Arc, time::Duration};

use hostatlas_store::{JobStore, PrunePolicy, Rescue};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::leases::{HEARTBEAT, Leases};

/// How often leases that ran out are looked for.
const RESCUE_INTERVAL: Duration = Duration::from_secs(5);
/// How often finished jobs that are old enough are deleted.
const PRUNE_INTERVAL: Duration = Duration::from_mins(1);
/// Jobs deleted in one transaction: small, so that claims get in between.
pub const PRUNE_BATCH: u32 = 1_000;
/// For how long completed and cancelled jobs are kept.
pub const COMPLETED_KEPT_FOR: Duration = Duration::from_hours(24);
/// For how long discarded jobs are kept: somebody should see them.
pub const DISCARDED_KEPT_FOR: Duration = Duration::from_hours(30 * 24);

/// Renews leases until `stop`.
pub(crate) async fn heartbeat(store: Arc<dyn JobStore>, leases: Arc<Leases>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(HEARTBEAT)).await.is_some() {
        leases.renew(store.as_ref()).await;
    }
}

/// Takes back jobs whose lease ran out, until `stop`.
pub(crate) async fn rescue(store: Arc<dyn JobStore>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(RESCUE_INTERVAL)).await.is_some() {
        match store.jobs_rescue(Rescue::Expired).await {
            Ok(rescued) if rescued.rescued + rescued.discarded > 0 => {
                warn!(
                    rescued = rescued.rescued,
                    discarded = rescued.discarded,
                    "Leases ran out; their jobs wait again"
                );
            }
            Ok(_) => {}
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "Leases that ran out could not be looked for"
                );
            }
        }
    }
}

/// Deletes old finished jobs, until `stop`.
pub(crate) async fn prune(store: Arc<dyn JobStore>, stop: CancellationToken) {
    let policy = PrunePolicy {
        completed_after: COMPLETED_KEPT_FOR,
        discarded_after: DISCARDED_KEPT_FOR,
        limit: PRUNE_BATCH,
    };
    while stop.run_until_cancelled(tokio::time::sleep(PRUNE_INTERVAL)).await.is_some() {
        let mut total = 0;
        while !stop.is_cancelled() {
            match store.jobs_prune(policy).await {
                Ok(pruned) => {
                    total += pruned;
                    if pruned < u64::from(PRUNE_BATCH) {
                        break;
                    }
                }
                Err(error) => {
                    error!(error = &error as &dyn std::error::Error, "Old jobs could not be deleted");
                    break;
                }
            }
        }
        if total > 0 {
            info!(pruned = total, "Deleted {total} old jobs");
        }
    }
}
