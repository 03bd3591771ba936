//! What recurring work does. Each task may be done twice without harm: whoever did it first may have died before it said so.

use std::{collections::BTreeMap, io, path::Path, sync::Arc, time::Duration};

use chrono::NaiveDateTime;
use hostatlas_domain::{JobKind, ScheduleTask, Timestamp};
use hostatlas_store::{Backup, HostSelection, PrunePolicy, StoreError};
use tokio_util::sync::CancellationToken;

use super::retention::outdated;
use crate::{Error, Services};

/// Hosts looked at in one transaction.
const REFRESH_CHUNK: u32 = 5_000;
/// Jobs deleted in one transaction: small, so that claims get in between.
pub(crate) const PRUNE_BATCH: u32 = 1_000;
/// For how long completed and cancelled jobs are kept.
pub const COMPLETED_KEPT_FOR: Duration = Duration::from_hours(24);
/// For how long discarded jobs are kept: somebody should see them.
pub const DISCARDED_KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// So many findings are named; `db check` names all.
const FINDINGS_NAMED: usize = 5;
/// How an occurrence went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Went {
    /// Done; what it did.
    Well(String),
    /// Done, and there was nothing to do; what is said of that. No line of a log is worth it.
    Idle(String),
    /// What went wrong, and what to do about it.
    Wrong(String),
    /// Its process was told to stop first: it has not ended, and somebody else begins it again.
    Interrupted,
}

/// Does `task`; comes back soon after `stop`.
pub(crate) async fn work(services: &Services, task: ScheduleTask, stop: &CancellationToken) -> Went {
    let worked = match task {
        ScheduleTask::Refresh => refresh(services, stop).await,
        ScheduleTask::Prune => prune(services, stop).await,
        // One long reading each, which is of no use when it is cut short.
        ScheduleTask::Check => {
            stop.run_until_cancelled(check(services)).await.unwrap_or(Ok(Went::Interrupted))
        }
        ScheduleTask::Backup => backup(services, stop).await,
    };
    worked.unwrap_or_else(|error| {
        if matches!(error, Error::OutcomeUnknown(_)) {
            // Nobody knows what was done; doing it again does no harm.
            return Went::Interrupted;
        }
        if matches!(error, Error::Internal(_)) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "The schedule `{task}` failed: {error}"
            );
        }
        Went::Wrong(said(&error))
    })
}

/// An error as the pages may show it: nothing that the engine says.
fn said(error: &Error) -> String {
    let problem = error.problem();
    match problem.hint {
        Some(hint) => format!("{}: {hint}", problem.detail.trim_end_matches('.')),
        None => problem.detail,
    }
}

/// Queues a lookup for each host that is due.
async fn refresh(services: &Services, stop: &CancellationToken) -> Result<Went, Error> {
    let selection = HostSelection::Due(services.due_policy());
    let priority = JobKind::Geolocation.default_priority();
    let go_on = |_: &_| !stop.is_cancelled();
    let report = services.jobs().enqueue_all(selection, priority, false, REFRESH_CHUNK, go_on).await?;
    if stop.is_cancelled() {
        return Ok(Went::Interrupted);
    }
    if report.considered == 0 {
        return Ok(Went::Idle("no host was due".to_owned()));
    }
    let waited = match report.duplicate {
        0 => String::new(),
        some => format!("; {some} waited already"),
    };
    Ok(Went::Well(format!("{} hosts were due, {} queued{waited}", report.considered, report.queued)))
}

/// Deletes finished jobs that are old enough, in small transactions.
async fn prune(services: &Services, stop: &CancellationToken) -> Result<Went, Error> {
    let policy = PrunePolicy {
        completed_after: COMPLETED_KEPT_FOR,
        discarded_after: DISCARDED_KEPT_FOR,
        limit: PRUNE_BATCH,
    };
    let mut deleted = 0;
    while !stop.is_cancelled() {
        let batch = services.store().jobs_prune(policy).await?;
        deleted += batch;
        if batch < u64::from(PRUNE_BATCH) {
            if deleted == 0 {
                return Ok(Went::Idle("no job was old enough".to_owned()));
            }
            services.jobs_changed();
            return Ok(Went::Well(format!("{deleted} old jobs deleted")));
        }
    }
    Ok(Went::Interrupted)
}

/// Compares the database with itself. A finding is a failure: somebody has to look.
async fn check(services: &Services) -> Result<Went, Error> {
    let report = services.admin().check().await?;
    if report.findings.is_empty() {
        return Ok(Went::Well(format!("{} things compared, nothing wrong", report.checked)));
    }
    let named = report.findings.iter().take(FINDINGS_NAMED);
    let named: Vec<_> = named.map(|finding| format!("{}: {}", finding.check, finding.detail)).collect();
    let all = if report.findings.len() > named.len() { "; `hostatlas db check` names all" } else { "" };
    Ok(Went::Wrong(format!("{} things are wrong: {}{all}", report.findings.len(), named.join("; "))))
}

/// Writes a verified copy beside those of the days before, and removes those that are no longer needed.
async fn backup(services: &Services, stop: &CancellationToken) -> Result<Went, Error> {
    services.store().can_back_up()?;
    let folder = services.config().backup_dir.clone();
    tokio::fs::create_dir_all(&folder).await.map_err(|error| in_folder(&folder, &error))?;
    let now = services.store().now().await?;
    let stopped = stop.clone();
    let watch = Arc::new(move |_| !stopped.is_cancelled());
    let Backup { path, bytes } = match services.store().backup(&folder.join(file_name(now)), watch).await {
        Err(StoreError::Stopped) => return Ok(Went::Interrupted),
        written => written?,
    };
    let removed = remove_old(&folder).await.map_err(|error| in_folder(&folder, &error))?;
    let removed = match removed {
        0 => String::new(),
        1 => "; an old one was removed".to_owned(),
        some => format!("; {some} old ones were removed"),
    };
    Ok(Went::Well(format!("`{}`, {} MiB{removed}", path.display(), bytes.div_ceil(1 << 20))))
}

fn in_folder(folder: &Path, error: &io::Error) -> Error {
    Error::Unavailable {
        detail: format!("the backup folder `{}` cannot be used: {error}", folder.display()),
        hint: Some("make it writable, or name another with `HOSTATLAS_BACKUP_DIR`".to_owned()),
    }
}

/// `hostatlas-20261123T114001Z.db`: by name is by age.
fn file_name(now: Timestamp) -> String {
    let digits: String = now.to_readable().chars().filter(char::is_ascii_digit).collect();
    let (day, time) = digits.split_at(8.min(digits.len()));
    format!("hostatlas-{day}T{time}Z.db")
}

/// When a backup of ours was made, by its name; `None` for every other file of the folder, which nobody touches.
fn moment_of(name: &str) -> Option<NaiveDateTime> {
    let stamp = name.strip_prefix("hostatlas-")?.strip_suffix("Z.db")?;
    let is_ours = stamp.len() == 15 && stamp.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T');
    NaiveDateTime::parse_from_str(stamp, "%Y%m%dT%H%M%S").ok().filter(|_| is_ours)
}

/// Removes the backups that are no longer needed; answers how many.
async fn remove_old(folder: &Path) -> io::Result<usize> {
    let mut backups = BTreeMap::new();
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().into_string().ok();
        backups.extend(name.and_then(|name| moment_of(&name).map(|moment| (moment, name))));
    }
    let outdated = outdated(backups.keys().copied().collect());
    for moment in &outdated {
        tokio::fs::remove_file(folder.join(&backups[moment])).await?;
    }
    Ok(outdated.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_after_its_moment() {
        let name = file_name(Timestamp::from_secs(1_795_434_001));
        assert_eq!(name, "hostatlas-20261123T114001Z.db");
        let moment = moment_of(&name).map(|moment| moment.and_utc().timestamp());
        assert_eq!(moment, Some(1_795_434_001));
    }

    #[tokio::test]
    async fn the_backups_that_are_needed_stay_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().expect("a folder");
        let mine = [
            "hostatlas.db",
            "hostatlas-mine.db",
            "hostatlas-20200101T000000Z.db.part",
            "hostatlas-20201301T000000Z.db",
            "notes.txt",
        ];
        // The ninth of November 2026 is a Monday, so the first Sunday and the second are the last of their weeks.
        let made: Vec<_> = (1..=9).map(|day| format!("hostatlas-2026110{day}T030000Z.db")).collect();
        for name in mine.into_iter().chain(made.iter().map(String::as_str)) {
            std::fs::write(folder.path().join(name), b"x").expect("a file");
        }

        let removed = remove_old(folder.path()).await.expect("a folder that can be read");

        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        left.sort_unstable();
        let kept = made.iter().filter(|name| *name != &made[1]).cloned();
        let mut expected: Vec<_> = mine.map(str::to_owned).into_iter().chain(kept).collect();
        expected.sort_unstable();
        assert_eq!((removed, left), (1, expected));
    }
}
