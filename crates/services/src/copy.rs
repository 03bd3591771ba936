//! Moving a whole installation from one database to another.

use std::sync::Arc;

use hostatlas_domain::{JobKind, WorkerState};
use hostatlas_store::{COPY_TABLES, CopyProgress, CopyTable, CopyValue, Store, StoreError, WorkerRole};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Rows a transaction: enough that its commit is not what takes time, few enough that it ends within 100 ms.
const ROWS: u32 = 4_000;

/// What is moved. Nobody works on it for as long as this lives, and nothing is changed in it.
pub struct CopySource {
    store: Arc<dyn Store>,
    location: String,
    // What a worker wrote meanwhile would be in one half of the copy alone.
    _role: Box<dyn WorkerRole>,
}

impl CopySource {
    /// Refuses a database on which somebody works; to be asked before a target is made.
    pub async fn new(store: Arc<dyn Store>) -> Result<Self, Error> {
        let location = store.schema_status().await?.location;
        let role = store.worker_role().await?;
        nobody_works(&*store, &location).await?;
        Ok(Self { store, location, _role: role })
    }
}

/// From where to where.
pub struct CopyRequest {
    /// What is moved.
    pub source: CopySource,
    /// An empty database, or one into which the same source was being copied.
    pub target: Arc<dyn Store>,
    /// Ends it between two transactions.
    pub cancel: CancellationToken,
}

/// What a copy is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPhase {
    /// Rows are written.
    Writing,
    /// Both sides are read again and compared.
    Verifying,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyStep {
    /// What it does.
    pub phase: CopyPhase,
    /// With which table.
    pub table: &'static str,
    /// Rows so far, over all tables.
    pub rows: u64,
    /// How many there will be; known once all are written.
    pub total: Option<u64>,
}

/// A table that was moved.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CopiedTable {
    /// Its name.
    pub name: &'static str,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over all of its rows, in hexadecimal: the same on both sides.
    pub sha256: String,
}

/// What a copy did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CopyReport {
    /// From where, without any password.
    pub from: String,
    /// To where, without any password.
    pub to: String,
    /// The tables.
    pub tables: Vec<CopiedTable>,
    /// Whether an interrupted copy was gone on with.
    pub resumed: bool,
    /// Jobs that were running in the source: they run again in the target once their lease is over.
    pub running_jobs: u64,
}

/// Copies every table, compares both sides, and makes the target usable. Interrupted at any point, the same call goes
/// on; until it is done no worker starts on the target.
pub async fn copy(request: CopyRequest, mut progress: impl FnMut(&CopyStep)) -> Result<CopyReport, Error> {
    let CopyRequest { source: CopySource { store: source, location: from, _role }, target, cancel } = request;
    let to = target.schema_status().await?.location;
    if from == to {
        return Err(Error::invalid(format!("`{from}` is both source and target"), "name two databases"));
    }
    let _target_role = target_role(&*target, &to).await?;
    source.copy_source().await?;
    let begun = target.copy_begin(&from).await.map_err(|error| refused(error, &to))?;
    let copied = |tables: &[CopyProgress]| tables.iter().map(|table| table.copied).sum::<u64>();
    let resumed = copied(&begun) > 0;
    let (rows, cancel) = (copied(&begun), &cancel);
    let mut copier = Copier { source: &*source, from: &from, target: &*target, cancel, rows };
    for (table, begun) in COPY_TABLES.iter().zip(begun) {
        if !begun.done {
            copier.write(table, begun, &mut progress).await?;
        }
    }
    // What was written to the source since its differences were added up is added up now, and shows: in a counter that
    // was copied without it, or in the rows that it is about.
    source.copy_source().await?;
    let total = copier.rows;
    copier.rows = 0;
    let mut tables = Vec::with_capacity(COPY_TABLES.len());
    for table in COPY_TABLES {
        tables.push(copier.compare(table, total, &mut progress).await?);
    }
    let stats = source.jobs_stats().await?;
    target.copy_end().await?;
    let running_jobs = JobKind::ALL.into_iter().map(|kind| stats.of(kind).running).sum();
    Ok(CopyReport { from, to, tables, resumed, running_jobs })
}

/// The worker role of a target, into which an interrupted copy may be under way: then it is refused to everybody.
async fn target_role(store: &dyn Store, location: &str) -> Result<Option<Box<dyn WorkerRole>>, Error> {
    let role = match store.worker_role().await {
        Ok(role) => Some(role),
        Err(StoreError::CopyUnfinished { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    nobody_works(store, location).await?;
    Ok(role)
}

async fn nobody_works(store: &dyn Store, location: &str) -> Result<(), Error> {
    let workers = store.workers_list().await?;
    let Some(worker) = workers.iter().find(|worker| worker.state != WorkerState::Silent) else {
        return Ok(());
    };
    Err(Error::Conflict {
        detail: format!("process {} on `{}` works on `{location}`", worker.process_id, worker.host_name),
        hint: Some("stop every `hostatlas serve` and `worker` on both databases first".to_owned()),
    })
}

fn refused(error: StoreError, to: &str) -> Error {
    match error {
        StoreError::Conflict(reason) => Error::Conflict {
            detail: format!("cannot copy into `{to}`: {reason}; nothing was changed"),
            hint: Some(
                "name an SQLite file that does not exist, or an empty PostgreSQL database after `db migrate`"
                    .to_owned(),
            ),
        },
        error => error.into(),
    }
}

struct Copier<'a> {
    source: &'a dyn Store,
    /// Its location.
    from: &'a str,
    target: &'a dyn Store,
    cancel: &'a CancellationToken,
    /// Rows so far.
    rows: u64,
}

impl Copier<'_> {
    /// Writes what is missing of a table; the next rows are read while the last are written.
    async fn write(
        &mut self,
        table: &CopyTable,
        begun: CopyProgress,
        progress: &mut impl FnMut(&CopyStep),
    ) -> Result<(), Error> {
        let mut rows = self.source.copy_read(table, begun.after.as_deref(), ROWS).await?;
        loop {
            self.go_on()?;
            let is_last = rows.len() < ROWS as usize;
            self.rows += rows.len() as u64;
            let after = key_of_last(table, &rows);
            let writing = self.target.copy_write(table, rows, is_last);
            if is_last {
                writing.await?;
                break;
            }
            let reading = self.source.copy_read(table, after.as_deref(), ROWS);
            let (written, next) = tokio::join!(writing, reading);
            written?;
            rows = next?;
            progress(&CopyStep {
                phase: CopyPhase::Writing,
                table: table.name,
                rows: self.rows,
                total: None,
            });
        }
        progress(&CopyStep { phase: CopyPhase::Writing, table: table.name, rows: self.rows, total: None });
        Ok(())
    }

    /// Reads a table on both sides.
    async fn compare(
        &mut self,
        table: &CopyTable,
        total: u64,
        progress: &mut impl FnMut(&CopyStep),
    ) -> Result<CopiedTable, Error> {
        let (mut source, mut target) = (Side::new(self.source), Side::new(self.target));
        while !(source.is_done && target.is_done) {
            self.go_on()?;
            let (read, other) = tokio::join!(source.step(table), target.step(table));
            self.rows += read?;
            other?;
            let total = Some(total);
            progress(&CopyStep { phase: CopyPhase::Verifying, table: table.name, rows: self.rows, total });
        }
        let (rows, sha256) = source.end();
        let (copied, of_copy) = target.end();
        if (rows, &sha256) != (copied, &of_copy) {
            self.target.copy_discard().await?;
            return Err(Error::Conflict {
                detail: format!(
                    "`{}` was written to while it was copied: its table `{}` has {rows} rows now and the copy {copied} \
                     (SHA-256 {sha256} and {of_copy}); the copy was thrown away",
                    self.from, table.name
                ),
                hint: Some(
                    "stop everything that writes to the source, imports and `geolocate` as well, and run the same command \
                     again: it begins anew"
                        .to_owned(),
                ),
            });
        }
        Ok(CopiedTable { name: table.name, rows, sha256 })
    }

    fn go_on(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Interrupted {
                detail: format!("the copy was stopped; {} rows are there and stay", self.rows),
                hint: Some("run the same command again to go on with it".to_owned()),
            });
        }
        Ok(())
    }
}

/// One side of a comparison.
struct Side<'a> {
    store: &'a dyn Store,
    after: Option<Vec<CopyValue>>,
    rows: u64,
    digest: Sha256,
    is_done: bool,
}

impl<'a> Side<'a> {
    fn new(store: &'a dyn Store) -> Self {
        Self { store, after: None, rows: 0, digest: Sha256::new(), is_done: false }
    }

    /// Takes in the next rows; answers how many.
    async fn step(&mut self, table: &CopyTable) -> Result<u64, Error> {
        if self.is_done {
            return Ok(0);
        }
        let rows = self.store.copy_read(table, self.after.as_deref(), ROWS).await?;
        self.is_done = rows.len() < ROWS as usize;
        self.after = key_of_last(table, &rows).or(self.after.take());
        let mut bytes = Vec::new();
        for value in rows.iter().flatten() {
            encode(value, &mut bytes);
        }
        self.digest.update(&bytes);
        self.rows += rows.len() as u64;
        Ok(rows.len() as u64)
    }

    fn end(self) -> (u64, String) {
        let mut text = String::with_capacity(64);
        for byte in self.digest.finalize() {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
        }
        (self.rows, text)
    }
}

fn key_of_last(table: &CopyTable, rows: &[Vec<CopyValue>]) -> Option<Vec<CopyValue>> {
    rows.last().map(|row| row.iter().take(table.key).cloned().collect())
}

/// A value as bytes that no other value, and no two values in a row, have: its type, its length where that varies, and
/// what it holds.
fn encode(value: &CopyValue, bytes: &mut Vec<u8>) {
    let (kind, content): (u8, &[u8]) = match value {
        CopyValue::Null => return bytes.push(0),
        CopyValue::Integer(number) => {
            bytes.push(1);
            return bytes.extend(number.to_be_bytes());
        }
        CopyValue::Text(text) => (2, text.as_bytes()),
        CopyValue::Bytes(content) => (3, content),
    };
    bytes.push(kind);
    bytes.extend((content.len() as u64).to_be_bytes());
    bytes.extend(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_rows_are_different_bytes() {
        let text = |text: &str| CopyValue::Text(text.to_owned());
        let rows = [
            vec![text("ab"), text("c")],
            vec![text("a"), text("bc")],
            vec![CopyValue::Bytes(b"ab".to_vec()), text("c")],
            vec![CopyValue::Null, text("abc")],
            vec![CopyValue::Integer(0), text("abc")],
            vec![text("abc"), CopyValue::Null],
        ];
        let encoded = rows.map(|row| {
            let mut bytes = Vec::new();
            for value in &row {
                encode(value, &mut bytes);
            }
            bytes
        });
        for (number, one) in encoded.iter().enumerate() {
            assert!(!encoded[number + 1..].contains(one), "{number}");
        }
    }
}
