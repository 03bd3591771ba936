use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_store::StoreError;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::{
    PostgresStore,
    clock::ClockOffset,
    database::{Database, STATEMENT_TIMEOUT, settings, translates_statements},
    error::{POOLER_REMEDY, engine, is_passing, opening, other, since_connected},
    listen,
    location::{Location, without_password},
    locations, providers,
    schema::{self, Found},
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

/// What [`PostgresStore::open`] may do to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As [`Mode::Migrate`]: making the database itself is for those who run the server.
    Create,
    /// Makes the tables if it is empty and migrates it if it is older.
    Migrate,
    /// Neither: an empty database and an older one are refused.
    Existing,
    /// Opens an older one as it is, only to ask for [`hostatlas_store::AdminStore::schema_status`].
    Inspect,
}

/// How to open a store.
#[derive(Clone)]
pub struct OpenOptions {
    /// `postgres://user:password@host:5432/database`, with `sslmode` and the like as parameters, and
    /// `pooler=transaction` where a pooler hands each transaction to another session.
    pub url: String,
    /// A URL past the pooler, to listen at. Without one, behind a pooler, idle workers are woken by polling alone.
    pub direct_url: Option<String>,
    /// What may be done to it.
    pub mode: Mode,
    /// How far the store's clock runs ahead; only tests move it.
    pub clock_offset: ClockOffset,
    /// How long to wait for a server that is down, starts, stops or recovers. What will not pass by itself, such as a
    /// wrong password, is never waited for.
    pub patience: Duration,
}

impl OpenOptions {
    /// Opens `url` in `mode`, by the server's clock, at once or not at all.
    pub fn new(url: impl Into<String>, mode: Mode) -> Self {
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

/// Why a database was not opened.
struct Refused {
    error: StoreError,
    /// Whether the same may succeed in a moment.
    passes: bool,
}

/// What lasts until somebody does something about it.
impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self { error, passes: false }
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
            let refused = match Self::attempt(&location, direct.as_ref(), &options).await {
                Ok(store) => return Ok(store),
                Err(refused) => refused,
            };
            if !refused.passes || began.elapsed() + ASK_AGAIN > options.patience {
                return Err(refused.error);
            }
            if !has_said {
                let seconds = options.patience.as_secs();
                tracing::warn!("{}; it is waited for, {seconds} seconds at most", refused.error);
                has_said = true;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn attempt(
        location: &Location,
        direct: Option<&Location>,
        options: &OpenOptions,
    ) -> Result<Self, Refused> {
        let lost = |error| {
            let (error, passes) = since_connected(&location.text, error);
            Refused { error, passes }
        };
        let mut connection = connect(location).await?;
        let translates = location.is_pooled
            && within(CONNECT_TIMEOUT, translates_statements(&mut connection)).await.map_err(lost)?;
        let database = Database::new(location, direct, translates, options.clock_offset.clone());
        let found = database.read(|connection, _| Box::pin(server(connection))).await.map_err(lost)?;
        check_engine(&database, found)?;
        prepare(&mut connection, &database, options.mode).await.map_err(lost)?;
        // A connection that does not end well was only there to look.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, connection.close()).await;
        let listener = listen::Listener::start(database.listening.clone());
        let (caches, walk) = (locations::Caches::default(), providers::Walk::default());
        Ok(Self { database, caches, walk, listener })
    }

    /// A database's URL as it may be shown: without its password and parameters.
    pub fn shown(url: &str) -> String {
        without_password(url)
    }
}

/// One connection beside the pool, which would hide why it cannot be made.
async fn connect(location: &Location) -> Result<PgConnection, Refused> {
    let options = settings(location, false).statement_cache_capacity(0);
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, options.connect());
    let error = match connected.await {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err(error)) => error,
        Err(_) => sqlx::Error::PoolTimedOut,
    };
    let passes = is_passing(&error);
    Err(Refused { error: opening(&location.text, error), passes })
}

/// An answer of a server that had let us in, if it comes in time.
async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let answered = tokio::time::timeout(patience, answer).await;
    answered.unwrap_or_else(|_| Err(other(sqlx::Error::PoolTimedOut)))
}

/// What a server says of itself.
#[derive(sqlx::FromRow)]
struct Server {
    number: i32,
    version: String,
    encoding: String,
    statement_timeout: i64,
}

fn check_engine(database: &Database, server: Server) -> Result<(), StoreError> {
    if let Some(error) = too_old(server.number, &server.version) {
        return Err(error);
    }
    let unreachable =
        |reason: String| StoreError::Unreachable { location: database.location.to_string(), reason };
    if server.encoding != "UTF8" {
        let remedy = "make one with `createdb --encoding=UTF8 --template=template0`";
        let encoding = server.encoding;
        return Err(unreachable(format!(
            "its encoding is {encoding}, which cannot hold every name: {remedy}"
        )));
    }
    if i64::try_from(STATEMENT_TIMEOUT.as_millis()).ok() != Some(server.statement_timeout) {
        return Err(unreachable(format!("the settings of a session are not kept: {POOLER_REMEDY}")));
    }
    Ok(())
}

async fn server(connection: &mut PgConnection) -> Result<Server, StoreError> {
    sqlx::query_as(
        "SELECT current_setting('server_version_num')::integer AS number,
                current_setting('server_version') AS version, current_setting('server_encoding') AS encoding,
                (SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout') AS statement_timeout",
    )
    .fetch_one(connection)
    .await
    .map_err(engine)
}

fn too_old(number: i32, version: &str) -> Option<StoreError> {
    let found = format!("PostgreSQL {version}");
    (number < OLDEST_ENGINE).then_some(StoreError::EngineTooOld { found, wanted: "PostgreSQL 15" })
}

async fn prepare(connection: &mut PgConnection, database: &Database, mode: Mode) -> Result<(), StoreError> {
    if matches!(mode, Mode::Create | Mode::Migrate) {
        return within(MIGRATION_TIMEOUT, schema::migrate(connection, &database.location)).await;
    }
    let inspected = database.read(|connection, _| {
        let location = Arc::clone(&database.location);
        Box::pin(async move { schema::inspect(connection, &location).await })
    });
    let found = match inspected.await? {
        Found::Version(version) => version,
        Found::Nothing => 0,
    };
    if mode == Mode::Existing && found < schema::WANTED {
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
        let mut options = OpenOptions::new("postgres://me:secret@db.test/atlas", Mode::Existing);
        options.direct_url = Some("postgres://me:secret@db.test/atlas?password=secret".to_owned());
        assert!(!format!("{options:?}").contains("secret"));
    }
}
