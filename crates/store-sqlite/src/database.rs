//! The one way in which this crate reads and writes.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use hostatlas_domain::Topic;
use hostatlas_store::{
    StoreError,
    backend::{Past, Writing},
};
use sqlx::{SqliteConnection, SqlitePool};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    clock::Clock,
    error::{engine, other},
    lock::Locks,
    open,
    standing::{FileId, stands_at},
    writer::{Command, Task},
};

/// How long a read may take. Every list reads a bounded number of rows, so this is met only by a sick disk.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long closing waits for reads that are under way. Whoever asked for a check or a backup may have gone away; its
/// statement, on a thread of its own, goes on to its end and may take minutes.
const READS_END_WITHIN: Duration = Duration::from_secs(1);

/// How much an operation writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// A handful of rows, for somebody who waits: committed in a group, ahead of bulk operations.
    Small,
    /// Thousands of rows: committed alone, in at most 100 ms.
    Bulk,
}

/// One database file: a writer task and a pool of readers.
pub(crate) struct Database {
    pub(crate) path: PathBuf,
    pub(crate) locks: Locks,
    readers: std::sync::Mutex<Readers>,
    pub(crate) past: Arc<Past<FileId>>,
    pub(crate) writing: Writing,
    clock: Arc<Clock>,
    small: mpsc::Sender<Box<dyn Command>>,
    bulk: mpsc::Sender<Box<dyn Command>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
}

/// The connections that read one file.
pub(crate) struct Readers {
    pub(crate) pool: SqlitePool,
    pub(crate) file: FileId,
}

/// What [`Database::new`] puts together.
pub(crate) struct Parts {
    pub(crate) path: PathBuf,
    pub(crate) locks: Locks,
    pub(crate) readers: Readers,
    pub(crate) past: Arc<Past<FileId>>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) small: mpsc::Sender<Box<dyn Command>>,
    pub(crate) bulk: mpsc::Sender<Box<dyn Command>>,
    pub(crate) writer: JoinHandle<()>,
    pub(crate) stop: oneshot::Sender<()>,
}

impl Database {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { path, locks, readers, past, clock, small, bulk, writer, stop } = parts;
        let readers = std::sync::Mutex::new(readers);
        let (writer, stop) = (Mutex::new(Some(writer)), Mutex::new(Some(stop)));
        let writing = Writing::default();
        Self { path, locks, readers, past, writing, clock, small, bulk, writer, stop }
    }

    /// Runs `operation` in a write transaction: all of it or nothing, durable once this returns.
    ///
    /// The operation must neither begin nor end a transaction of its own. It goes on when the caller is dropped.
    pub(crate) async fn write<T, F>(&self, size: Size, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, i64) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queue = if size == Size::Small { &self.small } else { &self.bulk };
        queue.send(Box::new(Task::new(self.past.history(), operation, reply))).await.map_err(|_| closed())?;
        self.writing.tried(answer.await.map_err(|_| closed())?)
    }

    /// Runs `operation` on the connection that writes, under the lock but outside any transaction.
    pub(crate) async fn outside<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, i64) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.bulk
            .send(Box::new(Task::outside(self.past.history(), operation, reply)))
            .await
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Runs `operation` on one consistent view of the database.
    pub(crate) async fn read<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, i64) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        self.read_within(READ_TIMEOUT, operation).await
    }

    /// As [`Database::read`], for what may take long.
    pub(crate) async fn read_within<T, F>(&self, timeout: Duration, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, i64) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let now = self.now();
        let reading = async {
            let mut transaction = self.readers().await?.begin().await.map_err(engine)?;
            let answer = operation(&mut transaction, now).await;
            transaction.rollback().await.map_err(engine)?;
            answer
        };
        tokio::time::timeout(timeout, reading).await.map_err(|_| StoreError::Busy)?
    }

    /// The connections that read the file which stands under the name of the database.
    pub(crate) async fn readers(&self) -> Result<SqlitePool, StoreError> {
        let file = stands_at(&self.path)?;
        if let Some(pool) = self.readers_of(file) {
            return Ok(pool);
        }
        // The writer sees to it that the other file is a database, and turns its log on.
        let (reply, answer) = oneshot::channel();
        self.small.send(Box::new(Task::looking(nothing, reply))).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())??;
        let file = stands_at(&self.path)?;
        Ok(self.readers_of(file).unwrap_or_else(|| self.renew_readers(file)))
    }

    fn readers_of(&self, file: FileId) -> Option<SqlitePool> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        (readers.file == file).then(|| readers.pool.clone())
    }

    fn renew_readers(&self, file: FileId) -> SqlitePool {
        let pool = open::readers(&self.path);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *readers, Readers { pool: pool.clone(), file });
        tokio::spawn(async move { before.pool.close().await });
        pool
    }

    /// How many small operations wait for the writer.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.small.max_capacity() - self.small.capacity()
    }

    /// Milliseconds since 1970; never goes back.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Ends the writer after what was already handed to it, and closes every connection but those that are deep in a
    /// long statement: they end with the process.
    pub(crate) async fn close(&self) {
        // The last connection to close puts the log into the database and removes it; one that only reads cannot. If one
        // is left, the log stays, and whoever opens the database next reads it.
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pool.clone();
        if tokio::time::timeout(READS_END_WITHIN, readers.close()).await.is_err() {
            tracing::debug!("A reading of the database goes on and is not waited for");
        }
        drop(self.stop.lock().await.take());
        if let Some(writer) = self.writer.lock().await.take()
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "The database writer ended in a panic");
        }
    }
}

/// Moves the change numbers of `topics`; the last statement of whatever changes what they show.
pub(crate) async fn touch(connection: &mut SqliteConnection, topics: &[Topic]) -> Result<(), StoreError> {
    let mask = topics.iter().fold(0_i64, |mask, topic| mask | (1 << topic.number()));
    sqlx::query("UPDATE change SET number = number + 1 WHERE (?1 >> topic) & 1")
        .bind(mask)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}

/// The map's next change number, for `place.changed`. Whoever uses it touches [`Topic::Map`] in the same transaction.
pub(crate) async fn next_map_number(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT number + 1 FROM change WHERE topic = ?1")
        .bind(Topic::Map.number())
        .fetch_one(connection)
        .await
        .map_err(engine)
}

fn nothing(_: &mut SqliteConnection, _: i64) -> BoxFuture<'_, Result<(), StoreError>> {
    Box::pin(async { Ok(()) })
}

fn closed() -> StoreError {
    other("the database is closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpenMode, OpenOptions, SqliteStore};

    /// Minutes of counting.
    const LONG: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
                        SELECT count(*) FROM n";

    #[tokio::test(flavor = "multi_thread")]
    async fn closing_does_not_wait_for_a_long_statement_that_nobody_waits_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let location = folder.path().join("test.db").display().to_string();
        let store = SqliteStore::open(OpenOptions::new(location, OpenMode::Create)).await.expect("a store");
        let reading = store.database.read_within(Duration::from_hours(1), |connection, _| {
            Box::pin(async move { sqlx::query(LONG).execute(connection).await.map_err(engine) })
        });
        assert!(tokio::time::timeout(Duration::from_millis(200), reading).await.is_err(), "it is short");

        let closed = tokio::time::timeout(Duration::from_secs(10), store.database.close()).await;

        assert!(closed.is_ok(), "it was waited for");
    }
}
