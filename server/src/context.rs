use std::{path::Path, sync::Arc};

use hostatlas_domain::ProviderName;
use hostatlas_services::{Error, Locator, MmdbConfig, MmdbSet, Services, ServicesConfig};
use hostatlas_store_sqlite::{Mode, OpenOptions, SqliteStore};
use tokio::sync::OnceCell;

use crate::{configuration::Configuration, failure::Failure, printer::Printer};

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

    /// The providers of the configuration. Databases that cannot be used are named on standard error; without any the
    /// locator still answers: that there is none.
    pub fn locator(&self) -> Result<Locator, Failure> {
        let mut builder = Locator::builder();
        for provider in &self.configuration.providers {
            match provider {
                ProviderName::Mmdb => {
                    let (databases, problems) = MmdbSet::open(&self.mmdb_config());
                    for problem in problems {
                        self.printer.warning(&format!("{problem}\nhint: {}", problem.remedy));
                    }
                    builder = builder.mmdb(databases);
                }
                online => {
                    return Err(Failure::error(format!(
                        "the provider `{online}` comes with a later version"
                    )));
                }
            }
        }
        Ok(builder.build())
    }

    /// The use cases over the configured database, opened in `mode` the first time.
    pub async fn services(&self, mode: Mode) -> Result<Services, Failure> {
        self.services.get_or_try_init(|| self.open(mode)).await.cloned()
    }

    /// Writes what is buffered.
    pub async fn close(&self) {
        if let Some(services) = self.services.get() {
            services.close().await;
        }
    }

    async fn open(&self, mode: Mode) -> Result<Services, Failure> {
        let location = self.configuration.database.to_string_lossy().into_owned();
        let store =
            SqliteStore::open(OpenOptions::new(location.as_str(), mode)).await.map_err(Error::from)?;
        let config = ServicesConfig {
            max_age: self.configuration.max_age,
            max_workers: self.configuration.max_workers,
            scope: self.configuration.scope.clone(),
            // On the disk of the database: a temporary folder is often in memory, and small.
            spill_directory: folder_of(&self.configuration.database).to_owned(),
            location,
            providers: self.configuration.providers.clone(),
        };
        // Checking a new database file takes up to a second, and blocks.
        let locator = tokio::task::block_in_place(|| self.locator())?;
        Ok(Services::new(Arc::new(store), locator, config))
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

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}
