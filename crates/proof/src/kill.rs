//! SIGKILL at random, on `SQLite`.
//!
//! Lists of addresses are imported one after the other while a worker locates what they bring. Now the worker, now
//! the import is killed. An import that was killed is run again, as its user would. At the end each address is one
//! host with one job, each job is done and was done once. Whoever ends without having been killed is a violation.

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    Options, Report,
    importing::{Failed, Importing, Killed},
    installation::{Installation, PATIENCE},
    probe::SqliteProbe,
    process::Met,
    report::milliseconds,
};

/// How soon after its start a worker has done something.
const RESUMES_WITHIN: Duration = Duration::from_secs(1);
/// How often progress is looked for.
const LOOK: Duration = Duration::from_millis(2);
/// While lists are imported, one kill in so many meets the import.
const IMPORTS_KILLED: u32 = 4;
/// How long a worker is not started while nothing is there for it to do.
const WAITS_FOR_WORK: Duration = Duration::from_millis(500);
/// One kill in so many comes before the worker has done anything.
const EARLY_KILLS: u32 = 5;

/// How much is done.
struct Plan {
    jobs: u64,
    lists: u64,
    kills: u32,
}

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = options
        .form
        .pick(Plan { jobs: 1_000_000, lists: 40, kills: 200 }, Plan { jobs: 4_000, lists: 4, kills: 6 });
    let mut report = Report::new("kill", options);
    let installation = Installation::new(options)?;
    let import = Importing::of(&installation, plan.jobs, plan.lists)?;
    installation.run_well(&["db", "migrate"])?;
    let mut watch = SqliteProbe::writing(&installation.database()).await?;
    watch.watch_effects().await?;
    watch.close().await?;

    let mut killing = Killing {
        random: StdRng::seed_from_u64(options.seed),
        import,
        resumed: Vec::new(),
        rounds: 0,
        kills: 0,
        kills_of_imports: 0,
        idle_rounds: 0,
        installation,
        plan,
    };
    let ended = killing.run_all(&mut report).await;
    report.require_end(ended);
    Ok(report)
}

struct Killing {
    plan: Plan,
    installation: Installation,
    random: StdRng,
    import: Importing,
    /// How long each start took to its first finished job, where jobs were waiting.
    resumed: Vec<Duration>,
    rounds: u32,
    /// Processes that lived and were ended by SIGKILL.
    kills: u32,
    kills_of_imports: u32,
    idle_rounds: u32,
}

impl Killing {
    async fn run_all(&mut self, report: &mut Report) -> anyhow::Result<()> {
        self.rounds(report).await?;
        self.finish(report).await?;
        self.judge(report).await
    }

    /// Kills so often that the last kill comes before the last job.
    async fn rounds(&mut self, report: &mut Report) -> anyhow::Result<()> {
        while self.rounds < self.plan.kills {
            self.rounds += 1;
            // The lists come as the kills do, so that there is something to import at all of them.
            let lists = self.plan.lists * u64::from(self.rounds) / u64::from(self.plan.kills) + 1;
            self.import(lists, report).await?;
            if !self.import.is_over() && self.random.random_ratio(1, IMPORTS_KILLED) {
                let delay = self.random.random_range(0..100);
                tokio::time::sleep(Duration::from_millis(delay)).await;
                if self.kill_import(report)? {
                    self.check_file(report).await?;
                    continue;
                }
            }
            self.kill_worker(report).await?;
            self.check_file(report).await?;
        }
        Ok(())
    }

    async fn import(&mut self, lists: u64, report: &mut Report) -> anyhow::Result<()> {
        if let Some(failed) = self.import.advance(lists, &self.installation).await? {
            judge_import(&failed, report);
        }
        Ok(())
    }

    /// Answers whether there was an import to kill.
    fn kill_import(&mut self, report: &mut Report) -> anyhow::Result<bool> {
        let killed = self.import.kill()?;
        if let Killed::Failed(failed) = &killed {
            judge_import(failed, report);
        }
        let was_killed = matches!(killed, Killed::Import);
        self.kills += u32::from(was_killed);
        self.kills_of_imports += u32::from(was_killed);
        Ok(was_killed)
    }

    async fn kill_worker(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let mut probe = SqliteProbe::reading(&self.installation.database()).await?;
        let done = u64::try_from(probe.completed().await?).unwrap_or(0);
        let waiting = wait_for_work(&mut probe).await?;
        let began = Instant::now();
        let mut worker = self.installation.start(&["worker"])?;
        if self.random.random_ratio(1, EARLY_KILLS) {
            let delay = self.random.random_range(0..60);
            tokio::time::sleep(Duration::from_millis(delay)).await;
        } else if waiting {
            match first_progress(&mut probe, done, began).await? {
                Some(took) => self.resumed.push(took),
                None => report.violation(format!(
                    "round {}: jobs waited and none was done within {PATIENCE:?}: {}",
                    self.rounds,
                    worker.said()
                )),
            }
            self.let_it_work(&mut probe, done).await?;
        } else {
            // The lists are not there yet: nothing can be resumed, but a kill is a kill.
            self.idle_rounds += 1;
            tokio::time::sleep(Duration::from_millis(self.random.random_range(0..100))).await;
        }
        probe.close().await?;
        match worker.kill()? {
            Met::Living => self.kills += 1,
            Met::Ended(status) => report.violation(format!(
                "round {}: a worker that nobody killed ended with {status}: {}",
                self.rounds,
                worker.said()
            )),
        }
        Ok(())
    }

    /// Lets the worker go on until a random number of jobs, so that those left suffice for the kills to come.
    async fn let_it_work(&mut self, probe: &mut SqliteProbe, done: u64) -> anyhow::Result<()> {
        let left = u64::try_from(probe.live().await?)?;
        let left = left.max(self.plan.jobs.saturating_sub(done) / u64::from(self.plan.kills));
        let kills = u64::from(self.plan.kills.saturating_sub(self.rounds)) + 1;
        let share = self.random.random_range(0..=2 * left / (kills + 1));
        let patience = Duration::from_millis(self.random.random_range(1..1_500));
        let began = Instant::now();
        while began.elapsed() < patience
            && u64::try_from(probe.completed().await?).unwrap_or(0) < done + share
        {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// What has to hold after each kill, before anybody repairs anything.
    async fn check_file(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let mut probe = SqliteProbe::reading(&self.installation.database()).await?;
        let found = probe.integrity().await?;
        report.require(found == "ok", || format!("round {}: integrity: {found}", self.rounds));
        let twice = probe.applied_twice().await?;
        report.require(twice == 0, || format!("round {}: {twice} effects were applied twice", self.rounds));
        probe.close().await
    }

    /// Imports what is left and lets the queue run empty, undisturbed.
    async fn finish(&mut self, report: &mut Report) -> anyhow::Result<()> {
        while !self.import.is_over() {
            self.import(u64::MAX, report).await?;
            tokio::time::sleep(LOOK).await;
        }
        self.installation.run_well(&["worker", "--drain"])?;
        let checked = self.installation.run(&["db", "check"])?;
        report.require(checked.status.success(), || {
            format!("`db check` found: {}", String::from_utf8_lossy(&checked.stdout))
        });
        Ok(())
    }

    async fn judge(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let mut probe = SqliteProbe::reading(&self.installation.database()).await?;
        let counted = probe.count().await?;
        probe.close().await?;
        let jobs = i64::try_from(self.plan.jobs)?;
        report.require(counted.hosts == jobs, || format!("{} hosts of {jobs} addresses", counted.hosts));
        report.require(counted.jobs == jobs, || format!("{} jobs for {jobs} hosts", counted.jobs));
        let lost = jobs - counted.completed;
        report.require(lost == 0, || format!("{lost} jobs were lost"));
        let twice = counted.jobs_twice + counted.hosts_twice;
        report.require(twice == 0, || format!("{twice} effects were applied twice"));
        report.require(counted.disagree == 0, || format!("{} jobs and effects disagree", counted.disagree));

        self.resumed.sort_unstable();
        let slowest = self.resumed.last().copied().unwrap_or_default();
        report.require(slowest <= report.form().patience(RESUMES_WITHIN), || {
            format!("work resumed only after {slowest:?}")
        });
        report.require(!self.resumed.is_empty(), || "no resumption was ever measured".to_owned());
        let (kills, planned) = (self.kills, self.plan.kills);
        report.require(kills == planned, || format!("{kills} processes were killed, not {planned}"));
        report.number("jobs", self.plan.jobs);
        report.number("kills", self.kills);
        report.number("kills_of_imports", self.kills_of_imports);
        report.number("kills_while_idle", self.idle_rounds);
        report.number("lost", lost);
        report.number("applied_twice", twice);
        report.number("resumes_measured", self.resumed.len());
        report.number(
            "resume_median_ms",
            milliseconds(self.resumed.get(self.resumed.len() / 2).copied().unwrap_or_default()),
        );
        report.number("resume_slowest_ms", milliseconds(slowest));
        Ok(())
    }
}

/// Nobody killed it: on a file of its own nothing may stop an import.
fn judge_import(failed: &Failed, report: &mut Report) {
    let Failed { status, said, .. } = failed;
    report.violation(format!("an import that nobody killed ended with {status}: {said}"));
}

/// Whether there is something to do, as soon as there is.
async fn wait_for_work(probe: &mut SqliteProbe) -> anyhow::Result<bool> {
    let began = Instant::now();
    while began.elapsed() < WAITS_FOR_WORK {
        if probe.live().await? > 0 {
            return Ok(true);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(false)
}

/// How long after `began` more than `done` jobs are done.
async fn first_progress(
    probe: &mut SqliteProbe,
    done: u64,
    began: Instant,
) -> anyhow::Result<Option<Duration>> {
    while began.elapsed() < PATIENCE {
        if u64::try_from(probe.completed().await?).unwrap_or(0) > done {
            return Ok(Some(began.elapsed()));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(None)
}
