use std::sync::Mutex;

use hostatlas_domain::{
    CountryCoverage, Coverage, LocationState, ProviderCoverage, RecentResult, Topic, UnlocatedReason,
};
use hostatlas_store::Version;

use crate::{Error, Services, locator::places_remedy, request::parse_limit};

/// How much of what was found is located.
#[derive(Clone)]
pub struct CoverageService {
    services: Services,
}

/// The countries as of a version of the map: summing up every place takes longer than all else on the page.
#[derive(Default)]
pub(crate) struct CountryCache(Mutex<Option<(Version, Vec<CountryCoverage>)>>);

impl CountryCache {
    fn get(&self, version: Option<Version>) -> Option<Vec<CountryCoverage>> {
        let known = self.0.lock().ok()?;
        known.as_ref().filter(|(of, _)| Some(*of) == version).map(|(_, countries)| countries.clone())
    }

    fn set(&self, version: Option<Version>, countries: &[CountryCoverage]) {
        if let (Some(version), Ok(mut known)) = (version, self.0.lock()) {
            *known = Some((version, countries.to_vec()));
        }
    }
}

/// One cause for which hosts are not on the map, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EmptyReason {
    /// The cause, for programs: `no_hosts`, `no_database`, `jobs_waiting`, `jobs_paused`, `no_worker`, `no_jobs`,
    /// `unlocated`, `not_applicable`.
    pub code: String,
    /// The cause, for people.
    pub sentence: String,
    /// How many hosts or jobs it concerns.
    pub count: u64,
    /// What the button that mends it says.
    pub action_label: String,
    /// Where that button leads.
    pub action_href: String,
}

impl EmptyReason {
    fn new(code: &str, count: u64, sentence: String, action_label: &str, action_href: &str) -> Self {
        Self {
            code: code.to_owned(),
            sentence,
            count,
            action_label: action_label.to_owned(),
            action_href: action_href.to_owned(),
        }
    }
}

impl CoverageService {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// The counts.
    pub async fn get(&self) -> Result<Coverage, Error> {
        Ok(self.services.store().coverage(self.services.config().max_age).await?)
    }

    /// Located hosts by country, most first.
    pub async fn countries(&self) -> Result<Vec<CountryCoverage>, Error> {
        let store = self.services.store();
        let version = store.changes().await?.version(Topic::Map);
        if let Some(known) = self.services.countries().get(version) {
            return Ok(known);
        }
        let countries = store.coverage_countries().await?;
        self.services.countries().set(version, &countries);
        Ok(countries)
    }

    /// Located hosts by provider, most first.
    pub async fn providers(&self) -> Result<Vec<ProviderCoverage>, Error> {
        let counts = self.get().await?.providers;
        let mut providers: Vec<_> =
            counts.into_iter().map(|(provider, hosts)| ProviderCoverage { provider, hosts }).collect();
        providers.sort_by_key(|provider| std::cmp::Reverse(provider.hosts));
        Ok(providers)
    }

    /// The latest attempts, newest first; at most 100 are kept.
    pub async fn recent(&self, limit: u32) -> Result<Vec<RecentResult>, Error> {
        Ok(self.services.store().coverage_recent(parse_limit(limit)?.min(100)).await?)
    }

    /// Why hosts are not on the map, in order of cause: each with its count and what mends it. Empty when every host
    /// is on it.
    pub async fn empty_map_reasons(&self) -> Result<Vec<EmptyReason>, Error> {
        let coverage = self.get().await?;
        if coverage.total == 0 {
            return Ok(vec![EmptyReason::new(
                "no_hosts",
                0,
                "No scan has been imported yet: run `hostatlas import scan.json`.".to_owned(),
                "See imports",
                "/coverage#imports",
            )]);
        }
        let mut reasons = Vec::new();
        self.add_database_reason(&coverage, &mut reasons);
        self.add_job_reasons(&coverage, &mut reasons).await?;
        add_unlocated_reasons(&coverage, &mut reasons);
        Ok(reasons)
    }

    fn add_database_reason(&self, coverage: &Coverage, reasons: &mut Vec<EmptyReason>) {
        let without =
            coverage.unlocated_reasons.get(UnlocatedReason::NoDatabase.slug()).copied().unwrap_or(0);
        let locator = self.services.locator();
        let has_places = locator.database_build().is_some();
        if (has_places || locator.has_online()) && without == 0 {
            return;
        }
        let count = if has_places { without } else { coverage.pending + without };
        if count == 0 {
            return;
        }
        let whose = if has_places {
            "No database for their address family is installed"
        } else {
            "No database of places is installed"
        };
        let remedy = places_remedy(locator);
        reasons.push(EmptyReason::new(
            "no_database",
            count,
            format!("{whose}: {remedy}. It is taken up within seconds."),
            "See what to install",
            "/databases",
        ));
    }

    async fn add_job_reasons(
        &self,
        coverage: &Coverage,
        reasons: &mut Vec<EmptyReason>,
    ) -> Result<(), Error> {
        let workers = self.services.workers().list().await?;
        for kind in self.services.jobs().kinds().await?.into_iter().filter(|kind| kind.served) {
            let (waiting, running) = (kind.counts.waiting(), kind.counts.running);
            let href = format!("/jobs?kind={}", kind.kind);
            if waiting > 0 && kind.paused_at.is_some() {
                let sentence = format!("{waiting} {} jobs wait because the kind is paused.", kind.kind);
                reasons.push(EmptyReason::new(
                    "jobs_paused",
                    waiting,
                    sentence,
                    "Resume on the jobs page",
                    &href,
                ));
            } else if waiting > 0 && !workers.iter().any(|worker| worker.takes(kind.kind)) {
                let sentence = format!(
                    "{waiting} {} jobs are queued, and no worker runs: start `hostatlas serve` or `hostatlas worker`.",
                    kind.kind
                );
                reasons.push(EmptyReason::new("no_worker", waiting, sentence, "See the workers", "/workers"));
            } else if waiting + running > 0 {
                let sentence = format!(
                    "{} {} jobs are queued; a worker takes them in turn.",
                    waiting + running,
                    kind.kind
                );
                reasons.push(EmptyReason::new(
                    "jobs_waiting",
                    waiting + running,
                    sentence,
                    "See the queue",
                    &href,
                ));
            }
        }
        if coverage.pending_unqueued > 0 {
            let count = coverage.pending_unqueued;
            let sentence = format!("{count} hosts were never looked up, and no job for them is queued.");
            reasons.push(EmptyReason::new(
                "no_jobs",
                count,
                sentence,
                "Queue jobs for them",
                "/coverage#actions",
            ));
        }
        Ok(())
    }
}

fn add_unlocated_reasons(coverage: &Coverage, reasons: &mut Vec<EmptyReason>) {
    for reason in UnlocatedReason::ALL.into_iter().filter(|reason| *reason != UnlocatedReason::NoDatabase) {
        let count = coverage.unlocated_reasons.get(reason.slug()).copied().unwrap_or(0);
        if count > 0 {
            let sentence = format!("{}.", reason.label());
            let href = format!("/hosts?q=reason:{}", reason.slug());
            reasons.push(EmptyReason::new("unlocated", count, sentence, "Show these hosts", &href));
        }
    }
    if coverage.not_applicable > 0 {
        reasons.push(EmptyReason::new(
            "not_applicable",
            coverage.not_applicable,
            "Private and special-purpose addresses have no place, and no provider is asked about them."
                .to_owned(),
            "Show these hosts",
            &format!("/hosts?q=state:{}", LocationState::NotApplicable.slug()),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_leads_to_its_hosts() {
        let mut coverage = Coverage { total: 9, not_applicable: 4, ..Coverage::default() };
        coverage.unlocated_reasons.insert(UnlocatedReason::NoRecord.slug().to_owned(), 5);
        let mut reasons = Vec::new();
        add_unlocated_reasons(&coverage, &mut reasons);
        let shown: Vec<_> =
            reasons.iter().map(|reason| (reason.count, reason.action_href.as_str())).collect();
        assert_eq!(shown, [(5, "/hosts?q=reason:no_record"), (4, "/hosts?q=state:not_applicable")]);
    }
}
