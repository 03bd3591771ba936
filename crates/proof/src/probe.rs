//! What is seen of a database of either kind behind the back of who works in it.

mod postgres;
mod sqlite;

use std::collections::BTreeMap;

pub(crate) use postgres::PostgresProbe;
pub(crate) use sqlite::SqliteProbe;

/// The bytes that a database takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Space {
    /// The file, or all tables.
    pub(crate) file: u64,
    /// The log beside a file.
    pub(crate) log: u64,
    /// Each table of a server, with its indexes.
    pub(crate) tables: BTreeMap<String, u64>,
}

/// A connection of one's own, to look at what others do.
pub(crate) enum Probe {
    Sqlite(SqliteProbe),
    Postgres(PostgresProbe),
}

impl Probe {
    /// One number, by a statement that both understand.
    pub(crate) async fn number(&mut self, sql: &'static str) -> anyhow::Result<i64> {
        match self {
            Self::Sqlite(probe) => probe.number(sql).await,
            Self::Postgres(probe) => probe.number(sql).await,
        }
    }

    /// Jobs that are done, by the counters.
    pub(crate) async fn completed(&mut self) -> anyhow::Result<i64> {
        match self {
            Self::Sqlite(probe) => probe.completed().await,
            Self::Postgres(probe) => probe.completed().await,
        }
    }

    /// Jobs that wait or run, by the counters.
    pub(crate) async fn live(&mut self) -> anyhow::Result<i64> {
        match self {
            Self::Sqlite(probe) => probe.live().await,
            Self::Postgres(probe) => probe.live().await,
        }
    }

    /// Jobs in the table, by the counters.
    pub(crate) async fn jobs(&mut self) -> anyhow::Result<i64> {
        match self {
            Self::Sqlite(probe) => probe.jobs().await,
            Self::Postgres(probe) => probe.jobs().await,
        }
    }

    /// What it takes.
    pub(crate) async fn space(&mut self) -> anyhow::Result<Space> {
        match self {
            Self::Sqlite(probe) => Ok(probe.space()),
            Self::Postgres(probe) => probe.space().await,
        }
    }

    /// Closes it.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(probe) => probe.close().await,
            Self::Postgres(probe) => probe.close().await,
        }
    }
}
