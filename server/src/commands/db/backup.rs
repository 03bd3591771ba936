//! Copies of the database, and putting them back.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hostatlas_services::{BackupPhase, BackupStep, BackupWatch, Error, OpenMode};
use hostatlas_store_sqlite::{Restore, restore};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    failure::{Exit, Failure},
    printer::{count, key_values},
    progress::{Progress, Unit},
    shutdown::Shutdown,
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
    refuse_pipe(&arguments.file, "backup.db")?;
    // A database of an older schema can be backed up, too: before it is migrated, for one.
    let services = context.services_as_they_are(OpenMode::Inspect).await?;
    let shutdown = Shutdown::listen()?;
    let (watch, steps) = watch(shutdown.token());
    let admin = services.admin();
    let backup = shown(context, admin.backup(&arguments.file, watch), steps).await?;
    let written = Written { file: backup.path.display().to_string(), bytes: backup.bytes };
    context.printer.object(&written, || {
        format!("`{}`: {} bytes, written and verified", written.file, count(written.bytes))
    })?;
    Ok(Exit::Done)
}

/// A copy is verified in its file before it gets its name, and read more than once: neither can be done to a pipe.
fn refuse_pipe(file: &Path, example: &str) -> Result<(), Failure> {
    if file == Path::new("-") {
        return Err(Failure::usage(
            "`-` is not a file, and a backup cannot be written to or read from a pipe",
        )
        .with_hint(format!("name a file, such as `{example}`; for a file that is called so write `./-`")));
    }
    Ok(())
}

/// What a copy is told and tells: to stop once `stop` is cancelled, and how far it is.
fn watch(stop: CancellationToken) -> (BackupWatch, watch::Receiver<Option<BackupStep>>) {
    let (told, steps) = watch::channel(None);
    let watch = move |step| {
        told.send_replace(Some(step));
        !stop.is_cancelled()
    };
    (Arc::new(watch), steps)
}

/// Shows how far a copy is until it ends.
async fn shown<T>(
    context: &Context<'_>,
    copying: impl Future<Output = T>,
    mut steps: watch::Receiver<Option<BackupStep>>,
) -> T {
    let mut progress = Progress::new(context.printer, None, Unit::Bytes);
    tokio::pin!(copying);
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut copying => break ended,
            Ok(()) = steps.changed() => {
                let Some(BackupStep { phase, bytes, total }) = *steps.borrow_and_update() else { continue };
                progress.set_total(Some(total), Unit::Bytes);
                progress.update(bytes, || match phase {
                    BackupPhase::Writing => format!("{} of at most {} bytes written", count(bytes), count(total)),
                    BackupPhase::Verifying => format!("{} bytes are being verified", count(bytes)),
                });
            }
        }
    };
    progress.finish();
    ended
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
    refuse_pipe(&arguments.file, "backup.db")?;
    let shutdown = Shutdown::listen()?;
    let (watch, steps) = watch(shutdown.token());
    let request = Restore {
        backup: arguments.file.clone(),
        location,
        replace: arguments.force,
        now: hostatlas_services::now(),
    };
    let restoring = restore(request, watch);
    let restored = shown(context, restoring, steps).await.map_err(|error| explained(error, &arguments))?;
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
        E::Stopped => "nothing was changed; run the same command again to restore it",
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
