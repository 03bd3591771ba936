use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_store::{OpenMode, StoreError};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::{
    PostgresStore,
    clock::ClockOffset,
    database::Database,
    error::{
        Failed, POOLER_REMEDY, SILENT, UNANSWERED, engine, is_passing, opening, since_connected, unreachable,
    },
    listen,
    location::{Location, without_password},
    locations, providers,
    schema::{self, Found},
    session::{STATEMENT_TIMEOUT, settings, translates_statements},
};

/// The first `PostgreSQL` that is tested with: 15, as `server_version_num` counts.
const OLDEST_ENGINE: i32 = 150_000;
/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long bringing the schema up to date may take: as long as the tables are large. But it must end, for a server that
/// is cut off says nothing.
const MIGRATION_TIMEOUT: Duration = Duration::from_hours(24);
/// How often a server that is away is asked again by those who wait for it.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// How to open a store.
#[derive(Clone)]
pub struct OpenOptions {
    /// `postgres://user:password@host:5432/database`, with `sslmode` and the like as parameters, and
    /// `pooler=transaction` where a pooler hands each transaction to another session.
    pub url: String,
    /// A URL past the pooler, to listen at. Without one, behind a pooler, idle workers are woken by polling alone.
    pub direct_url: Option<String>,
    /// What may be done to it.
    pub mode: OpenMode,
    /// How far the store's clock runs ahead; only tests move it.
    pub clock_offset: ClockOffset,
    /// How long to wait for a server that is down, starts, stops or recovers. What will not pass by itself, such as a
    /// wrong password, is never waited for.
    pub patience: Duration,
}

impl OpenOptions {
    /// Opens `url` in `mode`, by the server's clock, at once or not at all.
    pub fn new(url: impl Into<String>, mode: OpenMode) -> Self {
        let (clock_offset, patience) = (ClockOffset::default(), Duration::ZERO);
        Self { url: url.into(), direct_url: None, mode, clock_offset, patience }
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenOptions")
            .field("url", &without_password(&self.url))
            .field("direct_url", &self.direct_url.as_deref().map(without_password))
            .field("mode", &self.mode)
            .field("clock_offset", &self.clock_offset)
            .field("patience", &self.patience)
            .finish()
    }
}

impl PostgresStore {
    /// Connects to a database. Nothing is changed in one that is refused.
    pub async fn open(options: OpenOptions) -> Result<Self, StoreError> {
        let location: Location = options.url.parse()?;
        let direct: Option<Location> = options.direct_url.as_deref().map(str::parse).transpose()?;
        let began = Instant::now();
        let mut has_said = false;
        loop {
            let Failed { error, passes } = match Self::attempt(&location, direct.as_ref(), &options).await {
                Ok(store) => return Ok(store),
                Err(failed) => failed,
            };
            if !passes || began.elapsed() + ASK_AGAIN > options.patience {
                return Err(error);
            }
            if !has_said {
                let seconds = options.patience.as_secs();
                tracing::warn!("{error}; it is waited for, {seconds} seconds at most");
                has_said = true;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn attempt(
        location: &Location,
        direct: Option<&Location>,
        options: &OpenOptions,
    ) -> Result<Self, Failed> {
        let lost = |error| since_connected(&location.text, error);
        let mut connection = connect(location).await?;
        let translates = location.is_pooled
            && within(CONNECT_TIMEOUT, &location.text, translates_statements(&mut connection))
                .await
                .map_err(lost)?;
        let caches = locations::Caches::default();
        let database =
            Database::new(location, direct, translates, caches.clone(), options.clock_offset.clone());
        let found = database.read(|connection, _| Box::pin(server(connection))).await.map_err(lost)?;
        database.tells_copies(found.says_identity);
        check_engine(&database, found)?;
        prepare(&mut connection, &database, options.mode).await.map_err(lost)?;
        // A connection that does not end well was only there to look.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, connection.close()).await;
        let listener = listen::Listener::start(database.listening.clone());
        let walk = providers::Walk::default();
        Ok(Self { database, caches, walk, listener, frontier: Arc::default() })
    }

    /// A database's URL as it may be shown: without its password and parameters.
    pub fn shown(url: &str) -> String {
        without_password(url)
    }
}

/// One connection beside the pool, which would hide why it cannot be made.
async fn connect(location: &Location) -> Result<PgConnection, Failed> {
    let options = settings(location, false).statement_cache_capacity(0);
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => {
            let passes = is_passing(&error);
            Err(Failed { error: opening(&location.text, error), passes })
        }
        Err(_) => Err(Failed { error: unreachable(&location.text, UNANSWERED), passes: true }),
    }
}

/// An answer of a server that had let us in, if it comes in time.
async fn within<T>(
    patience: Duration,
    location: &str,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let answered = tokio::time::timeout(patience, answer).await;
    answered.unwrap_or_else(|_| Err(unreachable(location, SILENT)))
}

/// What a server says of itself.
#[derive(sqlx::FromRow)]
struct Server {
    number: i32,
    version: String,
    encoding: String,
    statement_timeout: i64,
    /// Everybody may ask, unless it was taken from them.
    says_identity: bool,
}

fn check_engine(database: &Database, server: Server) -> Result<(), StoreError> {
    if let Some(error) = too_old(server.number, &server.version) {
        return Err(error);
    }
    if server.encoding != "UTF8" {
        let remedy = "make one with `createdb --encoding=UTF8 --template=template0`";
        let encoding = server.encoding;
        let reason = format!("its encoding is {encoding}, which cannot hold every name: {remedy}");
        return Err(unreachable(&database.location, reason));
    }
    if i64::try_from(STATEMENT_TIMEOUT.as_millis()).ok() != Some(server.statement_timeout) {
        let reason = format!("the settings of a session are not kept: {POOLER_REMEDY}");
        return Err(unreachable(&database.location, reason));
    }
    Ok(())
}

async fn server(connection: &mut PgConnection) -> Result<Server, StoreError> {
    sqlx::query_as(
        "SELECT current_setting('server_version_num')::integer AS number,
                current_setting('server_version') AS version, current_setting('server_encoding') AS encoding,
                (SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout') AS statement_timeout,
                has_function_privilege('pg_postmaster_start_time()', 'EXECUTE')
                    AND has_function_privilege('pg_relation_filepath(regclass)', 'EXECUTE') AS says_identity",
    )
    .fetch_one(connection)
    .await
    .map_err(engine)
}

fn too_old(number: i32, version: &str) -> Option<StoreError> {
    let found = format!("PostgreSQL {version}");
    (number < OLDEST_ENGINE).then_some(StoreError::EngineTooOld { found, wanted: "PostgreSQL 15" })
}

async fn prepare(
    connection: &mut PgConnection,
    database: &Database,
    mode: OpenMode,
) -> Result<(), StoreError> {
    if matches!(mode, OpenMode::Create | OpenMode::Migrate) {
        let migrated = schema::migrate(connection, &database.location);
        return within(MIGRATION_TIMEOUT, &database.location, migrated).await;
    }
    let location = Arc::clone(&database.location);
    let inspected = database
        .read_with(location, |connection, _, location| Box::pin(schema::inspect(connection, location)));
    let found = match inspected.await? {
        Found::Version(version) => version,
        Found::Nothing => 0,
    };
    if mode == OpenMode::Existing && found < schema::WANTED {
        return Err(StoreError::SchemaBehind { found, wanted: schema::WANTED });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_before_15_are_too_old() {
        let old = [(90_624, true), (140_011, true), (149_999, true), (150_000, false), (180_001, false)];
        for (number, is_old) in old {
            assert_eq!(too_old(number, "1").is_some(), is_old, "{number}");
        }
    }

    #[test]
    fn options_show_no_password() {
        let mut options = OpenOptions::new("postgres://me:secret@db.test/atlas", OpenMode::Existing);
        options.direct_url = Some("postgres://me:secret@db.test/atlas?password=secret".to_owned());
        assert!(!format!("{options:?}").contains("secret"));
    }
}
