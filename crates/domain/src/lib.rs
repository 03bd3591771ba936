//! What things are: the pure types, rules and view types of hostatlas.
//!
//! Nothing here waits, reads a clock, a file or the network, so all of it also runs in the browser.
//! The words are those of `docs/ARCHITECTURE.md`.

mod address;
mod attribution;
mod country;
mod coverage;
mod database;
mod event;
mod host;
mod import;
mod job;
mod location;
mod map;
mod mmdb_comparison;
mod network;
mod page;
mod place;
mod port;
mod problem;
mod provider;
mod provider_status;
mod query;
mod quota;
mod run;
mod schedule;
mod scope;
mod sighting;
mod special;
mod text;
mod timestamp;
mod worker;

pub use address::{Address, InvalidAddress};
pub use attribution::Attribution;
pub use country::{CountryCode, InvalidCountryCode};
pub use coverage::{CountryCoverage, Coverage, ProviderCoverage, RecentResult};
pub use database::{CandidateComparison, CandidateDatabase, ComparisonState, Databases, InstalledDatabase};
pub use event::{Topic, TopicChange};
pub use host::{
    Host, HostId, HostLocation, HostSort, HostSummary, LocationChange, Service, ServiceChange,
    UnknownHostSort,
};
pub use import::{
    BadLine, Import, ImportId, ImportReport, ImportState, LineCounts, LineOutcome, LineReason, ScanFormat,
    Undone,
};
pub use job::{
    AddressRefusal, EnqueuedJob, InvalidJobTargets, Job, JobConditions, JobCounts, JobFilter, JobId, JobKind,
    JobRefusal, JobState, JobStats, JobTargets, KindStats, KindStatus, LeaseToken, Priority, QueueStats,
    RefusedAddress, RefusedJob, UnknownJobKind, UnknownJobState,
};
pub use location::{
    DEFAULT_MAX_AGE, DuePolicy, FAILURE_RETRY_AFTER, Located, Location, LocationFacts, LocationState,
    UnlocatedReason, due, is_stale,
};
pub use map::{BoundingBox, InvalidBoundingBox, MapAnswer, MapEntry, MapEntryKind, Nearest, NotShown};
pub use mmdb_comparison::{HostMove, MmdbComparison, MoveCounts, MoveEnd};
pub use network::{Asn, InvalidAsn, Network, NetworkId};
pub use page::{Cursor, InvalidCursor, Page};
pub use place::{Coordinate, InvalidCoordinate, Place, PlaceId, Precision};
pub use port::{InvalidPort, PortNumber, Protocol, UnknownProtocol};
pub use problem::{Problem, ProblemCode};
pub use provider::{LookupStatus, LookupView, ProviderName, UnknownProvider};
pub use provider_status::{
    BreakerState, Forecast, HostAnswer, HostAnswers, Latencies, LimitStatus, LookupCost, ProviderAnswer,
    ProviderAnswerStatus, ProviderStatus, ProviderTally, ThirdParty,
};
pub use query::{HostFilter, HostQuery, InvalidQuery, QUERY_FIELDS, QueryField, QueryTerm, query_terms};
pub use quota::{
    Closed, InvalidLimit, Limit, LimitUnit, LimitWindow, Observation, Permits, Spent, Wait, WaitReason,
    Window, take_permits,
};
pub use run::{GeolocateSummary, Mode, Run, RunId, RunState, UnknownMode};
pub use schedule::{
    InvalidScheduleRule, Schedule, ScheduleOutcome, ScheduleRule, ScheduleState, ScheduleTask,
    UnknownScheduleTask,
};
pub use scope::Scope;
pub use sighting::{Sighting, SightingRecord};
pub use special::{AddressClass, classify};
pub use text::{escape_control, sanitize, truncate_bytes};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use worker::{RunningJobs, WorkerState, WorkerStatus};
