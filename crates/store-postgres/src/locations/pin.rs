//! Holding a host on the place that a person names.

use std::{sync::Arc, time::Duration};

use hostatlas_domain::{Address, AddressClass, Located, Network, Place, ProviderName, Topic};
use hostatlas_store::{Attempt, StoreError};
use sqlx::PgConnection;

use super::{Applied, Caches, Rule, Write, apply_writes};
use crate::{
    copy,
    counters::{CoverageDelta, hour_of, touch},
    error::engine,
};

/// See [`hostatlas_store::LocationStore::location_pin`].
pub(super) async fn pin(
    connection: &mut PgConnection,
    now: i64,
    address: Address,
    place: &Place,
    caches: &Caches,
) -> Result<Applied, StoreError> {
    copy::refuse_half(connection).await?;
    let found: Option<(i64, Option<i64>)> =
        sqlx::query_as("SELECT id, network FROM host WHERE address = $1 FOR NO KEY UPDATE")
            .bind(address.to_key().to_vec())
            .fetch_optional(&mut *connection)
            .await
            .map_err(engine)?;
    let (host, network) = found.ok_or(StoreError::UnknownHost(address))?;
    let located = Located {
        place: place.clone(),
        network: Network::default(),
        timezone: None,
        provider: ProviderName::Manual,
        accuracy_km: None,
        database_build: None,
    };
    let write = Write { host, attempt: Attempt::Located(Arc::new(located)), rule: Rule::Any };
    let applied = apply_writes(connection, now, Duration::ZERO, &[write], caches).await?;
    // Who names a place says nothing of the network.
    sqlx::query("UPDATE host SET pinned = 1, network = $2 WHERE id = $1")
        .bind(host)
        .bind(network)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(applied)
}

/// See [`hostatlas_store::LocationStore::location_unpin`].
pub(super) async fn unpin(
    connection: &mut PgConnection,
    now: i64,
    address: Address,
    caches: &Caches,
) -> Result<bool, StoreError> {
    let found: Option<(i64, i16, i16, Option<i64>)> =
        sqlx::query_as("SELECT id, class, pinned, located_at FROM host WHERE address = $1 FOR NO KEY UPDATE")
            .bind(address.to_key().to_vec())
            .fetch_optional(&mut *connection)
            .await
            .map_err(engine)?;
    let (host, class, pinned, located_at) = found.ok_or(StoreError::UnknownHost(address))?;
    if pinned == 0 {
        return Ok(false);
    }
    if class != i16::from(AddressClass::Public.number()) {
        let write = Write { host, attempt: Attempt::NotApplicable, rule: Rule::Any };
        apply_writes(connection, now, Duration::ZERO, &[write], caches).await?;
        return Ok(true);
    }
    sqlx::query("UPDATE host SET pinned = 0, located_at = 0 WHERE id = $1")
        .bind(host)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    let mut coverage = CoverageDelta::default();
    coverage.located_hour(hour_of(located_at.unwrap_or(0)), -1);
    coverage.located_hour(0, 1);
    coverage.write(connection).await?;
    touch(connection, &[Topic::Coverage]).await?;
    Ok(true)
}
