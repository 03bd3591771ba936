//! How far limits are used. A window has few entries and is read and written as a whole.

use std::collections::HashMap;

use hostatlas_domain::{Limit, ProviderName, Window};
use hostatlas_store::{
    StoreError,
    backend::{spent_text, stored_window},
};
use sqlx::SqliteConnection;

use super::provider_of;
use crate::{
    error::engine,
    packed::{push_number, push_text, separate},
};

/// Whose limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) provider: ProviderName,
    pub(super) account: u32,
}

/// The windows of `limits`, in their order.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    account: Account,
    limits: &[Limit],
) -> Result<Vec<Window>, StoreError> {
    let found: Vec<(String, i64, i64, String)> = sqlx::query_as(
        "SELECT name, closed_until, next_at, spent FROM provider_window WHERE provider = ?1 AND account = ?2",
    )
    .bind(account.provider.number())
    .bind(account.account)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let mut windows = HashMap::with_capacity(found.len());
    for (name, closed_until, next_at, spent) in found {
        windows.insert(name, stored_window(closed_until, next_at, &spent)?);
    }
    Ok(limits.iter().map(|limit| windows.remove(limit.name.as_ref()).unwrap_or_default()).collect())
}

/// Writes the windows of `limits`, which stand in their order.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    account: Account,
    limits: &[Limit],
    windows: &[Window],
) -> Result<(), StoreError> {
    if limits.is_empty() {
        return Ok(());
    }
    let mut json = String::from("[");
    for (limit, window) in limits.iter().zip(windows) {
        separate(&mut json);
        json.push('[');
        push_text(&mut json, &limit.name);
        for moment in [window.closed_until, window.next_at] {
            json.push(',');
            push_number(&mut json, moment.as_millis());
        }
        json.push(',');
        push_text(&mut json, &spent_text(window));
        json.push(']');
    }
    json.push(']');
    sqlx::query(
        "INSERT INTO provider_window (provider, account, name, closed_until, next_at, spent) \
         SELECT ?2, ?3, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true \
         ON CONFLICT (provider, account, name) DO UPDATE SET closed_until = excluded.closed_until, \
         next_at = excluded.next_at, spent = excluded.spent",
    )
    .bind(json)
    .bind(account.provider.number())
    .bind(account.account)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// Every window that is known, by account and name.
pub(super) async fn all(
    connection: &mut SqliteConnection,
) -> Result<Vec<(Account, String, Window)>, StoreError> {
    let found: Vec<(u8, u32, String, i64, i64, String)> = sqlx::query_as(
        "SELECT provider, account, name, closed_until, next_at, spent FROM provider_window \
         ORDER BY provider, account, name",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    found
        .into_iter()
        .map(|(provider, account, name, closed_until, next_at, spent)| {
            let account = Account { provider: provider_of(provider)?, account };
            Ok((account, name, stored_window(closed_until, next_at, &spent)?))
        })
        .collect()
}
