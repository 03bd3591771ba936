//! What providers said, kept.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use hostatlas_domain::{Address, ProviderAnswer, ProviderAnswerStatus, ProviderName, Timestamp};
use hostatlas_store::{NewAnswer, StoreError, StoredAnswer};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::provider_of;
use crate::{
    database::{Database, Size},
    error::{corrupt, engine, other},
    rows::insert,
};

/// For how long answers about addresses that are no host are kept.
const KEPT_FOR: Duration = Duration::from_hours(24);
/// How often all answers are looked through.
const WALK_INTERVAL: Duration = Duration::from_hours(1);
/// Answers looked at in one step.
const STEP: i64 = 2_000;

/// An answer as a row.
pub(super) struct AnswerRow {
    key: [u8; 16],
    provider: u8,
    answer: String,
}

/// The rows of `answers`, each key once, by key.
pub(super) fn rows(answers: Vec<NewAnswer>) -> Result<Vec<AnswerRow>, StoreError> {
    let newest: HashMap<(Address, ProviderName), ProviderAnswerStatus> =
        answers.into_iter().map(|answer| ((answer.address, answer.provider), answer.status)).collect();
    let row = |((address, provider), status): ((Address, ProviderName), ProviderAnswerStatus)| {
        let answer = serde_json::to_string(&status).map_err(other)?;
        Ok(AnswerRow { key: address.to_key(), provider: provider.number(), answer })
    };
    let mut rows = newest.into_iter().map(row).collect::<Result<Vec<_>, StoreError>>()?;
    rows.sort_unstable_by_key(|row| (row.key, row.provider));
    Ok(rows)
}

/// Writes answers that were given now.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    now: i64,
    answers: Vec<AnswerRow>,
) -> Result<(), StoreError> {
    let head = "INSERT INTO answer (address, provider, answered_at, answer) VALUES";
    let tail = "ON CONFLICT (address, provider) DO UPDATE SET answered_at = excluded.answered_at, \
                answer = excluded.answer WHERE excluded.answered_at >= answered_at";
    insert(connection, [head, "(?,?,?,?)", tail], &answers, |query, row| {
        query.bind(row.key.to_vec()).bind(row.provider).bind(now).bind(row.answer.clone())
    })
    .await?;
    Ok(())
}

/// The answers about these addresses, by address and provider.
pub(super) async fn get(
    connection: &mut SqliteConnection,
    now: i64,
    mut addresses: Vec<Address>,
) -> Result<Vec<StoredAnswer>, StoreError> {
    addresses.sort_unstable();
    addresses.dedup();
    let keys: Vec<u8> = addresses.iter().flat_map(|address| address.to_key()).collect();
    let found = sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
         SELECT a.address, a.provider, a.answered_at, a.answer
         FROM n CROSS JOIN answer AS a ON a.address = substr(?1, i * 16 + 1, 16)",
    )
    .bind(keys)
    .bind(i64::try_from(addresses.len()).map_err(other)?)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let mut answers = Vec::with_capacity(found.len());
    for row in &found {
        answers.extend(stored(row, Timestamp::from_millis(now))?);
    }
    answers.sort_unstable_by_key(|stored| (stored.address, stored.answer.provider.number()));
    Ok(answers)
}

/// None where another version wrote what this one cannot read: it is asked for again.
fn stored(row: &SqliteRow, now: Timestamp) -> Result<Option<StoredAnswer>, StoreError> {
    let key: &[u8] = row.try_get(0).map_err(engine)?;
    let address = Address::from_key(key.try_into().map_err(|_| corrupt("an address"))?);
    let provider = provider_of(row.try_get(1).map_err(engine)?)?;
    let answered_at = Timestamp::from_millis(row.try_get(2).map_err(engine)?);
    let status = match serde_json::from_str(row.try_get(3).map_err(engine)?) {
        Ok(status) => status,
        Err(error) => {
            tracing::warn!(%address, %provider, %error, "A kept answer cannot be read");
            return Ok(None);
        }
    };
    let answer = ProviderAnswer { provider, answered_at, status };
    Ok(Some(StoredAnswer { address, answer, age: now.since(answered_at) }))
}

/// Where looking through all answers has come to.
#[derive(Default)]
pub(crate) struct Walk(Mutex<Position>);

#[derive(Clone, Default)]
struct Position {
    /// The last answer that was looked at.
    after: Option<Key>,
    /// When the next walk may begin.
    next_at: i64,
}

type Key = (Vec<u8>, i64);

/// One step of forgetting what is old and about no host; answers whether something was forgotten.
pub(crate) async fn forget(database: &Database, walk: &Walk) -> Result<bool, StoreError> {
    let position = walk.get();
    let now = database.now();
    if position.after.is_none() && now < position.next_at {
        return Ok(false);
    }
    let interval = i64::try_from(WALK_INTERVAL.as_millis()).unwrap_or(i64::MAX);
    let next_at = if position.after.is_none() { now.saturating_add(interval) } else { position.next_at };
    let from = position.after.unwrap_or_else(|| (Vec::new(), 0));
    let given = from.clone();
    let (last, old) = database.read(move |connection, now| Box::pin(look(connection, now, given))).await?;
    let mut forgotten = 0;
    if let Some(to) = last.clone().filter(|_| old > 0) {
        forgotten = database
            .write(Size::Small, move |connection, now| Box::pin(remove(connection, now, from, to)))
            .await?;
    }
    walk.set(Position { after: last, next_at });
    Ok(forgotten > 0)
}

impl Walk {
    fn get(&self) -> Position {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set(&self, position: Position) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = position;
    }
}

fn edge(now: i64) -> i64 {
    Timestamp::from_millis(now).minus(KEPT_FOR).as_millis()
}

/// The last of the next answers, and how many of them are to be forgotten.
async fn look(
    connection: &mut SqliteConnection,
    now: i64,
    after: Key,
) -> Result<(Option<Key>, i64), StoreError> {
    let found: Vec<(Vec<u8>, i64, bool)> = sqlx::query_as(
        "SELECT address, provider, answered_at < ?3 AND NOT EXISTS \
         (SELECT 1 FROM host WHERE host.address = answer.address) \
         FROM answer WHERE (address, provider) > (?1, ?2) ORDER BY address, provider LIMIT ?4 + 0",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(edge(now))
    .bind(STEP)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let old = found.iter().filter(|(_, _, is_old)| *is_old).count();
    let last = found.into_iter().next_back().map(|(address, provider, _)| (address, provider));
    Ok((last, i64::try_from(old).unwrap_or(i64::MAX)))
}

async fn remove(connection: &mut SqliteConnection, now: i64, after: Key, to: Key) -> Result<u64, StoreError> {
    // A host may have come since: so the condition is asked again.
    let removed = sqlx::query(
        "DELETE FROM answer WHERE (address, provider) > (?1, ?2) AND (address, provider) <= (?3, ?4) \
         AND answered_at < ?5 AND NOT EXISTS (SELECT 1 FROM host WHERE host.address = answer.address)",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(to.0)
    .bind(to.1)
    .bind(edge(now))
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(removed.rows_affected())
}
