use std::sync::Arc;

use hostatlas_services::{
    Ledger, Locator, LocatorConfig, MadeLocator, MmdbConfig, ProviderProblem, Services, ServicesConfig,
    StoreLedger, locator,
};
use hostatlas_store_sqlite::Mode;
use tokio::sync::OnceCell;

use crate::{configuration::Configuration, failure::Failure, printer::Printer, stores};

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
            return Ok(self.services(Mode::Existing).await?.locator().clone());
        }
        let made = self.make_locator(None);
        match made.providers.first() {
            Some(problem) => Err(unusable(problem)),
            None => Ok(made.locator),
        }
    }

    /// The use cases over the configured database, opened in `mode` the first time. Fails if a configured provider
    /// cannot be asked.
    pub async fn services(&self, mode: Mode) -> Result<Services, Failure> {
        let services = self.services_as_they_are(mode).await?;
        match services.config().provider_problems.first() {
            Some(problem) => Err(unusable(problem)),
            None => Ok(services),
        }
    }

    /// The same, with the providers that can be asked.
    pub async fn services_as_they_are(&self, mode: Mode) -> Result<Services, Failure> {
        self.services.get_or_try_init(|| self.open(mode)).await.cloned()
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

    async fn open(&self, mode: Mode) -> Result<Services, Failure> {
        let configuration = &self.configuration;
        let direct = configuration.database_direct.as_ref().map(|direct| direct.url());
        let store = stores::open(&configuration.database.url(), direct.as_deref(), mode).await?;
        let ledger = Arc::new(StoreLedger::new(store.clone()));
        // Checking a new database file takes up to a second, and blocks.
        let made = tokio::task::block_in_place(|| self.make_locator(Some(ledger)));
        let config = ServicesConfig {
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
            provider_problems: made.providers,
            sites: self.configuration.sites.clone(),
            mmdb_dir: self.configuration.mmdb_dir.clone(),
            backup_dir: self.configuration.backup_dir.clone(),
        };
        Ok(Services::new(store, made.locator, config))
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
