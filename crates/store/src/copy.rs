use async_trait::async_trait;

use crate::StoreError;

/// A value of a row that is moved from one backend to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyValue {
    /// Nothing.
    Null,
    /// A number of up to 64 bits.
    Integer(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A table that a copy moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyTable {
    /// Its name, the same in every backend.
    pub name: &'static str,
    /// Its columns, in the order of a row's values.
    pub columns: &'static [&'static str],
    /// How many of the first columns are its key.
    pub key: usize,
}

/// How far a copy is with one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// The table.
    pub name: String,
    /// The key of the last row that was written; none before the first.
    pub after: Option<Vec<CopyValue>>,
    /// Rows written.
    pub copied: u64,
    /// Whether it is complete.
    pub done: bool,
}

/// What an installation consists of, in the order in which it is moved. Who runs now (`worker`, `duty`) and change
/// numbers belong to the processes of one database, and stay behind.
pub const COPY_TABLES: &[CopyTable] = &[
    CopyTable {
        name: "import",
        columns: &[
            "id",
            "source",
            "format",
            "state",
            "started_at",
            "reported_at",
            "finished_at",
            "hosts_new",
            "hosts_seen",
            "services_new",
            "services_seen",
            "jobs_queued",
            "lines_ok",
            "lines_repaired",
            "lines_duplicate",
            "lines_skipped",
            "lines_bad",
            "truncated",
            "first_bad",
        ],
        key: 1,
    },
    CopyTable {
        name: "place",
        columns: &[
            "id",
            "latitude_e5",
            "longitude_e5",
            "precision",
            "city",
            "region",
            "country_code",
            "timezone",
            "hosts",
        ],
        key: 1,
    },
    CopyTable { name: "network", columns: &["id", "asn", "organization", "isp"], key: 1 },
    CopyTable {
        name: "host",
        columns: &[
            "id",
            "address",
            "first_seen",
            "last_seen",
            "first_import",
            "last_import",
            "import_count",
            "class",
            "location_state",
            "reason",
            "place",
            "network",
            "provider",
            "accuracy_km",
            "database_build",
            "located_at",
            "attempted_at",
            "pinned",
        ],
        key: 1,
    },
    CopyTable {
        name: "service",
        columns: &[
            "host",
            "port",
            "protocol",
            "state",
            "first_seen",
            "last_seen",
            "first_import",
            "last_import",
            "import_count",
            "service",
            "banner",
        ],
        key: 3,
    },
    CopyTable { name: "service_change", columns: &["id", "host", "port", "protocol", "state", "at"], key: 1 },
    CopyTable {
        name: "location_change",
        columns: &["id", "host", "at", "from_place", "to_place", "provider"],
        key: 1,
    },
    CopyTable {
        name: "job",
        columns: &[
            "id",
            "kind",
            "host",
            "port",
            "protocol",
            "priority",
            "state",
            "run_at",
            "force",
            "rerun",
            "lease_token",
            "leased_until",
            "claimed_by",
            "attempt",
            "max_attempts",
            "crash_count",
            "created_at",
            "started_at",
            "finished_at",
            "last_error",
            "result",
        ],
        key: 1,
    },
    CopyTable { name: "job_kind", columns: &["kind", "paused_at", "cap"], key: 1 },
    CopyTable { name: "job_count", columns: &["kind", "state", "n"], key: 2 },
    CopyTable { name: "counter", columns: &["name", "key", "n"], key: 2 },
    CopyTable {
        name: "recent_result",
        columns: &["id", "host", "location_state", "reason", "place", "provider", "attempted_at"],
        key: 1,
    },
    CopyTable {
        name: "run",
        columns: &[
            "id",
            "mode",
            "state",
            "total",
            "started_at",
            "reported_at",
            "finished_at",
            "cancel_requested",
            "considered",
            "located",
            "unlocated",
            "failed",
            "skipped",
            "queued",
            "duplicate",
            "error",
            "deferred",
        ],
        key: 1,
    },
    CopyTable {
        name: "provider_window",
        columns: &["provider", "account", "name", "closed_until", "next_at", "spent"],
        key: 3,
    },
    CopyTable {
        name: "provider_state",
        columns: &[
            "provider",
            "account",
            "calls",
            "failed_calls",
            "addresses",
            "located",
            "missed",
            "latencies",
            "last_call_at",
            "last_error",
            "last_error_at",
            "breaker",
            "breaker_until",
            "disabled_because",
        ],
        key: 2,
    },
    CopyTable { name: "answer", columns: &["address", "provider", "answered_at", "answer"], key: 2 },
    CopyTable {
        name: "schedule",
        columns: &[
            "task",
            "rule",
            "next_at",
            "paused_at",
            "asked_at",
            "lease_token",
            "leased_until",
            "worker",
            "started_at",
            "finished_at",
            "outcome",
            "detail",
        ],
        key: 1,
    },
];

/// Tables that have rows in a new database: migrations make them, and counters stay when what they counted is gone.
/// What a person set in them is looked for by its columns.
pub const NEW_WITH_ROWS: [&str; 4] = ["job_kind", "job_count", "counter", "schedule"];

/// Moving a whole installation from one backend to another.
#[async_trait]
pub trait CopyStore: Send + Sync {
    /// Prepares a source: what is not in its place yet (counters that are kept as differences) is put there. Again before
    /// both sides are compared: a difference that was written meanwhile shows there.
    async fn copy_source(&self) -> Result<(), StoreError>;

    /// Prepares a target, or goes on with a copy from the same `source`: answers how far each table is, in the order of
    /// [`COPY_TABLES`]. [`StoreError::Conflict`] if rows are there that such a copy did not bring, or if somebody paused or
    /// capped a kind of job or changed a schedule; what migrations make is replaced.
    async fn copy_begin(&self, source: &str) -> Result<Vec<CopyProgress>, StoreError>;

    /// The next rows of a table by key, at most `limit`; fewer mean that it has ended.
    async fn copy_read(
        &self,
        table: &CopyTable,
        after: Option<&[CopyValue]>,
        limit: u32,
    ) -> Result<Vec<Vec<CopyValue>>, StoreError>;

    /// Writes rows and how far the table is, in one transaction. `done` says that they are its last.
    ///
    /// Rows are taken only while a copy is under way. Otherwise the answer is [`StoreError::Conflict`], and nothing is
    /// written.
    async fn copy_write(
        &self,
        table: &CopyTable,
        rows: Vec<Vec<CopyValue>>,
        done: bool,
    ) -> Result<(), StoreError>;

    /// From where a copy into this database was begun that has not ended; none if there is no such copy. Until it ended
    /// nobody may write here: [`crate::AdminStore::worker_role`], [`crate::ImportStore::import_start`],
    /// [`crate::RunStore::run_start`], [`crate::LocationStore::location_pin`], and queueing
    /// ([`crate::JobStore::job_enqueue`], [`crate::JobStore::jobs_enqueue`]) answer [`StoreError::CopyUnfinished`].
    async fn copy_unfinished(&self) -> Result<Option<String>, StoreError>;

    /// Throws away what an unfinished copy brought, so that the same copy begins anew; without one nothing happens.
    async fn copy_discard(&self) -> Result<(), StoreError>;

    /// Makes a target usable: new rows are numbered after the copied ones, serving processes see everything as changed,
    /// and the progress is forgotten. Until then a worker refuses to start on it.
    async fn copy_end(&self) -> Result<(), StoreError>;
}
