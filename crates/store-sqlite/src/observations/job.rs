use hostatlas_domain::{JobKind, JobState, LocationState, Timestamp, due};
use hostatlas_store::{ObservedPort, RecordSightings, StoreError, backend::speaks_tls};
use sqlx::SqliteConnection;

use super::host::BatchHost;
use crate::{
    counters::{CoverageDelta, JobDelta},
    error::engine,
    packed,
    rows::insert,
};

/// Queues the jobs of a batch; answers how many were not live already.
pub(super) async fn queue(
    connection: &mut SqliteConnection,
    now: i64,
    params: &RecordSightings,
    hosts: &[BatchHost],
    (coverage, jobs): (&mut CoverageDelta, &mut JobDelta),
) -> Result<u64, StoreError> {
    let of_new = locate_new(connection, now, hosts).await?;
    let due = |host: &&BatchHost, is_pending: bool| {
        host.known.as_ref().is_some_and(|known| {
            (known.facts.state == LocationState::Pending) == is_pending
                && host.class.is_public()
                && due(&known.facts, Timestamp::from_millis(now), &params.due)
        })
    };
    let pending = hosts.iter().filter(|host| due(host, true)).map(|host| host.id);
    let of_pending = locate_known(connection, now, pending).await?;
    let stale = hosts.iter().filter(|host| due(host, false)).map(|host| host.id);
    let of_stale = locate_known(connection, now, stale).await?;
    coverage.pending_live((of_new + of_pending).cast_signed());
    let mut queued = of_new + of_pending + of_stale;
    jobs.add(JobKind::Geolocation, JobState::Available, queued.cast_signed());

    if !params.scope.is_empty() {
        for kind in [JobKind::BannerGrab, JobKind::DomainEnum, JobKind::SslCert] {
            let made = probe(connection, now, kind, params, hosts).await?;
            jobs.add(kind, JobState::Available, made.cast_signed());
            queued += made;
        }
    }
    Ok(queued)
}

/// A job for each new public host; none of them can have one.
async fn locate_new(
    connection: &mut SqliteConnection,
    now: i64,
    hosts: &[BatchHost],
) -> Result<u64, StoreError> {
    let Some(first) = hosts.iter().filter(|host| host.is_new()).map(|host| host.id).min() else {
        return Ok(0);
    };
    let made = sqlx::query(
        "INSERT INTO job (kind, host, priority, run_at, created_at)
         SELECT ?1, id, ?2, ?3, ?3 FROM host WHERE id >= ?4 AND location_state = 0 ORDER BY id",
    )
    .bind(JobKind::Geolocation.number())
    .bind(JobKind::Geolocation.default_priority().get())
    .bind(now)
    .bind(first)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(made.rows_affected())
}

async fn locate_known(
    connection: &mut SqliteConnection,
    now: i64,
    hosts: impl Iterator<Item = i64>,
) -> Result<u64, StoreError> {
    let hosts = packed::id_array(hosts);
    if hosts == "[]" {
        return Ok(0);
    }
    let made = sqlx::query(
        "INSERT INTO job (kind, host, priority, run_at, created_at)
         SELECT ?1, value, ?2, ?3, ?3 FROM json_each(?4) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(JobKind::Geolocation.number())
    .bind(JobKind::Geolocation.default_priority().get())
    .bind(now)
    .bind(hosts)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(made.rows_affected())
}

/// The jobs of a probe kind, for hosts that may be probed.
async fn probe(
    connection: &mut SqliteConnection,
    now: i64,
    kind: JobKind,
    params: &RecordSightings,
    hosts: &[BatchHost],
) -> Result<u64, StoreError> {
    let mut wanted: Vec<(i64, u16, u8)> = Vec::new();
    for host in hosts.iter().filter(|host| params.scope.permits(host.address)) {
        if kind == JobKind::DomainEnum {
            wanted.push((host.id, 0, 0));
            continue;
        }
        let seen =
            params.observations[host.observations.clone()].iter().filter_map(|seen| seen.port.as_ref());
        let wants = |seen: &&ObservedPort| seen.open && (kind == JobKind::BannerGrab || speaks_tls(seen));
        wanted.extend(seen.filter(wants).map(|seen| (host.id, seen.port.get(), seen.protocol.number())));
    }
    let head = "INSERT INTO job (kind, priority, run_at, created_at, host, port, protocol) VALUES";
    let row = format!("({},{},?,?,?,?,?)", kind.number(), kind.default_priority().get());
    insert(connection, [head, &row, "ON CONFLICT DO NOTHING"], &wanted, |query, (host, port, protocol)| {
        query.bind(now).bind(now).bind(*host).bind(*port).bind(*protocol)
    })
    .await
}
