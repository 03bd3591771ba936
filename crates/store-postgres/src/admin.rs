//! Running the database.

use std::path::Path;

use async_trait::async_trait;
use hostatlas_domain::Timestamp;
use hostatlas_store::{AdminStore, Backup, BackupWatch, CheckReport, SchemaStatus, StoreError, WorkerRole};
use sqlx::PgConnection;

use crate::{
    PostgresStore, check, copy,
    error::{corrupt, engine},
    jobs::KINDS,
    providers, schema, tidy, workers,
};

/// Every process has it: leases and their tokens keep workers apart.
struct EveryoneIsWorker;

impl WorkerRole for EveryoneIsWorker {
    fn is_exclusive(&self) -> bool {
        false
    }
}

#[async_trait]
impl AdminStore for PostgresStore {
    async fn worker_role(&self) -> Result<Box<dyn WorkerRole>, StoreError> {
        self.database.read(|connection, _| Box::pin(copy::refuse_half(connection))).await?;
        Ok(Box::new(EveryoneIsWorker))
    }

    async fn schema_status(&self) -> Result<SchemaStatus, StoreError> {
        let (found, engine, bytes) = self.database.read(|connection, _| Box::pin(status(connection))).await?;
        let location = self.database.location.to_string();
        Ok(SchemaStatus { location, engine, found, wanted: schema::WANTED, bytes })
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.database.read(|_, now| Box::pin(async move { Ok(Timestamp::from_millis(now)) })).await
    }

    async fn try_write(&self) -> Result<(), StoreError> {
        let tried = self.database.write(|connection, _| Box::pin(workers::try_write(connection)));
        self.database.writing.wrote(tried.await)
    }

    async fn jobs_of_newer_kinds(&self) -> Result<u64, StoreError> {
        self.database.read(|connection, _| Box::pin(jobs_of_newer_kinds(connection))).await
    }

    async fn check(&self) -> Result<CheckReport, StoreError> {
        check::check(&self.database).await
    }

    async fn tidy(&self) -> Result<bool, StoreError> {
        let forgot = providers::forget(&self.database, &self.walk).await?;
        Ok(tidy::tidy(&self.database).await? || forgot)
    }

    fn can_back_up(&self) -> Result<(), StoreError> {
        Err(not_backed_up())
    }

    async fn backup(&self, _to: &Path, _watch: BackupWatch) -> Result<Backup, StoreError> {
        Err(not_backed_up())
    }

    async fn close(&self) {
        self.listener.stop();
        self.database.close().await;
    }
}

fn not_backed_up() -> StoreError {
    StoreError::NotSupported {
        what: "a PostgreSQL database is not backed up by hostatlas".to_owned(),
        remedy: "use `pg_dump --format=custom --file=FILE \"$HOSTATLAS_DATABASE_URL\"`, or the server's continuous \
                 archiving; docs/OPERATIONS.md has the drill"
            .to_owned(),
    }
}

async fn jobs_of_newer_kinds(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let jobs: i64 = sqlx::query_scalar(
        "SELECT coalesce(sum(n), 0)::bigint FROM
             (SELECT kind, state, n FROM job_count UNION ALL SELECT kind, state, n FROM job_count_delta) AS counted
         WHERE kind >= $1 AND state < 3",
    )
    .bind(KINDS)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    u64::try_from(jobs).map_err(|_| corrupt("a count of jobs"))
}

async fn status(connection: &mut PgConnection) -> Result<(i64, String, Option<u64>), StoreError> {
    let found = schema::version(connection).await?;
    let (version, bytes): (String, i64) =
        sqlx::query_as("SELECT current_setting('server_version'), pg_database_size(current_database())")
            .fetch_one(connection)
            .await
            .map_err(engine)?;
    // Debian adds its own version in parentheses.
    let version = version.split(' ').next().unwrap_or_default();
    Ok((found, format!("PostgreSQL {version}"), u64::try_from(bytes).ok()))
}
