//! Crashes of the server: how soon work goes on, and that the database agrees with itself at once.

use std::{
    process::Output,
    time::{Duration, Instant},
};

use rand::Rng;
use serde_json::Value;

use super::{Killing, LOOK, Lost};
use crate::{Form, Report, report::milliseconds};

/// Workers ask again every few seconds; but if all that is left lies with the dead, a lease of 25 seconds has to run
/// out first.
const GOES_ON_WITHIN: Duration = Duration::from_secs(35);
/// One crash in so many comes while a list is imported.
const IMPORTS_MET: u32 = 2;
/// Housekeeping makes an index again that a crash left half made, and it is used by nobody until then.
const HALF_AN_INDEX: &str = "housekeeping makes it again";

/// What crashes showed.
#[derive(Default)]
pub(super) struct Crashes {
    /// How long it took from a server that answers to the next job that is done.
    went_on: Vec<Duration>,
    /// Crashes after which nothing was left to do.
    without_work: u32,
    slowest_check: Duration,
    /// From the crash until the server has recovered.
    slowest_restart: Duration,
}

impl Crashes {
    pub(super) fn judge(mut self, form: Form, report: &mut Report) {
        self.went_on.sort_unstable();
        let median = self.went_on.get(self.went_on.len() / 2).copied().unwrap_or_default();
        let slowest = self.went_on.last().copied().unwrap_or_default();
        report.require(!self.went_on.is_empty() || form == Form::Short, || {
            "after no crash it was seen how soon work goes on".to_owned()
        });
        report.number("restart_resumes_measured", self.went_on.len());
        report.number("restart_resume_median_ms", milliseconds(median));
        report.number("restart_resume_slowest_ms", milliseconds(slowest));
        report.number("restart_slowest_ms", milliseconds(self.slowest_restart));
        report.number("restarts_without_work", self.without_work);
        report.number("check_after_restart_slowest_ms", milliseconds(self.slowest_check));
    }
}

impl Killing {
    /// Crashes the server in the middle of what there is, and starts it again.
    pub(super) async fn crash(&mut self, report: &mut Report) -> anyhow::Result<()> {
        if self.random.random_ratio(1, IMPORTS_MET) {
            self.import_for_a_moment(report).await?;
        }
        // Seen once more just before: one that had ended by then is not met.
        self.import(0, report).await?;
        self.counts.crashes_during_an_import += u32::from(self.import.is_running());
        let stopped = Instant::now();
        tokio::task::block_in_place(|| self.cluster.restart_immediate())?;
        self.crashes.slowest_restart = self.crashes.slowest_restart.max(stopped.elapsed());
        self.orphans.server_was_away(stopped.elapsed());
        self.counts.crashes += 1;
        let now = Some(Instant::now());
        self.lost = Lost { by_workers: now, by_imports: now };
        if self.form == Form::Short {
            self.forget_the_dead().await?;
        }
        self.wait_until_it_goes_on(report).await?;
        // The check reads everything and keeps a core busy, for which no orphan should have to wait.
        self.orphans.run_again(self.form.patience(GOES_ON_WITHIN)).await;
        self.check(report).await
    }

    /// Measures how soon another job is done.
    async fn wait_until_it_goes_on(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let began = Instant::now();
        let patience = report.form().patience(GOES_ON_WITHIN);
        let before = self.probe.completed().await?;
        loop {
            if self.probe.completed().await? > before {
                self.crashes.went_on.push(began.elapsed());
                return Ok(());
            }
            let live = self.probe.live().await?;
            if live == 0 && self.import.is_over() {
                self.crashes.without_work += 1;
                return Ok(());
            }
            if began.elapsed() > patience {
                report.violation(format!("after a crash of the server no job was done in {patience:?}"));
                return Ok(());
            }
            // A list that was imported before its import was killed brings nothing new: then the next one has to.
            let lists = if live == 0 { self.plan.lists } else { self.lists };
            self.import(lists, report).await?;
            self.revive(report).await?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What has to hold after each crash, while work goes on.
    async fn check(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let number = self.counts.crashes;
        let twice = self.probe.applied_twice().await?;
        report.require(twice == 0, || format!("after crash {number} {twice} effects were applied twice"));
        let began = Instant::now();
        let checked = tokio::task::block_in_place(|| self.installation.run(&["db", "check"]))?;
        self.crashes.slowest_check = self.crashes.slowest_check.max(began.elapsed());
        for finding in findings(&checked) {
            report.violation(format!("`db check` found after crash {number}: {finding}"));
        }
        Ok(())
    }
}

/// What `db check` found, but for what a crash may leave without harm.
fn findings(checked: &Output) -> Vec<String> {
    let said: Value = serde_json::from_slice(&checked.stdout).unwrap_or_default();
    let Some(findings) = said["findings"].as_array() else {
        let error = String::from_utf8_lossy(&checked.stderr);
        return vec![format!("nothing, it ended with {}: {error}", checked.status)];
    };
    let details = findings.iter().map(|finding| finding["detail"].as_str().unwrap_or_default());
    details.filter(|detail| !detail.contains(HALF_AN_INDEX)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::*;

    fn found(stdout: &str) -> Vec<String> {
        let (stdout, stderr) = (stdout.as_bytes().to_vec(), b"error: no server".to_vec());
        findings(&Output { status: ExitStatus::from_raw(1 << 8), stdout, stderr })
    }

    #[test]
    fn a_check_that_did_not_come_to_its_end_is_a_finding_and_an_index_that_is_half_made_is_none() {
        let half =
            r#"{"check":"integrity","detail":"the index `a` is not complete: housekeeping makes it again"}"#;
        let wrong = r#"{"check":"queue","detail":"3 live jobs have a twin"}"#;
        assert_eq!(
            found(&format!("{{\"checked\":9,\"findings\":[{half},{wrong}]}}")),
            ["3 live jobs have a twin"]
        );
        assert_eq!(found(&format!("{{\"checked\":9,\"findings\":[{half}]}}")), Vec::<String>::new());
        assert_eq!(found(""), ["nothing, it ended with exit status: 1: error: no server"]);
    }
}
