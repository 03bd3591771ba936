use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use hostatlas_domain::{DuePolicy, FAILURE_RETRY_AFTER, ProviderName, Scope, Timestamp};
use hostatlas_geolocation::{Locator, Site};
use hostatlas_store::Store;
use tokio::sync::Notify;

use crate::{
    Admin, CoverageService, Events, Geolocate, Hosts, Imports, Jobs, Map, Mmdb, Providers, Runs, Schedules,
    Worker, WorkerOptions, Workers,
    admin::WriteTrial,
    clock,
    coverage::CountryCache,
    events::Hub,
    map::MapIndex,
    mmdb::LatestComparison,
    sites::{Which, place_sites},
};

/// The use cases. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Services {
    inner: Arc<Inner>,
}

/// What the use cases have to know of the configuration.
#[derive(Clone, Debug)]
pub struct ServicesConfig {
    /// After how long a location is stale.
    pub max_age: Duration,
    /// How many lookups of a direct batch may run at once.
    pub max_workers: NonZeroUsize,
    /// Which ranges may be probed.
    pub scope: Scope,
    /// Where an import that does not fit into memory keeps its sorted runs; temporary files.
    pub spill_directory: PathBuf,
    /// The database file or server, without any password, for messages.
    pub location: String,
    /// The providers, in the order of asking.
    pub providers: Vec<ProviderName>,
    /// Configured providers that cannot be asked, and why.
    pub provider_problems: Vec<ProviderProblem>,
    /// Settings that are given and change nothing.
    pub unused_settings: Vec<UnusedSetting>,
    /// Where the hosts of private networks are.
    pub sites: Vec<Site>,
    /// The folder of the database files of places.
    pub mmdb_dir: PathBuf,
    /// The folder into which the schedule `backup` writes.
    pub backup_dir: PathBuf,
}

/// A setting that is given and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` has no effect: {because}")]
pub struct UnusedSetting {
    /// The setting, as the person who gave it knows it: `IPINFO_TOKEN`.
    pub name: String,
    /// Why it has no effect.
    pub because: String,
    /// What to do about it.
    pub remedy: String,
}

/// Why a configured provider cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderProblem {
    /// Which.
    pub provider: ProviderName,
    /// What is wrong with its configuration.
    pub detail: String,
    /// What to do about it.
    pub remedy: String,
}

struct Inner {
    store: Arc<dyn Store>,
    locator: Locator,
    config: ServicesConfig,
    hub: Hub,
    map: MapIndex,
    jobs_waiting: Arc<Notify>,
    schedules_asked: Notify,
    countries: CountryCache,
    comparison: LatestComparison,
    write_trial: WriteTrial,
}

impl Services {
    /// The use cases over this store and these providers. Starts nothing: pollers begin with their first user.
    pub fn new(store: Arc<dyn Store>, locator: Locator, config: ServicesConfig) -> Self {
        let inner = Inner {
            map: MapIndex::new(config.max_age),
            store,
            locator,
            config,
            hub: Hub::default(),
            jobs_waiting: Arc::new(Notify::new()),
            schedules_asked: Notify::new(),
            countries: CountryCache::default(),
            comparison: LatestComparison::default(),
            write_trial: WriteTrial::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Reading hosts.
    pub fn hosts(&self) -> Hosts {
        Hosts::new(self.clone())
    }

    /// The queue, as people see it.
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.clone())
    }

    /// Reading scan output into the store.
    pub fn imports(&self) -> Imports {
        Imports::new(self.clone())
    }

    /// Looking hosts up.
    pub fn geolocate(&self) -> Geolocate {
        Geolocate::new(self.clone())
    }

    /// How providers do, what each says, and where a person says that a host is.
    pub fn providers(&self) -> Providers {
        Providers::new(self.clone())
    }

    /// Direct batch runs from the web.
    pub fn runs(&self) -> Runs {
        Runs::new(self.clone())
    }

    /// The map.
    pub fn map(&self) -> Map {
        Map::new(self.clone())
    }

    /// The database files of places.
    pub fn mmdb(&self) -> Mmdb {
        Mmdb::new(self.clone())
    }

    /// How much of what was found is located.
    pub fn coverage(&self) -> CoverageService {
        CoverageService::new(self.clone())
    }

    /// What changed, live.
    pub fn events(&self) -> Events {
        Events::new(self.clone())
    }

    /// Running the installation.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// The processes that run jobs.
    pub fn workers(&self) -> Workers {
        Workers::new(self.clone())
    }

    /// Recurring work.
    pub fn schedules(&self) -> Schedules {
        Schedules::new(self.clone())
    }

    /// A worker over this store.
    pub fn worker(&self, options: WorkerOptions) -> Worker {
        Worker::new(self.clone(), options)
    }

    /// Puts hosts in private networks where the configured sites are. A worker does so when it starts, so this is for a
    /// process without one. A failure is logged.
    pub async fn place_sites(&self) {
        place_sites(self, Which::All).await;
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &ServicesConfig {
        &self.inner.config
    }

    /// The system clock.
    pub fn now(&self) -> Timestamp {
        clock::now()
    }

    /// Writes what is buffered and closes the store; later calls fail.
    pub async fn close(&self) {
        self.hub().stop();
        self.store().close().await;
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The providers.
    pub fn locator(&self) -> &Locator {
        &self.inner.locator
    }

    pub(crate) fn map_index(&self) -> &MapIndex {
        &self.inner.map
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    pub(crate) fn countries(&self) -> &CountryCache {
        &self.inner.countries
    }

    pub(crate) fn write_trial(&self) -> &WriteTrial {
        &self.inner.write_trial
    }

    /// The comparison of a database file that goes on in this process, or the last one.
    pub(crate) fn latest_comparison(&self) -> &LatestComparison {
        &self.inner.comparison
    }

    /// Wakes the worker of this process.
    pub(crate) fn jobs_waiting(&self) -> &Arc<Notify> {
        &self.inner.jobs_waiting
    }

    /// By what hosts are due here and now.
    pub(crate) fn due_policy(&self) -> DuePolicy {
        DuePolicy {
            max_age: self.config().max_age,
            failure_retry_after: FAILURE_RETRY_AFTER,
            database_build: self.locator().database_build(),
        }
    }

    /// Tells the worker and the live pages of this process at once; other processes see it by polling.
    pub(crate) fn jobs_changed(&self) {
        self.jobs_waiting().notify_waiters();
        self.hub().nudge();
    }

    /// Wakes whoever does recurring work in this process.
    pub(crate) fn schedules_asked(&self) -> &Notify {
        &self.inner.schedules_asked
    }

    /// Has what is due by schedule looked for at once in this process; others look every second.
    pub(crate) fn schedules_changed(&self) {
        self.schedules_asked().notify_waiters();
        self.hub().nudge();
    }

    /// Tells the live pages of this process at once.
    pub(crate) fn changed(&self) {
        self.hub().nudge();
    }
}
