//! Keeping leases, giving them back, and taking those of the dead.

use std::collections::HashSet;

use hostatlas_domain::{JobId, JobKind, JobState, LeaseToken, Topic};
use hostatlas_store::{Attempt, RenewJobs, Rescue, Rescued, StoreError};
use sqlx::SqliteConnection;

use super::{
    KINDS,
    claim::later,
    finish::{Geolocations, POISON, settle_counts},
    kind_of,
};
use crate::{
    counters::JobDelta,
    database::touch,
    error::engine,
    locations::{Caches, Rule, Write, apply_attempts, one_of_each_host},
    packed::{id_array, push_row, rows},
};

/// A job is given up with this many crashes: one among many, one in a small group, three alone.
const CRASHES_MOST: i64 = 5;

/// The running jobs among these whose token is still theirs, with their kinds.
async fn held(
    connection: &mut SqliteConnection,
    jobs: &[(JobId, LeaseToken)],
) -> Result<Vec<(i64, JobKind)>, StoreError> {
    let mut json = String::from("[");
    for (id, token) in jobs {
        push_row(&mut json, &[Some(id.0), Some(token.0)]);
    }
    json.push(']');
    let packed: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(concat_ws(',', j.id, j.kind), ';') FROM json_each(?1) AS x \
         CROSS JOIN job AS j ON j.id = x.value ->> 0 WHERE j.lease_token = x.value ->> 1 AND +j.state = 3",
    )
    .bind(json)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    rows(packed.as_deref()).map(|mut row| Ok((row.number()?, kind_of(row.number()?)?))).collect()
}

/// Extends leases; answers the jobs whose lease was lost.
pub(super) async fn renew(
    connection: &mut SqliteConnection,
    now: i64,
    params: RenewJobs,
) -> Result<Vec<JobId>, StoreError> {
    let held: HashSet<i64> = held(connection, &params.jobs).await?.into_iter().map(|(id, _)| id).collect();
    if !held.is_empty() {
        sqlx::query("UPDATE job SET leased_until = ?2 WHERE id IN (SELECT value FROM json_each(?1))")
            .bind(id_array(held.iter().copied()))
            .bind(later(now, params.lease))
            .execute(connection)
            .await
            .map_err(engine)?;
    }
    Ok(params.jobs.into_iter().map(|(id, _)| id).filter(|id| !held.contains(&id.0)).collect())
}

/// Gives jobs back that were not worked on.
pub(super) async fn release(
    connection: &mut SqliteConnection,
    jobs: Vec<(JobId, LeaseToken)>,
) -> Result<(), StoreError> {
    let held: HashSet<(i64, JobKind)> = held(connection, &jobs).await?.into_iter().collect();
    if held.is_empty() {
        return Ok(());
    }
    // What was to run again has not run at all yet: one run answers both requests.
    sqlx::query(
        "UPDATE job SET state = 0, attempt = max(attempt - 1, 0), leased_until = NULL, claimed_by = NULL, rerun = 0 \
         WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(id_array(held.iter().map(|(id, _)| *id)))
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let mut counts = JobDelta::default();
    for (_, kind) in held {
        counts.moved(kind, JobState::Running, JobState::Available);
    }
    counts.write(connection).await?;
    touch(connection, &[Topic::Jobs]).await
}

/// Takes back running jobs whose worker is gone.
pub(super) async fn rescue(
    connection: &mut SqliteConnection,
    now: i64,
    rescue: Rescue,
    caches: Caches,
) -> Result<Rescued, StoreError> {
    let (expired, claimed) = match rescue {
        Rescue::Expired => (now, None),
        Rescue::Overdue(by) => (now.saturating_sub(later(0, by)), None),
        Rescue::Ended { worker, ago } => (i64::MAX, Some((worker.0, now.saturating_sub(later(0, ago))))),
        Rescue::All => (i64::MAX, None),
    };
    let packed: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(concat_ws(',', id, kind, host, crash_count, rerun), ';') \
         FROM job INDEXED BY job_leased WHERE state = 3 AND leased_until <= ?1 AND kind < ?2 \
         AND (?3 IS NULL OR claimed_by = ?3 AND started_at <= ?4)",
    )
    .bind(expired)
    .bind(KINDS)
    .bind(claimed.map(|(worker, _)| worker))
    .bind(claimed.map(|(_, by)| by))
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    let (mut back, mut given_up, mut counts) = (Vec::new(), Vec::new(), JobDelta::default());
    let (mut geolocations, mut writes) = (Geolocations::default(), Vec::new());
    for mut row in rows(packed.as_deref()) {
        let (id, kind, host) = (row.number()?, kind_of(row.number()?)?, row.number()?);
        let (crashes, rerun) = (row.number()? + 1, row.number()? != 0);
        if crashes < CRASHES_MOST || rerun {
            counts.moved(kind, JobState::Running, JobState::Available);
            back.push(id);
            continue;
        }
        counts.moved(kind, JobState::Running, JobState::Discarded);
        given_up.push(id);
        if kind == JobKind::Geolocation {
            geolocations.live.insert(host);
            geolocations.ended.push(host);
            let attempt = Attempt::Unlocated { reason: POISON.0, database_build: None };
            writes.push(Write { host, attempt, rule: Rule::Pending });
        }
    }
    if back.is_empty() && given_up.is_empty() {
        return Ok(Rescued::default());
    }
    let writes = one_of_each_host(writes);
    let applied = apply_attempts(connection, now, std::time::Duration::ZERO, &writes, &caches).await?;
    write_rescued(connection, now, &back, &given_up).await?;
    settle_counts(connection, applied, &geolocations, counts).await?;
    Ok(Rescued { rescued: back.len() as u64, discarded: given_up.len() as u64 })
}

async fn write_rescued(
    connection: &mut SqliteConnection,
    now: i64,
    back: &[i64],
    given_up: &[i64],
) -> Result<(), StoreError> {
    // A request to run again is a new one, with all its attempts; but what killed its worker still runs alone.
    sqlx::query(
        "UPDATE job SET state = 0, crash_count = crash_count + iif(rerun, 0, 1), attempt = iif(rerun, 0, attempt), \
         rerun = 0, leased_until = NULL, claimed_by = NULL WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(id_array(back.iter().copied()))
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    if given_up.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE job SET state = 6, crash_count = crash_count + 1, leased_until = NULL, claimed_by = NULL, \
         finished_at = ?2, last_error = ?3, result = NULL WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(id_array(given_up.iter().copied()))
    .bind(now)
    .bind(POISON.1)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}
