//! Jobs whose worker was killed, until they run again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use crate::{Form, Report, probe::PostgresProbe, report::milliseconds};

/// A lease of 25 seconds, the next look for those that ran out, and the line of those that died with their worker.
const RUNS_AGAIN_WITHIN: Duration = Duration::from_secs(35);
/// The session of a process that is killed ends with it, and its jobs need not wait for their leases. Half of them have to
/// run again by then: some are of workers that nobody had seen yet, or died while there was no server.
const OF_KILLED_WITHIN: Duration = Duration::from_secs(2);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Those of a process that wait longest: who died often runs alone, and who came last stands last.
const OF_PROCESS: &str = "SELECT id, lease_token FROM job WHERE state = 3 AND claimed_by IN
    (SELECT id FROM worker WHERE process_id = ANY($1)) ORDER BY crash_count DESC, run_at DESC, id DESC LIMIT 100";
/// What [`Seen::of`] reads. What the server was committing when the worker died is done under its old token.
const AS_THEY_ARE: &str = "SELECT id, ((lease_token + (state > 3)::integer) << 16)
    | (least(crash_count, 255) << 8) | (state < 3)::integer FROM job WHERE id = ANY($1)";

/// What became of the worker of a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Death {
    /// Its process was killed on a machine that goes on.
    Killed,
    /// It stands still as on a machine that froze: nothing ends its session, and its leases have to run out.
    Frozen,
}

impl Death {
    const ALL: [Self; 2] = [Self::Killed, Self::Frozen];

    const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Frozen => "frozen",
        }
    }
}

/// A job that is watched.
struct Orphan {
    death: Death,
    /// The token under which it was orphaned.
    token: i64,
    died: Instant,
    /// How long there has been no server since then, in which nobody can take anything back.
    away: Duration,
    /// How long it took until it waited again; none while it lies with the dead.
    taken_back: Option<Duration>,
}

/// A job as it is.
struct Seen {
    token: i64,
    crashes: i64,
    is_waiting: bool,
}

impl Seen {
    const fn of(packed: i64) -> Self {
        Self { token: packed >> 16, crashes: (packed >> 8) & 0xff, is_waiting: packed & 1 != 0 }
    }
}

/// How long an orphan took to run again, in two parts, without the time in which there was no server.
#[derive(Clone, Copy, Default)]
struct Wait {
    /// Until its lease had run out and somebody took it back.
    lease: Duration,
    /// Until it was claimed after that.
    line: Duration,
    /// How many workers had died with it by then.
    crashes: i64,
}

impl Wait {
    fn total(&self) -> Duration {
        self.lease + self.line
    }
}

#[derive(Default)]
struct Watch {
    waiting: HashMap<i64, Orphan>,
    noted: u64,
    /// By the deaths that a job had seen: how many ran again, and which took longest.
    ran_again: BTreeMap<i64, (u64, Wait)>,
    longest_lease: Duration,
    longest_line: Duration,
    /// How long each waited until it ran again, by what became of its worker.
    waits: BTreeMap<Death, Vec<Duration>>,
    /// The longest of all waits, with the time in which there was no server.
    longest_with_outages: Duration,
}

impl Watch {
    fn see(&mut self, job: i64, seen: &Seen) {
        let Some(orphan) = self.waiting.get_mut(&job) else { return };
        let with_outages = orphan.died.elapsed();
        let passed = with_outages.saturating_sub(orphan.away);
        if seen.token > orphan.token {
            let lease = orphan.taken_back.unwrap_or(passed);
            self.waits.entry(orphan.death).or_default().push(passed);
            self.end(Wait { lease, line: passed.saturating_sub(lease), crashes: seen.crashes });
            self.longest_with_outages = self.longest_with_outages.max(with_outages);
            self.waiting.remove(&job);
        } else if seen.is_waiting {
            orphan.taken_back.get_or_insert(passed);
        }
    }

    fn end(&mut self, wait: Wait) {
        self.longest_lease = self.longest_lease.max(wait.lease);
        self.longest_line = self.longest_line.max(wait.line);
        let (jobs, slowest) = self.ran_again.entry(wait.crashes).or_default();
        *jobs += 1;
        if wait.total() >= slowest.total() {
            *slowest = wait;
        }
    }
}

/// The orphans that are watched, by a task of its own: what the proof does meanwhile takes seconds.
pub(super) struct Orphans {
    probe: PostgresProbe,
    watch: Arc<Mutex<Watch>>,
    watcher: JoinHandle<anyhow::Result<()>>,
}

impl Drop for Orphans {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Orphans {
    pub(super) fn new(url: &str) -> Self {
        let watch = Arc::new(Mutex::new(Watch::default()));
        let (mut probe, watched) = (PostgresProbe::new(url), Arc::clone(&watch));
        let watcher = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                look(&mut probe, &watched).await?;
            }
        });
        Self { probe: PostgresProbe::new(url), watch, watcher }
    }

    /// Notes some of the jobs that a process was running when it died just now; answers how many.
    pub(super) async fn note(&mut self, process: u32, death: Death) -> anyhow::Result<usize> {
        let died = Instant::now();
        let jobs = self.probe.pairs(OF_PROCESS, &[process.into()]).await?;
        // One that is orphaned again ran again before.
        look(&mut self.probe, &self.watch).await?;
        let mut watch = lock(&self.watch);
        let noted = jobs.len();
        watch.noted += noted as u64;
        let orphan =
            |(job, token)| (job, Orphan { death, token, died, away: Duration::ZERO, taken_back: None });
        watch.waiting.extend(jobs.into_iter().map(orphan));
        Ok(noted)
    }

    /// Leaves out of every wait how long there was no server just now.
    pub(super) fn server_was_away(&self, away: Duration) {
        for orphan in lock(&self.watch).waiting.values_mut() {
            orphan.away += away;
        }
    }

    /// Waits until none is left; no longer than `patience`, since [`Orphans::judge`] says what came of each.
    pub(super) async fn run_again(&self, patience: Duration) {
        let began = Instant::now();
        while !lock(&self.watch).waiting.is_empty() && began.elapsed() < patience {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks once more, and says what came of them.
    pub(super) async fn judge(mut self, form: Form, report: &mut Report) -> anyhow::Result<()> {
        report.require(!self.watcher.is_finished(), || "the orphans were not watched to the end".to_owned());
        self.watcher.abort();
        look(&mut self.probe, &self.watch).await?;
        let watch = lock(&self.watch);
        let slowest = watch.ran_again.values().map(|(_, wait)| *wait).max_by_key(Wait::total);
        let slowest = slowest.unwrap_or_default();
        report.require(slowest.total() <= form.patience(RUNS_AGAIN_WITHIN), || {
            let Wait { lease, line, crashes } = slowest;
            format!(
                "an orphaned job ran again after {:?}: it was taken back after {lease:?} and stood in line for \
                 {line:?}, {crashes} workers having died with it",
                slowest.total()
            )
        });
        report.require(watch.waiting.is_empty(), || {
            format!("{} of {} orphaned jobs never ran again", watch.waiting.len(), watch.noted)
        });
        for death in Death::ALL {
            judge_deaths(death, watch.waits.get(&death).map_or(&[], Vec::as_slice), form, report);
        }
        report.require(watch.noted > 0 || form == Form::Short, || "no kill ever orphaned a job".to_owned());
        report.number("orphans_watched", watch.noted);
        report.number("orphans_ran_again", watch.ran_again.values().map(|(jobs, _)| jobs).sum::<u64>());
        report.number("orphan_slowest_ms", milliseconds(slowest.total()));
        report.number("orphan_slowest_with_outages_ms", milliseconds(watch.longest_with_outages));
        report.number("orphan_slowest_until_taken_back_ms", milliseconds(slowest.lease));
        report.number("orphan_slowest_in_line_ms", milliseconds(slowest.line));
        report.number("orphan_slowest_crashes", slowest.crashes);
        report.number("orphan_longest_until_taken_back_ms", milliseconds(watch.longest_lease));
        report.number("orphan_longest_in_line_ms", milliseconds(watch.longest_line));
        report.number("orphans_by_crashes", by_crashes(&watch));
        Ok(())
    }
}

/// Says how soon the jobs of workers that died so ran again.
fn judge_deaths(death: Death, waits: &[Duration], form: Form, report: &mut Report) {
    let mut waits = waits.to_vec();
    waits.sort_unstable();
    let at = |share: usize| waits.get((waits.len() * share / 100).min(waits.len().saturating_sub(1)));
    let median = at(50).copied().unwrap_or_default();
    if death == Death::Killed {
        report.require(median <= form.patience(OF_KILLED_WITHIN), || {
            format!("half of the orphans of killed processes took {median:?} and more to run again")
        });
    }
    report.require(!waits.is_empty() || form == Form::Short, || {
        format!("no orphan of a {} process ever ran again", death.name())
    });
    let within = waits.iter().filter(|wait| **wait <= OF_KILLED_WITHIN).count();
    let name = |what: &str| format!("orphans_of_{}_{what}", death.name());
    report.number(&name("ran_again"), waits.len());
    report.number(&name("within_2_s"), within);
    report.number(&name("median_ms"), milliseconds(median));
    report.number(&name("p95_ms"), milliseconds(at(95).copied().unwrap_or_default()));
    report.number(&name("slowest_ms"), milliseconds(waits.last().copied().unwrap_or_default()));
}

/// Notes which of them wait again, and forgets those that run again or are done.
async fn look(probe: &mut PostgresProbe, watch: &Mutex<Watch>) -> anyhow::Result<()> {
    let ids: Vec<i64> = lock(watch).waiting.keys().copied().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows = probe.pairs(AS_THEY_ARE, &ids).await?;
    let mut watch = lock(watch);
    for (job, packed) in rows {
        watch.see(job, &Seen::of(packed));
    }
    Ok(())
}

fn lock(watch: &Mutex<Watch>) -> MutexGuard<'_, Watch> {
    // Nothing panics while it holds the lock.
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

fn by_crashes(watch: &Watch) -> Value {
    let of = |(crashes, (jobs, slowest)): (&i64, &(u64, Wait))| {
        let mut facts = Map::new();
        facts.insert("jobs".to_owned(), (*jobs).into());
        facts.insert("slowest_ms".to_owned(), milliseconds(slowest.total()).into());
        facts.insert("of_that_in_line_ms".to_owned(), milliseconds(slowest.line).into());
        (crashes.to_string(), Value::Object(facts))
    };
    Value::Object(watch.ran_again.iter().map(of).collect())
}
