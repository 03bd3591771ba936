//! What is known without the database, and so also where there is none.

use std::time::Duration;

use hostatlas_domain::{ProviderName, Timestamp};
use hostatlas_geolocation::{DatabaseStatus, Locator};

use super::{DoctorFinding, DoctorReport, Severity};
use crate::{ServicesConfig, locator::places_remedy};

/// A database older than this gets a note: places move by a few percent a month.
const OLD_DATABASE: Duration = Duration::from_hours(45 * 24);

impl DoctorReport {
    /// What can be said of an installation whose database cannot be used; `database` says why.
    pub fn without_database(
        database: DoctorFinding,
        locator: &Locator,
        config: &ServicesConfig,
        now: Timestamp,
    ) -> Self {
        let mut report = Self { findings: vec![database] };
        add_files(&mut report, locator, config, now);
        add_problems(&mut report, config);
        for info in locator.providers() {
            if let Some(host) = &info.third_party {
                add_third_party(&mut report, info.name.name(), host, info.clear_text, "");
            }
        }
        report
    }
}

/// The database files of places, if they are asked at all.
pub(super) fn add_files(
    report: &mut DoctorReport,
    locator: &Locator,
    config: &ServicesConfig,
    now: Timestamp,
) {
    if !config.providers.contains(&ProviderName::Mmdb) {
        return;
    }
    for file in &locator.databases() {
        add_file(report, file, now);
    }
    // An online provider may do without.
    if locator.database_build().is_some() || locator.has_online() {
        return;
    }
    let detail = "no database of places is in use: hosts cannot be located".to_owned();
    report.add(Severity::Warning, "places", detail, Some(&places_remedy(locator)));
}

fn add_file(report: &mut DoctorReport, file: &DatabaseStatus, now: Timestamp) {
    let name = file.path.display();
    if let Some(problem) = &file.problem {
        let severity = if file.in_use { Severity::Warning } else { Severity::Error };
        let used = if file.in_use { "; the version before it is still in use" } else { "" };
        report.add(severity, "places", format!("{problem}{used}"), Some(&problem.remedy));
        return;
    }
    if !file.in_use {
        report.add(Severity::Note, "places", format!("`{name}` is not in use"), None);
        return;
    }
    let age = file.database_build.map(|build| now.since(build));
    let kind = file.database_type.as_deref().unwrap_or("unnamed type");
    let detail = match file.database_build.zip(age) {
        Some((build, age)) => {
            format!("`{name}` ({kind}) was built {}, {} days ago", build.to_date(), age.as_secs() / 86_400)
        }
        None => format!("`{name}` ({kind}) does not say when it was built"),
    };
    if age.is_some_and(|age| age > OLD_DATABASE) {
        let remedy = Some("replace it by a newer one (by rename): it is taken up while the server runs");
        report.add(Severity::Note, "places", detail, remedy);
    } else {
        report.add(Severity::Ok, "places", detail, None);
    }
}

/// Providers that are configured and cannot be asked, and settings that change nothing.
pub(super) fn add_problems(report: &mut DoctorReport, config: &ServicesConfig) {
    for problem in &config.provider_problems {
        report.add(Severity::Error, "providers", problem.detail.clone(), Some(&problem.remedy));
    }
    for unused in &config.unused_settings {
        report.add(Severity::Warning, "configuration", unused.to_string(), Some(&unused.remedy));
    }
}

/// Who sees addresses, and who else on the way can; `sent` says how many so far, where that is known.
pub(super) fn add_third_party(
    report: &mut DoctorReport,
    name: &str,
    host: &str,
    is_clear_text: bool,
    sent: &str,
) {
    if is_clear_text {
        let detail = format!("`{name}` sends addresses to {host} in clear text{sent}");
        let remedy = "whoever is on the way can read them: use a provider or plan that takes https";
        report.add(Severity::Warning, "providers", detail, Some(remedy));
    } else {
        report.add(Severity::Note, "providers", format!("`{name}` sends addresses to {host}{sent}"), None);
    }
}
