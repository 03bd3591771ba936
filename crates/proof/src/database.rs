//! A database of either kind, and where it is made.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::ValueEnum;
use hostatlas_store::Store;
use hostatlas_store_postgres::PostgresStore;
use hostatlas_store_sqlite::SqliteStore;
use hostatlas_test_postgres::{Cluster, psql};

use crate::{
    cluster,
    installation::Installation,
    probe::{PostgresProbe, Probe, SqliteProbe},
};

/// What a proof runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// A file.
    Sqlite,
    /// A server of the proof's own.
    Postgres,
}

impl Backend {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// Its name in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// Whether jobs may be ended there in one step, without having been marked as running.
    pub const fn has_peeks(self) -> bool {
        matches!(self, Self::Sqlite)
    }
}

/// Where databases are made.
pub(crate) enum Server {
    Sqlite(tempfile::TempDir),
    Postgres(Cluster),
}

impl Server {
    pub(crate) fn start(backend: Backend) -> anyhow::Result<Self> {
        match backend {
            Backend::Sqlite => {
                Ok(Self::Sqlite(tempfile::Builder::new().prefix("hostatlas-proof-").tempdir()?))
            }
            Backend::Postgres => Ok(Self::Postgres(tokio::task::block_in_place(cluster::start)?.0)),
        }
    }

    /// A database for stores of this process, made when it is first opened.
    pub(crate) fn database(&self, name: &str) -> anyhow::Result<Database> {
        match self {
            Self::Sqlite(folder) => Ok(Database::Sqlite(folder.path().join(format!("{name}.db")))),
            Self::Postgres(cluster) => {
                psql(&cluster.url(), &format!("CREATE DATABASE {name}"))?;
                Ok(Database::Postgres(cluster.url_of(name)))
            }
        }
    }

    /// The database of an installation, which is told of it.
    pub(crate) fn database_of(
        &self,
        installation: &mut Installation,
        name: &str,
    ) -> anyhow::Result<Database> {
        let database = match self {
            Self::Sqlite(_) => return Ok(Database::Sqlite(installation.database())),
            Self::Postgres(_) => self.database(name)?,
        };
        installation.set("HOSTATLAS_DATABASE_URL", database.location());
        installation.run_well(&["db", "migrate"])?;
        Ok(database)
    }
}

/// One database.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Database {
    /// The one at this path or URL.
    pub(crate) fn at(backend: Backend, location: &str) -> Self {
        match backend {
            Backend::Sqlite => Self::Sqlite(PathBuf::from(location)),
            Backend::Postgres => Self::Postgres(location.to_owned()),
        }
    }

    /// Its path or URL.
    pub(crate) fn location(&self) -> String {
        match self {
            Self::Sqlite(path) => path.to_string_lossy().into_owned(),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Opens it, and makes what is missing.
    pub(crate) async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        self.open_ahead(Duration::ZERO).await
    }

    /// The same, by a clock that is ahead.
    pub(crate) async fn open_ahead(&self, ahead: Duration) -> anyhow::Result<Arc<dyn Store>> {
        Ok(match self {
            Self::Sqlite(path) => {
                use hostatlas_store_sqlite::{OpenMode, OpenOptions};
                let options = OpenOptions::new(path.to_string_lossy(), OpenMode::Create);
                options.clock_offset.advance(ahead);
                Arc::new(SqliteStore::open(options).await?)
            }
            Self::Postgres(url) => {
                use hostatlas_store_postgres::{OpenMode, OpenOptions};
                let options = OpenOptions::new(url.as_str(), OpenMode::Create);
                options.clock_offset.advance(ahead);
                Arc::new(PostgresStore::open(options).await?)
            }
        })
    }

    /// A look at it.
    pub(crate) async fn probe(&self) -> anyhow::Result<Probe> {
        Ok(match self {
            Self::Sqlite(path) => Probe::Sqlite(SqliteProbe::reading(path).await?),
            Self::Postgres(url) => Probe::Postgres(PostgresProbe::new(url)),
        })
    }
}
