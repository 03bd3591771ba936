//! Locks beside the database, all of them operating system locks on files that stay: the kernel frees them with
//! whatever process held them.
//!
//! | file | who holds it |
//! |---|---|
//! | `X-lock` | the process that is in a write transaction |
//! | `X-small` | shared: whoever waits for `X-lock` with a small operation |
//! | `X-bulk` | the one bulk operation that is next |
//! | `X-worker` | the worker |
//!
//! A bulk operation begins only once nobody holds `X-small`, so a click waits for one bulk transaction at most. It
//! holds `X-bulk` while it waits, so two importing processes take turns: whoever just committed finds the other one
//! ahead of it. Without both, the process that lets go of a lock takes it again before a waiting one has woken up.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hostatlas_store::{StoreError, WorkerRole};

use crate::error;

/// How often a lock is tried again. Trying costs two microseconds; a blocking wait could neither be bounded nor
/// given up when its process stops.
const RETRY_EVERY: Duration = Duration::from_millis(1);
/// How long a write waits for other processes. As long as `SQLite`'s own busy timeout.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a bulk operation lets small ones of other processes go first, so that it cannot starve.
const COURTESY: Duration = Duration::from_millis(50);

/// The right to write, until it is dropped.
pub(crate) struct WriteLock {
    _file: File,
}

/// The lock files of one database.
#[derive(Clone, Debug)]
pub(crate) struct Locks {
    write: PathBuf,
    small: PathBuf,
    bulk: PathBuf,
    worker: PathBuf,
}

impl Locks {
    pub(crate) fn beside(database: &Path) -> Self {
        let named = |suffix: &str| {
            let mut name = OsString::from(database);
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { write: named("-lock"), small: named("-small"), bulk: named("-bulk"), worker: named("-worker") }
    }

    /// The write lock for a small operation.
    pub(crate) async fn small(&self) -> Result<WriteLock, StoreError> {
        if let Some(file) = attempt(&self.write, File::try_lock)? {
            return Ok(WriteLock { _file: file });
        }
        let deadline = Instant::now() + PATIENCE;
        let _waiting = until(deadline, &self.small, File::try_lock_shared).await?.ok_or(StoreError::Busy)?;
        let file = until(deadline, &self.write, File::try_lock).await?.ok_or(StoreError::Busy)?;
        Ok(WriteLock { _file: file })
    }

    /// The write lock for a bulk operation: small ones of other processes go first.
    pub(crate) async fn bulk(&self) -> Result<WriteLock, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let _turn = until(deadline, &self.bulk, File::try_lock).await?.ok_or(StoreError::Busy)?;
        let mut given = Duration::ZERO;
        loop {
            // Asked only once the lock was free: while another bulk operation holds it, no patience is used up.
            if let Some(file) = attempt(&self.write, File::try_lock)? {
                if given >= COURTESY || attempt(&self.small, File::try_lock)?.is_some() {
                    return Ok(WriteLock { _file: file });
                }
                given += RETRY_EVERY;
            }
            if Instant::now() >= deadline {
                return Err(StoreError::Busy);
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }

    /// Whether no bulk operation waits or works.
    #[cfg(test)]
    pub(crate) fn nobody_is_next(&self) -> Result<bool, StoreError> {
        Ok(attempt(&self.bulk, File::try_lock)?.is_some())
    }

    /// Whether no small operation waits for another process.
    #[cfg(test)]
    pub(crate) fn no_small_waits(&self) -> Result<bool, StoreError> {
        Ok(attempt(&self.small, File::try_lock)?.is_some())
    }

    /// The worker role, if no living process has it. `since` is what is written for others to read.
    pub(crate) fn worker(&self, since: &str) -> Result<Box<dyn WorkerRole>, StoreError> {
        let cannot = |error: io::Error| error::beside(&self.worker, &error);
        let Some(mut file) = attempt(&self.worker, File::try_lock)? else {
            let mut holder = String::new();
            let read = File::open(&self.worker).and_then(|file| file.take(256).read_to_string(&mut holder));
            let known = read.is_ok() && !holder.trim().is_empty();
            let holder = if known { holder.trim() } else { "a process that is just starting" }.to_owned();
            return Err(StoreError::WorkerRoleHeld { holder });
        };
        file.set_len(0).and_then(|()| file.rewind()).map_err(cannot)?;
        writeln!(file, "process {} since {since}", std::process::id()).map_err(cannot)?;
        Ok(Box::new(HeldRole { _file: file }))
    }
}

struct HeldRole {
    _file: File,
}

impl WorkerRole for HeldRole {
    fn is_exclusive(&self) -> bool {
        true
    }
}

/// Tries until `deadline`.
async fn until(
    deadline: Instant,
    path: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<Option<File>, StoreError> {
    loop {
        if let Some(file) = attempt(path, lock)? {
            return Ok(Some(file));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// Opens the file anew each time: the lock belongs to what was opened, so dropping it frees it and nothing else.
fn attempt(path: &Path, lock: fn(&File) -> Result<(), TryLockError>) -> Result<Option<File>, StoreError> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| error::beside(path, &error))?;
    match lock(&file) {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error::beside(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn locks() -> (tempfile::TempDir, Locks) {
        let directory = tempfile::tempdir().expect("a directory");
        let locks = Locks::beside(&directory.path().join("test.db"));
        (directory, locks)
    }

    /// Returns once somebody holds the lock.
    async fn taken(path: &Path) {
        while attempt(path, File::try_lock).expect("a lock file").is_some() {
            tokio::task::yield_now().await;
        }
    }

    fn spawn(locks: &Locks, name: &'static str, is_small: bool, done: &mpsc::Sender<&'static str>) {
        let (locks, done) = (locks.clone(), done.clone());
        tokio::spawn(async move {
            let held = if is_small { locks.small().await } else { locks.bulk().await };
            let held = held.expect("the lock");
            done.send(name).await.expect("a listener");
            drop(held);
        });
    }

    #[tokio::test]
    async fn a_small_operation_goes_before_a_bulk_one_that_waits_longer() {
        let (_directory, locks) = locks();
        let (done, mut order) = mpsc::channel(2);
        let held = locks.small().await.expect("a free lock");
        spawn(&locks, "bulk", false, &done);
        taken(&locks.bulk).await;
        spawn(&locks, "small", true, &done);
        taken(&locks.small).await;

        drop(held);

        assert_eq!([order.recv().await, order.recv().await], [Some("small"), Some("bulk")]);
    }

    #[tokio::test]
    async fn two_bulk_operations_take_turns() {
        let (_directory, locks) = locks();
        let (done, mut order) = mpsc::channel(2);
        let first = locks.bulk().await.expect("a free lock");
        spawn(&locks, "other process", false, &done);
        taken(&locks.bulk).await;
        drop(first);

        let again = locks.bulk().await.expect("the lock, after the other");

        assert_eq!(order.try_recv(), Ok("other process"));
        drop(again);
    }

    #[tokio::test]
    async fn small_operations_that_never_end_do_not_starve_bulk_ones() {
        let (_directory, locks) = locks();
        let _waiting =
            attempt(&locks.small, File::try_lock_shared).expect("a lock file").expect("a free lock");
        assert!(locks.bulk().await.is_ok());
    }

    #[tokio::test]
    async fn the_worker_role_has_one_holder_and_names_it() {
        let (_directory, locks) = locks();
        let role = locks.worker("2026-11-23 14:00:00 UTC").expect("a free role");
        let refusal = locks.worker("later").err().expect("a held role").to_string();
        assert_eq!(
            refusal,
            format!(
                "another process is the worker: process {} since 2026-11-23 14:00:00 UTC",
                std::process::id()
            )
        );
        drop(role);
        assert!(locks.worker("later").is_ok());
    }
}
