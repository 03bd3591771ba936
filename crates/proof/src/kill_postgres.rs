//! SIGKILL, terminated connections and crashes of the server, on `PostgreSQL`.
//!
//! Several worker processes share one database while lists are imported. What happens to them is drawn once and spread
//! over the work. Jobs whose worker was killed are watched: each runs again soon.

mod orphans;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hostatlas_test_postgres::Cluster;
use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};

use self::orphans::Orphans;
use crate::{
    Form, Options, Report,
    cluster::{self, PostgresProbe},
    installation::Installation,
    process::Process,
};

/// Lists that are imported before they are needed, so that there is work to disturb.
const LISTS_AHEAD: u64 = 4;
/// How long a kill waits for somebody who is running jobs.
const VICTIM_FOUND_WITHIN: Duration = Duration::from_millis(500);
/// Without any progress for so long, work has stopped for good.
const STUCK_AFTER: Duration = Duration::from_mins(3);
/// What a worker says once it has its database.
const WORKS: &str = "Worker runs";
const LOOK: Duration = Duration::from_millis(10);
/// Five seconds of grace, and what a process takes to end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
struct Plan {
    jobs: u64,
    lists: u64,
    workers: usize,
    kills: u32,
    restarts: u32,
    terminations: u32,
    /// No event waits longer than this for the work that it is to disturb.
    event_comes_within: Duration,
}

/// What is done to them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Kill,
    Restart,
    Terminate,
}

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let full = Plan {
        jobs: 500_000,
        lists: 50,
        workers: 8,
        kills: 150,
        restarts: 10,
        terminations: 300,
        event_comes_within: Duration::from_secs(2),
    };
    let short = Plan {
        jobs: 5_000,
        lists: 5,
        workers: 2,
        kills: 6,
        restarts: 1,
        terminations: 10,
        event_comes_within: Duration::from_millis(200),
    };
    let plan = options.form.pick(full, short);
    let plan = if std::env::var_os("A_REDUCED").is_some() {
        Plan { jobs: 100_000, lists: 10, kills: 40, restarts: 3, terminations: 60, ..full }
    } else {
        plan
    };
    let mut report = Report::new("kill-postgres", options);
    let (cluster, url) = tokio::task::block_in_place(cluster::start)?;
    let mut installation = Installation::new(options)?;
    installation.set("HOSTATLAS_DATABASE_URL", url.clone());
    installation.run_well(&["db", "migrate"])?;
    let mut probe = PostgresProbe::new(&url);
    probe.watch_effects().await?;

    let mut killing = Killing {
        orphans: Orphans::new(&url),
        random: StdRng::seed_from_u64(options.seed),
        workers: Vec::new(),
        listed: 0,
        failed_starts: 0,
        cluster,
        installation,
        probe,
        plan,
    };
    for _ in 0..plan.workers {
        killing.workers.push(killing.installation.start(&["worker"])?);
    }
    killing.disturb(&mut report).await?;
    killing.drain(options.form, &mut report).await?;
    killing.stop(&mut report).await?;
    killing.judge(options.form, &mut report).await?;
    Ok(report)
}

struct Killing {
    plan: Plan,
    cluster: Cluster,
    installation: Installation,
    probe: PostgresProbe,
    orphans: Orphans,
    random: StdRng,
    workers: Vec<Process>,
    /// Lists that are imported.
    listed: u64,
    /// Workers that met a server that was down when they were started.
    failed_starts: u32,
}

impl Killing {
    fn events(&mut self) -> VecDeque<Event> {
        let of = |event, times: u32| std::iter::repeat_n(event, times as usize);
        let mut events: Vec<Event> = of(Event::Kill, self.plan.kills)
            .chain(of(Event::Restart, self.plan.restarts))
            .chain(of(Event::Terminate, self.plan.terminations))
            .collect();
        events.shuffle(&mut self.random);
        events.into()
    }

    /// Lets all events happen, each after its share of the work.
    async fn disturb(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let mut events = self.events();
        let total = events.len() as u64 + 1;
        while let Some(event) = events.pop_front() {
            let happened = total - events.len() as u64;
            let lists = (self.plan.lists * happened).div_ceil(total) + LISTS_AHEAD.min(self.plan.lists / 5);
            self.wait_for_share(self.plan.jobs * happened / (total + 1)).await?;
            self.import_until(lists.min(self.plan.lists), report)?;
            match event {
                Event::Kill => self.kill().await?,
                Event::Restart => tokio::task::block_in_place(|| self.cluster.restart_immediate())?,
                Event::Terminate => self.terminate().await?,
            }
            self.revive(report).await?;
        }
        self.import_until(self.plan.lists, report)
    }

    /// Imports further lists; one whose connection is cut is run again, as its user would.
    fn import_until(&mut self, lists: u64, report: &mut Report) -> anyhow::Result<()> {
        let size = self.plan.jobs / self.plan.lists;
        while self.listed < lists {
            let numbers = self.listed * size..(self.listed + 1) * size;
            let mut tries = 0;
            while let Err(error) = self.installation.import(numbers.clone()) {
                tries += 1;
                if tries > 5 {
                    report.violation(format!("a list cannot be imported: {error:#}"));
                    return Err(error);
                }
            }
            self.listed += 1;
        }
        Ok(())
    }

    async fn wait_for_share(&mut self, jobs: u64) -> anyhow::Result<()> {
        let size = self.plan.jobs / self.plan.lists;
        // What the dead hold is done only after its lease; the rest is enough to go on.
        let enough = i64::try_from(jobs.min(self.listed * size) * 9 / 10)?;
        let began = Instant::now();
        while began.elapsed() < self.plan.event_comes_within && self.probe.completed().await? < enough {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        let index = self.victim().await?;
        let id = self.workers[index].id();
        self.workers[index].kill()?;
        self.orphans.note(id).await?;
        self.workers[index] = self.installation.start(&["worker"])?;
        Ok(())
    }

    /// Somebody who is running jobs, if there soon is one, and else anybody.
    async fn victim(&mut self) -> anyhow::Result<usize> {
        let ids: Vec<i64> = self.workers.iter().map(|worker| i64::from(worker.id())).collect();
        let began = Instant::now();
        while began.elapsed() < VICTIM_FOUND_WITHIN {
            let running = self
                .probe
                .pairs(
                    "SELECT process_id, count(*) FROM job JOIN worker ON worker.id = job.claimed_by
                     WHERE state = 3 AND process_id = ANY($1) GROUP BY process_id",
                    &ids,
                )
                .await?;
            let busy: Vec<usize> = (0..ids.len())
                .filter(|&index| running.iter().any(|(process, _)| *process == ids[index]))
                .collect();
            if let Some(index) = busy.choose(&mut self.random) {
                return Ok(*index);
            }
        }
        Ok(self.random.random_range(0..self.workers.len()))
    }

    /// Cuts one connection of a worker or an import.
    async fn terminate(&mut self) -> anyhow::Result<()> {
        self.probe
            .number(
                "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'hostatlas' AND datname = current_database()
                 ORDER BY state = 'active' DESC, random() LIMIT 1) AS cut",
            )
            .await?;
        Ok(())
    }

    /// A worker that works ends only when it is killed: whatever happens to the server, it goes on. One that was just
    /// being started may say that there is no server; whoever supervises it starts it again.
    async fn revive(&mut self, report: &mut Report) -> anyhow::Result<()> {
        for index in 0..self.workers.len() {
            if let Some(status) = self.workers[index].ended_within(Duration::ZERO).await? {
                let said = self.workers[index].said();
                let was_working = said.contains(WORKS);
                self.failed_starts += u32::from(!was_working);
                report.require(!was_working, || {
                    format!("a worker that nobody killed ended with {status}: {said}")
                });
                self.workers[index] = self.installation.start(&["worker"])?;
            }
        }
        Ok(())
    }

    /// Waits until no job is left.
    async fn drain(&mut self, form: Form, report: &mut Report) -> anyhow::Result<()> {
        if form == Form::Short {
            // Half a minute of waiting would show no more than this: the dead are forgotten by hand.
            self.probe.run("UPDATE duty SET held_until = 0").await?;
            self.end_dead_leases().await?;
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

    async fn end_dead_leases(&mut self) -> anyhow::Result<()> {
        let living: Vec<i64> = self.workers.iter().map(|worker| i64::from(worker.id())).collect();
        self.probe
            .pairs(
                "WITH ended AS (UPDATE job SET leased_until = 0 WHERE state = 3 AND claimed_by NOT IN
                 (SELECT id FROM worker WHERE process_id = ANY($1)) RETURNING id)
                 SELECT count(*), 0::bigint FROM ended",
                &living,
            )
            .await?;
        Ok(())
    }

    async fn stop(&mut self, report: &mut Report) -> anyhow::Result<()> {
        for worker in &self.workers {
            worker.ask_to_stop()?;
        }
        for worker in &mut self.workers {
            let ended = worker.ended_within(ENDS_WITHIN).await?;
            report.require(ended.is_some_and(|status| status.code() == Some(0)), || {
                format!("a worker that was asked to stop ended with {ended:?}: {}", worker.said())
            });
        }
        let checked = self.installation.run(&["db", "check"])?;
        report.require(checked.status.success(), || {
            let (out, error) =
                (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
            format!("`db check` found: {out}{error}")
        });
        Ok(())
    }

    async fn judge(mut self, form: Form, report: &mut Report) -> anyhow::Result<()> {
        let jobs = i64::try_from(self.plan.jobs)?;
        let hosts = self.probe.number("SELECT count(*) FROM host").await?;
        let made = self.probe.number("SELECT count(*) FROM job").await?;
        let done = self.probe.number("SELECT count(*) FROM job WHERE state = 4").await?;
        let effects = self.probe.number("SELECT count(*) FROM job_effect").await?;
        let located = self.probe.number("SELECT count(*) FROM host_effect").await?;
        let twice = self
            .probe
            .number(
                "SELECT (SELECT count(*) FROM job_effect WHERE times > 1)
                      + (SELECT count(*) FROM host_effect WHERE times > 1)",
            )
            .await?;
        report.require(hosts == jobs && made == jobs, || {
            format!("{hosts} hosts and {made} jobs of {jobs} addresses")
        });
        report.require(done == jobs && effects == jobs && located == jobs, || {
            format!("{done} jobs done with {effects} ends and {located} located hosts, of {jobs}")
        });
        report.require(twice == 0, || format!("{twice} effects were applied twice"));
        self.orphans.judge(form, report).await?;
        report.number("starts_without_a_server", self.failed_starts);
        report.number("jobs", self.plan.jobs);
        report.number("worker_processes", self.plan.workers);
        report.number("kills", self.plan.kills);
        report.number("immediate_restarts", self.plan.restarts);
        report.number("terminated_connections", self.plan.terminations);
        report.number("lost", jobs - done);
        report.number("applied_twice", twice);
        self.probe.close().await
    }
}
