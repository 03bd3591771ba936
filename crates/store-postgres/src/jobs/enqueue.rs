//! Asking for work.

use std::collections::HashSet;

use hostatlas_domain::{AddressClass, EnqueuedJob, JobId, JobKind, JobState, LocationState, Topic};
use hostatlas_store::{EnqueueJob, EnqueueJobs, EnqueuedJobs, StoreError};
use sqlx::PgConnection;

use super::{kind_of, later, state_of};
use crate::{
    counters::{CoverageDelta, JobDelta, touch},
    error::{engine, other},
    hosts,
    listen::announce,
    rows::small,
};

/// A live job may end between the attempt to make one and the attempt to lock it. It does not again and again.
const ROUNDS: usize = 5;

fn restless() -> StoreError {
    other("the jobs of a host came and went faster than a request could be merged")
}

/// One job for one host.
pub(super) async fn one(
    connection: &mut PgConnection,
    now: i64,
    params: &EnqueueJob,
) -> Result<EnqueuedJob, StoreError> {
    let key = params.address.to_key();
    let host: Option<(i64, i16)> =
        sqlx::query_as("SELECT id, location_state FROM host WHERE address = $1 FOR NO KEY UPDATE")
            .bind(key.as_slice())
            .fetch_optional(&mut *connection)
            .await
            .map_err(engine)?;
    let (host, location_state) = host.ok_or(StoreError::UnknownHost(params.address))?;
    let (port, protocol) = params.port.map_or((0, 0), |(port, protocol)| (port.get(), protocol.number()));
    let run_at = later(now, params.delay);
    let state = if params.delay.is_zero() { JobState::Available } else { JobState::Scheduled };
    for _ in 0..ROUNDS {
        let made: Option<i64> = sqlx::query_scalar(
            "INSERT INTO job (kind, host, port, protocol, priority, state, run_at, force, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(small(params.kind.number()))
        .bind(host)
        .bind(i32::from(port))
        .bind(small(protocol))
        .bind(small(params.priority.get()))
        .bind(small(state.number()))
        .bind(run_at)
        .bind(i16::from(params.force))
        .bind(now)
        .fetch_optional(&mut *connection)
        .await
        .map_err(engine)?;
        if let Some(id) = made {
            let is_pending = location_state == small(LocationState::Pending.number());
            let pending = i64::from(is_pending && params.kind == JobKind::Geolocation && port == 0);
            count_new(connection, params.kind, state, 1, pending).await?;
            return Ok(EnqueuedJob { job: JobId(id), duplicate: false });
        }
        let live: Option<Live> = sqlx::query_as(
            "SELECT id, host, kind, state, run_at FROM job \
             WHERE host = $1 AND kind = $2 AND port = $3 AND protocol = $4 AND state < 4 FOR UPDATE",
        )
        .bind(host)
        .bind(small(params.kind.number()))
        .bind(i32::from(port))
        .bind(small(protocol))
        .fetch_optional(&mut *connection)
        .await
        .map_err(engine)?;
        if let Some(live) = live {
            let request = Request { run_at, priority: params.priority.get(), force: params.force };
            merge(connection, now, &[live], request).await?;
            return Ok(EnqueuedJob { job: JobId(live.0), duplicate: true });
        }
    }
    Err(restless())
}

/// A live job that this transaction has locked: id, host, kind, state, when to run.
type Live = (i64, i64, i16, i16, i64);

/// What a request asks of a job that is already live.
#[derive(Clone, Copy)]
struct Request {
    run_at: i64,
    priority: u8,
    force: bool,
}

/// Takes a request into live jobs.
///
/// A waiting job that is asked for now is available, whatever it waited for. A running one is left alone, unless it is
/// forced: then it runs again.
async fn merge(
    connection: &mut PgConnection,
    now: i64,
    jobs: &[Live],
    request: Request,
) -> Result<(), StoreError> {
    let running_state = small(JobState::Running.number());
    let (mut waiting, mut running, mut counts) = (Vec::new(), Vec::new(), JobDelta::default());
    for (id, _, kind, state, run_at) in jobs {
        if *state == running_state {
            running.push(*id);
            continue;
        }
        waiting.push(*id);
        if (*run_at).min(request.run_at) <= now {
            counts.moved(kind_of(*kind)?, state_of(*state)?, JobState::Available);
        }
    }
    if !waiting.is_empty() {
        sqlx::query(
            "UPDATE job SET priority = least(priority, $3), run_at = least(run_at, $2), \
             result = CASE WHEN $2 < run_at THEN NULL ELSE result END, force = greatest(force, $4), \
             state = CASE WHEN least(run_at, $2) <= $5 THEN 0 ELSE state END WHERE id = ANY($1)",
        )
        .bind(waiting)
        .bind(request.run_at)
        .bind(small(request.priority))
        .bind(i16::from(request.force))
        .bind(now)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    }
    if request.force && !running.is_empty() {
        sqlx::query("UPDATE job SET rerun = 1, force = 1, priority = least(priority, $2) WHERE id = ANY($1)")
            .bind(running)
            .bind(small(request.priority))
            .execute(&mut *connection)
            .await
            .map_err(engine)?;
    }
    counts.write(connection).await?;
    touch(connection, &[Topic::Jobs]).await?;
    announce(connection).await
}

/// Counts jobs that were made, and how many pending hosts have a geolocation job by them.
async fn count_new(
    connection: &mut PgConnection,
    kind: JobKind,
    state: JobState,
    jobs: i64,
    pending: i64,
) -> Result<(), StoreError> {
    let mut counts = JobDelta::default();
    counts.add(kind, state, jobs);
    counts.write(connection).await?;
    let mut coverage = CoverageDelta::default();
    coverage.pending_live(pending);
    if coverage.write(connection).await? {
        touch(connection, &[Topic::Jobs, Topic::Coverage]).await?;
    } else {
        touch(connection, &[Topic::Jobs]).await?;
    }
    announce(connection).await
}

/// A geolocation job for each of the next hosts of a selection.
pub(super) async fn many(
    connection: &mut PgConnection,
    now: i64,
    params: &EnqueueJobs,
) -> Result<EnqueuedJobs, StoreError> {
    let limit = params.limit.max(1);
    let selected = hosts::select(connection, now, &params.selection, params.after, limit).await?;
    let full = selected.len() >= limit as usize;
    let next = selected.last().map(|host| host.address).filter(|_| full);
    let considered = selected.len() as u64;
    if selected.is_empty() {
        return Ok(EnqueuedJobs::default());
    }
    let ids: Vec<i64> = selected.iter().map(|host| host.id.0).collect();
    let (mut missing, pending) = lock(connection, ids).await?;
    let live = live(connection, &missing).await?;
    if !live.is_empty() {
        let request = Request { run_at: now, priority: params.priority.get(), force: params.force };
        merge(connection, now, &live, request).await?;
        let merged: HashSet<i64> = live.iter().map(|(_, host, ..)| *host).collect();
        missing.retain(|host| !merged.contains(host));
    }
    let made = missing;
    if !made.is_empty() {
        insert(connection, now, &made, params).await?;
        let jobs = i64::try_from(made.len()).unwrap_or(i64::MAX);
        let pending = made.iter().filter(|host| pending.contains(host)).count();
        let pending = i64::try_from(pending).unwrap_or(i64::MAX);
        count_new(connection, JobKind::Geolocation, JobState::Available, jobs, pending).await?;
    }
    Ok(EnqueuedJobs { considered, queued: made.len() as u64, duplicate: live.len() as u64, next })
}

/// Locks hosts; answers those whose address is public, by id, and which of them are pending.
async fn lock(
    connection: &mut PgConnection,
    hosts: Vec<i64>,
) -> Result<(Vec<i64>, HashSet<i64>), StoreError> {
    let (public, pending): (Option<Vec<i64>>, Option<Vec<i64>>) = sqlx::query_as(
        "SELECT array_agg(id ORDER BY id) FILTER (WHERE class = $2), \
             array_agg(id) FILTER (WHERE location_state = $3) \
         FROM (SELECT id, class, location_state FROM host WHERE id = ANY($1) ORDER BY address FOR NO KEY UPDATE) \
             AS locked",
    )
    .bind(hosts)
    .bind(small(AddressClass::Public.number()))
    .bind(small(LocationState::Pending.number()))
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    Ok((public.unwrap_or_default(), pending.unwrap_or_default().into_iter().collect()))
}

/// Makes a job for each of these hosts. None has a live one, and none can get one, since whoever makes a job live locks
/// its host first: so no conflict is looked for, which would cost a third more.
async fn insert(
    connection: &mut PgConnection,
    now: i64,
    hosts: &[i64],
    params: &EnqueueJobs,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO job (kind, host, priority, run_at, force, created_at) \
         SELECT $5, host, $2, $3, $4, $3 FROM unnest($1::bigint[]) AS wanted (host)",
    )
    .bind(hosts)
    .bind(small(params.priority.get()))
    .bind(now)
    .bind(i16::from(params.force))
    .bind(small(JobKind::Geolocation.number()))
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// The live geolocation jobs of these hosts, locked by id.
async fn live(connection: &mut PgConnection, hosts: &[i64]) -> Result<Vec<Live>, StoreError> {
    sqlx::query_as(
        "SELECT id, host, kind, state, run_at FROM job \
         WHERE host = ANY($1) AND kind = $2 AND port = 0 AND protocol = 0 AND state < 4 ORDER BY id FOR UPDATE",
    )
    .bind(hosts)
    .bind(small(JobKind::Geolocation.number()))
    .fetch_all(connection)
    .await
    .map_err(engine)
}
