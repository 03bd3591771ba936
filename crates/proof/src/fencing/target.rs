//! Empty databases to replay on.

use std::{any::Any, path::Path, sync::Arc, time::Duration};

use hostatlas_store::Store;
use hostatlas_store_postgres::PostgresStore;
use hostatlas_store_sqlite::SqliteStore;
use hostatlas_test_postgres::TestDatabase;

use crate::database::{Backend, Server};

/// An empty database.
pub(super) struct Target {
    pub(super) store: Arc<dyn Store>,
    pub(super) advance: Arc<dyn Fn(Duration) + Send + Sync>,
    /// What is removed with it.
    _keep: Box<dyn Any + Send + Sync>,
}

impl Target {
    /// One on `server`, which takes it along when it goes, or else on that of the environment.
    pub(super) async fn open(backend: Backend, server: Option<&Server>) -> anyhow::Result<Self> {
        match backend {
            Backend::Sqlite => Self::sqlite().await,
            Backend::Postgres => Self::postgres(server).await,
        }
    }

    async fn sqlite() -> anyhow::Result<Self> {
        use hostatlas_store_sqlite::{ClockOffset, OpenMode, OpenOptions};
        // In memory where that is possible: nothing here is about the disk.
        let memory = Path::new("/dev/shm");
        let mut builder = tempfile::Builder::new();
        let folder = builder.prefix("hostatlas-fencing-");
        let folder = if memory.is_dir() { folder.tempdir_in(memory) } else { folder.tempdir() }?;
        let clock_offset = ClockOffset::default();
        let location = folder.path().join("hostatlas.db").display().to_string();
        let options = OpenOptions { location, mode: OpenMode::Create, clock_offset: clock_offset.clone() };
        let store = Arc::new(SqliteStore::open(options).await?);
        let advance = Arc::new(move |duration| clock_offset.advance(duration));
        Ok(Self { store, advance, _keep: Box::new(folder) })
    }

    async fn postgres(server: Option<&Server>) -> anyhow::Result<Self> {
        use hostatlas_store_postgres::{ClockOffset, OpenMode, OpenOptions};
        let (url, keep): (String, Box<dyn Any + Send + Sync>) = if let Some(server) = server {
            let database = server.database(&format!("fencing_{:016x}", rand::random::<u64>()))?;
            (database.location(), Box::new(()))
        } else {
            let database = TestDatabase::empty()?;
            (database.url(), Box::new(database))
        };
        let clock_offset = ClockOffset::default();
        let mut options = OpenOptions::new(url, OpenMode::Create);
        options.clock_offset = clock_offset.clone();
        let store = Arc::new(PostgresStore::open(options).await?);
        let advance = Arc::new(move |duration| clock_offset.advance(duration));
        Ok(Self { store, advance, _keep: keep })
    }
}
