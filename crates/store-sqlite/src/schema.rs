//! The schema's versions and how a database gets from one to the next.

use std::{ffi::OsString, fs, path::Path};

use hostatlas_store::StoreError;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::{
    error::{beside, engine, opening},
    lock::Locks,
};

/// Says that a file is ours: `HATL`.
pub(crate) const APPLICATION_ID: i64 = 0x4841_544c;

/// Every migration, its number and its statements. The number is the database's `user_version` afterwards.
pub(crate) const MIGRATIONS: [(i64, &str); 5] = [
    (1, include_str!("../../../migrations/sqlite/0001_initial.sql")),
    (2, include_str!("../../../migrations/sqlite/0002_providers.sql")),
    (3, include_str!("../../../migrations/sqlite/0003_workers.sql")),
    (4, include_str!("../../../migrations/sqlite/0004_queue_indexes.sql")),
    (5, include_str!("../../../migrations/sqlite/0005_room_for_versions.sql")),
];

/// The version that this build works with.
pub(crate) const WANTED: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing is in it yet.
    Nothing,
    /// A database of ours at this version.
    Version(i64),
}

/// Looks at what the file is. A database of another program or of a newer version is refused.
pub(crate) async fn inspect(connection: &mut SqliteConnection, path: &Path) -> Result<Found, StoreError> {
    let fail = |error| opening(path, error);
    // One statement, so that a migration that commits in between cannot show us half of each.
    let (application, version, objects): (i64, i64, i64) = sqlx::query_as(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_application_id, pragma_user_version",
    )
    .fetch_one(connection)
    .await
    .map_err(fail)?;
    match (application, version, objects) {
        (APPLICATION_ID, 1.., _) if version > WANTED => {
            Err(StoreError::SchemaNewer { found: version, known: WANTED })
        }
        (APPLICATION_ID, 1.., _) => Ok(Found::Version(version)),
        (0, 0, 0) => Ok(Found::Nothing),
        _ => Err(StoreError::NotADatabase {
            location: path.display().to_string(),
            reason: "it is an SQLite database of another program".to_owned(),
        }),
    }
}

/// Brings the database to [`WANTED`]. Several processes may do this at once: all but one find it done.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    path: &Path,
    locks: &Locks,
) -> Result<(), StoreError> {
    if inspect(connection, path).await? == Found::Version(WANTED) {
        return Ok(());
    }
    let _lock = locks.small().await?;
    let from = match inspect(connection, path).await? {
        Found::Version(WANTED) => return Ok(()),
        Found::Version(version) => {
            copy(connection, path, WANTED).await?;
            version
        }
        Found::Nothing => 0,
    };
    for (number, statements) in MIGRATIONS.into_iter().filter(|(number, _)| *number > from) {
        apply(connection, number, statements).await?;
    }
    tracing::info!(database = %path.display(), from, to = WANTED, "Database schema brought to version {WANTED}");
    Ok(())
}

async fn apply(
    connection: &mut SqliteConnection,
    number: i64,
    statements: &'static str,
) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(engine)?;
    sqlx::raw_sql(statements).execute(&mut *transaction).await.map_err(engine)?;
    let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}");
    sqlx::raw_sql(AssertSqlSafe(marks)).execute(&mut *transaction).await.map_err(engine)?;
    transaction.commit().await.map_err(engine)
}

/// Keeps what was there as `X.before-migration-N`. Written under another name first: a copy with that name is whole.
async fn copy(connection: &mut SqliteConnection, path: &Path, version: i64) -> Result<(), StoreError> {
    let named = |suffix: &str| {
        let mut name = OsString::from(path);
        name.push(suffix);
        std::path::PathBuf::from(name)
    };
    let whole = named(&format!(".before-migration-{version}"));
    if whole.exists() {
        return Ok(());
    }
    let part = named(&format!(".before-migration-{version}.part"));
    if part.exists() {
        fs::remove_file(&part).map_err(|error| beside(&part, &error))?;
    }
    sqlx::query("VACUUM INTO ?1")
        .bind(part.display().to_string())
        .execute(connection)
        .await
        .map_err(engine)?;
    let synced = fs::File::open(&part).and_then(|file| file.sync_all());
    synced.and_then(|()| fs::rename(&part, &whole)).map_err(|error| beside(&part, &error))
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

    use super::*;

    #[tokio::test]
    async fn the_copy_before_a_migration_holds_what_was_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("test.db");
        let options = SqliteConnectOptions::new().create_if_missing(true);
        let mut connection = options.clone().filename(&path).connect().await.expect("a database");
        sqlx::raw_sql("CREATE TABLE kept (n); INSERT INTO kept VALUES (7)")
            .execute(&mut connection)
            .await
            .expect("rows");
        // What an earlier attempt left behind when it was killed.
        fs::write(directory.path().join("test.db.before-migration-2.part"), b"half").expect("a file");

        copy(&mut connection, &path, 2).await.expect("a copy");

        let whole = directory.path().join("test.db.before-migration-2");
        let mut copied = options.filename(&whole).connect().await.expect("a copy");
        let kept: i64 = sqlx::query_scalar("SELECT n FROM kept").fetch_one(&mut copied).await.expect("a row");
        assert_eq!(kept, 7);
    }

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let numbers: Vec<i64> = MIGRATIONS.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=WANTED).collect::<Vec<_>>());
    }
}
