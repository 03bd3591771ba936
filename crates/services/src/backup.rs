use std::path::Path;

use hostatlas_store::{Backup, BackupWatch, StoreError};

use crate::{Admin, Error, Permission};

impl Admin {
    /// Writes a verified copy of the database, as it is at one moment, to a file that does not exist; work goes on
    /// meanwhile. A failure leaves no file behind, and so does a stop by `watch`, which is [`Error::Interrupted`].
    pub async fn backup(&self, to: &Path, watch: BackupWatch) -> Result<Backup, Error> {
        self.services.authorize(Permission::Administer)?;
        self.services.store().backup(to, watch).await.map_err(|error| match error {
            StoreError::Conflict(detail) => Error::Conflict {
                detail,
                hint: Some("name a file that is not there: nothing is overwritten".to_owned()),
            },
            StoreError::Stopped => Error::Interrupted {
                detail: "the backup was stopped; nothing of it is left".to_owned(),
                hint: None,
            },
            StoreError::NotWritable { reason, .. } => Error::Unavailable {
                detail: format!("the backup cannot be written: {reason}"),
                hint: Some("name a file in a folder that exists, is writable and has room".to_owned()),
            },
            error => error.into(),
        })
    }
}
