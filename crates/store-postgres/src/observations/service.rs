use std::collections::HashMap;

use hostatlas_store::{
    Observation, ObservedBanner, ObservedPort, StoreError,
    backend::{KnownService, WrittenService, write_service},
};
use sqlx::PgConnection;

use super::host::BatchHost;
use crate::{
    error::{corrupt, engine, other},
    rows::storable,
};

/// Bytes of banners that one statement carries.
const MOST_BYTES: usize = 8 << 20;

/// What became of the services of a batch.
#[derive(Default)]
pub(super) struct Services {
    /// Made.
    pub(super) made: u64,
    /// Touched by this import for the first time, made ones included.
    pub(super) seen: u64,
}

/// A service to write.
#[derive(Clone, Copy)]
struct ServiceRow<'b> {
    host: i64,
    seen: &'b ObservedPort,
    written: WrittenService,
}

/// What a batch writes, by the statement that writes it.
#[derive(Default)]
struct Batch<'b> {
    /// What nobody knew. Their hosts are locked, so nothing can conflict.
    new: Vec<ServiceRow<'b>>,
    known: Vec<ServiceRow<'b>>,
    /// New and known ones.
    with_banner: Vec<ServiceRow<'b>>,
    /// Known ones that opened or closed, and when.
    changes: Vec<(ServiceRow<'b>, i64)>,
}

/// Makes, refreshes, opens and closes the services of a batch, whose hosts the caller has locked.
pub(super) async fn record(
    connection: &mut PgConnection,
    import: i64,
    observations: &[Observation],
    hosts: &[BatchHost],
) -> Result<Services, StoreError> {
    let known = find(connection, import, observations, hosts).await?;
    let mut services = Services::default();
    let mut batch = Batch::default();
    for host in hosts {
        for (index, observation) in host.observations.clone().zip(&observations[host.observations.clone()]) {
            let Some(seen) = &observation.port else { continue };
            let known = known.get(&index);
            let (first_seen, last_seen) =
                (observation.first_seen.as_millis(), observation.last_seen.as_millis());
            let Some((written, flips)) = write_service(seen, first_seen, last_seen, known) else { continue };
            services.made += u64::from(known.is_none());
            services.seen += u64::from(known.is_none_or(|known| !known.is_touched));
            let row = ServiceRow { host: host.id, seen, written };
            if flips {
                batch.changes.push((row, last_seen));
            }
            match (row.written.takes_banner, known.is_none()) {
                (true, _) => batch.with_banner.push(row),
                (false, true) => batch.new.push(row),
                (false, false) => batch.known.push(row),
            }
        }
    }
    make(connection, import, &batch.new).await?;
    refresh(connection, import, &batch.known).await?;
    for rows in by_weight(&batch.with_banner) {
        write_with_banner(connection, import, rows).await?;
    }
    write_changes(connection, &batch.changes).await?;
    Ok(services)
}

/// What is known of the services that known hosts were seen with, by the index of their observation.
async fn find(
    connection: &mut PgConnection,
    import: i64,
    observations: &[Observation],
    hosts: &[BatchHost],
) -> Result<HashMap<usize, KnownService>, StoreError> {
    let (mut indexes, mut ids, mut ports, mut protocols) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for host in hosts.iter().filter(|host| !host.is_new()) {
        for index in host.observations.clone() {
            if let Some(seen) = &observations[index].port {
                indexes.push(i32::try_from(index).map_err(other)?);
                ids.push(host.id);
                ports.push(i32::from(seen.port.get()));
                protocols.push(i16::from(seen.protocol.number()));
            }
        }
    }
    if indexes.is_empty() {
        return Ok(HashMap::new());
    }
    // One seek a row, whatever the planner thinks of a table that was empty when it last looked.
    let rows: Vec<(i32, i16, i64, i64, bool)> = sqlx::query_as(
        "SELECT seen.index, known.state, known.first_seen, known.last_seen, known.last_import = $5
         FROM unnest($1::integer[], $2::bigint[], $3::integer[], $4::smallint[])
             AS seen (index, host, port, protocol)
         CROSS JOIN LATERAL (SELECT state, first_seen, last_seen, last_import FROM service
             WHERE service.host = seen.host AND service.port = seen.port AND service.protocol = seen.protocol
             OFFSET 0) AS known",
    )
    .bind(indexes)
    .bind(ids)
    .bind(ports)
    .bind(protocols)
    .bind(import)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    rows.into_iter()
        .map(|(index, state, first_seen, last_seen, is_touched)| {
            let index = usize::try_from(index).map_err(|_| corrupt("an index"))?;
            Ok((index, KnownService { is_open: state == 1, first_seen, last_seen, is_touched }))
        })
        .collect()
}

/// The columns that every written service has, as arrays.
struct Columns {
    hosts: Vec<i64>,
    ports: Vec<i32>,
    protocols: Vec<i16>,
    states: Vec<i16>,
    first_seen: Vec<i64>,
    last_seen: Vec<i64>,
}

impl Columns {
    fn of(rows: &[ServiceRow<'_>]) -> Self {
        Self {
            hosts: rows.iter().map(|row| row.host).collect(),
            ports: rows.iter().map(|row| row.seen.port.get().into()).collect(),
            protocols: rows.iter().map(|row| row.seen.protocol.number().into()).collect(),
            states: rows.iter().map(|row| row.written.is_open.into()).collect(),
            first_seen: rows.iter().map(|row| row.written.first_seen).collect(),
            last_seen: rows.iter().map(|row| row.written.last_seen).collect(),
        }
    }
}

async fn make(connection: &mut PgConnection, import: i64, rows: &[ServiceRow<'_>]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(rows);
    sqlx::query(
        "INSERT INTO service (host, port, protocol, state, first_seen, last_seen, first_import, last_import)
         SELECT host, port, protocol, state, first_seen, last_seen, $7, $7
         FROM unnest($1::bigint[], $2::integer[], $3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[])
             AS seen (host, port, protocol, state, first_seen, last_seen)",
    )
    .bind(columns.hosts)
    .bind(columns.ports)
    .bind(columns.protocols)
    .bind(columns.states)
    .bind(columns.first_seen)
    .bind(columns.last_seen)
    .bind(import)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// Writes what changes of known services: found one by one by their keys, as in [`find`], and not by an insertion that
/// conflicts, which locks each row before it writes it.
async fn refresh(
    connection: &mut PgConnection,
    import: i64,
    rows: &[ServiceRow<'_>],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(rows);
    sqlx::query(
        "UPDATE service AS known SET state = seen.state, first_seen = seen.first_seen, last_seen = seen.last_seen,
             import_count = import_count + CASE WHEN last_import <> $7 THEN 1 ELSE 0 END, last_import = $7
         FROM unnest($1::bigint[], $2::integer[], $3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[])
             AS seen (host, port, protocol, state, first_seen, last_seen)
         CROSS JOIN LATERAL (SELECT service.ctid AS row FROM service
             WHERE service.host = seen.host AND service.port = seen.port AND service.protocol = seen.protocol
             OFFSET 0) AS found
         WHERE known.ctid = found.row",
    )
    .bind(columns.hosts)
    .bind(columns.ports)
    .bind(columns.protocols)
    .bind(columns.states)
    .bind(columns.first_seen)
    .bind(columns.last_seen)
    .bind(import)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// Cuts rows into statements of bounded size: a batch may hold ten thousand banners of 16 KiB each.
fn by_weight<'r, 'b>(rows: &'r [ServiceRow<'b>]) -> Vec<&'r [ServiceRow<'b>]> {
    let (mut parts, mut first, mut weight) = (Vec::new(), 0, 0);
    for (index, row) in rows.iter().enumerate() {
        weight += row.seen.banner.as_ref().map_or(0, |banner| banner.bytes.len() + banner.service.len());
        if weight >= MOST_BYTES {
            parts.push(&rows[first..=index]);
            (first, weight) = (index + 1, 0);
        }
    }
    if first < rows.len() {
        parts.push(&rows[first..]);
    }
    parts
}

async fn write_with_banner(
    connection: &mut PgConnection,
    import: i64,
    rows: &[ServiceRow<'_>],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(rows);
    let banners = || rows.iter().map(|row| row.seen.banner.as_ref());
    let name = |banner: &ObservedBanner| {
        (!banner.service.is_empty()).then(|| storable(&banner.service).into_owned())
    };
    let names: Vec<Option<String>> = banners().map(|banner| banner.and_then(name)).collect();
    let bytes: Vec<Option<&[u8]>> =
        banners().map(|banner| banner.map(|seen| seen.bytes.as_slice())).collect();
    sqlx::query(
        "INSERT INTO service AS known
             (host, port, protocol, state, first_seen, last_seen, first_import, last_import, service, banner)
         SELECT host, port, protocol, state, first_seen, last_seen, $9, $9, service, banner
         FROM unnest($1::bigint[], $2::integer[], $3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[],
                 $7::text[], $8::bytea[])
             AS seen (host, port, protocol, state, first_seen, last_seen, service, banner)
         ON CONFLICT (host, port, protocol) DO UPDATE SET
             state = excluded.state, first_seen = excluded.first_seen, last_seen = excluded.last_seen,
             import_count = known.import_count
                 + CASE WHEN known.last_import <> excluded.last_import THEN 1 ELSE 0 END,
             last_import = excluded.last_import,
             service = coalesce(excluded.service, known.service), banner = excluded.banner",
    )
    .bind(columns.hosts)
    .bind(columns.ports)
    .bind(columns.protocols)
    .bind(columns.states)
    .bind(columns.first_seen)
    .bind(columns.last_seen)
    .bind(names)
    .bind(bytes)
    .bind(import)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

async fn write_changes(
    connection: &mut PgConnection,
    changes: &[(ServiceRow<'_>, i64)],
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO service_change (host, port, protocol, state, at)
         SELECT host, port, protocol, state, at
         FROM unnest($1::bigint[], $2::integer[], $3::smallint[], $4::smallint[], $5::bigint[])
             AS changed (host, port, protocol, state, at)",
    )
    .bind(changes.iter().map(|(row, _)| row.host).collect::<Vec<i64>>())
    .bind(changes.iter().map(|(row, _)| row.seen.port.get().into()).collect::<Vec<i32>>())
    .bind(changes.iter().map(|(row, _)| row.seen.protocol.number().into()).collect::<Vec<i16>>())
    .bind(changes.iter().map(|(row, _)| row.written.is_open.into()).collect::<Vec<i16>>())
    .bind(changes.iter().map(|(_, at)| *at).collect::<Vec<i64>>())
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::Protocol;

    use super::*;

    #[test]
    fn heavy_banners_are_written_in_several_statements() {
        let banner = ObservedBanner { service: String::new(), bytes: vec![0; MOST_BYTES / 2] };
        let seen = ObservedPort {
            port: 22.try_into().expect("a port"),
            protocol: Protocol::Tcp,
            open: true,
            banner: Some(banner),
        };
        let written = WrittenService { is_open: true, first_seen: 1, last_seen: 2, takes_banner: true };
        let rows = [ServiceRow { host: 1, seen: &seen, written }; 5];
        let lengths: Vec<_> = by_weight(&rows).iter().map(|rows| rows.len()).collect();
        assert_eq!(lengths, [2, 2, 1]);
    }
}
