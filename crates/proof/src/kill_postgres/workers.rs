//! The worker processes, how they are killed, and what it means when one ends by itself.

use std::{
    process::ExitStatus,
    time::{Duration, Instant},
};

use rand::{Rng, seq::IndexedRandom};

use super::{Killing, LOOK, orphans::Death, says_so};
use crate::{
    Report,
    installation::Installation,
    process::{Met, Process},
};

/// What a worker says once it has its database.
const WORKS: &str = "Worker runs";
/// Five seconds of grace, and what a process takes to end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// So long a machine is frozen: until its jobs must have run again elsewhere.
const FROZEN_FOR: Duration = Duration::from_secs(40);

/// All of them.
pub(super) struct Workers(Vec<Worker>);

/// One that stands still.
pub(super) struct Frozen {
    worker: Worker,
    since: Instant,
}

struct Worker {
    process: Process,
    began: Instant,
}

impl Worker {
    fn start(installation: &Installation) -> anyhow::Result<Self> {
        Ok(Self { process: installation.start(&["worker"])?, began: Instant::now() })
    }
}

impl Workers {
    /// Starts so many.
    pub(super) fn start(installation: &Installation, many: usize) -> anyhow::Result<Self> {
        (0..many).map(|_| Worker::start(installation)).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Their process ids.
    fn ids(&self) -> Vec<i64> {
        self.0.iter().map(|worker| i64::from(worker.process.id())).collect()
    }

    /// Asks all to stop; each does, in good order. One that has just been started listens to that only once it works.
    pub(super) async fn stop(&mut self, report: &mut Report) -> anyhow::Result<()> {
        for Worker { process, began } in &self.0 {
            while !process.said().contains(WORKS) && began.elapsed() < ENDS_WITHIN {
                tokio::time::sleep(LOOK).await;
            }
            process.ask_to_stop()?;
        }
        for Worker { process, .. } in &mut self.0 {
            let ended = process.ended_within(ENDS_WITHIN).await?;
            report.require(ended.is_some_and(|status| status.code() == Some(0)), || {
                format!("a worker that was asked to stop ended with {ended:?}: {}", process.said())
            });
        }
        Ok(())
    }
}

impl Killing {
    /// Kills a worker, and starts another. Answers whether that was one of the kills that are asked for: more than a
    /// third of them may not meet a worker without jobs.
    pub(super) async fn kill_worker(&mut self, report: &mut Report) -> anyhow::Result<bool> {
        let index = self.victim(report).await?;
        let process = &mut self.workers.0[index].process;
        let id = process.id();
        if let Met::Ended(status) = process.kill()? {
            self.judge_worker(index, status, report);
            self.workers.0[index] = Worker::start(&self.installation)?;
            return Ok(false);
        }
        // Asked after its death: what it had finished by then is not what it was running.
        let had_jobs = self.orphans.note(id, Death::Killed).await? > 0;
        self.workers.0[index] = Worker::start(&self.installation)?;
        self.counts.kills += 1;
        self.counts.kills_with_jobs += u32::from(had_jobs);
        Ok(had_jobs || self.counts.kills - self.counts.kills_with_jobs <= self.plan.kills / 3)
    }

    /// Stops a worker as a machine that freezes does, and starts another. Answers whether it was running jobs.
    pub(super) async fn freeze_worker(&mut self, report: &mut Report) -> anyhow::Result<bool> {
        let index = self.victim(report).await?;
        let id = self.workers.0[index].process.id();
        self.workers.0[index].process.signal("-STOP")?;
        if self.orphans.note(id, Death::Frozen).await? == 0 {
            self.workers.0[index].process.signal("-CONT")?;
            return Ok(false);
        }
        let another = Worker::start(&self.installation)?;
        let worker = std::mem::replace(&mut self.workers.0[index], another);
        self.frozen.push(Frozen { worker, since: Instant::now() });
        self.counts.freezes += 1;
        Ok(true)
    }

    /// Lets those go on that were frozen for `long`: whatever they still write is fenced.
    pub(super) fn thaw(&mut self, long: Duration) -> anyhow::Result<()> {
        let (thawed, frozen): (Vec<_>, Vec<_>) =
            self.frozen.drain(..).partition(|frozen| frozen.since.elapsed() >= long);
        self.frozen = frozen;
        for Frozen { worker, .. } in thawed {
            worker.process.signal("-CONT")?;
            self.workers.0.push(worker);
        }
        Ok(())
    }

    /// Somebody who is running jobs, if there soon is one, and else anybody.
    async fn victim(&mut self, report: &mut Report) -> anyhow::Result<usize> {
        let ids = self.workers.ids();
        let began = Instant::now();
        while began.elapsed() < self.plan.victim_found_within {
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
            self.import(self.lists, report).await?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(self.random.random_range(0..ids.len()))
    }

    /// Starts another in the place of each that ended by itself.
    pub(super) async fn revive(&mut self, report: &mut Report) -> anyhow::Result<()> {
        self.thaw(FROZEN_FOR)?;
        for index in 0..self.workers.0.len() {
            if let Some(status) = self.workers.0[index].process.ended_within(Duration::ZERO).await? {
                self.judge_worker(index, status, report);
                self.workers.0[index] = Worker::start(&self.installation)?;
            }
        }
        Ok(())
    }

    /// A worker that has its database ends only when it is told to: whatever happens to the server, it goes on. One that
    /// is being started waits for a server that is away, but may lose it a moment after; then it says so and ends with
    /// 1, and whoever supervises it starts it again. Everything else is a violation.
    fn judge_worker(&mut self, index: usize, status: ExitStatus, report: &mut Report) {
        let Worker { process, began } = &self.workers.0[index];
        let said = process.said();
        let was_starting = !said.contains(WORKS);
        let is_excused = was_starting && self.lost.by_workers >= Some(*began) && says_so(status, &said);
        report.require(is_excused, || format!("a worker that nobody killed ended with {status}: {said}"));
        self.counts.starts_cut += u32::from(is_excused);
    }

    /// Frees what dead workers hold. Half a minute of waiting would show a short form no more than this.
    pub(super) async fn forget_the_dead(&mut self) -> anyhow::Result<()> {
        self.probe.run("UPDATE duty SET held_until = 0").await?;
        let living = self.workers.ids();
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
}
