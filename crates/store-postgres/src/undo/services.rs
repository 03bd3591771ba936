//! Services that only the import saw, of hosts that stay.

use hostatlas_domain::Topic;
use hostatlas_store::StoreError;
use sqlx::PgConnection;

use super::WINDOW;
use crate::{counters::touch, error::engine};

type ServiceKey = (i64, i32, i16);

/// Those of the next services that this import is known to have seen, with the last one that was looked at.
pub(super) async fn next(
    connection: &mut PgConnection,
    import: i64,
    after: ServiceKey,
) -> Result<Option<(ServiceKey, Vec<ServiceKey>)>, StoreError> {
    let window: Vec<(i64, i32, i16, bool)> = sqlx::query_as(
        "SELECT host, port, protocol, first_import = $1 OR last_import = $1 FROM service
         WHERE (host, port, protocol) > ($2, $3, $4) ORDER BY host, port, protocol LIMIT $5",
    )
    .bind(import)
    .bind(after.0)
    .bind(after.1)
    .bind(after.2)
    .bind(WINDOW)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let Some((host, port, protocol, _)) = window.last().copied() else { return Ok(None) };
    let ours = window.into_iter().filter(|service| service.3);
    Ok(Some(((host, port, protocol), ours.map(|service| (service.0, service.1, service.2)).collect())))
}

/// Service keys as the arrays that statements take.
fn unzip(services: &[ServiceKey]) -> (Vec<i64>, Vec<i32>, Vec<i16>) {
    (
        services.iter().map(|service| service.0).collect(),
        services.iter().map(|service| service.1).collect(),
        services.iter().map(|service| service.2).collect(),
    )
}

/// Removes those of `services` that only `import` saw, and takes it off the others; answers how many were removed.
pub(super) async fn take(
    connection: &mut PgConnection,
    import: i64,
    services: Vec<ServiceKey>,
) -> Result<u64, StoreError> {
    let (hosts, ports, protocols) = unzip(&services);
    // Whoever holds a host holds its services.
    sqlx::query("SELECT id FROM host WHERE id = ANY($1) ORDER BY address FOR NO KEY UPDATE")
        .bind(&hosts)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    let removed: Vec<ServiceKey> = sqlx::query_as(
        "DELETE FROM service USING unnest($1::bigint[], $2::integer[], $3::smallint[]) AS ours (host, port, protocol)
         WHERE service.host = ours.host AND service.port = ours.port AND service.protocol = ours.protocol
             AND import_count = 1 AND last_import = $4
         RETURNING service.host, service.port, service.protocol",
    )
    .bind(&hosts)
    .bind(&ports)
    .bind(&protocols)
    .bind(import)
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    sqlx::query(
        "UPDATE service SET import_count = greatest(import_count - 1, 1),
             first_import = CASE WHEN first_import <> $4 THEN first_import
                 WHEN import_count = 2 AND last_import <> $4 THEN last_import ELSE 0 END,
             last_import = CASE WHEN last_import <> $4 THEN last_import
                 WHEN import_count = 2 AND first_import <> $4 THEN first_import ELSE 0 END
         FROM unnest($1::bigint[], $2::integer[], $3::smallint[]) AS ours (host, port, protocol)
         WHERE service.host = ours.host AND service.port = ours.port AND service.protocol = ours.protocol
             AND (first_import = $4 OR last_import = $4)",
    )
    .bind(hosts)
    .bind(ports)
    .bind(protocols)
    .bind(import)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let (hosts, ports, protocols) = unzip(&removed);
    sqlx::query(
        "DELETE FROM service_change AS gone
         USING unnest($1::bigint[], $2::integer[], $3::smallint[]) AS ours (host, port, protocol)
         WHERE gone.host = ours.host AND gone.port = ours.port AND gone.protocol = ours.protocol",
    )
    .bind(hosts)
    .bind(ports)
    .bind(protocols)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    touch(connection, &[Topic::Imports]).await?;
    Ok(removed.len() as u64)
}
