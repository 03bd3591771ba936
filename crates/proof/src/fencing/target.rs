//! Empty databases to replay on.

use std::{any::Any, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use hostatlas_store::Store;
use hostatlas_store_postgres::PostgresStore;
use hostatlas_store_sqlite::SqliteStore;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::database::Backend;

/// Names the server on which replays may make databases.
pub const POSTGRES_VARIABLE: &str = "HOSTATLAS_TEST_POSTGRES_URL";

/// An empty database.
pub(super) struct Target {
    pub(super) store: Arc<dyn Store>,
    pub(super) advance: Arc<dyn Fn(Duration) + Send + Sync>,
    keep: Keep,
}

enum Keep {
    Folder(Box<dyn Any + Send + Sync>),
    Database { server: String, name: String },
}

impl Target {
    pub(super) async fn open(backend: Backend, server: Option<&str>) -> anyhow::Result<Self> {
        match backend {
            Backend::Sqlite => Self::sqlite().await,
            Backend::Postgres => Self::postgres(server).await,
        }
    }

    async fn sqlite() -> anyhow::Result<Self> {
        use hostatlas_store_sqlite::{ClockOffset, Mode, OpenOptions};
        // In memory where that is possible: nothing here is about the disk.
        let memory = Path::new("/dev/shm");
        let mut builder = tempfile::Builder::new();
        let folder = builder.prefix("hostatlas-fencing-");
        let folder = if memory.is_dir() { folder.tempdir_in(memory) } else { folder.tempdir() }?;
        let clock_offset = ClockOffset::default();
        let location = folder.path().join("hostatlas.db").display().to_string();
        let options = OpenOptions { location, mode: Mode::Create, clock_offset: clock_offset.clone() };
        let store = Arc::new(SqliteStore::open(options).await?);
        let advance = Arc::new(move |duration| clock_offset.advance(duration));
        Ok(Self { store, advance, keep: Keep::Folder(Box::new(folder)) })
    }

    async fn postgres(server: Option<&str>) -> anyhow::Result<Self> {
        use hostatlas_store_postgres::{ClockOffset, Mode, OpenOptions};
        let given = server.map(str::to_owned).map_or_else(|| std::env::var(POSTGRES_VARIABLE), Ok);
        let server = given.with_context(|| {
            format!("{POSTGRES_VARIABLE} names no server: run this by `cargo xtask postgres -- COMMAND`")
        })?;
        let name = format!("fencing_{:016x}", rand::random::<u64>());
        execute(&server, format!("CREATE DATABASE {name}")).await?;
        let (head, tail) =
            server.split_once('?').map_or((server.as_str(), None), |(head, tail)| (head, Some(tail)));
        let base = head.rsplit_once('/').map_or(head, |(base, _)| base);
        let tail = tail.map_or_else(String::new, |tail| format!("?{tail}"));
        let clock_offset = ClockOffset::default();
        let mut options = OpenOptions::new(format!("{base}/{name}{tail}"), Mode::Create);
        options.clock_offset = clock_offset.clone();
        let store = Arc::new(PostgresStore::open(options).await?);
        let advance = Arc::new(move |duration| clock_offset.advance(duration));
        Ok(Self { store, advance, keep: Keep::Database { server, name } })
    }

    /// Closes and removes it.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        self.store.close().await;
        match self.keep {
            Keep::Folder(folder) => drop(folder),
            Keep::Database { server, name } => {
                execute(&server, format!("DROP DATABASE {name} WITH (FORCE)")).await?;
            }
        }
        Ok(())
    }
}

async fn execute(server: &str, statement: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
