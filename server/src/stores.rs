//! Opening a database of any kind by its URL: the only place that knows which kinds there are.

use std::{fs, sync::Arc, time::Duration};

use hostatlas_services::{OpenMode, Store};
use hostatlas_store_postgres::PostgresStore;
use hostatlas_store_sqlite::{OpenOptions, SqliteStore, path_of};

use crate::failure::Failure;

/// Whether a URL names a PostgreSQL database.
pub fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Whether a URL names a file that is missing or empty, and no database on a server.
pub fn is_new_file(url: &str) -> bool {
    let is_empty = |path| fs::metadata(path).map_or(true, |file| file.len() == 0);
    !is_postgres(url) && path_of(url).map_or(true, is_empty)
}

/// Opens it in `mode`; one on a server is never migrated by [`OpenMode::Create`], which is [`OpenMode::Existing`] there.
/// `direct_url` leads past a pooler, to listen at; `patience` is how long a server that is down, starts or recovers is
/// waited for.
pub async fn open(
    url: &str,
    direct_url: Option<&str>,
    mode: OpenMode,
    patience: Duration,
) -> Result<Arc<dyn Store>, hostatlas_services::Error> {
    if !is_postgres(url) {
        return Ok(Arc::new(SqliteStore::open(OpenOptions::new(url, mode)).await?));
    }
    // Many machines work with it: its schema changes when somebody says so, not when the first is upgraded.
    let mode = if mode == OpenMode::Create { OpenMode::Existing } else { mode };
    let mut options = hostatlas_store_postgres::OpenOptions::new(url, mode);
    options.direct_url = direct_url.map(str::to_owned);
    options.patience = patience;
    Ok(Arc::new(PostgresStore::open(options).await?))
}

/// As [`open`] without a pooler, as a failure of a command that names two databases.
pub async fn open_named(url: &str, flag: &str, mode: OpenMode) -> Result<Arc<dyn Store>, Failure> {
    if !is_postgres(url) && url.contains("://") && !url.starts_with("sqlite:") {
        return Err(Failure::usage(format!("`{flag}` does not name a database that hostatlas knows"))
            .with_hint("use sqlite://FILE or postgres://USER@HOST/DATABASE"));
    }
    open(url, None, mode, Duration::ZERO).await.map_err(|error| {
        let is_behind = matches!(
            error,
            hostatlas_services::Error::Database(hostatlas_services::StoreError::SchemaBehind { .. })
        );
        let failure = Failure::from(error).in_option(flag);
        if is_behind {
            failure.with_hint("run `hostatlas --database-url URL db migrate` with its URL first")
        } else {
            failure
        }
    })
}
