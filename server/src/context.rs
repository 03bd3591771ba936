use std::{sync::Arc, time::Duration};

use hostatlas_services::{
    Error, Ledger, Locator, LocatorConfig, MadeLocator, MmdbConfig, OpenMode, ProviderProblem, Services,
    ServicesConfig, StoreError, StoreLedger, locator,
};
use tokio::sync::OnceCell;

use crate::{configuration::Configuration, failure::Failure, printer::Printer, stores};

/// How long a process that is to run on its own waits for a server that is down, starts or recovers: it may have been
/// started together with it.
const SERVER_STARTS: Duration = Duration::from_secs(30);

/// How a command opens the database.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    mode: OpenMode,
    patience: Duration,
    /// Whether rows of a copy may still come.
    half: bool,
}

impl Opening {
    /// For what runs on its own: a server that is not up yet is waited for.
    pub const fn waiting(mode: OpenMode) -> Self {
        Self { mode, patience: SERVER_STARTS, half: false }
    }

    /// For what only looks: a database into which a copy is under way will do, too.
    pub const fn half(mode: OpenMode) -> Self {
        Self { mode, patience: Duration::ZERO, half: true }
    }
}

/// For people: at once or not at all.
impl From<OpenMode> for Opening {
    fn from(mode: OpenMode) -> Self {
        // Looking at the schema must work with any.
        Self { mode, patience: Duration::ZERO, half: mode == OpenMode::Inspect }
    }
}

/// What every command has at hand.
pub struct Context<'a> {
    /// The settings.
    pub configuration: Configuration,
    /// Where it writes.
    pub printer: &'a Printer,
    services: OnceCell<Services>,
}

impl<'a> Context<'a> {
    /// Opens nothing yet.
    pub fn new(configuration: Configuration, printer: &'a Printer) -> Self {
        Self { configuration, printer, services: OnceCell::new() }
    }

    /// The providers of the configuration, for a command that needs no database of hosts. Databases that cannot be
    /// used are named on standard error; without any the locator still answers: that there is none.
    ///
    /// What online providers allow is counted in the database where there is one, and else for this process alone.
    pub async fn locator(&self) -> Result<Locator, Failure> {
        let online = self.configuration.providers.iter().any(|provider| provider.is_online());
        if online && self.configuration.database.exists() {
            return Ok(self.services(OpenMode::Existing).await?.locator().clone());
        }
        let made = self.make_locator(None);
        match made.providers.first() {
            Some(problem) => Err(unusable(problem)),
            None => Ok(made.locator),
        }
    }

    /// The providers of the configuration that can be asked, apart from any database of hosts.
    pub fn locator_alone(&self) -> Locator {
        self.make_locator(None).locator
    }

    /// The use cases over the configured database, opened the first time. Fails if a configured provider cannot be
    /// asked.
    pub async fn services(&self, opening: impl Into<Opening>) -> Result<Services, Failure> {
        let services = self.services_as_they_are(opening).await?;
        match services.config().provider_problems.first() {
            Some(problem) => Err(unusable(problem)),
            None => Ok(services),
        }
    }

    /// The same, with the providers that can be asked.
    pub async fn services_as_they_are(&self, opening: impl Into<Opening>) -> Result<Services, Failure> {
        let opening = opening.into();
        self.services.get_or_try_init(|| self.open(opening)).await.cloned()
    }

    /// Where the data is, as it was configured; with its password, if it has one.
    pub fn database_url(&self) -> String {
        self.configuration.database.url().into_owned()
    }

    /// Writes what is buffered.
    pub async fn close(&self) {
        if let Some(services) = self.services.get() {
            services.close().await;
        }
    }

    async fn open(&self, opening: Opening) -> Result<Services, Failure> {
        let configuration = &self.configuration;
        let direct = configuration.database_direct.as_ref().map(|direct| direct.url());
        let Opening { mode, patience, half } = opening;
        let store = stores::open(&configuration.database.url(), direct.as_deref(), mode, patience).await?;
        if !half && let Some(source_location) = store.copy_unfinished().await.map_err(Error::from)? {
            store.close().await;
            return Err(Error::from(StoreError::CopyUnfinished { source_location }).into());
        }
        let ledger = Arc::new(StoreLedger::new(store.clone()));
        // Checking a new database file takes up to a second, and blocks.
        let made = tokio::task::block_in_place(|| self.make_locator(Some(ledger)));
        let config = self.services_config(made.providers);
        Ok(Services::new(store, made.locator, config))
    }

    /// Warns of settings that are given and change nothing. For commands that ask providers or go on for long.
    pub fn warn_of_unused_settings(&self) {
        for unused in &self.configuration.unused {
            self.printer.warning(&format!("{unused}\nhint: {}", unused.remedy));
        }
    }

    /// What is known where the database cannot be used: the providers, and what the use cases would work with.
    pub fn without_database(&self) -> (Locator, ServicesConfig) {
        let made = tokio::task::block_in_place(|| self.make_locator(None));
        (made.locator, self.services_config(made.providers))
    }

    fn services_config(&self, provider_problems: Vec<ProviderProblem>) -> ServicesConfig {
        ServicesConfig {
            max_age: self.configuration.max_age,
            max_workers: self.configuration.max_workers,
            scope: self.configuration.scope.clone(),
            spill_directory: self.configuration.spill_dir.clone(),
            // A file is opened again by whoever copies it; of a server's URL only what may be shown.
            location: if self.configuration.database.is_server() {
                self.configuration.database.to_string()
            } else {
                self.configuration.database.url().into_owned()
            },
            providers: self.configuration.providers.clone(),
            provider_problems,
            unused_settings: self.configuration.unused.clone(),
            sites: self.configuration.sites.clone(),
            mmdb_dir: self.configuration.mmdb_dir.clone(),
            backup_dir: self.configuration.backup_dir.clone(),
        }
    }

    fn make_locator(&self, ledger: Option<Arc<dyn Ledger>>) -> MadeLocator {
        let configuration = &self.configuration;
        let config = LocatorConfig {
            order: configuration.providers.clone(),
            mmdb: self.mmdb_config(),
            online: configuration.online.clone(),
            sites: configuration.sites.clone(),
            cache_located_for: configuration.cache_located_for,
            cache_missed_for: configuration.cache_missed_for,
            max_workers: configuration.max_workers,
        };
        let made = locator(config, ledger);
        for problem in &made.databases {
            self.printer.warning(&format!("{problem}\nhint: {}", problem.remedy));
        }
        made
    }

    fn mmdb_config(&self) -> MmdbConfig {
        MmdbConfig {
            directory: Some(self.configuration.mmdb_dir.clone()),
            city: self.configuration.mmdb_city.clone(),
            asn: self.configuration.mmdb_asn.clone(),
            private_copy_dir: self.configuration.cache_dir.clone(),
        }
    }
}

fn unusable(problem: &ProviderProblem) -> Failure {
    Failure::error(problem.detail.clone()).with_hint(problem.remedy.clone())
}
