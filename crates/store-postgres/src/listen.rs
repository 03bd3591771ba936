//! Hearing that there is work, from whichever process queued it.
//!
//! It is a hint and nothing else: whoever waits for work also looks every second. So a connection that is lost, or that
//! a pooler never allowed, costs idle workers up to a second, and no job.

use std::{fmt, sync::Arc, time::Duration};

use hostatlas_store::StoreError;
use rand::Rng;
use sqlx::{
    Executor, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{sync::Notify, task::JoinHandle};

use crate::error::engine;

/// The name under which work is announced.
const CHANNEL: &str = "hostatlas_jobs";
/// After so long in silence the server is asked whether it still lives: a cable that was pulled says nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How long connecting or an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before a connection is made anew; doubled up to [`LONGEST_PAUSE`] while none can be made.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Tells everybody who listens that there may be work, once this transaction is committed. Several times in one
/// transaction are once.
pub(crate) async fn announce(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await.map_err(engine)?;
    Ok(())
}

/// Why nothing is heard.
#[derive(Debug)]
enum Deaf {
    /// No answer came in time.
    Silent,
    /// The connection ended.
    Cut,
    /// Whatever else the engine says.
    Engine(sqlx::Error),
}

impl fmt::Display for Deaf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => formatter.write_str("the server did not answer in time"),
            Self::Cut => formatter.write_str("the connection was cut"),
            Self::Engine(error) => error.fmt(formatter),
        }
    }
}

impl From<sqlx::Error> for Deaf {
    fn from(error: sqlx::Error) -> Self {
        Self::Engine(error)
    }
}

/// A task that listens on a connection of its own for as long as this lives.
pub(crate) struct Listener {
    heard: Arc<Notify>,
    task: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens at `options`; without any, nothing is ever heard.
    pub(crate) fn start(options: Option<PgConnectOptions>) -> Self {
        let heard = Arc::new(Notify::new());
        let task = options.map(|options| tokio::spawn(listen(options, Arc::clone(&heard))));
        Self { heard, task }
    }

    /// Returns when work was announced. What was announced while nobody waited is heard by the next who does.
    pub(crate) async fn heard(&self) {
        self.heard.notified().await;
    }

    /// Hangs up. What waits then waits for ever.
    pub(crate) fn stop(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn listen(options: PgConnectOptions, heard: Arc<Notify>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let connecting = tokio::time::timeout(2 * PATIENCE, connect(&options)).await;
        match connecting.unwrap_or(Err(Deaf::Silent)) {
            Ok(listener) => {
                pause = SHORTEST_PAUSE;
                // Nobody knows what was missed until now.
                wake(&heard);
                let error = hear(listener, &heard).await;
                tracing::debug!(%error, "The connection that listens for work was lost; polling goes on");
            }
            Err(error) => {
                tracing::debug!(%error, "Cannot listen for work; polling goes on");
            }
        }
        // Many processes lost the same server: they must not all come back in the same moment.
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(pause.mul_f64(jitter)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgListener, Deaf> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Hears until the connection is lost; answers why it was.
async fn hear(mut listener: PgListener, heard: &Notify) -> Deaf {
    loop {
        match tokio::time::timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {
                // A burst is one reason to look.
                while listener.next_buffered().is_some() {}
                wake(heard);
            }
            Ok(Ok(None)) => return Deaf::Cut,
            Ok(Err(error)) => return error.into(),
            Err(_) => {
                let asked = tokio::time::timeout(PATIENCE, listener.execute("SELECT 1")).await;
                match asked {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return error.into(),
                    Err(_) => return Deaf::Silent,
                }
            }
        }
    }
}

/// Wakes all who wait, and leaves one reason to look for whoever was between looking and waiting.
fn wake(heard: &Notify) {
    heard.notify_waiters();
    heard.notify_one();
}
