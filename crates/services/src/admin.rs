mod attribution;
mod doctor;
mod trial;

use hostatlas_domain::{Attribution, Timestamp};
use hostatlas_geolocation::DatabaseStatus;
use hostatlas_store::{CheckReport, SchemaStatus};

pub(crate) use self::trial::WriteTrial;
pub use self::{
    attribution::attributions,
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

    /// Whose data is shown, in the words that its licences ask for; the base map, which asks for none, is left out.
    pub async fn attributions(&self) -> Result<Vec<Attribution>, Error> {
        let coverage = self.services.coverage().get().await?;
        Ok(attributions(self.services.locator(), &coverage))
    }

    /// Whether the store can be read, and was found to be writable within the last few seconds, so that requests can be
    /// served.
    pub async fn ready(&self) -> Result<(), Error> {
        let store = self.services.store();
        store.changes().await?;
        self.services.write_trial().latest(store.as_ref()).await
    }
}
