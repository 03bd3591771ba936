mod attribution;
mod doctor;

use hostatlas_domain::Timestamp;
use hostatlas_geolocation::DatabaseStatus;
use hostatlas_store::{CheckReport, SchemaStatus};

pub use self::{
    attribution::Attribution,
    doctor::{DoctorFinding, DoctorReport, Severity},
};
use crate::{Error, Permission, Services};

/// Running the installation.
#[derive(Clone)]
pub struct Admin {
    pub(crate) services: Services,
}

impl Admin {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// Where the schema stands.
    pub async fn schema_status(&self) -> Result<SchemaStatus, Error> {
        Ok(self.services.store().schema_status().await?)
    }

    /// The time by the clock of the store, by which other machines' moments in it were written.
    pub async fn now(&self) -> Result<Timestamp, Error> {
        Ok(self.services.store().now().await?)
    }

    /// Compares the database with itself; reads all of it.
    pub async fn check(&self) -> Result<CheckReport, Error> {
        self.services.authorize(Permission::Administer)?;
        Ok(self.services.store().check().await?)
    }

    /// Every database file of places that is configured or was found, in use or not.
    pub fn databases(&self) -> Vec<DatabaseStatus> {
        self.services.locator().databases()
    }

    /// Whose data the map shows: the base map, then each database in use whose maker is known.
    pub fn attributions(&self) -> Vec<Attribution> {
        attribution::of(&self.databases())
    }

    /// Whether the store answers, so that requests can be served.
    pub async fn ready(&self) -> Result<(), Error> {
        self.services.store().changes().await?;
        Ok(())
    }
}
