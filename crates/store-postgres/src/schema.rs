//! The schema's versions and how a database gets from one to the next.

use hostatlas_store::StoreError;
use sqlx::{Connection, PgConnection, Postgres, Transaction};

use crate::{
    database::commit,
    error::{OWN_TABLES, beginning, code, code_of, engine, opening, said},
    session::FORGET_STATEMENTS,
};

/// Every migration, its number and its statements.
const MIGRATIONS: [(i64, &str); 5] = [
    (1, include_str!("../../../migrations/postgres/0001_initial.sql")),
    (2, include_str!("../../../migrations/postgres/0002_providers.sql")),
    (3, include_str!("../../../migrations/postgres/0003_workers.sql")),
    (4, include_str!("../../../migrations/postgres/0004_queue_indexes.sql")),
    (5, include_str!("../../../migrations/postgres/0005_room_for_versions.sql")),
];

/// The version that this build works with.
pub(crate) const WANTED: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Said by name, whatever the database's defaults are: whoever waited for the lock must see what was done under it.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// The number of the lock under which a schema is changed: `HATL` and 1.
const LOCK: i64 = 0x4841_544c_0000_0001;
/// Tables that version 1 made and no later one took away: a database that lacks one was only partly copied.
const LASTING: [&str; 6] = ["host", "service", "job", "place", "import", "change"];

/// What a database turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing is in it yet.
    Nothing,
    /// A database of ours at this version.
    Version(i64),
}

/// Looks at what the database is. One of another program, of a newer version, or half migrated is refused.
pub(crate) async fn inspect(connection: &mut PgConnection, location: &str) -> Result<Found, StoreError> {
    match look(connection, location).await? {
        (_, Some(migration)) => Err(StoreError::SchemaHalf {
            migration,
            reason: "it is being applied, or was cut off: run `hostatlas db migrate`, which waits or begins it again"
                .to_owned(),
        }),
        (found, None) => Ok(found),
    }
}

/// The version of a database that was already inspected; 0 for an empty one.
pub(crate) async fn version(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let has_version: bool = sqlx::query_scalar("SELECT to_regclass('hostatlas_schema') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(engine)?;
    if !has_version {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT version FROM hostatlas_schema").fetch_one(connection).await.map_err(engine)
}

/// What is there, and the migration that was begun and has not ended.
async fn look(connection: &mut PgConnection, location: &str) -> Result<(Found, Option<i64>), StoreError> {
    // Extensions put their own views into a database; those are nobody's data.
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
           AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(|error| opening(location, error))?;
    if tables.is_empty() {
        return Ok((Found::Nothing, None));
    }
    if !tables.iter().any(|table| table == "hostatlas_schema") {
        return Err(StoreError::NotADatabase {
            location: location.to_owned(),
            reason: "it holds tables of another program: make a database for hostatlas alone with `createdb`"
                .to_owned(),
        });
    }
    let row: Option<(i64, Option<i64>)> = sqlx::query_as("SELECT version, migrating FROM hostatlas_schema")
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| opening(location, error))?;
    let Some((version, migrating)) = row else {
        return Err(incomplete(0, "its version is missing"));
    };
    if version > WANTED {
        return Err(StoreError::SchemaNewer { found: version, known: WANTED });
    }
    let lost = LASTING.iter().find(|lasting| !tables.iter().any(|table| table == *lasting));
    match lost {
        Some(table) if version > 0 => Err(incomplete(version, &format!("its table `{table}` is missing"))),
        _ => Ok((Found::Version(version), migrating)),
    }
}

fn incomplete(migration: i64, what: &str) -> StoreError {
    let reason =
        format!("{what}, so not all of it was restored: restore a whole backup into an empty database");
    StoreError::SchemaHalf { migration, reason }
}

/// Brings the database to [`WANTED`]. Several processes may do this at once: all but one find it done.
///
/// The connection keeps no prepared statements, so that a pooler may stand between.
pub(crate) async fn migrate(connection: &mut PgConnection, location: &str) -> Result<(), StoreError> {
    let mut did = false;
    for (number, statements) in MIGRATIONS {
        did |= apply(connection, location, number, statements).await?;
    }
    if did {
        tracing::info!(database = location, to = WANTED, "Database schema brought to version {WANTED}");
    }
    Ok(())
}

async fn apply(
    connection: &mut PgConnection,
    location: &str,
    number: i64,
    statements: &'static str,
) -> Result<bool, StoreError> {
    // The mark is committed first, so that nobody works with a schema that is about to change under them.
    if !mark(connection, location, number).await? {
        return Ok(false);
    }
    let mut transaction = begin(connection, location).await?;
    lock(&mut transaction).await?;
    let (found, _) = look(&mut transaction, location).await?;
    if found == Found::Version(number - 1) {
        sqlx::raw_sql(statements).execute(&mut *transaction).await.map_err(|error| failed(number, error))?;
        sqlx::query("UPDATE hostatlas_schema SET version = $1, migrating = NULL")
            .bind(number)
            .execute(&mut *transaction)
            .await
            .map_err(engine)?;
    }
    commit(location, transaction.commit()).await?;
    Ok(true)
}

async fn begin<'c>(
    connection: &'c mut PgConnection,
    location: &str,
) -> Result<Transaction<'c, Postgres>, StoreError> {
    connection.begin_with(BEGIN).await.map_err(|error| beginning(location, error))
}

/// Says that a migration begins; answers whether there is anything to do.
async fn mark(connection: &mut PgConnection, location: &str, number: i64) -> Result<bool, StoreError> {
    let mut transaction = begin(connection, location).await?;
    lock(&mut transaction).await?;
    let (found, migrating) = look(&mut transaction, location).await?;
    let has_to = match found {
        Found::Nothing => true,
        Found::Version(version) => version < number,
    };
    if found == Found::Nothing {
        sqlx::raw_sql(
            "CREATE TABLE hostatlas_schema (
                 id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
                 version bigint NOT NULL,
                 migrating bigint
             );
             INSERT INTO hostatlas_schema (version) VALUES (0)",
        )
        .execute(&mut *transaction)
        .await
        .map_err(|error| failed(number, error))?;
    }
    let mark = has_to.then_some(number);
    if mark != migrating {
        sqlx::query("UPDATE hostatlas_schema SET migrating = $1")
            .bind(mark)
            .execute(&mut *transaction)
            .await
            .map_err(|error| failed(number, error))?;
    }
    commit(location, transaction.commit()).await?;
    Ok(has_to)
}

/// Waits for whoever else is migrating, and for as long as the migration takes. Both end with the transaction, so this
/// works behind a pooler.
async fn lock(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::raw_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'")
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    sqlx::raw_sql(FORGET_STATEMENTS).execute(&mut *connection).await.map_err(engine)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(connection).await.map_err(engine)?;
    Ok(())
}

fn failed(number: i64, error: sqlx::Error) -> StoreError {
    if code_of(&error) != Some(code::NO_PRIVILEGE) {
        return engine(error);
    }
    StoreError::NotWritable {
        reason: format!("migration {number} may not change the schema: {}", said(&error)),
        remedy: format!(
            "let the user own the database, or `GRANT CREATE ON SCHEMA public TO` it; if tables are there, {OWN_TABLES}"
        ),
    }
}
