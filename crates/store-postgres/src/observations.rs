//! Recording what a scan saw: hosts, services, their changes, counters and jobs, set by set.
//!
//! The hosts of a batch are upserted in one statement, in the order of their addresses, which is the lock order of
//! this crate: from then on nobody else changes them, their services or their jobs' claims on the counters. What they
//! were before decides in Rust what is written about the rest. Hosts that the batch made have nothing to look up and
//! nothing to conflict with.

mod host;
mod job;
mod service;

use hostatlas_domain::{LocationState, Topic};
use hostatlas_store::{RecordSightings, Recorded, StoreError};
use sqlx::PgConnection;

use crate::{
    counters::{CoverageDelta, JobDelta, touch},
    error::engine,
    listen::announce,
};

/// Stores a batch; see [`hostatlas_store::ImportStore::sightings_record`].
pub(crate) async fn record(
    connection: &mut PgConnection,
    now: i64,
    params: &RecordSightings,
) -> Result<Recorded, StoreError> {
    let import = params.import.0;
    let state: Option<i16> = sqlx::query_scalar("SELECT state FROM import WHERE id = $1")
        .bind(import)
        .fetch_optional(&mut *connection)
        .await
        .map_err(engine)?;
    match state {
        None => return Err(StoreError::UnknownImport(params.import)),
        Some(2) => return Err(undone(import)),
        Some(_) if params.observations.is_empty() => return Ok(Recorded::default()),
        Some(_) => {}
    }

    let hosts = host::record(connection, import, &params.observations).await?;
    let services = service::record(connection, import, &params.observations, &hosts).await?;
    let mut coverage = CoverageDelta::default();
    for host in hosts.iter().filter(|host| host.is_new()) {
        if host.class.is_public() {
            coverage.state(LocationState::Pending, 1);
        } else {
            coverage.state(LocationState::NotApplicable, 1);
            coverage.class(host.class, 1);
        }
    }
    let mut jobs = JobDelta::default();
    let queued = job::queue(connection, now, params, &hosts, (&mut coverage, &mut jobs)).await?;
    let covered = coverage.write(connection).await?;
    jobs.write(connection).await?;

    let count = |test: fn(&host::BatchHost) -> bool| hosts.iter().filter(|host| test(host)).count() as u64;
    let recorded = Recorded {
        hosts_new: count(host::BatchHost::is_new),
        hosts_seen: count(|host| host.is_first_touch),
        services_new: services.made,
        services_seen: services.seen,
        jobs_queued: queued,
    };
    if queued > 0 {
        announce(connection).await?;
    }
    let topics = [(Topic::Imports, true), (Topic::Jobs, queued > 0), (Topic::Coverage, covered)];
    let moved: Vec<_> = topics.into_iter().filter_map(|(topic, moved)| moved.then_some(topic)).collect();
    touch(connection, &moved).await?;
    note(connection, now, import, &recorded).await?;
    Ok(recorded)
}

fn undone(import: i64) -> StoreError {
    StoreError::Conflict(format!("import {import} was undone"))
}

/// Adds to the import's row: last, since batches of one import wait for each other here.
///
/// It also fences: undoing marks the row before it looks for hosts, so it either waits for this batch and finds what
/// it brought, or this batch finds the mark and leaves nothing.
async fn note(
    connection: &mut PgConnection,
    now: i64,
    import: i64,
    recorded: &Recorded,
) -> Result<(), StoreError> {
    let Recorded { hosts_new, hosts_seen, services_new, services_seen, jobs_queued } = *recorded;
    let mut update = sqlx::query(
        "UPDATE import SET reported_at = $2, hosts_new = hosts_new + $3, hosts_seen = hosts_seen + $4,
             services_new = services_new + $5, services_seen = services_seen + $6, jobs_queued = jobs_queued + $7
         WHERE id = $1 AND state <> 2",
    )
    .bind(import)
    .bind(now);
    for count in [hosts_new, hosts_seen, services_new, services_seen, jobs_queued] {
        update = update.bind(i64::try_from(count).unwrap_or(i64::MAX));
    }
    let noted = update.execute(connection).await.map_err(engine)?;
    if noted.rows_affected() == 0 { Err(undone(import)) } else { Ok(()) }
}
