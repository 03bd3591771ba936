//! The use cases of hostatlas: all that REST, server functions and the command line call, and nothing below it.
//!
//! [`Services`] is made once a process; each noun has its own handle, which is cheap to get.

mod admin;
mod authorize;
mod backup;
mod clock;
mod copy;
mod coverage;
mod error;
mod events;
mod flight;
mod forecast;
mod geolocate;
mod hosts;
mod imports;
mod jobs;
mod ledger;
mod locator;
mod map;
mod mmdb;
mod providers;
mod request;
mod runs;
mod schedules;
mod services;
mod sites;
mod worker;
mod workers;

pub use admin::{Admin, DoctorFinding, DoctorReport, Severity, attributions};
pub use authorize::Permission;
pub use clock::now;
pub use copy::{CopiedTable, CopyPhase, CopyReport, CopyRequest, CopySource, CopyStep, copy};
pub use coverage::{CoverageService, EmptyReason};
pub use error::Error;
pub use events::{Event, Events};
pub use geolocate::{Geolocate, GeolocateProgress, GeolocateRequest, LookedUp, Selection, Waiting, lookup};
pub use hosts::Hosts;
pub use imports::{GrowingFile, ImportInput, ImportPhase, ImportProgress, Imports};
pub use jobs::{EnqueueRequest, EnqueuedHosts, EnqueuedJobsReport, Jobs, PruneRequest};
pub use ledger::StoreLedger;
pub use locator::{LocatorConfig, MadeLocator, OnlineConfig, OnlineProviderConfig, locator, places_remedy};
pub use map::{Map, PlaceView};
pub use mmdb::Mmdb;
pub use providers::{PinLocation, Providers, consensus};
pub use runs::{RunRequest, Runs};
pub use schedules::{
    BACKUP_DAYS_KEPT, BACKUP_WEEKS_KEPT, BACKUPS_KEPT, COMPLETED_KEPT_FOR, DISCARDED_KEPT_FOR, Schedules,
};
pub use services::{ProviderProblem, Services, ServicesConfig, UnusedSetting};
pub use worker::{Worker, WorkerOptions, WorkerReport};
pub use workers::Workers;

pub use hostatlas_geolocation::online::{CustomConfig, Ledger, ProviderConfig};
pub use hostatlas_geolocation::{
    AddressFamilies, DatabaseStatus, Locator, MmdbConfig, MmdbSet, Role as DatabaseRole, Site,
};
pub use hostatlas_queue::HEARTBEAT;
pub use hostatlas_store::{
    BackupPhase, BackupStep, BackupWatch, ChangedJobs, CheckReport, Finding, HostCount, HostFacets,
    HostHistory, OpenMode, SchemaStatus, Store, StoreError, WORKER_FORGOTTEN_AFTER, WORKER_SILENT_AFTER,
};
