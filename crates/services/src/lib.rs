//! The use cases of hostatlas: all that REST, server functions and the command line call, and nothing below it.
//!
//! [`Services`] is made once a process; each noun has its own handle, which is cheap to get.

mod admin;
mod authorize;
mod clock;
mod coverage;
mod error;
mod events;
mod geolocate;
mod hosts;
mod imports;
mod jobs;
mod map;
mod request;
mod runs;
mod services;
mod worker;

pub use admin::{Admin, Attribution, DoctorFinding, DoctorReport, Severity};
pub use authorize::Permission;
pub use coverage::{CoverageService, EmptyReason};
pub use error::Error;
pub use events::{Event, Events};
pub use geolocate::{Geolocate, GeolocateProgress, GeolocateRequest, Selection, lookup};
pub use hosts::Hosts;
pub use imports::{ImportInput, ImportPhase, ImportProgress, Imports};
pub use jobs::{EnqueueRequest, EnqueuedJobsReport, JobTargets, Jobs, PruneRequest};
pub use map::{Map, PlaceView};
pub use runs::{RunRequest, RunSelection, Runs};
pub use services::{Services, ServicesConfig};
pub use worker::{Worker, WorkerOptions, WorkerReport};

pub use hostatlas_geolocation::{
    AddressFamilies, DatabaseStatus, Locator, MmdbConfig, MmdbSet, Role as DatabaseRole,
};
pub use hostatlas_store::{ChangedJobs, CheckReport, Finding, HostCount, HostHistory, SchemaStatus};
