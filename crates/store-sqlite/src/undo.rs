//! Undoing an import, in bounded transactions. The import is marked first, so that it records nothing more; whoever
//! dies in the middle is continued by undoing again.

use std::{collections::HashMap, time::Duration};

use hostatlas_domain::{
    AddressClass, ImportId, JobKind, JobState, LocationState, Precision, ProviderName, Topic, Undone,
    UnlocatedReason,
};
use hostatlas_store::StoreError;
use sqlx::SqliteConnection;

use crate::{
    counters::{CoverageDelta, JobDelta, hour_of},
    database::{Database, Size, next_map_number, touch},
    error::{corrupt, engine},
    packed,
};

/// Hosts a transaction: with their services, jobs and history some ten thousand rows.
const HOSTS_AT_ONCE: i64 = 2_000;
/// Services a transaction.
const SERVICES_AT_ONCE: i64 = 5_000;
/// Jobs looked at in a transaction.
const JOBS_AT_ONCE: i64 = 20_000;
/// A search for the next rows may read the whole table.
const SEARCH_TIMEOUT: Duration = Duration::from_mins(10);

/// See [`hostatlas_store::ImportStore::import_undo`].
pub(crate) async fn undo(database: &Database, id: ImportId) -> Result<Undone, StoreError> {
    database.write(Size::Small, move |connection, now| Box::pin(mark(connection, now, id))).await?;
    let mut undone = Undone::default();
    let mut after = 0;
    while let Some((last, hosts)) = database
        .read_within(SEARCH_TIMEOUT, move |connection, _| Box::pin(next_hosts(connection, id.0, after)))
        .await?
    {
        let removed = database
            .write(Size::Bulk, move |connection, _| Box::pin(take_hosts(connection, id.0, hosts)))
            .await?;
        undone.hosts += removed.hosts;
        undone.services += removed.services;
        undone.jobs += removed.jobs;
        after = last;
    }
    let mut after = (0, 0, 0);
    while let Some((last, services)) = database
        .read_within(SEARCH_TIMEOUT, move |connection, _| Box::pin(next_services(connection, id.0, after)))
        .await?
    {
        undone.services += database
            .write(Size::Bulk, move |connection, _| Box::pin(take_services(connection, id.0, services)))
            .await?;
        after = last;
    }
    let mut after = Some(0);
    while let Some(from) = after {
        let (removed, next) =
            database.write(Size::Bulk, move |connection, _| Box::pin(take_orphans(connection, from))).await?;
        undone.jobs += removed;
        after = next;
    }
    Ok(undone)
}

async fn mark(connection: &mut SqliteConnection, now: i64, id: ImportId) -> Result<(), StoreError> {
    let marked =
        sqlx::query("UPDATE import SET state = 2, finished_at = coalesce(finished_at, ?2) WHERE id = ?1")
            .bind(id.0)
            .bind(now)
            .execute(&mut *connection)
            .await
            .map_err(engine)?;
    if marked.rows_affected() == 0 {
        return Err(StoreError::UnknownImport(id));
    }
    touch(connection, &[Topic::Imports]).await
}

/// The next hosts that this import is known to have seen, as a JSON array, with the last of them.
async fn next_hosts(
    connection: &mut SqliteConnection,
    import: i64,
    after: i64,
) -> Result<Option<(i64, String)>, StoreError> {
    let (last, hosts): (Option<i64>, String) = sqlx::query_as(
        "SELECT max(id), json_group_array(id) FROM (
             SELECT id FROM host WHERE id > ?2 AND (first_import = ?1 OR last_import = ?1) ORDER BY id LIMIT ?3)",
    )
    .bind(import)
    .bind(after)
    .bind(HOSTS_AT_ONCE)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    Ok(last.map(|last| (last, hosts)))
}

/// The columns by which a removed host is counted.
type Counted = (i64, u8, Option<u8>, u8, Option<i64>, Option<u8>, Option<i64>, Option<u8>);

/// Removes those of `hosts` that only `import` saw, and takes it off the others.
async fn take_hosts(
    connection: &mut SqliteConnection,
    import: i64,
    hosts: String,
) -> Result<Undone, StoreError> {
    let removed: Vec<Counted> = sqlx::query_as(
        "SELECT host.id, location_state, reason, class, place, provider, located_at, precision
         FROM json_each(?1) AS wanted CROSS JOIN host ON host.id = wanted.value LEFT JOIN place ON place.id = place
         WHERE import_count = 1 AND last_import = ?2",
    )
    .bind(hosts.clone())
    .bind(import)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let undone = if removed.is_empty() { Undone::default() } else { remove(connection, &removed).await? };
    // Where two imports saw a host and one is taken back, the other one is both its first and its last.
    sqlx::query(
        "UPDATE host SET import_count = max(import_count - 1, 1),
             first_import = CASE WHEN first_import <> ?2 THEN first_import
                 WHEN import_count = 2 AND last_import <> ?2 THEN last_import ELSE 0 END,
             last_import = CASE WHEN last_import <> ?2 THEN last_import
                 WHEN import_count = 2 AND first_import <> ?2 THEN first_import ELSE 0 END
         WHERE id IN (SELECT value FROM json_each(?1)) AND (first_import = ?2 OR last_import = ?2)",
    )
    .bind(hosts)
    .bind(import)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    Ok(undone)
}

async fn remove(connection: &mut SqliteConnection, removed: &[Counted]) -> Result<Undone, StoreError> {
    let ids = packed::id_array(removed.iter().map(|host| host.0));
    let (mut coverage, mut jobs) = (CoverageDelta::default(), JobDelta::default());
    let mut places: HashMap<i64, i64> = HashMap::new();
    for host in removed {
        uncount(host, &mut coverage, &mut places)?;
    }

    // Finished jobs have no index by host; they go at the end, see `take_orphans`.
    let live: Vec<(i64, u8, i64)> = sqlx::query_as(
        "DELETE FROM job WHERE state < 4 AND host IN (SELECT value FROM json_each(?1)) RETURNING kind, state, host",
    )
    .bind(ids.clone())
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let states: HashMap<i64, u8> = removed.iter().map(|host| (host.0, host.1)).collect();
    for (kind, state, host) in &live {
        let state = JobState::from_number(*state).ok_or_else(|| corrupt("a job state"))?;
        let kind = jobs.add_stored(*kind, state, -1);
        if kind == Some(JobKind::Geolocation) && states.get(host) == Some(&LocationState::Pending.number()) {
            coverage.pending_live(-1);
        }
    }
    let services =
        delete(connection, "DELETE FROM service WHERE host IN (SELECT value FROM json_each(?1))", &ids)
            .await?;
    for statement in [
        "DELETE FROM service_change WHERE host IN (SELECT value FROM json_each(?1))",
        "DELETE FROM location_change WHERE host IN (SELECT value FROM json_each(?1))",
        "DELETE FROM recent_result WHERE host IN (SELECT value FROM json_each(?1))",
    ] {
        delete(connection, statement, &ids).await?;
    }
    let hosts =
        delete(connection, "DELETE FROM host WHERE id IN (SELECT value FROM json_each(?1))", &ids).await?;

    jobs.write(connection).await?;
    coverage.write(connection).await?;
    let mut topics = vec![Topic::Coverage, Topic::Imports];
    if !live.is_empty() {
        topics.push(Topic::Jobs);
    }
    if !places.is_empty() {
        leave_places(connection, &places).await?;
        topics.push(Topic::Map);
    }
    touch(connection, &topics).await?;
    Ok(Undone { hosts, services, jobs: live.len() as u64 })
}

async fn delete(
    connection: &mut SqliteConnection,
    statement: &'static str,
    ids: &str,
) -> Result<u64, StoreError> {
    let deleted = sqlx::query(statement).bind(ids.to_owned()).execute(connection).await.map_err(engine)?;
    Ok(deleted.rows_affected())
}

fn uncount(
    host: &Counted,
    coverage: &mut CoverageDelta,
    places: &mut HashMap<i64, i64>,
) -> Result<(), StoreError> {
    let (_, state, reason, class, place, provider, located_at, precision) = *host;
    let state = LocationState::from_number(state).ok_or_else(|| corrupt("a location state"))?;
    coverage.state(state, -1);
    match state {
        LocationState::Pending => {}
        LocationState::Unlocated => {
            let reason = reason
                .and_then(UnlocatedReason::from_number)
                .ok_or_else(|| corrupt("an unlocated reason"))?;
            coverage.reason(reason, -1);
        }
        LocationState::NotApplicable => {
            coverage.class(AddressClass::from_number(class).ok_or_else(|| corrupt("an address class"))?, -1);
        }
        LocationState::Located => {
            let precision =
                precision.and_then(Precision::from_number).ok_or_else(|| corrupt("a precision"))?;
            let provider =
                provider.and_then(ProviderName::from_number).ok_or_else(|| corrupt("a provider"))?;
            coverage.precision(precision, -1);
            coverage.provider(provider, -1);
            let located_at = located_at.ok_or_else(|| corrupt("a located host without a time"))?;
            if class == AddressClass::Public.number() {
                coverage.located_hour(hour_of(located_at), -1);
            }
            *places.entry(place.ok_or_else(|| corrupt("a located host without a place"))?).or_default() += 1;
        }
    }
    Ok(())
}

async fn leave_places(connection: &mut SqliteConnection, left: &HashMap<i64, i64>) -> Result<(), StoreError> {
    let number = next_map_number(connection).await?;
    let mut json = String::from("[");
    for (place, hosts) in left {
        packed::push_row(&mut json, &[Some(*place), Some(*hosts)]);
    }
    json.push(']');
    sqlx::query(
        "UPDATE place SET hosts = hosts - x.left, changed = ?2
         FROM (SELECT value ->> 0 AS place, value ->> 1 AS left FROM json_each(?1)) AS x WHERE place.id = x.place",
    )
    .bind(json)
    .bind(number)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

type ServiceKey = (i64, i64, i64);

/// The next services that this import is known to have seen, as a JSON array of keys, with the last of them.
async fn next_services(
    connection: &mut SqliteConnection,
    import: i64,
    after: ServiceKey,
) -> Result<Option<(ServiceKey, String)>, StoreError> {
    let found: Vec<ServiceKey> = sqlx::query_as(
        "SELECT host, port, protocol FROM service
         WHERE (host, port, protocol) > (?2, ?3, ?4) AND (first_import = ?1 OR last_import = ?1)
         ORDER BY host, port, protocol LIMIT ?5",
    )
    .bind(import)
    .bind(after.0)
    .bind(after.1)
    .bind(after.2)
    .bind(SERVICES_AT_ONCE)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let Some(last) = found.last().copied() else { return Ok(None) };
    let mut json = String::from("[");
    for (host, port, protocol) in found {
        packed::push_row(&mut json, &[Some(host), Some(port), Some(protocol)]);
    }
    json.push(']');
    Ok(Some((last, json)))
}

/// Removes those of `services` that only `import` saw, and takes it off the others; answers how many were removed.
async fn take_services(
    connection: &mut SqliteConnection,
    import: i64,
    services: String,
) -> Result<u64, StoreError> {
    let removed: Vec<ServiceKey> = sqlx::query_as(
        "DELETE FROM service WHERE import_count = 1 AND last_import = ?2 AND (host, port, protocol) IN
             (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))
         RETURNING host, port, protocol",
    )
    .bind(services.clone())
    .bind(import)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    sqlx::query(
        "UPDATE service SET import_count = max(import_count - 1, 1),
             first_import = CASE WHEN first_import <> ?2 THEN first_import
                 WHEN import_count = 2 AND last_import <> ?2 THEN last_import ELSE 0 END,
             last_import = CASE WHEN last_import <> ?2 THEN last_import
                 WHEN import_count = 2 AND first_import <> ?2 THEN first_import ELSE 0 END
         WHERE (first_import = ?2 OR last_import = ?2) AND (host, port, protocol) IN
             (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))",
    )
    .bind(services)
    .bind(import)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let mut json = String::from("[");
    for (host, port, protocol) in &removed {
        packed::push_row(&mut json, &[Some(*host), Some(*port), Some(*protocol)]);
    }
    json.push(']');
    sqlx::query(
        "DELETE FROM service_change WHERE id IN (
             SELECT service_change.id FROM json_each(?1) AS gone CROSS JOIN service_change
                 ON host = gone.value ->> 0 AND port = gone.value ->> 1 AND protocol = gone.value ->> 2)",
    )
    .bind(json)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    touch(connection, &[Topic::Imports]).await?;
    Ok(removed.len() as u64)
}

/// Removes jobs whose host is gone, among the next jobs after `from`; answers how many, and where to go on.
async fn take_orphans(
    connection: &mut SqliteConnection,
    from: i64,
) -> Result<(u64, Option<i64>), StoreError> {
    let last: Option<i64> =
        sqlx::query_scalar("SELECT max(id) FROM (SELECT id FROM job WHERE id > ?1 ORDER BY id LIMIT ?2)")
            .bind(from)
            .bind(JOBS_AT_ONCE)
            .fetch_one(&mut *connection)
            .await
            .map_err(engine)?;
    let Some(last) = last else { return Ok((0, None)) };
    let removed: Vec<(i64, u8)> = sqlx::query_as(
        "DELETE FROM job WHERE id > ?1 AND id <= ?2 AND NOT EXISTS (SELECT 1 FROM host WHERE host.id = job.host)
         RETURNING kind, state",
    )
    .bind(from)
    .bind(last)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let mut jobs = JobDelta::default();
    for (kind, state) in &removed {
        jobs.add_stored(*kind, JobState::from_number(*state).ok_or_else(|| corrupt("a job state"))?, -1);
    }
    if !removed.is_empty() {
        jobs.write(connection).await?;
        touch(connection, &[Topic::Jobs]).await?;
    }
    Ok((removed.len() as u64, Some(last)))
}
