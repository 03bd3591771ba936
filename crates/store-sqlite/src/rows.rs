//! Writing many rows. One statement of a thousand rows with anonymous parameters writes two million rows a second;
//! numbered ones are twenty times slower, since each is found by a search through all names.

use std::sync::Arc;

use hostatlas_store::StoreError;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use crate::error::engine;

/// Rows a statement. Each size is compiled once; what is left over after the thousands costs a few statements more.
const SIZES: [usize; 4] = [1000, 100, 10, 1];

/// A query whose parameters are being given.
pub(crate) type Insert = Query<'static, Sqlite, SqliteArguments>;

/// Inserts `rows` in their order; answers how many rows that changed.
///
/// `head` ends in `VALUES`, `row` is one parenthesized row with a `?` for each value that `bind` gives, and `tail` is
/// what follows the rows. None of the three may hold text from outside.
pub(crate) async fn insert<R>(
    connection: &mut SqliteConnection,
    [head, row, tail]: [&str; 3],
    rows: &[R],
    bind: impl Fn(Insert, &R) -> Insert,
) -> Result<u64, StoreError> {
    let mut changed = 0;
    let mut rest = rows;
    for size in SIZES {
        if rest.len() < size {
            continue;
        }
        let statement: Arc<str> = format!("{head} {}{row} {tail}", format!("{row},").repeat(size - 1)).into();
        while rest.len() >= size {
            let (chunk, after) = rest.split_at(size);
            rest = after;
            let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(Arc::clone(&statement))), &bind);
            changed += query.execute(&mut *connection).await.map_err(engine)?.rows_affected();
        }
    }
    Ok(changed)
}

/// Runs `head` with `rows` of numbers as its `VALUES` and `tail` behind them, as many at once as [`insert`].
///
/// `head` ends before `VALUES`, has a `?` for each of `constants`, and neither text may come from outside.
pub(crate) async fn update<const COLUMNS: usize>(
    connection: &mut SqliteConnection,
    [head, tail]: [&str; 2],
    constants: &[Option<i64>],
    rows: &[[Option<i64>; COLUMNS]],
) -> Result<(), StoreError> {
    let row = format!("(?{})", ",?".repeat(COLUMNS.saturating_sub(1)));
    let mut rest = rows;
    for size in SIZES {
        if rest.len() < size {
            continue;
        }
        let statement: Arc<str> =
            format!("{head} VALUES {}{row}{tail}", format!("{row},").repeat(size - 1)).into();
        while rest.len() >= size {
            let (chunk, after) = rest.split_at(size);
            rest = after;
            let numbers = constants.iter().chain(chunk.iter().flatten());
            let query = sqlx::query(AssertSqlSafe(Arc::clone(&statement)));
            let query = numbers.fold(query, |query, number| query.bind(*number));
            query.execute(&mut *connection).await.map_err(engine)?;
        }
    }
    Ok(())
}
