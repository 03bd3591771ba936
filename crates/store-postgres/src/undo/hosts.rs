//! Hosts that only the import saw, with all that is known of them.

use std::collections::HashMap;

use hostatlas_domain::{
    AddressClass, JobKind, LocationState, Precision, ProviderName, Topic, Undone, UnlocatedReason,
};
use hostatlas_store::StoreError;
use sqlx::PgConnection;

use super::WINDOW;
use crate::{
    counters::{CoverageDelta, JobDelta, hour_of, touch},
    error::{corrupt, engine},
    jobs::state_of,
    rows::byte,
};

/// Those of the next hosts that this import is known to have seen, with the last one that was looked at.
pub(super) async fn next(
    connection: &mut PgConnection,
    import: i64,
    after: i64,
) -> Result<Option<(i64, Vec<i64>)>, StoreError> {
    let (last, hosts): (Option<i64>, Option<Vec<i64>>) = sqlx::query_as(
        "SELECT max(id), array_agg(id ORDER BY id) FILTER (WHERE first_import = $1 OR last_import = $1)
         FROM (SELECT id, first_import, last_import FROM host WHERE id > $2 ORDER BY id LIMIT $3) AS host",
    )
    .bind(import)
    .bind(after)
    .bind(WINDOW)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    Ok(last.map(|last| (last, hosts.unwrap_or_default())))
}

/// A host that is about to be removed, with what it is counted by.
#[derive(sqlx::FromRow)]
struct Removed {
    id: i64,
    import_count: i64,
    last_import: i64,
    location_state: i16,
    reason: Option<i16>,
    class: i16,
    place: Option<i64>,
    provider: Option<i16>,
    located_at: Option<i64>,
}

/// Removes those of `hosts` that only `import` saw, and takes it off the others.
pub(super) async fn take(
    connection: &mut PgConnection,
    import: i64,
    hosts: Vec<i64>,
) -> Result<Undone, StoreError> {
    // By address: the order in which whoever changes hosts locks them.
    let locked: Vec<Removed> = sqlx::query_as(
        "SELECT id, import_count, last_import, location_state, reason, class, place, provider, located_at
         FROM host WHERE id = ANY($1) ORDER BY address FOR UPDATE",
    )
    .bind(&hosts)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let is_only_ours = |host: &Removed| host.import_count == 1 && host.last_import == import;
    let removed: Vec<Removed> = locked.into_iter().filter(is_only_ours).collect();
    let undone = if removed.is_empty() { Undone::default() } else { remove(connection, &removed).await? };
    // Where two imports saw a host and one is taken back, the other one is both its first and its last.
    sqlx::query(
        "UPDATE host SET import_count = greatest(import_count - 1, 1),
             first_import = CASE WHEN first_import <> $2 THEN first_import
                 WHEN import_count = 2 AND last_import <> $2 THEN last_import ELSE 0 END,
             last_import = CASE WHEN last_import <> $2 THEN last_import
                 WHEN import_count = 2 AND first_import <> $2 THEN first_import ELSE 0 END
         WHERE id = ANY($1) AND (first_import = $2 OR last_import = $2)",
    )
    .bind(&hosts)
    .bind(import)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    Ok(undone)
}

async fn remove(connection: &mut PgConnection, removed: &[Removed]) -> Result<Undone, StoreError> {
    let ids: Vec<i64> = removed.iter().map(|host| host.id).collect();
    let (mut coverage, mut jobs) = (CoverageDelta::default(), JobDelta::default());
    let mut places: HashMap<i64, i64> = HashMap::new();
    let precisions = precisions(connection, removed).await?;
    for host in removed {
        uncount(host, &precisions, &mut coverage, &mut places)?;
    }

    let states: HashMap<i64, i16> = removed.iter().map(|host| (host.id, host.location_state)).collect();
    let taken = take_jobs(connection, &ids).await?;
    for (kind, state, host) in &taken {
        let state = state_of(*state)?;
        let kind = jobs.add_stored(*kind, state, -1);
        let is_pending = states.get(host).copied() == Some(LocationState::Pending.number().into());
        if kind == Some(JobKind::Geolocation) && state.is_live() && is_pending {
            coverage.pending_live(-1);
        }
    }
    let services = delete(connection, "DELETE FROM service WHERE host = ANY($1)", &ids).await?;
    for statement in [
        "DELETE FROM service_change WHERE host = ANY($1)",
        "DELETE FROM location_change WHERE host = ANY($1)",
        "DELETE FROM recent_result WHERE host = ANY($1)",
    ] {
        delete(connection, statement, &ids).await?;
    }
    let hosts = delete(connection, "DELETE FROM host WHERE id = ANY($1)", &ids).await?;

    leave_places(connection, &places).await?;
    coverage.write(connection).await?;
    jobs.write(connection).await?;
    let topics = [
        (Topic::Coverage, true),
        (Topic::Imports, true),
        (Topic::Jobs, !taken.is_empty()),
        (Topic::Map, !places.is_empty()),
    ];
    let moved: Vec<_> = topics.into_iter().filter_map(|(topic, moved)| moved.then_some(topic)).collect();
    touch(connection, &moved).await?;
    Ok(Undone { hosts, services, jobs: taken.len() as u64 })
}

/// The precision of each place that one of these hosts is on. Places never change, so they need no lock.
async fn precisions(
    connection: &mut PgConnection,
    removed: &[Removed],
) -> Result<HashMap<i64, Precision>, StoreError> {
    let mut places: Vec<i64> = removed.iter().filter_map(|host| host.place).collect();
    places.sort_unstable();
    places.dedup();
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(i64, i16)> = sqlx::query_as("SELECT id, precision FROM place WHERE id = ANY($1)")
        .bind(places)
        .fetch_all(connection)
        .await
        .map_err(engine)?;
    rows.into_iter()
        .map(|(place, number)| {
            let precision = Precision::from_number(byte(number, "a precision")?);
            Ok((place, precision.ok_or_else(|| corrupt("a precision"))?))
        })
        .collect()
}

/// Removes all jobs of hosts that are about to go; answers their kinds, states and hosts.
async fn take_jobs(connection: &mut PgConnection, hosts: &[i64]) -> Result<Vec<(i16, i16, i64)>, StoreError> {
    // By id: a finish that changes no host holds jobs without having asked for their hosts.
    let jobs: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM job WHERE id = ANY(ARRAY(
             SELECT id FROM job WHERE host = ANY($1) AND state < 4
             UNION ALL SELECT id FROM job WHERE host = ANY($1) AND state > 3))
         ORDER BY id FOR UPDATE",
    )
    .bind(hosts)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    sqlx::query_as("DELETE FROM job WHERE id = ANY($1) RETURNING kind, state, host")
        .bind(jobs)
        .fetch_all(connection)
        .await
        .map_err(engine)
}

async fn delete(
    connection: &mut PgConnection,
    statement: &'static str,
    ids: &[i64],
) -> Result<u64, StoreError> {
    let deleted = sqlx::query(statement).bind(ids).execute(connection).await.map_err(engine)?;
    Ok(deleted.rows_affected())
}

fn uncount(
    host: &Removed,
    precisions: &HashMap<i64, Precision>,
    coverage: &mut CoverageDelta,
    places: &mut HashMap<i64, i64>,
) -> Result<(), StoreError> {
    let state = LocationState::from_number(byte(host.location_state, "a location state")?)
        .ok_or_else(|| corrupt("a location state"))?;
    let class = AddressClass::from_number(byte(host.class, "an address class")?)
        .ok_or_else(|| corrupt("an address class"))?;
    coverage.state(state, -1);
    match state {
        LocationState::Pending => {}
        LocationState::Unlocated => {
            let reason = host.reason.and_then(|number| u8::try_from(number).ok());
            let reason = reason.and_then(UnlocatedReason::from_number);
            coverage.reason(reason.ok_or_else(|| corrupt("an unlocated reason"))?, -1);
        }
        LocationState::NotApplicable => coverage.class(class, -1),
        LocationState::Located => {
            let place = host.place.ok_or_else(|| corrupt("a located host without a place"))?;
            let precision = precisions.get(&place).ok_or_else(|| corrupt("a host on an unknown place"))?;
            let provider = host.provider.and_then(|number| u8::try_from(number).ok());
            let provider = provider.and_then(ProviderName::from_number);
            let located_at = host.located_at.ok_or_else(|| corrupt("a located host without a time"))?;
            coverage.precision(*precision, -1);
            coverage.provider(provider.ok_or_else(|| corrupt("a provider"))?, -1);
            if class.is_public() {
                coverage.located_hour(hour_of(located_at), -1);
            }
            *places.entry(place).or_default() += 1;
        }
    }
    Ok(())
}

async fn leave_places(connection: &mut PgConnection, left: &HashMap<i64, i64>) -> Result<(), StoreError> {
    if left.is_empty() {
        return Ok(());
    }
    let (places, hosts): (Vec<i64>, Vec<i64>) = left.iter().map(|(place, hosts)| (*place, -hosts)).unzip();
    sqlx::query("INSERT INTO place_delta (place, n) SELECT * FROM unnest($1::bigint[], $2::bigint[])")
        .bind(places)
        .bind(hosts)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}
