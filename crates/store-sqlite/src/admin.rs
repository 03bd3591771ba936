//! Running the database.

use std::path::Path;

use async_trait::async_trait;
use hostatlas_domain::Timestamp;
use hostatlas_store::{AdminStore, Backup, BackupWatch, CheckReport, SchemaStatus, StoreError, WorkerRole};
use sqlx::SqliteConnection;

use crate::{
    SqliteStore, backup, check, copy,
    database::Size,
    error::{corrupt, engine},
    jobs::KINDS,
    providers, schema, tidy, workers,
};

#[async_trait]
impl AdminStore for SqliteStore {
    async fn worker_role(&self) -> Result<Box<dyn WorkerRole>, StoreError> {
        let since = Timestamp::from_millis(self.database.now()).to_readable();
        let role = self.database.locks.worker(&since)?;
        self.database.read(|connection, _| Box::pin(copy::refuse_half(connection))).await?;
        Ok(role)
    }

    async fn schema_status(&self) -> Result<SchemaStatus, StoreError> {
        let (found, engine) = self.database.read(|connection, _| Box::pin(versions(connection))).await?;
        let bytes = std::fs::metadata(&self.database.path).ok().map(|metadata| metadata.len());
        let location = self.database.path.display().to_string();
        Ok(SchemaStatus { location, engine, found, wanted: schema::WANTED, bytes })
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_millis(self.database.now()))
    }

    async fn try_write(&self) -> Result<(), StoreError> {
        let tried =
            self.database.write(Size::Small, |connection, _| Box::pin(workers::try_write(connection)));
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
        Ok(())
    }

    async fn backup(&self, to: &Path, watch: BackupWatch) -> Result<Backup, StoreError> {
        backup::backup(&self.database, to, watch).await
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

async fn jobs_of_newer_kinds(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let jobs: i64 =
        sqlx::query_scalar("SELECT coalesce(sum(n), 0) FROM job_count WHERE kind >= ?1 AND state < 3")
            .bind(KINDS)
            .fetch_one(connection)
            .await
            .map_err(engine)?;
    u64::try_from(jobs).map_err(|_| corrupt("a count of jobs"))
}

async fn versions(connection: &mut SqliteConnection) -> Result<(i64, String), StoreError> {
    let (found, engine_version): (i64, String) =
        sqlx::query_as("SELECT user_version, sqlite_version() FROM pragma_user_version")
            .fetch_one(connection)
            .await
            .map_err(engine)?;
    Ok((found, format!("SQLite {engine_version}")))
}
