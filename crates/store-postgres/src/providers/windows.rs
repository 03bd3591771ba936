//! How far limits are used. A window has few entries and is read and written as a whole.

use std::collections::HashMap;

use hostatlas_domain::{Limit, ProviderName, Window};
use hostatlas_store::{
    StoreError,
    backend::{spent_text, stored_window},
};
use sqlx::PgConnection;

use super::provider_of;
use crate::{
    error::{corrupt, engine},
    rows::small,
};

/// Whose limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) provider: ProviderName,
    pub(super) account: u32,
}

/// An account as it is stored.
pub(super) fn account_of(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| corrupt("an account"))
}

/// Locks the windows of `limits` and answers them in their order.
///
/// Rows are made, and then locked, in the order of the names. One that is missing is made first, since only a row can be
/// locked: two processes that take the first permit at once are one after the other.
pub(super) async fn lock(
    connection: &mut PgConnection,
    account: Account,
    limits: &[Limit],
) -> Result<Vec<Window>, StoreError> {
    let mut names: Vec<&str> = limits.iter().map(|limit| limit.name.as_ref()).collect();
    names.sort_unstable();
    sqlx::query(
        "INSERT INTO provider_window (provider, account, name, closed_until, next_at, spent) \
         SELECT $1, $2, x.name, 0, 0, '' FROM unnest($3::text[]) AS x(name) ON CONFLICT DO NOTHING",
    )
    .bind(small(account.provider.number()))
    .bind(i64::from(account.account))
    .bind(&names)
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let found: Vec<(String, i64, i64, String)> = sqlx::query_as(
        "SELECT name, closed_until, next_at, spent FROM provider_window \
         WHERE provider = $1 AND account = $2 AND name = ANY($3) ORDER BY name FOR NO KEY UPDATE",
    )
    .bind(small(account.provider.number()))
    .bind(i64::from(account.account))
    .bind(&names)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let mut windows = HashMap::with_capacity(found.len());
    for (name, closed_until, next_at, spent) in found {
        windows.insert(name, stored_window(closed_until, next_at, &spent)?);
    }
    let window =
        |limit: &Limit| windows.remove(limit.name.as_ref()).ok_or_else(|| corrupt("no row of a limit"));
    limits.iter().map(window).collect()
}

/// Writes the windows of `limits`, which stand in their order and are locked.
pub(super) async fn write(
    connection: &mut PgConnection,
    account: Account,
    limits: &[Limit],
    windows: &[Window],
) -> Result<(), StoreError> {
    let names: Vec<&str> = limits.iter().map(|limit| limit.name.as_ref()).collect();
    let closed_until: Vec<i64> = windows.iter().map(|window| window.closed_until.as_millis()).collect();
    let next_at: Vec<i64> = windows.iter().map(|window| window.next_at.as_millis()).collect();
    let spent: Vec<String> = windows.iter().map(spent_text).collect();
    sqlx::query(
        "UPDATE provider_window SET closed_until = x.closed_until, next_at = x.next_at, spent = x.spent \
         FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::text[]) AS x(name, closed_until, next_at, spent) \
         WHERE provider_window.provider = $1 AND provider_window.account = $2 AND provider_window.name = x.name",
    )
    .bind(small(account.provider.number()))
    .bind(i64::from(account.account))
    .bind(names)
    .bind(closed_until)
    .bind(next_at)
    .bind(spent)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// Every window that is known, by account and name.
pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<(Account, String, Window)>, StoreError> {
    let found: Vec<(i16, i64, String, i64, i64, String)> = sqlx::query_as(
        "SELECT provider, account, name, closed_until, next_at, spent FROM provider_window \
         ORDER BY provider, account, name",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    found
        .into_iter()
        .map(|(provider, account, name, closed_until, next_at, spent)| {
            let account = Account { provider: provider_of(provider)?, account: account_of(account)? };
            Ok((account, name, stored_window(closed_until, next_at, &spent)?))
        })
        .collect()
}
