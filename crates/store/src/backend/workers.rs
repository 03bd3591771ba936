use hostatlas_domain::{JobKind, RunningJobs, Timestamp, WorkerState, truncate_bytes};

use crate::{HOST_NAME_BYTES, ReportWorker, WORKER_FORGOTTEN_AFTER, WORKER_SILENT_AFTER};

/// What a process is at `now`, that reported last at `heard_at`; both in ms since 1970.
#[must_use]
pub fn worker_state(now: i64, heard_at: i64, stopping: bool) -> WorkerState {
    let silence = Timestamp::from_millis(now).since(Timestamp::from_millis(heard_at));
    if silence >= WORKER_SILENT_AFTER {
        WorkerState::Silent
    } else if stopping {
        WorkerState::Stopping
    } else {
        WorkerState::Alive
    }
}

/// Whoever reported last at this time or before is forgotten at `now`; both in ms since 1970.
#[must_use]
pub fn worker_forgotten_at(now: i64) -> i64 {
    Timestamp::from_millis(now).minus(WORKER_FORGOTTEN_AFTER).as_millis()
}

/// What a report says, as it is stored.
#[derive(Debug, PartialEq, Eq)]
pub struct WorkerTexts<'r> {
    /// The machine's name, cut to the longest that there can be.
    pub host_name: &'r str,
    /// `geolocation,ssl_cert`.
    pub kinds: String,
    /// `geolocation:12,ssl_cert:1`.
    pub running: String,
}

impl<'r> WorkerTexts<'r> {
    /// Of this report.
    #[must_use]
    pub fn of(report: &'r ReportWorker) -> Self {
        let kinds: Vec<_> = report.kinds.iter().map(|kind| kind.slug()).collect();
        let running =
            report.running.iter().map(|running| format!("{}:{}", running.kind.slug(), running.jobs));
        Self {
            host_name: truncate_bytes(&report.host_name, HOST_NAME_BYTES),
            kinds: kinds.join(","),
            running: running.collect::<Vec<_>>().join(","),
        }
    }
}

/// The kinds of [`WorkerTexts::kinds`], without those that this build does not know.
#[must_use]
pub fn worker_kinds(text: &str) -> Vec<JobKind> {
    text.split(',').filter_map(|kind| kind.parse().ok()).collect()
}

/// What [`WorkerTexts::running`] says, without kinds that this build does not know.
#[must_use]
pub fn worker_running(text: &str) -> Vec<RunningJobs> {
    let running = |text: &str| {
        let (kind, jobs) = text.split_once(':')?;
        Some(RunningJobs { kind: kind.parse().ok()?, jobs: jobs.parse().ok()? })
    };
    text.split(',').filter_map(running).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_version_runs_is_left_out() {
        assert_eq!(worker_kinds("geolocation,dreaming,ssl_cert"), [JobKind::Geolocation, JobKind::SslCert]);
        let known = RunningJobs { kind: JobKind::Geolocation, jobs: 12 };
        assert_eq!(worker_running("dreaming:7,geolocation:12,ssl_cert:many,banner_grab"), [known]);
        assert_eq!((worker_kinds(""), worker_running("")), (vec![], vec![]));
    }
}
