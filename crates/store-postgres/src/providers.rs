//! The ledger of online providers.

mod answers;
mod windows;

use std::collections::BTreeMap;

use async_trait::async_trait;
use hostatlas_domain::{
    Address, BreakerState, Latencies, ProviderName, ProviderTally, Timestamp, truncate_bytes,
};
use hostatlas_store::{
    ERROR_BYTES, NewAnswer, PermitsTaken, ProviderRow, ProviderStore, SettleCall, StoreError, StoredAnswer,
    TakePermits, permits,
};
use sqlx::{PgConnection, Row, postgres::PgRow};

pub(crate) use self::answers::{Walk, forget};
use crate::{
    PostgresStore,
    error::{corrupt, engine},
    rows::{byte, count, small, storable},
};

#[async_trait]
impl ProviderStore for PostgresStore {
    async fn provider_take(&self, params: TakePermits) -> Result<PermitsTaken, StoreError> {
        if params.limits.is_empty() {
            // Only limits ask what time it is.
            return Ok(permits::take(&params, &mut [], Timestamp::from_millis(0)));
        }
        self.database
            .write_with(params, |connection, now, params| Box::pin(take(connection, now, params)))
            .await
    }

    async fn provider_settle(&self, call: SettleCall) -> Result<(), StoreError> {
        self.database.write_with(call, |connection, now, call| Box::pin(settle(connection, now, call))).await
    }

    async fn provider_list(&self) -> Result<Vec<ProviderRow>, StoreError> {
        self.database.read(|connection, now| Box::pin(list(connection, now))).await
    }

    async fn answers_get(&self, addresses: Vec<Address>) -> Result<Vec<StoredAnswer>, StoreError> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        self.database
            .read_with(addresses, |connection, now, addresses| {
                Box::pin(answers::get(connection, now, addresses))
            })
            .await
    }

    async fn answers_keep(&self, answers: Vec<NewAnswer>) -> Result<(), StoreError> {
        if answers.is_empty() {
            return Ok(());
        }
        let rows = answers::rows(answers)?;
        self.database
            .write_with(rows, |connection, now, rows| Box::pin(answers::keep(connection, now, rows)))
            .await
    }
}

async fn take(
    connection: &mut PgConnection,
    now: i64,
    params: &TakePermits,
) -> Result<PermitsTaken, StoreError> {
    let account = windows::Account { provider: params.provider, account: params.account };
    let mut windows = windows::lock(connection, account, &params.limits).await?;
    let taken = permits::take(params, &mut windows, Timestamp::from_millis(now));
    if matches!(taken, PermitsTaken::Granted { .. }) {
        windows::write(connection, account, &params.limits, &windows).await?;
    }
    Ok(taken)
}

async fn settle(connection: &mut PgConnection, now: i64, call: &SettleCall) -> Result<(), StoreError> {
    let account = windows::Account { provider: call.provider, account: call.account };
    if !call.windows.is_empty() {
        let mut windows = windows::lock(connection, account, &call.limits).await?;
        permits::settle(call, &mut windows, Timestamp::from_millis(now));
        windows::write(connection, account, &call.limits, &windows).await?;
    }
    // Made first, so that there is a row to lock: two first calls that end at once would each forget the other's
    // latencies.
    sqlx::query(
        "INSERT INTO provider_state (provider, account, latencies) VALUES ($1, $2, '') ON CONFLICT DO NOTHING",
    )
    .bind(small(account.provider.number()))
    .bind(i64::from(account.account))
    .execute(&mut *connection)
    .await
    .map_err(engine)?;
    let latencies: String = sqlx::query_scalar(
        "SELECT latencies FROM provider_state WHERE provider = $1 AND account = $2 FOR NO KEY UPDATE",
    )
    .bind(small(account.provider.number()))
    .bind(i64::from(account.account))
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    let mut latencies = read_latencies(&latencies);
    latencies.add(&call.tally.latencies);
    write_state(connection, now, call, &latencies).await
}

/// Latencies of other classes, from another version, cannot be added up: they begin anew.
fn read_latencies(json: &str) -> Latencies {
    serde_json::from_str(json).unwrap_or_default()
}

async fn write_state(
    connection: &mut PgConnection,
    now: i64,
    call: &SettleCall,
    latencies: &Latencies,
) -> Result<(), StoreError> {
    let (breaker, open_for) = call.breaker;
    let breaker_until =
        (breaker == BreakerState::Open).then(|| Timestamp::from_millis(now).plus(open_for).as_millis());
    let called_at = Timestamp::from_millis(now).minus(call.age).as_millis();
    let tally = &call.tally;
    let error = call.error.as_deref().map(|error| storable(truncate_bytes(error, ERROR_BYTES)));
    let mut query = sqlx::query(
        "UPDATE provider_state SET latencies = $3, last_call_at = greatest(last_call_at, $4), \
         last_error = coalesce($5, last_error), last_error_at = coalesce($6, last_error_at), \
         breaker = $7, breaker_until = $8, disabled_because = $9, calls = calls + $10, \
         failed_calls = failed_calls + $11, addresses = addresses + $12, located = located + $13, \
         missed = missed + $14 WHERE provider = $1 AND account = $2",
    )
    .bind(small(call.provider.number()))
    .bind(i64::from(call.account))
    .bind(serde_json::to_string(latencies).map_err(crate::error::other)?)
    .bind(called_at)
    .bind(error)
    .bind(call.error.as_ref().map(|_| called_at))
    .bind(small(breaker_number(breaker)))
    .bind(breaker_until)
    .bind(call.disabled_because.as_deref().map(storable));
    for count in [tally.calls, tally.failed_calls, tally.addresses, tally.located, tally.missed] {
        query = query.bind(i64::try_from(count).unwrap_or(i64::MAX));
    }
    query.execute(connection).await.map_err(engine)?;
    Ok(())
}

const fn breaker_number(state: BreakerState) -> u8 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::Open => 1,
        BreakerState::HalfOpen => 2,
    }
}

fn breaker_of(number: i16) -> Result<BreakerState, StoreError> {
    let number = byte(number, "a breaker")?;
    let states = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];
    states.into_iter().find(|state| breaker_number(*state) == number).ok_or_else(|| corrupt("a breaker"))
}

fn provider_of(number: i16) -> Result<ProviderName, StoreError> {
    ProviderName::from_number(byte(number, "a provider")?).ok_or_else(|| corrupt("a provider"))
}

async fn list(connection: &mut PgConnection, now: i64) -> Result<Vec<ProviderRow>, StoreError> {
    let read_at = Timestamp::from_millis(now);
    let mut found: BTreeMap<(u8, u32), ProviderRow> = BTreeMap::new();
    let states =
        sqlx::query("SELECT * FROM provider_state").fetch_all(&mut *connection).await.map_err(engine)?;
    for row in &states {
        let state = state(row, read_at)?;
        found.insert((state.provider.number(), state.account), state);
    }
    for (account, name, window) in windows::all(connection).await? {
        let key = (account.provider.number(), account.account);
        let row = found.entry(key).or_insert_with(|| never_answered(account, read_at));
        row.windows.push((name, window));
    }
    Ok(found.into_values().collect())
}

/// An account whose first call is still under way.
fn never_answered(account: windows::Account, read_at: Timestamp) -> ProviderRow {
    ProviderRow {
        provider: account.provider,
        account: account.account,
        tally: ProviderTally::default(),
        windows: Vec::new(),
        read_at,
        last_error: None,
        last_error_at: None,
        last_call_at: None,
        breaker: BreakerState::Closed,
        breaker_until: None,
        disabled_because: None,
    }
}

fn state(row: &PgRow, read_at: Timestamp) -> Result<ProviderRow, StoreError> {
    let counted = |name: &str| row.try_get(name).map(count).map_err(engine);
    let moment = |name: &str| {
        let millis: Option<i64> = row.try_get(name).map_err(engine)?;
        Ok::<_, StoreError>(millis.map(Timestamp::from_millis))
    };
    Ok(ProviderRow {
        provider: provider_of(row.try_get("provider").map_err(engine)?)?,
        account: windows::account_of(row.try_get("account").map_err(engine)?)?,
        tally: ProviderTally {
            calls: counted("calls")?,
            failed_calls: counted("failed_calls")?,
            addresses: counted("addresses")?,
            located: counted("located")?,
            missed: counted("missed")?,
            latencies: read_latencies(row.try_get("latencies").map_err(engine)?),
        },
        windows: Vec::new(),
        read_at,
        last_error: row.try_get("last_error").map_err(engine)?,
        last_error_at: moment("last_error_at")?,
        last_call_at: moment("last_call_at")?,
        breaker: breaker_of(row.try_get("breaker").map_err(engine)?)?,
        breaker_until: moment("breaker_until")?,
        disabled_because: row.try_get("disabled_because").map_err(engine)?,
    })
}
