//! Keeping leases, giving them back, and taking those of the dead.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use hostatlas_domain::{JobId, JobKind, JobState, LeaseToken, Topic};
use hostatlas_store::{Attempt, RenewJobs, Rescue, Rescued, StoreError};
use sqlx::PgConnection;

use super::{
    KINDS,
    finish::{Geolocations, POISON, settle_counts},
    kind_of, later,
};
use crate::{
    counters::{JobDelta, touch},
    error::engine,
    listen::announce,
    locations::{Caches, Hosts, Rule, Write, apply_to, lock_hosts, one_of_each_host},
};

/// A job is given up with this many crashes: one among many, one in a small group, three alone.
const CRASHES_MOST: i32 = 5;
/// So many jobs are taken back in one transaction.
const RESCUED_AT_ONCE: usize = 2_000;

/// What [`renew`] and [`release`] have in common: an update of the running jobs whose token is still theirs, in the
/// order of their ids. See `finish::END`.
macro_rules! fenced {
    ($set:literal, $answer:literal) => {
        concat!(
            "WITH x AS MATERIALIZED (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS wanted (id, token))
            UPDATE job SET ",
            $set,
            " FROM x WHERE job.id = ANY($1) AND job.id = x.id AND job.lease_token = x.token AND job.state + 0 = 3
            RETURNING ",
            $answer
        )
    };
}

fn columns(jobs: &[(JobId, LeaseToken)]) -> (Vec<i64>, Vec<i64>) {
    let jobs: HashMap<i64, i64> = jobs.iter().map(|(id, token)| (id.0, token.0)).collect();
    let mut jobs: Vec<_> = jobs.into_iter().collect();
    jobs.sort_unstable();
    jobs.into_iter().unzip()
}

/// Extends leases; answers the jobs whose lease was lost.
pub(super) async fn renew(
    connection: &mut PgConnection,
    now: i64,
    params: &RenewJobs,
) -> Result<Vec<JobId>, StoreError> {
    let (ids, tokens) = columns(&params.jobs);
    let renewed: Vec<i64> = sqlx::query_scalar(fenced!("leased_until = $3", "job.id"))
        .bind(ids)
        .bind(tokens)
        .bind(later(now, params.lease))
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(engine)?;
    let renewed: HashSet<i64> = renewed.into_iter().collect();
    Ok(params.jobs.iter().map(|(id, _)| *id).filter(|id| !renewed.contains(&id.0)).collect())
}

/// Gives jobs back that were not worked on.
pub(super) async fn release(
    connection: &mut PgConnection,
    jobs: &[(JobId, LeaseToken)],
) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let (ids, tokens) = columns(jobs);
    // What was to run again has not run at all yet: one run answers both requests.
    let released: Vec<i16> = sqlx::query_scalar(fenced!(
        "state = 0, attempt = greatest(attempt - 1, 0), leased_until = NULL, claimed_by = NULL, rerun = 0",
        "kind"
    ))
    .bind(ids)
    .bind(tokens)
    .persistent(false)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    if released.is_empty() {
        return Ok(());
    }
    let mut counts = JobDelta::default();
    for kind in released {
        counts.moved(kind_of(kind)?, JobState::Running, JobState::Available);
    }
    counts.write(connection).await?;
    touch(connection, &[Topic::Jobs]).await?;
    announce(connection).await
}

/// Takes back some running jobs whose worker is gone, of those whose lease ended at `after` or later; answers also up to
/// when leases were looked at that had ended, and whether those were the last.
///
/// Jobs that somebody is just working on, such as their late finish, are left for the next time.
pub(super) async fn rescue(
    connection: &mut PgConnection,
    now: i64,
    rescue: Rescue,
    after: i64,
    caches: &Caches,
) -> Result<(Rescued, i64, bool), StoreError> {
    let whose = Whose::of(rescue, now, after);
    let expired = whose.expired;
    // Giving up says something about the host, and hosts are locked before jobs: so who may be given up is asked first.
    let doomed = doomed_hosts(connection, whose).await?;
    let hosts = lock_hosts(connection, &doomed).await?;
    let orphans = lock_orphans(connection, whose).await?;
    let is_last = orphans.len() < RESCUED_AT_ONCE;
    let Fates { back, given_up, counts, geolocations, writes } =
        Fates::of(&orphans, &hosts, &doomed.into_iter().collect())?;
    let rescued = Rescued { rescued: back.len() as u64, discarded: given_up.len() as u64 };
    if rescued == Rescued::default() {
        return Ok((rescued, expired, true));
    }
    let writes = one_of_each_host(writes);
    let applied = apply_to(connection, now, Duration::ZERO, &writes, &hosts, caches).await?;
    write_rescued(connection, now, back, given_up).await?;
    settle_counts(connection, applied, &geolocations, counts).await?;
    announce(connection).await?;
    Ok((rescued, expired, is_last))
}

/// Which running jobs are taken back.
#[derive(Clone, Copy)]
struct Whose {
    /// Whose lease ended at this time or later...
    after: i64,
    /// ...and at this time or before.
    expired: i64,
    /// Of one worker alone, what it had claimed by then.
    claimed: Option<(i64, i64)>,
}

impl Whose {
    fn of(rescue: Rescue, now: i64, after: i64) -> Self {
        let (expired, claimed) = match rescue {
            Rescue::Expired => (now, None),
            Rescue::Overdue(by) => (now.saturating_sub(later(0, by)), None),
            Rescue::Ended { worker, ago } => (i64::MAX, Some((worker.0, now.saturating_sub(later(0, ago))))),
            Rescue::All => (i64::MAX, None),
        };
        Self { after, expired, claimed }
    }
}

/// Hosts of jobs that may be given up.
async fn doomed_hosts(connection: &mut PgConnection, whose: Whose) -> Result<Vec<i64>, StoreError> {
    sqlx::query_scalar(
        "SELECT host FROM job WHERE state = 3 AND leased_until <= $1 AND crash_count >= $2 AND rerun = 0 \
         AND kind < $4 AND leased_until >= $5 AND ($6::bigint IS NULL OR claimed_by = $6 AND started_at <= $7) LIMIT $3",
    )
    .bind(whose.expired)
    .bind(CRASHES_MOST - 1)
    .bind(i64::try_from(RESCUED_AT_ONCE).unwrap_or(i64::MAX))
    .bind(KINDS)
    .bind(whose.after)
    .bind(whose.claimed.map(|(worker, _)| worker))
    .bind(whose.claimed.map(|(_, by)| by))
    .fetch_all(connection)
    .await
    .map_err(engine)
}

/// A running job whose worker is gone.
#[derive(sqlx::FromRow)]
struct Orphan {
    id: i64,
    kind: i16,
    host: i64,
    crash_count: i32,
    rerun: i16,
}

async fn lock_orphans(connection: &mut PgConnection, whose: Whose) -> Result<Vec<Orphan>, StoreError> {
    sqlx::query_as(
        "SELECT id, kind, host, crash_count, rerun FROM job WHERE state = 3 AND leased_until <= $1 AND kind < $3 \
         AND leased_until >= $4 AND ($5::bigint IS NULL OR claimed_by = $5 AND started_at <= $6) \
         ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED",
    )
    .bind(whose.expired)
    .bind(i64::try_from(RESCUED_AT_ONCE).unwrap_or(i64::MAX))
    .bind(KINDS)
    .bind(whose.after)
    .bind(whose.claimed.map(|(worker, _)| worker))
    .bind(whose.claimed.map(|(_, by)| by))
    .fetch_all(connection)
    .await
    .map_err(engine)
}

/// What becomes of orphans, and of what is known and counted of their hosts.
#[derive(Default)]
struct Fates {
    back: Vec<i64>,
    given_up: Vec<i64>,
    counts: JobDelta,
    geolocations: Geolocations,
    writes: Vec<Write>,
}

impl Fates {
    /// A job that is to be given up, and whose host is not among those that were `locked` in time, is left alone.
    fn of(orphans: &[Orphan], hosts: &Hosts, locked: &HashSet<i64>) -> Result<Self, StoreError> {
        let mut fates = Self::default();
        for orphan in orphans {
            let kind = kind_of(orphan.kind)?;
            if orphan.crash_count + 1 < CRASHES_MOST || orphan.rerun != 0 {
                fates.counts.moved(kind, JobState::Running, JobState::Available);
                fates.back.push(orphan.id);
            } else if locked.contains(&orphan.host) {
                fates.give_up(orphan, kind, hosts.is_pending(orphan.host));
            }
        }
        Ok(fates)
    }

    fn give_up(&mut self, orphan: &Orphan, kind: JobKind, is_pending: bool) {
        let host = orphan.host;
        self.counts.moved(kind, JobState::Running, JobState::Discarded);
        self.given_up.push(orphan.id);
        if kind == JobKind::Geolocation {
            self.geolocations.live.insert(host);
            if is_pending {
                self.geolocations.ended.push(host);
            }
            let attempt = Attempt::Unlocated { reason: POISON.0, database_build: None };
            self.writes.push(Write { host, attempt, rule: Rule::Pending });
        }
    }
}

async fn write_rescued(
    connection: &mut PgConnection,
    now: i64,
    back: Vec<i64>,
    given_up: Vec<i64>,
) -> Result<(), StoreError> {
    // A request to run again is a new one, with all its attempts; but what killed its worker still runs alone.
    sqlx::query(
        "UPDATE job SET state = 0, crash_count = CASE rerun WHEN 0 THEN crash_count + 1 ELSE crash_count END, \
         attempt = CASE rerun WHEN 0 THEN attempt ELSE 0 END, rerun = 0, leased_until = NULL, claimed_by = NULL \
         WHERE id = ANY($1)",
    )
    .bind(back)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    if given_up.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE job SET state = 6, crash_count = crash_count + 1, leased_until = NULL, claimed_by = NULL, \
         finished_at = $2, last_error = $3, result = NULL WHERE id = ANY($1)",
    )
    .bind(given_up)
    .bind(now)
    .bind(POISON.1)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}
