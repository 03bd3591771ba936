//! Copies of the database, and putting them back.

use std::path::PathBuf;

use hostatlas_services::{Error, OpenMode};
use hostatlas_store_sqlite::{Restore, restore};
use serde::Serialize;

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{count, key_values},
    stores::is_postgres,
};

#[derive(Debug, clap::Args)]
pub struct BackupArguments {
    /// A file that does not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArguments {
    /// What `db backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Move a database that is there aside; it is never deleted
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Written {
    file: String,
    bytes: u64,
}

pub async fn backup(context: &Context<'_>, arguments: BackupArguments) -> Result<Exit, Failure> {
    // A database of an older schema can be backed up, too: before it is migrated, for one.
    let services = context.services_as_they_are(OpenMode::Inspect).await?;
    let backup = services.admin().backup(&arguments.file).await?;
    let written = Written { file: backup.path.display().to_string(), bytes: backup.bytes };
    context.printer.object(&written, || {
        format!("`{}`: {} bytes, written and verified", written.file, count(written.bytes))
    })?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Restored {
    database: String,
    bytes: u64,
    migration: i64,
    /// Where the database went that was there before.
    aside: Option<String>,
}

pub async fn put_back(context: &Context<'_>, arguments: RestoreArguments) -> Result<Exit, Failure> {
    let location = context.database_url();
    if is_postgres(&location) {
        return Err(Failure::usage("hostatlas does not restore PostgreSQL databases").with_hint(
            "make an empty database and use `pg_restore --no-owner --exit-on-error -d URL FILE`, \
             then `hostatlas db check`",
        ));
    }
    let request = Restore {
        backup: arguments.file.clone(),
        location,
        replace: arguments.force,
        now: hostatlas_services::now(),
    };
    let restored = restore(request).await.map_err(|error| explained(error, &arguments))?;
    let restored = Restored {
        database: restored.path.display().to_string(),
        bytes: restored.bytes,
        migration: restored.migration,
        aside: restored.aside.map(|aside| aside.display().to_string()),
    };
    context.printer.object(&restored, || {
        key_values(&[
            ("database", restored.database.clone()),
            ("size", format!("{} bytes", count(restored.bytes))),
            ("migration", restored.migration.to_string()),
            ("before", restored.aside.clone().unwrap_or_else(|| "there was none".to_owned())),
        ])
    })?;
    Ok(Exit::Done)
}

fn explained(error: hostatlas_services::StoreError, arguments: &RestoreArguments) -> Failure {
    use hostatlas_services::StoreError as E;
    let hint = match &error {
        E::Conflict(_) if !arguments.force => {
            "pass --force to move it aside (it is not deleted), once every process on it is stopped"
        }
        E::Conflict(_) => "stop every `hostatlas` that uses it first: serve, worker, imports",
        E::WorkerRoleHeld { .. } => "stop that process first",
        E::NotADatabase { .. } => "use another backup; nothing was changed",
        E::Unreachable { .. } => "check the name of the backup and of the database; nothing was changed",
        E::SchemaNewer { .. } => {
            "use the version of hostatlas that wrote it, or a later one; nothing was changed"
        }
        _ => return Error::from(error).into(),
    };
    Failure::from(Error::from(error)).with_hint(hint)
}
