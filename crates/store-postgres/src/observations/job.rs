use std::collections::HashSet;

use hostatlas_domain::{JobKind, JobState, LocationState, Timestamp, due};
use hostatlas_store::{RecordSightings, StoreError, backend::speaks_tls};
use sqlx::PgConnection;

use super::host::BatchHost;
use crate::{
    counters::{CoverageDelta, JobDelta},
    error::{corrupt, engine},
};

/// Queues the jobs of a batch; answers how many were not live already.
pub(super) async fn queue(
    connection: &mut PgConnection,
    now: i64,
    params: &RecordSightings,
    hosts: &[BatchHost],
    (coverage, jobs): (&mut CoverageDelta, &mut JobDelta),
) -> Result<u64, StoreError> {
    let new = hosts.iter().filter(|host| host.is_new() && host.class.is_public()).map(|host| host.id);
    let new: Vec<i64> = new.collect();
    let mut located = i64::try_from(new.len()).unwrap_or(i64::MAX);
    let mut pending = located;
    locate_new(connection, now, new).await?;

    let is_due = |host: &&BatchHost| {
        host.class.is_public()
            && host.known.as_ref().is_some_and(|facts| due(facts, Timestamp::from_millis(now), &params.due))
    };
    let known: Vec<&BatchHost> = hosts.iter().filter(is_due).collect();
    let made = locate_known(connection, now, known.iter().map(|host| host.id).collect()).await?;
    let is_pending =
        |host: &BatchHost| host.known.as_ref().is_some_and(|facts| facts.state == LocationState::Pending);
    for host in known.iter().filter(|host| made.contains(&host.id)) {
        located += 1;
        pending += i64::from(is_pending(host));
    }
    coverage.pending_live(pending);
    jobs.add(JobKind::Geolocation, JobState::Available, located);

    let mut queued = located.unsigned_abs();
    for (kind, made) in probe(connection, now, params, hosts).await? {
        jobs.add(kind, JobState::Available, made);
        queued += made.unsigned_abs();
    }
    Ok(queued)
}

/// A job for each new public host; none of them can have one, so no conflict is looked for.
async fn locate_new(connection: &mut PgConnection, now: i64, hosts: Vec<i64>) -> Result<(), StoreError> {
    if hosts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO job (kind, host, priority, run_at, created_at)
         SELECT $1, host, $2, $3, $3 FROM unnest($4::bigint[]) AS seen (host)",
    )
    .bind(i16::from(JobKind::Geolocation.number()))
    .bind(i16::from(JobKind::Geolocation.default_priority().get()))
    .bind(now)
    .bind(hosts)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// A job for each of these that has no live one; answers which got one.
///
/// They go in by the id of their host: whoever asks for the same jobs meanwhile does the same, and nobody waits in a
/// circle. Most have one already when a scan is read again: looking costs less than a conflict, which also uses up a
/// number.
async fn locate_known(
    connection: &mut PgConnection,
    now: i64,
    mut hosts: Vec<i64>,
) -> Result<HashSet<i64>, StoreError> {
    if hosts.is_empty() {
        return Ok(HashSet::new());
    }
    hosts.sort_unstable();
    let made: Vec<i64> = sqlx::query_scalar(
        "INSERT INTO job (kind, host, priority, run_at, created_at)
         SELECT $1, host, $2, $3, $3 FROM unnest($4::bigint[]) AS seen (host)
         WHERE (SELECT true FROM job WHERE job.host = seen.host AND job.kind = $1 AND job.port = 0
             AND job.protocol = 0 AND job.state < 4 LIMIT 1) IS NULL
         ON CONFLICT DO NOTHING RETURNING host",
    )
    .bind(i16::from(JobKind::Geolocation.number()))
    .bind(i16::from(JobKind::Geolocation.default_priority().get()))
    .bind(now)
    .bind(hosts)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    Ok(made.into_iter().collect())
}

/// The jobs of the probe kinds, for hosts that may be probed; answers how many of each kind are new.
async fn probe(
    connection: &mut PgConnection,
    now: i64,
    params: &RecordSightings,
    hosts: &[BatchHost],
) -> Result<Vec<(JobKind, i64)>, StoreError> {
    let wanted = probes(params, hosts);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let of = |value: fn(&Probe) -> i16| wanted.iter().map(value).collect::<Vec<_>>();
    let made: Vec<(i16, i64)> = sqlx::query_as(
        "WITH made AS (
             INSERT INTO job (kind, host, port, protocol, priority, run_at, created_at)
             SELECT kind, host, port, protocol, priority, $6, $6
             FROM unnest($1::smallint[], $2::bigint[], $3::integer[], $4::smallint[], $5::smallint[])
                 AS wanted (kind, host, port, protocol, priority)
             WHERE (SELECT true FROM job WHERE job.host = wanted.host AND job.kind = wanted.kind
                 AND job.port = wanted.port AND job.protocol = wanted.protocol AND job.state < 4 LIMIT 1) IS NULL
             ON CONFLICT DO NOTHING RETURNING kind)
         SELECT kind, count(*) FROM made GROUP BY kind",
    )
    .bind(of(|probe| probe.kind.number().into()))
    .bind(wanted.iter().map(|probe| probe.host).collect::<Vec<_>>())
    .bind(wanted.iter().map(|probe| i32::from(probe.port)).collect::<Vec<_>>())
    .bind(of(|probe| probe.protocol.into()))
    .bind(of(|probe| probe.kind.default_priority().get().into()))
    .bind(now)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    made.into_iter()
        .map(|(kind, jobs)| {
            let kind = u8::try_from(kind).ok().and_then(JobKind::from_number);
            Ok((kind.ok_or_else(|| corrupt("a job kind"))?, jobs))
        })
        .collect()
}

/// A job of a probe kind that the scope permits; port 0 stands for the host as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Probe {
    host: i64,
    kind: JobKind,
    port: u16,
    protocol: u8,
}

fn probes(params: &RecordSightings, hosts: &[BatchHost]) -> Vec<Probe> {
    if params.scope.is_empty() {
        return Vec::new();
    }
    let mut wanted = Vec::new();
    for host in hosts.iter().filter(|host| params.scope.permits(host.address)) {
        wanted.push(Probe { host: host.id, kind: JobKind::DomainEnum, port: 0, protocol: 0 });
        let seen = params.observations[host.observations.clone()].iter();
        for seen in seen.filter_map(|seen| seen.port.as_ref()).filter(|seen| seen.open) {
            let (port, protocol) = (seen.port.get(), seen.protocol.number());
            wanted.push(Probe { host: host.id, kind: JobKind::BannerGrab, port, protocol });
            if speaks_tls(seen) {
                wanted.push(Probe { host: host.id, kind: JobKind::SslCert, port, protocol });
            }
        }
    }
    wanted.sort_unstable();
    wanted
}
