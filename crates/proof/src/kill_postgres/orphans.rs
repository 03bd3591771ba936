//! Jobs whose worker was killed, until they run again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{Form, Report, cluster::PostgresProbe};

/// A lease of 30 seconds, and the next look for those that ran out.
const RUNS_AGAIN_WITHIN: Duration = Duration::from_secs(35);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// The orphans that are watched.
pub(super) struct Orphans {
    probe: PostgresProbe,
    /// By job: the token under which it was orphaned, and when that was.
    waiting: HashMap<i64, (i64, Instant)>,
    noted: u64,
    ran_again: u64,
    slowest: Duration,
    looked: Instant,
}

impl Orphans {
    pub(super) fn new(url: &str) -> Self {
        let (probe, looked) = (PostgresProbe::new(url), Instant::now());
        Self { probe, waiting: HashMap::new(), noted: 0, ran_again: 0, slowest: Duration::ZERO, looked }
    }

    /// Notes some of the jobs that a process was running when it was killed just now.
    pub(super) async fn note(&mut self, process: u32) -> anyhow::Result<()> {
        let died = Instant::now();
        let jobs = self
            .probe
            .pairs(
                "SELECT id, lease_token FROM job WHERE state = 3 AND claimed_by IN
                 (SELECT id FROM worker WHERE process_id = ANY($1)) LIMIT 100",
                &[process.into()],
            )
            .await?;
        for (job, token) in jobs {
            self.noted += 1;
            self.waiting.insert(job, (token, died));
        }
        Ok(())
    }

    /// Forgets those that run again or are done.
    pub(super) async fn look(&mut self) -> anyhow::Result<()> {
        if self.waiting.is_empty() || self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.look_now().await
    }

    /// The same, at once.
    pub(super) async fn look_now(&mut self) -> anyhow::Result<()> {
        self.looked = Instant::now();
        let ids: Vec<i64> = self.waiting.keys().copied().collect();
        // What the server was committing when the worker died is done under its old token.
        let tokens = "SELECT id, lease_token + (state > 3)::integer FROM job WHERE id = ANY($1)";
        let tokens = self.probe.pairs(tokens, &ids).await?;
        for (job, token) in tokens {
            if let Some((orphaned, died)) = self.waiting.get(&job)
                && token > *orphaned
            {
                self.ran_again += 1;
                self.slowest = self.slowest.max(died.elapsed());
                self.waiting.remove(&job);
            }
        }
        Ok(())
    }

    pub(super) fn judge(&self, form: Form, report: &mut Report) {
        let slowest = self.slowest;
        report.require(slowest <= form.patience(RUNS_AGAIN_WITHIN), || {
            format!("an orphaned job ran again after {slowest:?}")
        });
        report.require(self.waiting.is_empty(), || {
            format!("{} of {} orphaned jobs never ran again", self.waiting.len(), self.noted)
        });
        report.require(self.noted > 0 || form == Form::Short, || "no kill ever orphaned a job".to_owned());
        report.number("orphans_watched", self.noted);
        report.number("orphans_ran_again", self.ran_again);
        report.number("orphan_slowest_ms", u64::try_from(slowest.as_millis()).unwrap_or(u64::MAX));
    }
}
