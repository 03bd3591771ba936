//! The task that owns the only connection that writes.

use std::{
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use hostatlas_store::{HistoryId, StoreError, backend::Past};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use crate::{
    clock::Clock,
    error::{Failure, is_sync_failure, other},
    lock::{Locks, WriteLock},
    standing::{FileId, Standing, stands_at, take_up},
};

/// How many small operations share one commit at most.
const GROUP_SIZE: usize = 256;
/// How long a group takes in more of them.
const GROUP_TIME: Duration = Duration::from_millis(5);
/// After so many groups in a row a waiting bulk operation has its turn.
const GROUPS_IN_A_ROW: u32 = 8;
/// Pages of write-ahead log from which they are copied into the database: 16 MiB, four times the engine's default,
/// since bulk work rewrites the same pages.
const CHECKPOINT_PAGES: i64 = 4_000;
/// Pages from which that is done under the lock. A checkpoint beside other processes' writes never comes to the end
/// of the log, and the log begins anew only at its end.
const LONG_LOG_PAGES: i64 = 16_000;
/// After so many groups the log is looked at; a bulk operation looks each time.
const GROUPS_PER_LOOK: u32 = 32;

/// One operation on its way through the writer.
pub(crate) trait Command: Send {
    /// Whether it runs in a transaction; what may not, such as a checkpoint, runs under the lock alone.
    fn needs_transaction(&self) -> bool;

    /// The history of the database in which it was asked for; none if it may run in any.
    fn asked_in(&self) -> Option<HistoryId>;

    /// Runs it inside the open transaction; answers whether it succeeded.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection, now: i64) -> BoxFuture<'c, bool>;

    /// Tells the caller, now that the transaction is committed or lost.
    fn settle(self: Box<Self>, lost: Option<&Failure>);

    /// Tells the caller that it never ran.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// A [`Command`] of an operation and whoever waits for its answer.
pub(crate) struct Task<T, F> {
    operation: Option<F>,
    needs_transaction: bool,
    asked_in: Option<HistoryId>,
    answer: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Task<T, F> {
    pub(crate) fn new(
        asked_in: HistoryId,
        operation: F,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self {
            operation: Some(operation),
            needs_transaction: true,
            asked_in: Some(asked_in),
            answer: None,
            reply,
        }
    }

    /// An operation that may not run in a transaction.
    pub(crate) fn outside(
        asked_in: HistoryId,
        operation: F,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self { needs_transaction: false, ..Self::new(asked_in, operation, reply) }
    }

    /// An operation that writes nothing: it is asked for so that the writer looks which file is there.
    pub(crate) fn looking(operation: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { asked_in: None, ..Self::new(HistoryId::default(), operation, reply) }
    }
}

impl<T, F> Command for Task<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection, i64) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
{
    fn needs_transaction(&self) -> bool {
        self.needs_transaction
    }

    fn asked_in(&self) -> Option<HistoryId> {
        self.asked_in
    }

    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection, now: i64) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let Some(operation) = self.operation.take() else { return false };
            let answer = AssertUnwindSafe(operation(connection, now)).catch_unwind().await;
            let answer = answer.unwrap_or_else(|_| Err(other("an operation on the database panicked")));
            let succeeded = answer.is_ok();
            self.answer = Some(answer);
            succeeded
        })
    }

    // A caller that has gone away does not need the answer.
    fn settle(self: Box<Self>, lost: Option<&Failure>) {
        let answer = match (self.answer, lost) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(failure)) => Err(failure.clone().into_error()),
            (Some(Ok(answer)), None) => Ok(answer),
            (None, None) => Err(other("an operation on the database did not run")),
        };
        let _ = self.reply.send(answer);
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

/// The writer's own state.
pub(crate) struct Writer {
    pub(crate) connection: SqliteConnection,
    pub(crate) path: PathBuf,
    /// The files that `connection` has open.
    pub(crate) standing: Standing,
    pub(crate) past: Arc<Past<FileId>>,
    pub(crate) locks: Locks,
    pub(crate) clock: Arc<Clock>,
    pub(crate) small: mpsc::Receiver<Box<dyn Command>>,
    pub(crate) bulk: mpsc::Receiver<Box<dyn Command>>,
    /// Set for good once the disk did not confirm a write.
    pub(crate) broken: Option<Failure>,
    /// Groups since the log was looked at.
    pub(crate) unlooked: u32,
}

/// What is to be done next.
enum Next {
    Small(Box<dyn Command>),
    Bulk(Box<dyn Command>),
    Stop,
}

impl Writer {
    /// Runs until `stop` is dropped, then finishes what was handed in before.
    pub(crate) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut groups = 0;
        loop {
            match self.next(&mut stop, groups).await {
                Next::Small(command) => {
                    groups += 1;
                    self.group(command).await;
                }
                Next::Bulk(command) => {
                    groups = 0;
                    self.alone(command).await;
                }
                Next::Stop => break,
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "The database did not close cleanly");
        }
    }

    async fn next(&mut self, stop: &mut oneshot::Receiver<()>, groups: u32) -> Next {
        if groups >= GROUPS_IN_A_ROW
            && let Ok(command) = self.bulk.try_recv()
        {
            return Next::Bulk(command);
        }
        tokio::select! {
            biased;
            Some(command) = self.small.recv() => Next::Small(command),
            Some(command) = self.bulk.recv() => Next::Bulk(command),
            _ = stop, if !self.small.is_closed() => {
                self.small.close();
                self.bulk.close();
                Box::pin(self.rest()).await
            }
            else => Next::Stop,
        }
    }

    /// What is still in the closed channels.
    async fn rest(&mut self) -> Next {
        match self.small.recv().await {
            Some(command) => Next::Small(command),
            None => self.bulk.recv().await.map_or(Next::Stop, Next::Bulk),
        }
    }

    /// One bulk operation, one commit.
    async fn alone(&mut self, mut command: Box<dyn Command>) {
        if let Some(failure) = &self.broken {
            return command.refuse(failure.clone().into_error());
        }
        let lock = match self.bulk_lock().await {
            Ok(lock) => lock,
            Err(error) => return command.refuse(error),
        };
        if let Err(error) = self.stay_with_the_name(command.asked_in()).await {
            return command.refuse(error);
        }
        if !command.needs_transaction() {
            command.run(&mut self.connection, self.clock.now()).await;
            drop(lock);
            return command.settle(None);
        }
        if let Err(error) = self.execute("BEGIN IMMEDIATE").await {
            return command.refuse(error.into_error());
        }
        let began = Instant::now();
        let succeeded = command.run(&mut self.connection, self.clock.now()).await;
        let lost = self.finish(succeeded).await;
        let pages = self.bound_log().await;
        drop(lock);
        tracing::trace!(milliseconds = began.elapsed().as_millis(), "Bulk transaction");
        command.settle(lost.as_ref());
        self.shorten_log(pages).await;
    }

    /// The write lock for a bulk operation. While another process has it, small operations that arrive do not wait
    /// behind this one.
    async fn bulk_lock(&mut self) -> Result<WriteLock, StoreError> {
        let locks = self.locks.clone();
        for _ in 0..GROUPS_IN_A_ROW {
            tokio::select! {
                biased;
                lock = locks.bulk() => return lock,
                Some(command) = self.small.recv() => self.group(command).await,
            }
        }
        locks.bulk().await
    }

    /// Small operations as they come, one commit.
    async fn group(&mut self, first: Box<dyn Command>) {
        if let Some(failure) = &self.broken {
            return first.refuse(failure.clone().into_error());
        }
        let lock = match self.locks.small().await {
            Ok(lock) => lock,
            Err(error) => return first.refuse(error),
        };
        if let Err(error) = self.stay_with_the_name(first.asked_in()).await {
            return first.refuse(error);
        }
        if let Err(error) = self.execute("BEGIN IMMEDIATE").await {
            return first.refuse(error.into_error());
        }
        let (commands, lost) = self.fill(first).await;
        self.unlooked += 1;
        let pages = if self.unlooked >= GROUPS_PER_LOOK { self.bound_log().await } else { 0 };
        drop(lock);
        for command in commands {
            command.settle(lost.as_ref());
        }
        self.shorten_log(pages).await;
    }

    /// Goes over to the file that took the place of the one that is open, if one did, and refuses what was asked for
    /// before. The lock is held.
    async fn stay_with_the_name(&mut self, asked_in: Option<HistoryId>) -> Result<(), StoreError> {
        if stands_at(&self.path)? != self.standing.file {
            let (connection, standing) = take_up(&self.path, self.standing).await?;
            let before = std::mem::replace(&mut self.connection, connection);
            self.standing = standing;
            self.past.is_now(standing.file);
            // The disk that did not confirm a write to the file before may be another one.
            self.broken = None;
            // The engine notices that it was moved, and leaves the log alone that has its name now.
            if let Err(error) = before.close().await {
                tracing::debug!(%error, "The file that was moved away did not close cleanly");
            }
        }
        asked_in.map_or(Ok(()), |asked_in| self.past.refuse_older(asked_in))
    }

    /// How many pages the log has, at most [`LONG_LOG_PAGES`]. The lock is held.
    async fn bound_log(&mut self) -> i64 {
        self.unlooked = 0;
        let pages = self.checkpoint("PRAGMA wal_checkpoint(NOOP)").await;
        if pages < LONG_LOG_PAGES {
            return pages;
        }
        self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").await;
        0
    }

    /// Copies the log into the database once it is long. The engine would do so within the commit: there its callers
    /// and every other process would wait for it.
    async fn shorten_log(&mut self, pages: i64) {
        if pages >= CHECKPOINT_PAGES {
            self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").await;
        }
    }

    async fn checkpoint(&mut self, statement: &'static str) -> i64 {
        match sqlx::query_as::<_, (i64, i64, i64)>(statement).fetch_one(&mut self.connection).await {
            Ok((_, pages, _)) => pages,
            Err(error) => {
                tracing::warn!(%error, "The write-ahead log could not be copied into the database");
                0
            }
        }
    }

    /// Runs the commands of a group and ends its transaction.
    async fn fill(&mut self, mut first: Box<dyn Command>) -> (Vec<Box<dyn Command>>, Option<Failure>) {
        let began = Instant::now();
        // The first needs no savepoint: if it fails, nothing else is lost with the transaction.
        let succeeded = first.run(&mut self.connection, self.clock.now()).await;
        let mut commands = vec![first];
        if !succeeded {
            let lost = self.finish(false).await;
            return (commands, lost);
        }
        while commands.len() < GROUP_SIZE && began.elapsed() < GROUP_TIME {
            let Ok(mut command) = self.small.try_recv() else { break };
            if let Some(Err(error)) = command.asked_in().map(|asked_in| self.past.refuse_older(asked_in)) {
                command.refuse(error);
                continue;
            }
            let ran = self.in_savepoint(command.as_mut()).await;
            commands.push(command);
            if let Err(failure) = ran {
                self.finish(false).await;
                return (commands, Some(failure));
            }
        }
        let lost = self.finish(true).await;
        (commands, lost)
    }

    /// An error means that the transaction of the whole group is lost, as after a full disk.
    async fn in_savepoint(&mut self, command: &mut dyn Command) -> Result<(), Failure> {
        self.execute("SAVEPOINT command").await?;
        if !command.run(&mut self.connection, self.clock.now()).await {
            self.execute("ROLLBACK TO command").await?;
        }
        self.execute("RELEASE command").await
    }

    async fn finish(&mut self, commit: bool) -> Option<Failure> {
        let lost = if commit {
            match sqlx::query("COMMIT").execute(&mut self.connection).await {
                Ok(_) => return None,
                Err(error) if is_sync_failure(&error) => {
                    let failure = Failure::NotWritable(format!("the disk did not confirm a write: {error}"));
                    tracing::error!(%error, "The disk did not confirm a write; no more is written until a restart");
                    self.broken = Some(failure.clone());
                    Some(failure)
                }
                Err(error) => Some(Failure::of(&error)),
            }
        } else {
            None
        };
        // After some errors the engine has rolled back by itself; then this has nothing to do.
        if let Err(error) = sqlx::query("ROLLBACK").execute(&mut self.connection).await {
            tracing::debug!(%error, "Nothing to roll back");
        }
        lost
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), Failure> {
        match sqlx::query(statement).execute(&mut self.connection).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::of(&error)),
        }
    }
}

#[cfg(test)]
mod tests;
