use std::collections::HashMap;

use hostatlas_store::{
    Observation, ObservedBanner, ObservedPort, StoreError,
    backend::{KnownService, WrittenService, write_service},
};
use sqlx::SqliteConnection;

use super::host::BatchHost;
use crate::{
    error::{corrupt, engine, other},
    packed,
    rows::insert,
};

/// What became of the services of a batch.
#[derive(Default)]
pub(super) struct Services {
    /// Made.
    pub(super) made: u64,
    /// Touched by this import for the first time, made ones included.
    pub(super) seen: u64,
}

/// A service to write.
struct ServiceRow<'b> {
    host: i64,
    seen: &'b ObservedPort,
    written: WrittenService,
}

/// Makes, refreshes, opens and closes the services of a batch.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    import: i64,
    observations: &[Observation],
    hosts: &[BatchHost],
) -> Result<Services, StoreError> {
    let known = find(connection, import, observations, hosts).await?;
    let mut services = Services::default();
    let (mut plain, mut with_banner, mut changes) =
        (Vec::with_capacity(observations.len()), Vec::new(), Vec::new());
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
                changes.push((host.id, seen, written.is_open, last_seen));
            }
            if written.takes_banner { with_banner.push(row) } else { plain.push(row) }
        }
    }
    write_plain(connection, import, &plain).await?;
    write_with_banner(connection, import, &with_banner).await?;
    let head = "INSERT INTO service_change (host, port, protocol, state, at) VALUES";
    insert(connection, [head, "(?,?,?,?,?)", ""], &changes, |query, (host, seen, is_open, at)| {
        query.bind(*host).bind(seen.port.get()).bind(seen.protocol.number()).bind(*is_open).bind(*at)
    })
    .await?;
    Ok(services)
}

/// What is known of the services that known hosts were seen with, by the index of their observation.
async fn find(
    connection: &mut SqliteConnection,
    import: i64,
    observations: &[Observation],
    hosts: &[BatchHost],
) -> Result<HashMap<usize, KnownService>, StoreError> {
    let mut indexes = Vec::new();
    // Host, port and protocol in one number: a list of numbers is read three times as fast as a list of lists.
    let keys = packed::id_array(hosts.iter().filter(|host| !host.is_new()).flat_map(|host| {
        let mut keys = Vec::new();
        for index in host.observations.clone() {
            if let Some(seen) = &observations[index].port {
                indexes.push(index);
                keys.push(
                    (host.id << 24) | (i64::from(seen.port.get()) << 8) | i64::from(seen.protocol.number()),
                );
            }
        }
        keys
    }));
    if indexes.is_empty() {
        return Ok(HashMap::new());
    }
    let text: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(concat_ws(',', seen.key, state, first_seen, last_seen, last_import = ?2), ';')
         FROM json_each(?1) AS seen CROSS JOIN service
             ON host = seen.value >> 24 AND port = (seen.value >> 8) & 65535 AND protocol = seen.value & 255",
    )
    .bind(keys)
    .bind(import)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    let mut known = HashMap::new();
    for mut row in packed::rows(text.as_deref()) {
        let position = usize::try_from(row.number()?).map_err(other)?;
        let index = indexes.get(position).ok_or_else(|| corrupt("an index"))?;
        let (state, first_seen, last_seen) = (row.number()?, row.number()?, row.number()?);
        let is_touched = row.number()? == 1;
        known.insert(*index, KnownService { is_open: state == 1, first_seen, last_seen, is_touched });
    }
    Ok(known)
}

const SET_TIMES: &str = "state = excluded.state, first_seen = excluded.first_seen, last_seen = excluded.last_seen, \
    import_count = import_count + (last_import <> excluded.last_import), last_import = excluded.last_import";

async fn write_plain(
    connection: &mut SqliteConnection,
    import: i64,
    rows: &[ServiceRow<'_>],
) -> Result<(), StoreError> {
    let head = "INSERT INTO service (host, port, protocol, state, first_seen, last_seen, first_import, last_import) \
                VALUES";
    let row = format!("(?,?,?,?,?,?,{import},{import})");
    let tail = format!("ON CONFLICT DO UPDATE SET {SET_TIMES}");
    insert(connection, [head, &row, &tail], rows, |query, row| {
        query
            .bind(row.host)
            .bind(row.seen.port.get())
            .bind(row.seen.protocol.number())
            .bind(row.written.is_open)
            .bind(row.written.first_seen)
            .bind(row.written.last_seen)
    })
    .await?;
    Ok(())
}

async fn write_with_banner(
    connection: &mut SqliteConnection,
    import: i64,
    rows: &[ServiceRow<'_>],
) -> Result<(), StoreError> {
    let head = "INSERT INTO service (host, port, protocol, state, first_seen, last_seen, first_import, last_import, \
                service, banner) VALUES";
    let row = format!("(?,?,?,?,?,?,{import},{import},?,?)");
    let tail = format!(
        "ON CONFLICT DO UPDATE SET {SET_TIMES}, service = coalesce(excluded.service, service), banner = excluded.banner"
    );
    insert(connection, [head, &row, &tail], rows, |query, row| {
        let banner: Option<&ObservedBanner> = row.seen.banner.as_ref();
        query
            .bind(row.host)
            .bind(row.seen.port.get())
            .bind(row.seen.protocol.number())
            .bind(row.written.is_open)
            .bind(row.written.first_seen)
            .bind(row.written.last_seen)
            .bind(banner.map(|banner| banner.service.clone()).filter(|name| !name.is_empty()))
            .bind(banner.map(|banner| banner.bytes.clone()))
    })
    .await?;
    Ok(())
}
