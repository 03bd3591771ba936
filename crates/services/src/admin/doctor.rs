//! What is wrong with an installation, and what to do about it.

mod parts;

use std::time::Duration;

use hostatlas_domain::{
    BreakerState, Coverage, ProviderStatus, ScheduleOutcome, UnlocatedReason, WorkerState,
};
use hostatlas_store::{SchemaStatus, StoreError};

use super::Admin;
use crate::Error;

/// How long a write that is tried may take: as long as it waits for those of other processes, and a little more.
const WRITE_PATIENCE: Duration = Duration::from_secs(12);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Something is missing or waits.
    Warning,
    /// Something does not work.
    Error,
}

/// One thing that the doctor looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DoctorFinding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at: `configuration`, `database`, `places`, `providers`, `jobs`, `workers`, `schedules`,
    /// `hosts`.
    pub subject: String,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DoctorReport {
    /// What was found, in order of cause.
    pub findings: Vec<DoctorFinding>,
}

impl DoctorReport {
    /// The worst that was found.
    pub fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }

    fn add(&mut self, severity: Severity, subject: &str, detail: String, remedy: Option<&str>) {
        let remedy = remedy.map(str::to_owned);
        self.findings.push(DoctorFinding { severity, subject: subject.to_owned(), detail, remedy });
    }
}

impl Admin {
    /// Looks at the database, the database files of places, the queue and the hosts, and says what to do.
    pub async fn doctor(&self) -> Result<DoctorReport, Error> {
        let mut report = DoctorReport::default();
        add_schema(&mut report, &self.schema_status().await?);
        self.add_writing(&mut report).await;
        parts::add_files(&mut report, self.services.locator(), self.services.config(), self.services.now());
        self.add_providers(&mut report).await?;
        self.add_jobs(&mut report).await?;
        self.add_workers(&mut report).await?;
        self.add_schedules(&mut report).await?;
        let coverage = self.services.coverage().get().await?;
        add_hosts(&mut report, &coverage);
        Ok(report)
    }

    /// Tries a write: a full disk lets everything be read.
    async fn add_writing(&self, report: &mut DoctorReport) {
        let store = self.services.store().clone();
        let error = match tokio::time::timeout(WRITE_PATIENCE, store.try_write()).await {
            Ok(Ok(())) => {
                report.add(Severity::Ok, "database", "a write was tried, and works".to_owned(), None);
                return;
            }
            Ok(Err(error)) => error,
            Err(_) => StoreError::TookTooLong { what: "a write that was tried did not end" },
        };
        let passes = matches!(error, StoreError::Busy);
        let severity = if passes { Severity::Warning } else { Severity::Error };
        let error = Error::from(error);
        report.add(severity, "database", format!("a write was tried: {error}"), error.hint().as_deref());
    }

    /// Who sees addresses, who does so in clear text, and who is not asked although it is configured.
    async fn add_providers(&self, report: &mut DoctorReport) -> Result<(), Error> {
        parts::add_problems(report, self.services.config());
        let problems = &self.services.config().provider_problems;
        let known = |name: &str| problems.iter().any(|problem| problem.provider.name() == name);
        let statuses = self.services.providers().list().await?;
        for status in statuses.iter().filter(|status| status.enabled && !known(&status.name)) {
            let Some(host) = &status.third_party else { continue };
            let sent = format!(" ({} addresses so far)", status.addresses_sent);
            parts::add_third_party(report, &status.name, host, status.clear_text, &sent);
            add_state(report, status);
        }
        Ok(())
    }

    async fn add_jobs(&self, report: &mut DoctorReport) -> Result<(), Error> {
        let before = report.findings.len();
        let workers = self.services.workers().list().await?;
        for kind in self.services.jobs().kinds().await? {
            let waiting = kind.counts.waiting();
            let is_taken = workers.iter().any(|worker| worker.takes(kind.kind));
            if kind.paused_at.is_some() {
                let remedy = format!("run `hostatlas jobs resume {}`", kind.kind);
                let detail = format!("`{}` is paused, {waiting} jobs wait", kind.kind);
                report.add(Severity::Warning, "jobs", detail, Some(&remedy));
            } else if waiting > 0 && !kind.served {
                let detail =
                    format!("{waiting} `{}` jobs wait, and no worker of this version serves them", kind.kind);
                report.add(
                    Severity::Note,
                    "jobs",
                    detail,
                    Some("they run once a version serves them, or cancel them"),
                );
            } else if waiting > 0 && !is_taken {
                let detail =
                    format!("{waiting} `{}` jobs wait, and no worker runs that takes them", kind.kind);
                let remedy = Some("start `hostatlas serve`, or `hostatlas worker`");
                report.add(Severity::Warning, "jobs", detail, remedy);
            } else if waiting > 0 {
                let detail = format!("{waiting} `{}` jobs wait", kind.kind);
                let remedy = Some("a worker takes them in turn: `hostatlas workers` shows who runs");
                report.add(Severity::Note, "jobs", detail, remedy);
            }
            if kind.counts.discarded > 0 {
                let remedy = format!(
                    "see `hostatlas jobs list --state discarded --kind {}`, then `jobs retry`",
                    kind.kind
                );
                let detail = format!("{} `{}` jobs were given up", kind.counts.discarded, kind.kind);
                report.add(Severity::Warning, "jobs", detail, Some(&remedy));
            }
        }
        let newer = self.services.store().jobs_of_newer_kinds().await?;
        if newer > 0 {
            let detail = format!("{newer} jobs of kinds that only a newer version knows wait");
            let remedy = Some("a worker of that version takes them: finish the upgrade, or start one");
            report.add(Severity::Note, "jobs", detail, remedy);
        }
        if report.findings.len() == before {
            report.add(Severity::Ok, "jobs", "nothing waits".to_owned(), None);
        }
        Ok(())
    }

    /// Who runs jobs, on which machines, and who has fallen silent.
    async fn add_workers(&self, report: &mut DoctorReport) -> Result<(), Error> {
        let workers = self.services.workers().list().await?;
        let (silent, alive): (Vec<_>, Vec<_>) =
            workers.iter().partition(|worker| worker.state == WorkerState::Silent);
        for worker in silent {
            let detail = format!(
                "process {} on `{}` has not been heard of since {}",
                worker.process_id,
                worker.host_name,
                worker.heard_at.to_readable()
            );
            let remedy = Some("its jobs are taken back by themselves; start it again if it should run");
            report.add(Severity::Note, "workers", detail, remedy);
        }
        let mut versions: Vec<&str> = alive.iter().map(|worker| worker.version.as_str()).collect();
        versions.sort_unstable();
        versions.dedup();
        if versions.len() > 1 {
            let detail = format!("workers of several versions run: {}", versions.join(", "));
            let remedy = Some("right in the middle of an upgrade; else restart the older ones");
            report.add(Severity::Note, "workers", detail, remedy);
        }
        Ok(())
    }

    /// Recurring work that failed.
    async fn add_schedules(&self, report: &mut DoctorReport) -> Result<(), Error> {
        for schedule in self.services.schedules().list().await? {
            if schedule.outcome == Some(ScheduleOutcome::Failed) {
                let why = schedule.detail.unwrap_or_default();
                let detail = format!("`{}` failed: {why}", schedule.task);
                let remedy = format!("mend that, then run `hostatlas schedules run {}`", schedule.task);
                report.add(Severity::Warning, "schedules", detail, Some(&remedy));
            }
        }
        Ok(())
    }
}

fn add_schema(report: &mut DoctorReport, schema: &SchemaStatus) {
    let size = schema.bytes.map(|bytes| format!(", {}", mebibytes(bytes))).unwrap_or_default();
    let detail = format!("`{}` ({}{size}) is at migration {}", schema.location, schema.engine, schema.found);
    if schema.found == schema.wanted {
        report.add(Severity::Ok, "database", detail, None);
    } else {
        let detail = format!("{detail}, this program needs {}", schema.wanted);
        report.add(Severity::Error, "database", detail, Some("run `hostatlas db migrate`"));
    }
}

fn add_state(report: &mut DoctorReport, status: &ProviderStatus) {
    let name = &status.name;
    if let Some(because) = &status.disabled_because {
        let detail = format!("`{name}` is not asked any more: {because}");
        let remedy =
            format!("mend its key, restart, and try `hostatlas providers test 8.8.8.8 --provider {name}`");
        report.add(Severity::Error, "providers", detail, Some(&remedy));
    } else if status.breaker == BreakerState::Open {
        let error = status.last_error.as_deref().unwrap_or("it failed too often");
        let detail = format!("`{name}` is left alone for a while: {error}");
        report.add(Severity::Warning, "providers", detail, Some("it is asked again by itself"));
    }
    for limit in status.limits.iter().filter(|limit| limit.left == 0) {
        let until = limit.closed_until.max(limit.resets_at);
        let until = until.map_or_else(String::new, |until| format!(" until {}", until.to_readable()));
        let detail = format!("`{name}` has none of its {} {} left{until}", limit.permits, limit.name);
        report.add(Severity::Note, "providers", detail, None);
    }
}

fn add_hosts(report: &mut DoctorReport, coverage: &Coverage) {
    if coverage.total == 0 {
        let remedy = Some("run `hostatlas import scan.json`");
        report.add(Severity::Note, "hosts", "no scan has been imported yet".to_owned(), remedy);
        return;
    }
    let detail = format!(
        "{} hosts: {} located, {} pending, {} unlocated, {} not applicable",
        coverage.total, coverage.located, coverage.pending, coverage.unlocated, coverage.not_applicable
    );
    report.add(Severity::Ok, "hosts", detail, None);
    if coverage.pending_unqueued > 0 {
        let detail = format!("{} hosts were never looked up and have no job", coverage.pending_unqueued);
        report.add(Severity::Warning, "hosts", detail, Some("run `hostatlas geolocate --queue-jobs`"));
    }
    if coverage.stale > 0 {
        let detail = format!("{} locations are stale", coverage.stale);
        report.add(Severity::Note, "hosts", detail, Some("run `hostatlas geolocate --async-batch`"));
    }
    for reason in UnlocatedReason::ALL {
        let count = coverage.unlocated_reasons.get(reason.slug()).copied().unwrap_or(0);
        if count > 0 {
            let remedy = format!("see `hostatlas hosts search reason:{}`", reason.slug());
            report.add(
                Severity::Note,
                "hosts",
                format!("{count} unlocated: {}", reason.label()),
                Some(&remedy),
            );
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}
