//! SIGKILL, terminated connections and crashes of the server, on `PostgreSQL`.
//!
//! Several worker processes share one database while lists are imported. What happens to them is drawn once and spread
//! over the work. Jobs whose worker was killed, or stands still as on a machine that froze, are watched: each runs again
//! soon. After each crash of the server it is
//! measured how soon work goes on, and the database is compared with itself before anything else happens.
//!
//! What counts is what was seen to happen: a kill that met a living process, a connection that the server says it has
//! ended. What met nobody is done again.

mod crash;
mod cuts;
mod orphans;
mod workers;

use std::{
    process::ExitStatus,
    time::{Duration, Instant},
};

use hostatlas_test_postgres::{Cluster, psql};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use self::{orphans::Orphans, workers::Workers};
use crate::{
    Form, Options, Report, cluster,
    importing::{Failed, Importing, Killed},
    installation::Installation,
    probe::PostgresProbe,
};

/// Lists that are imported before they are needed, so that there is work to disturb.
const LISTS_AHEAD: u64 = 8;
/// How long an import that is to be met works by then, at most, in milliseconds.
const IMPORT_MET_WITHIN: u64 = 300;
/// Without any progress for so long, work has stopped for good.
const STUCK_AFTER: Duration = Duration::from_mins(3);
const LOOK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy)]
struct Plan {
    jobs: u64,
    lists: u64,
    workers: usize,
    /// Of workers; two thirds of them have to meet jobs that run.
    kills: u32,
    /// Besides.
    import_kills: u32,
    /// Of workers: a machine stands still for a while and goes on.
    freezes: u32,
    restarts: u32,
    cuts: u32,
    /// No event waits longer than this for the work that it is to disturb.
    event_comes_within: Duration,
    /// How long a kill waits for a worker that is running jobs.
    victim_found_within: Duration,
}

const FULL: Plan = Plan {
    jobs: 500_000,
    lists: 100,
    workers: 8,
    kills: 150,
    import_kills: 30,
    freezes: 8,
    restarts: 10,
    cuts: 300,
    event_comes_within: Duration::from_secs(2),
    victim_found_within: Duration::from_secs(5),
};

const SHORT: Plan = Plan {
    jobs: 5_000,
    lists: 5,
    workers: 2,
    kills: 6,
    import_kills: 2,
    freezes: 1,
    restarts: 1,
    cuts: 10,
    event_comes_within: Duration::from_millis(200),
    victim_found_within: Duration::from_millis(500),
};

/// What is done to them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    KillWorker,
    KillImport,
    FreezeWorker,
    /// The server crashes and is started again.
    Crash,
    /// A connection is ended by the server.
    Cut,
}

/// What was seen to happen.
#[derive(Default)]
struct Counts {
    kills: u32,
    kills_with_jobs: u32,
    kills_of_imports: u32,
    freezes: u32,
    crashes: u32,
    crashes_during_an_import: u32,
    cuts: u32,
    cuts_of_imports: u32,
    /// Workers that were being started when the server was lost, and said so.
    starts_cut: u32,
    /// Imports that lost the server, and said so; they are begun again.
    imports_cut: u32,
    /// Of those, how many did not say what to do about it.
    imports_cut_without_a_hint: u32,
    /// Events that met nobody and were done again.
    repeated: u32,
}

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = options.form.pick(FULL, SHORT);
    let mut report = Report::new("kill-postgres", options);
    let (cluster, url) = tokio::task::block_in_place(cluster::start)?;
    // Imports log in as somebody else, so that their connections can be told from those of the workers.
    psql(&cluster.url(), &format!("CREATE ROLE {} SUPERUSER LOGIN", cuts::IMPORTER))?;
    let importers = url.replacen("postgres@", &format!("{}@", cuts::IMPORTER), 1);
    let mut installation = Installation::new(options)?;
    installation.set("HOSTATLAS_DATABASE_URL", url.clone());
    installation.run_well(&["db", "migrate"])?;
    let mut probe = PostgresProbe::new(&url);
    probe.watch_effects().await?;

    let killing = Killing {
        orphans: Orphans::new(&url),
        random: StdRng::seed_from_u64(options.seed),
        workers: Workers::start(&installation, plan.workers)?,
        import: Importing::of(&installation, plan.jobs, plan.lists)?.with_url(importers),
        lists: 0,
        frozen: Vec::new(),
        lost: Lost::default(),
        counts: Counts::default(),
        crashes: crash::Crashes::default(),
        form: options.form,
        cluster,
        installation,
        probe,
        plan,
    };
    let ended = killing.run_all(&mut report).await;
    report.require_end(ended);
    Ok(report)
}

/// When the server last crashed, or cut a connection of theirs.
#[derive(Default)]
struct Lost {
    by_workers: Option<Instant>,
    by_imports: Option<Instant>,
}

struct Killing {
    plan: Plan,
    form: Form,
    cluster: Cluster,
    installation: Installation,
    probe: PostgresProbe,
    orphans: Orphans,
    random: StdRng,
    workers: Workers,
    frozen: Vec<workers::Frozen>,
    import: Importing,
    /// Lists that may be imported by now.
    lists: u64,
    lost: Lost,
    counts: Counts,
    crashes: crash::Crashes,
}

impl Killing {
    async fn run_all(mut self, report: &mut Report) -> anyhow::Result<()> {
        self.disturb(report).await?;
        self.import_the_rest(report).await?;
        self.drain(report).await?;
        self.thaw(Duration::ZERO)?;
        self.workers.stop(report).await?;
        self.judge(report).await
    }

    fn events(&mut self) -> Vec<Event> {
        let of = |event, times: u32| std::iter::repeat_n(event, times as usize);
        let mut events: Vec<Event> = of(Event::KillWorker, self.plan.kills)
            .chain(of(Event::KillImport, self.plan.import_kills))
            .chain(of(Event::FreezeWorker, self.plan.freezes))
            .chain(of(Event::Crash, self.plan.restarts))
            .chain(of(Event::Cut, self.plan.cuts))
            .collect();
        events.shuffle(&mut self.random);
        events
    }

    /// Lets all events happen, each after its share of the work. What met nobody is put off, as often as there are
    /// events, and for as long as there is work: on a machine that is busy with something else it may end first.
    async fn disturb(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let mut events = self.events();
        let (mut happened, most) = (0, u32::try_from(events.len())?);
        while let Some(event) = events.pop() {
            let (turn, turns) = (happened + 1, happened + 1 + events.len() as u64);
            let ahead = LISTS_AHEAD.min(self.plan.lists / 5);
            self.lists = ((self.plan.lists * turn).div_ceil(turns) + ahead).min(self.plan.lists);
            self.wait_for_share(self.plan.jobs * turn / (turns + 1), report).await?;
            let met = match event {
                Event::KillWorker => self.kill_worker(report).await?,
                Event::KillImport => self.kill_import(report).await?,
                Event::FreezeWorker => self.freeze_worker(report).await?,
                Event::Cut => self.cut(report).await?,
                Event::Crash => {
                    self.crash(report).await?;
                    true
                }
            };
            if met {
                happened += 1;
            } else if self.counts.repeated < most && !self.is_all_done().await? {
                self.counts.repeated += 1;
                let later = self.random.random_range(0..=events.len());
                events.insert(later, event);
            }
            self.revive(report).await?;
        }
        Ok(())
    }

    async fn is_all_done(&mut self) -> anyhow::Result<bool> {
        Ok(self.import.is_over() && self.probe.completed().await? >= i64::try_from(self.plan.jobs)?)
    }

    /// Lets work go on until so many jobs are done, or for a while.
    async fn wait_for_share(&mut self, jobs: u64, report: &mut Report) -> anyhow::Result<()> {
        // What the dead hold is done only after its lease; the rest is enough to go on.
        let enough = i64::try_from(jobs * 9 / 10)?;
        let began = Instant::now();
        loop {
            self.import(self.lists, report).await?;
            if began.elapsed() >= self.plan.event_comes_within || self.probe.completed().await? >= enough {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Sees to it that an import runs, where lists are left that may be imported.
    async fn import(&mut self, lists: u64, report: &mut Report) -> anyhow::Result<()> {
        if let Some(failed) = self.import.advance(lists, &self.installation).await? {
            self.judge_import(&failed, report);
        }
        Ok(())
    }

    /// The same, ahead of its time if need be, and lets it work for a random moment.
    async fn import_for_a_moment(&mut self, report: &mut Report) -> anyhow::Result<()> {
        self.import(self.lists + 2, report).await?;
        let moment = Duration::from_millis(self.random.random_range(0..IMPORT_MET_WITHIN));
        tokio::time::sleep(moment).await;
        Ok(())
    }

    async fn import_the_rest(&mut self, report: &mut Report) -> anyhow::Result<()> {
        while !self.import.is_over() {
            self.import(self.plan.lists, report).await?;
            self.revive(report).await?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Kills an import in the middle; answers whether it met one.
    async fn kill_import(&mut self, report: &mut Report) -> anyhow::Result<bool> {
        self.import_for_a_moment(report).await?;
        match self.import.kill()? {
            Killed::Import => {
                self.counts.kills_of_imports += 1;
                return Ok(true);
            }
            Killed::Failed(failed) => self.judge_import(&failed, report),
            Killed::Nothing => {}
        }
        Ok(false)
    }

    /// An import is a person's command: one that loses the server, or finds none, ends with 1 or 5 and says so. Its list is
    /// begun again.
    fn judge_import(&mut self, failed: &Failed, report: &mut Report) {
        let Failed { status, said, began } = failed;
        let is_excused = self.lost.by_imports >= Some(*began) && says_so(*status, said);
        report.require(is_excused, || format!("an import that nobody disturbed ended with {status}: {said}"));
        self.counts.imports_cut += u32::from(is_excused);
        self.counts.imports_cut_without_a_hint += u32::from(is_excused && !said.contains("hint: "));
    }

    /// Waits until no job is left.
    async fn drain(&mut self, report: &mut Report) -> anyhow::Result<()> {
        if self.form == Form::Short {
            self.forget_the_dead().await?;
        }
        let (mut done, mut progressed) = (-1, Instant::now());
        while done < i64::try_from(self.plan.jobs)? {
            let now = self.probe.completed().await?;
            if now > done {
                (done, progressed) = (now, Instant::now());
            } else if progressed.elapsed() > STUCK_AFTER {
                report.violation(format!("work stopped at {done} of {} jobs", self.plan.jobs));
                break;
            }
            self.revive(report).await?;
            tokio::time::sleep(LOOK * 5).await;
        }
        Ok(())
    }

    async fn judge(mut self, report: &mut Report) -> anyhow::Result<()> {
        let checked = self.installation.run(&["db", "check"])?;
        report.require(checked.status.success(), || {
            let (out, error) =
                (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
            format!("`db check` found: {out}{error}")
        });
        let jobs = i64::try_from(self.plan.jobs)?;
        let hosts = self.probe.number("SELECT count(*) FROM host").await?;
        let made = self.probe.number("SELECT count(*) FROM job").await?;
        let done = self.probe.number("SELECT count(*) FROM job WHERE state = 4").await?;
        let effects = self.probe.number("SELECT count(*) FROM job_effect").await?;
        let located = self.probe.number("SELECT count(*) FROM host_effect").await?;
        let twice = self.probe.applied_twice().await?;
        report.require(hosts == jobs && made == jobs, || {
            format!("{hosts} hosts and {made} jobs of {jobs} addresses")
        });
        report.require(done == jobs && effects == jobs && located == jobs, || {
            format!("{done} jobs done with {effects} ends and {located} located hosts, of {jobs}")
        });
        report.require(twice == 0, || format!("{twice} effects were applied twice"));
        self.orphans.judge(self.form, report).await?;
        self.crashes.judge(self.form, report);
        self.counts.judge(&self.plan, self.form, report);
        report.number("jobs", self.plan.jobs);
        report.number("worker_processes", self.plan.workers);
        report.number("lost", jobs - done);
        report.number("applied_twice", twice);
        self.probe.close().await
    }
}

/// Whether somebody who could not go on said so as a command does.
fn says_so(status: ExitStatus, said: &str) -> bool {
    // 5: it was cut during a COMMIT, and nobody knows what came of that.
    matches!(status.code(), Some(1 | 5)) && said.contains("error: ")
}

impl Counts {
    /// Whether what was to happen did.
    fn judge(&self, plan: &Plan, form: Form, report: &mut Report) {
        for (what, happened, planned) in [
            ("workers were killed", self.kills, plan.kills),
            (
                "workers were frozen",
                if form == Form::Full { self.freezes } else { plan.freezes },
                plan.freezes,
            ),
            ("crashes of the server were made", self.crashes, plan.restarts),
            ("connections were cut", self.cuts, plan.cuts),
        ] {
            report.require(happened >= planned, || format!("{happened} {what}, not {planned}"));
        }
        if form == Form::Full {
            report.require(self.kills_with_jobs * 3 >= plan.kills * 2, || {
                format!("{} of {} kills met a worker that was running jobs", self.kills_with_jobs, self.kills)
            });
            report.require(self.kills_of_imports * 2 >= plan.import_kills, || {
                format!("{} imports were killed, not {}", self.kills_of_imports, plan.import_kills)
            });
            report.require(self.cuts_of_imports > 0, || "no connection of an import was ever cut".to_owned());
        }
        report.number("kills", self.kills);
        report.number("kills_with_jobs_running", self.kills_with_jobs);
        report.number("kills_of_imports", self.kills_of_imports);
        report.number("freezes", self.freezes);
        report.number("immediate_restarts", self.crashes);
        report.number("immediate_restarts_during_an_import", self.crashes_during_an_import);
        report.number("terminated_connections", self.cuts);
        report.number("terminated_connections_of_imports", self.cuts_of_imports);
        report.number("starts_without_a_server", self.starts_cut);
        report.number("imports_that_lost_the_server", self.imports_cut);
        report.number("imports_that_lost_the_server_without_a_hint", self.imports_cut_without_a_hint);
        report.number("events_repeated", self.repeated);
    }
}
