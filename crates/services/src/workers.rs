use hostatlas_domain::WorkerStatus;

use crate::{Error, Permission, Services};

/// The processes that run jobs, on all machines.
#[derive(Clone)]
pub struct Workers {
    services: Services,
}

impl Workers {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// All of them, by host name and start. One that died is silent for an hour, then forgotten.
    pub async fn list(&self) -> Result<Vec<WorkerStatus>, Error> {
        self.services.authorize(Permission::ViewHosts)?;
        Ok(self.services.store().workers_list().await?)
    }
}
