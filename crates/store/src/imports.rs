use async_trait::async_trait;
use hostatlas_domain::{
    Address, BadLine, Cursor, DuePolicy, Import, ImportId, ImportState, LineCounts, LineReason, Page,
    PortNumber, Protocol, ScanFormat, Scope, Timestamp, Undone,
};

use crate::StoreError;

/// What begins an import.
#[derive(Clone, Debug)]
pub struct StartImport {
    /// What is read: a file name, or `-`.
    pub source: String,
    /// What was recognised.
    pub format: ScanFormat,
}

/// All that an import saw of one (address, port, protocol), or of an address alone, since it last recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The host.
    pub address: Address,
    /// The port, unless the record was about the host alone.
    pub port: Option<ObservedPort>,
    /// The earliest time that its records give.
    pub first_seen: Timestamp,
    /// The latest.
    pub last_seen: Timestamp,
}

/// What was seen of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPort {
    /// The port.
    pub port: PortNumber,
    /// Its protocol.
    pub protocol: Protocol,
    /// What the latest record says: open, or closed. A closed port makes no service, it closes a known one.
    pub open: bool,
    /// The latest banner.
    pub banner: Option<ObservedBanner>,
}

/// What a service said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedBanner {
    /// What the scanner takes the service for; may be empty.
    pub service: String,
    /// Bytes, at most 16 KiB.
    pub bytes: Vec<u8>,
}

/// A batch of observations to store.
#[derive(Clone, Debug)]
pub struct RecordSightings {
    /// On whose behalf.
    pub import: ImportId,
    /// Sorted by address, port and protocol, at most one for each; the observation of the address alone comes first.
    /// At most 10,000.
    pub observations: Vec<Observation>,
    /// Which hosts may be probed.
    pub scope: Scope,
    /// Which hosts get a geolocation job.
    pub due: DuePolicy,
}

/// What recording a batch changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Hosts that were made.
    pub hosts_new: u64,
    /// Hosts that this import touched for the first time, made ones included.
    pub hosts_seen: u64,
    /// Services that were made.
    pub services_new: u64,
    /// Services that this import touched for the first time, made ones included.
    pub services_seen: u64,
    /// Jobs that were queued, without those that were already live.
    pub jobs_queued: u64,
}

/// Where an import stands.
#[derive(Clone, Debug)]
pub struct FinishImport {
    /// The import.
    pub id: ImportId,
    /// Records so far.
    pub lines: LineCounts,
    /// Whether the input ended in the middle of a record or document.
    pub truncated: bool,
    /// The first bad records, at most ten.
    pub first_bad: Vec<BadLine>,
    /// Why records were repaired or skipped.
    pub reasons: Vec<LineReason>,
    /// `Running` while it goes on; `Done` or `Interrupted` ends it.
    pub state: ImportState,
}

/// Reading scan output into the store.
#[async_trait]
pub trait ImportStore: Send + Sync {
    /// Notes that an import begins.
    async fn import_start(&self, params: StartImport) -> Result<ImportId, StoreError>;

    /// Stores a batch: hosts, services, changes of services, counters and jobs, in one transaction.
    ///
    /// A new host is `not_applicable` if its address is special, else `pending`. Times only widen: `first_seen`
    /// falls, `last_seen` grows. An open port makes a service; a closed one sets a known service to closed and makes
    /// none; either is noted in the history if a known service's state changes. A banner replaces an older one.
    /// What is older than the service's `last_seen` changes neither its state nor its banner.
    ///
    /// Every public host of the batch that is due (`hostatlas_domain::due`) has a live geolocation job afterwards.
    /// Hosts inside the scope also have the jobs of the probe kinds: `banner_grab` for each open port, `domain_enum`
    /// once, `ssl_cert` for each open tcp port 443, 465, 636, 853, 993, 995, 8443 or whose banner is TLS
    /// (`ssl`, `X509`). Recording the same batch twice changes nothing but the import that last saw its rows.
    async fn sightings_record(&self, params: RecordSightings) -> Result<Recorded, StoreError>;

    /// How many batches are worth recording, or queueing jobs for, at once, as long as none of them share a host: one
    /// where a single writer has the database.
    fn batches_at_once(&self) -> usize {
        1
    }

    /// Notes how far an import is, at least every two seconds while it goes on; hosts, services and jobs are counted by
    /// [`ImportStore::sightings_record`] itself. One that has ended, or was undone, keeps its state.
    async fn import_finish(&self, params: FinishImport) -> Result<Import, StoreError>;

    /// Removes hosts and services that only this import brought, with their jobs; what another import has also seen
    /// stays. A host that a third, undone import shared may stay: in doubt nothing is lost.
    async fn import_undo(&self, id: ImportId) -> Result<Undone, StoreError>;

    /// One import; it is shown as interrupted when it has not reported for ten seconds. [`StoreError::UnknownImport`] if
    /// there is none.
    async fn import_get(&self, id: ImportId) -> Result<Import, StoreError>;

    /// Imports, newest first, each as [`ImportStore::import_get`] shows it.
    async fn imports_list(&self, cursor: Option<Cursor>, limit: u32) -> Result<Page<Import>, StoreError>;
}
