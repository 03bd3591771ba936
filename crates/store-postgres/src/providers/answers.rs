//! What providers said, kept.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hostatlas_domain::{Address, ProviderAnswer, ProviderAnswerStatus, ProviderName, Timestamp};
use hostatlas_store::{NewAnswer, StoreError, StoredAnswer};
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::provider_of;
use crate::{
    database::Database,
    error::{corrupt, engine, other},
    rows::small,
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
    provider: i16,
    answer: String,
}

/// The rows of `answers`, each key once, by key.
pub(super) fn rows(answers: Vec<NewAnswer>) -> Result<Vec<AnswerRow>, StoreError> {
    let newest: HashMap<(Address, ProviderName), ProviderAnswerStatus> =
        answers.into_iter().map(|answer| ((answer.address, answer.provider), answer.status)).collect();
    let row = |((address, provider), status): ((Address, ProviderName), ProviderAnswerStatus)| {
        let answer = serde_json::to_string(&status).map_err(other)?;
        Ok(AnswerRow { key: address.to_key(), provider: small(provider.number()), answer })
    };
    let mut rows = newest.into_iter().map(row).collect::<Result<Vec<_>, StoreError>>()?;
    rows.sort_unstable_by_key(|row| (row.key, row.provider));
    Ok(rows)
}

/// Writes answers that were given now, in the order of their keys.
pub(super) async fn keep(
    connection: &mut PgConnection,
    now: i64,
    answers: &[AnswerRow],
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO answer (address, provider, answered_at, answer) \
         SELECT x.address, x.provider, $4, x.answer \
         FROM unnest($1::bytea[], $2::smallint[], $3::text[]) AS x(address, provider, answer) \
         ON CONFLICT (address, provider) DO UPDATE SET answered_at = excluded.answered_at, \
         answer = excluded.answer WHERE excluded.answered_at >= answer.answered_at",
    )
    .bind(answers.iter().map(|row| row.key.as_slice()).collect::<Vec<_>>())
    .bind(answers.iter().map(|row| row.provider).collect::<Vec<_>>())
    .bind(answers.iter().map(|row| row.answer.as_str()).collect::<Vec<_>>())
    .bind(now)
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(())
}

/// The answers about these addresses, by address and provider.
pub(super) async fn get(
    connection: &mut PgConnection,
    now: i64,
    addresses: &[Address],
) -> Result<Vec<StoredAnswer>, StoreError> {
    let found =
        sqlx::query("SELECT address, provider, answered_at, answer FROM answer WHERE address = ANY($1)")
            .bind(addresses.iter().map(|address| address.to_key().to_vec()).collect::<Vec<_>>())
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
fn stored(row: &PgRow, now: Timestamp) -> Result<Option<StoredAnswer>, StoreError> {
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

type Key = (Vec<u8>, i16);

/// One step of forgetting what is old and about no host; answers whether something was forgotten.
pub(crate) async fn forget(database: &Database, walk: &Walk) -> Result<bool, StoreError> {
    let looked = database
        .read_with(walk.get(), |connection, now, position| Box::pin(look(connection, now, position)))
        .await?;
    let Some(Looked { from, to, old, next_at }) = looked else { return Ok(false) };
    let mut forgotten = 0;
    if let Some(to) = to.clone().filter(|_| old) {
        forgotten = database
            .write_with((from, to), |connection, now, (after, to)| {
                Box::pin(remove(connection, now, after, to))
            })
            .await?;
    }
    walk.set(Position { after: to, next_at });
    Ok(forgotten > 0)
}

impl Walk {
    fn get(&self) -> Position {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, position: Position) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }
}

fn edge(now: i64) -> i64 {
    Timestamp::from_millis(now).minus(KEPT_FOR).as_millis()
}

/// What a step saw.
struct Looked {
    /// After which answer it began.
    from: Key,
    /// The last that it looked at; none at the end.
    to: Option<Key>,
    /// Whether some of them are to be forgotten.
    old: bool,
    /// When the next walk may begin.
    next_at: i64,
}

/// Looks at the next answers; none if it is too early to begin again.
async fn look(
    connection: &mut PgConnection,
    now: i64,
    position: &Position,
) -> Result<Option<Looked>, StoreError> {
    if position.after.is_none() && now < position.next_at {
        return Ok(None);
    }
    let interval = i64::try_from(WALK_INTERVAL.as_millis()).unwrap_or(i64::MAX);
    let next_at = if position.after.is_none() { now.saturating_add(interval) } else { position.next_at };
    let from = position.after.clone().unwrap_or_else(|| (Vec::new(), 0));
    let found: Vec<(Vec<u8>, i16, bool)> = sqlx::query_as(
        "SELECT address, provider, answered_at < $3 AND NOT EXISTS \
         (SELECT 1 FROM host WHERE host.address = answer.address) \
         FROM answer WHERE (address, provider) > ($1, $2) ORDER BY address, provider LIMIT $4",
    )
    .bind(from.0.as_slice())
    .bind(from.1)
    .bind(edge(now))
    .bind(STEP)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    let old = found.iter().any(|(_, _, is_old)| *is_old);
    let to = found.into_iter().next_back().map(|(address, provider, _)| (address, provider));
    Ok(Some(Looked { from, to, old, next_at }))
}

async fn remove(connection: &mut PgConnection, now: i64, after: &Key, to: &Key) -> Result<u64, StoreError> {
    // A host may have come since: so the condition is asked again. What another process removes at the same time is
    // left to it.
    let removed = sqlx::query(
        "DELETE FROM answer USING (SELECT address, provider FROM answer AS old \
         WHERE (address, provider) > ($1, $2) AND (address, provider) <= ($3, $4) \
         AND answered_at < $5 AND NOT EXISTS (SELECT 1 FROM host WHERE host.address = old.address) \
         ORDER BY address, provider FOR UPDATE SKIP LOCKED) AS gone \
         WHERE answer.address = gone.address AND answer.provider = gone.provider",
    )
    .bind(after.0.as_slice())
    .bind(after.1)
    .bind(to.0.as_slice())
    .bind(to.1)
    .bind(edge(now))
    .execute(connection)
    .await
    .map_err(engine)?;
    Ok(removed.rows_affected())
}
