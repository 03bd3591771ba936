//! Random schedules on a real database, compared with the model step by step.
//!
//! Many schedules run side by side, each on two hosts of its own: what concerns one job is chosen for each schedule and
//! handed in together, and what concerns all jobs (a claim, a tick, rescue, pruning) happens to all at once. So a
//! thousand schedules take some thousand transactions and not a hundred thousand.
//!
//! What that is not: the schedules of a batch are independent in what happens to a job, and share when claims, ticks,
//! rescues and prunings come; there are as many courses of those as there are batches, some hundreds. And nothing runs at
//! the same time: one call follows the other, in this process. What two transactions do to each other is for the proofs
//! that kill, and for the races of the conformance suite.

mod claims;
mod compare;
mod lane;

use std::{collections::BTreeMap, net::Ipv4Addr, ops::RangeInclusive, sync::Arc, time::Duration};

use anyhow::Context;
use hostatlas_domain::{
    Address, Coordinate, CountryCode, DuePolicy, HostId, JobFilter, JobId, LeaseToken, Located, Network,
    Place, PlaceId, Precision, Priority, ProviderName, ScanFormat, Scope, Timestamp, UnlocatedReason,
};
use hostatlas_store::{
    Attempt, EnqueueJob, Fence, FinishJobs, Finished, HostSelection, JobSelection, JobStore, Observation,
    PrunePolicy, RecordSightings, RenewJobs, Rescue, SelectHosts, Settled, StartImport, Store,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::model::{
    Action, Bounds, COMPLETED_KEPT, DELAY, DISCARDED_KEPT, End, KEYS, LEASE, Model, ROWS_OF_KEY,
};
pub(super) use claims::refuses_peeks;
use lane::{KINDS, Lane};

/// A tick: long enough that the time that passes by itself never matters.
const TICK: Duration = Duration::from_hours(1);
/// Rounds of a schedule; in each something happens to a job and something to all.
const ROUNDS: usize = 24;
/// Schedules side by side: few enough that a batch of them counts as a small transaction, enough that most of the time is
/// not round trips. Drawn anew for each batch, since a statement may do other things to a few rows than to many.
const LANES: RangeInclusive<usize> = 20..=100;
/// The first address. All that follow are public for long enough.
const FIRST: Ipv4Addr = Ipv4Addr::new(5, 0, 0, 0);
/// What the real queue does: the defaults of the job table. No schedule claims a row sixty times.
const BOUNDS: Bounds = Bounds { rows: [2, 2], claims: 60, attempts: 8, crashes: 5, peeks: false };

/// A real database to replay on.
pub struct Replay {
    /// The database, to prepare it and to look into it.
    pub store: Arc<dyn Store>,
    /// Its queue, or one with a fault in front of it.
    pub jobs: Arc<dyn JobStore>,
    /// Moves its clock forward.
    pub advance: Arc<dyn Fn(Duration) + Send + Sync>,
    /// How many schedules.
    pub schedules: usize,
    /// What decides about them.
    pub seed: u64,
    /// Whether workers also look at jobs and end them in one step.
    pub peeks: bool,
}

/// The first step at which a database and the model differed.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// How they differed.
    pub what: String,
    /// Which schedule, from 0.
    pub schedule: usize,
    /// The schedule so far.
    pub history: Vec<Action>,
}

/// What a replay saw.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// Schedules that were run, the last one perhaps not to its end.
    pub schedules: usize,
    /// Operations on single jobs, and on all jobs of a schedule.
    pub operations: usize,
    /// How the database and the model differed.
    pub mismatch: Option<Mismatch>,
}

/// A schedule that failed.
struct Failed {
    what: String,
    history: Vec<Action>,
}

/// Why a batch ended early.
enum Stop {
    Differs(usize, Failed),
    Error(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// Runs the schedules until one differs. An error is of the database, not of the queue.
pub async fn replay(replay: &Replay) -> anyhow::Result<Replayed> {
    let mut replayed = Replayed::default();
    let mut random = StdRng::seed_from_u64(replay.seed);
    let mut places = BTreeMap::new();
    while replayed.schedules < replay.schedules {
        let lanes = random.random_range(LANES).min(replay.schedules - replayed.schedules);
        let mut batch = Batch::prepare(replay, replayed.schedules, lanes).await?;
        let ended = batch.run(&mut random, &mut places).await;
        replayed.operations += batch.lanes.iter().map(|lane| lane.history.len()).sum::<usize>();
        match ended {
            Ok(()) => replayed.schedules += lanes,
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Differs(lane, failed)) => {
                let schedule = replayed.schedules + lane;
                replayed.schedules = schedule + 1;
                let Failed { what, history } = failed;
                replayed.mismatch = Some(Mismatch { what, schedule, history });
                break;
            }
        }
    }
    Ok(replayed)
}

/// Schedules side by side.
struct Batch<'r> {
    replay: &'r Replay,
    model: Model,
    lanes: Vec<Lane>,
    /// The last address before this batch's.
    before: Option<Address>,
}

/// What is done to one job of each of many schedules in one call.
#[derive(Default)]
struct Round {
    finishes: Vec<(usize, Finished, bool)>,
    finishes_of_peeked: Vec<(usize, Finished, bool)>,
    renewals: Vec<(usize, (JobId, LeaseToken), bool)>,
    releases: Vec<(JobId, LeaseToken)>,
    cancels: Vec<(JobId, bool)>,
    retries: Vec<(JobId, bool)>,
    requests: Vec<(usize, usize, EnqueueJob)>,
}

impl<'r> Batch<'r> {
    /// Ends and deletes what earlier batches left, and makes hosts for this one.
    async fn prepare(replay: &'r Replay, schedules: usize, lanes: usize) -> anyhow::Result<Self> {
        let first = FIRST.to_bits() + u32::try_from(schedules * KEYS)?;
        let address = |at: u32| Address::from(std::net::IpAddr::V4(Ipv4Addr::from_bits(at)));
        let addresses: Vec<Address> = (first..).take(lanes * KEYS).map(address).collect();
        let hosts = record(replay.store.as_ref(), &addresses).await?;
        clear(replay.jobs.as_ref(), replay.advance.as_ref()).await?;
        let lanes = hosts.chunks_exact(KEYS).map(|pair| Lane::new([pair[0], pair[1]])).collect();
        let bounds = Bounds { peeks: replay.peeks, ..BOUNDS };
        let model = Model { bounds, fault: None };
        Ok(Self { replay, model, lanes, before: Some(address(first - 1)) })
    }

    async fn run(&mut self, random: &mut StdRng, places: &mut BTreeMap<PlaceId, u32>) -> Result<(), Stop> {
        for _ in 0..ROUNDS {
            self.each(random).await?;
            match random.random_range(0..100) {
                0..20 if self.replay.peeks => self.peek(random).await?,
                0..45 => self.claim(random).await?,
                45..72 => {
                    (self.replay.advance)(TICK);
                    self.all(Action::Pass);
                }
                72..90 => {
                    self.replay.jobs.jobs_rescue(Rescue::Expired).await?;
                    self.all(Action::Rescue);
                }
                _ => {
                    let [completed_after, discarded_after] = [COMPLETED_KEPT, DISCARDED_KEPT].map(lasts);
                    let policy = PrunePolicy { completed_after, discarded_after, limit: 10_000 };
                    self.replay.jobs.jobs_prune(policy).await?;
                    self.all(Action::Prune);
                }
            }
            compare::jobs(self.replay.jobs.as_ref(), &self.lanes).await?;
            compare::effects(self.replay.store.as_ref(), &self.lanes, self.before, places).await?;
        }
        compare::histories(self.replay.store.as_ref(), &self.lanes).await
    }

    fn all(&mut self, action: Action) {
        for lane in &mut self.lanes {
            lane.step(&self.model, action);
        }
    }

    /// Something in each schedule.
    async fn each(&mut self, random: &mut StdRng) -> Result<(), Stop> {
        let mut round = Round::default();
        for at in 0..self.lanes.len() {
            let Some(action) = self.lanes[at].choose(&self.model, random) else { continue };
            self.plan(at, action, &mut round);
        }
        let Round { finishes, finishes_of_peeked, renewals, releases, cancels, retries, requests } = round;
        self.finish(Fence::Running, finishes).await?;
        self.finish(Fence::Waiting, finishes_of_peeked).await?;
        self.renew(renewals).await?;
        if !releases.is_empty() {
            self.replay.jobs.jobs_release(releases).await?;
        }
        // Whether each did as it should shows in the list of jobs.
        for (jobs, cancel) in [(cancels, true), (retries, false)] {
            let allowed = jobs.iter().filter(|(_, accepted)| *accepted).count();
            let ids = JobSelection::Ids(jobs.into_iter().map(|(id, _)| id).collect());
            let queue = self.replay.jobs.as_ref();
            let changed = if cancel { queue.jobs_cancel(ids).await? } else { queue.jobs_retry(ids).await? };
            if changed.changed != allowed as u64 {
                compare::jobs(queue, &self.lanes).await?;
                let what = format!("{} jobs changed instead of {allowed}", changed.changed);
                return Err(Stop::Differs(0, Failed { what, history: Vec::new() }));
            }
        }
        for (at, key, request) in requests {
            self.enqueue(at, key, request).await?;
        }
        Ok(())
    }

    /// Does it on the model, and notes what is to be done on the database.
    fn plan(&mut self, at: usize, action: Action, round: &mut Round) {
        let lane = &mut self.lanes[at];
        let (ids, rows) = (lane.ids, lane.state.rows);
        let held = |worker: u8, slot: u8| {
            let (slot, worker) = (usize::from(slot), usize::from(worker));
            Some((ids[slot]?, LeaseToken(rows[slot]?.tickets[worker].token.into())))
        };
        let seen = |worker: u8, slot: u8| {
            let (slot, worker) = (usize::from(slot), usize::from(worker));
            Some((ids[slot]?, LeaseToken(rows[slot]?.peeks[worker].token.into())))
        };
        if let Action::Finish { slot, end: End::Completed, .. }
        | Action::FinishPeeked { slot, end: End::Completed, .. } = action
        {
            lane.handed_in[usize::from(slot) / ROWS_OF_KEY] += 1;
        }
        let Some(outcome) = lane.step(&self.model, action) else { return };
        match action {
            Action::Finish { worker, slot, end } => {
                let finished = held(worker, slot).map(|job| ended(lane, slot, job, end));
                round.finishes.extend(finished.map(|finished| (at, finished, outcome.accepted)));
            }
            Action::FinishPeeked { worker, slot, end } => {
                let finished = seen(worker, slot).map(|job| ended(lane, slot, job, end));
                round.finishes_of_peeked.extend(finished.map(|finished| (at, finished, outcome.accepted)));
            }
            Action::Renew { worker, slot } => {
                round.renewals.extend(held(worker, slot).map(|job| (at, job, outcome.accepted)));
            }
            Action::Release { worker, slot } => round.releases.extend(held(worker, slot)),
            Action::Cancel { slot } => {
                round.cancels.extend(ids[usize::from(slot)].map(|id| (id, outcome.accepted)));
            }
            Action::Retry { slot } => {
                round.retries.extend(ids[usize::from(slot)].map(|id| (id, outcome.accepted)));
            }
            Action::Enqueue { key, force, delayed } => {
                let key = usize::from(key);
                let delay = if delayed { lasts(DELAY) } else { Duration::ZERO };
                let (kind, address, priority) = (KINDS[key], lane.hosts[key].0, Priority::FIRST);
                let request = EnqueueJob { kind, address, port: None, priority, delay, force };
                round.requests.push((at, key, request));
            }
            Action::Claim { .. } | Action::Peek { .. } | Action::Pass | Action::Rescue | Action::Prune => {}
        }
    }

    async fn finish(&self, fence: Fence, finishes: Vec<(usize, Finished, bool)>) -> Result<(), Stop> {
        if finishes.is_empty() {
            return Ok(());
        }
        let finished = finishes.iter().map(|(_, finished, _)| finished.clone()).collect();
        let params = FinishJobs { fence, finished, age: Duration::ZERO };
        let lost = self.replay.jobs.jobs_finish(params).await?;
        for (at, finished, accepted) in finishes {
            self.answered(at, finished.id, "an end", accepted, !lost.contains(&finished.id))?;
        }
        Ok(())
    }

    async fn renew(&self, renewals: Vec<(usize, (JobId, LeaseToken), bool)>) -> Result<(), Stop> {
        let jobs = renewals.iter().map(|(_, job, _)| *job).collect();
        let lost = self.replay.jobs.jobs_renew(RenewJobs { jobs, lease: lasts(LEASE) }).await?;
        for (at, (id, _), accepted) in renewals {
            self.answered(at, id, "a heartbeat", accepted, !lost.contains(&id))?;
        }
        Ok(())
    }

    fn answered(&self, at: usize, id: JobId, what: &str, expected: bool, real: bool) -> Result<(), Stop> {
        if expected == real {
            return Ok(());
        }
        let word = if real { "accepted" } else { "refused" };
        Err(Stop::Differs(at, self.lanes[at].failed(format!("{what} of job {id} was {word}"))))
    }

    async fn enqueue(&mut self, at: usize, key: usize, request: EnqueueJob) -> Result<(), Stop> {
        let enqueued = self.replay.jobs.job_enqueue(request).await?;
        let lane = &mut self.lanes[at];
        let slots = key * ROWS_OF_KEY..(key + 1) * ROWS_OF_KEY;
        let live =
            slots.into_iter().find(|slot| lane.state.rows[*slot].is_some_and(|row| row.state.is_live()));
        let Some(slot) = live else { return Err(Stop::Differs(at, lane.failed("a request made no job"))) };
        let known = lane.ids[slot].replace(enqueued.job);
        if enqueued.duplicate != known.is_some() || known.is_some_and(|known| known != enqueued.job) {
            let what = format!("a request for {known:?} was answered with {enqueued:?}");
            return Err(Stop::Differs(at, lane.failed(what)));
        }
        Ok(())
    }
}

/// How long something lasts that ends within the last of so many ticks.
fn lasts(ticks: u8) -> Duration {
    (TICK * u32::from(ticks)).checked_sub(TICK / 2).unwrap()
}

/// How a job ended, as it is handed in.
fn ended(lane: &Lane, slot: u8, (id, token): (JobId, LeaseToken), end: End) -> Finished {
    let key = usize::from(slot) / ROWS_OF_KEY;
    let effect = (end == End::Completed).then(|| Attempt::Located(effect(lane.handed_in[key])));
    Finished { id, token, host: lane.hosts[key].1, settled: settled(end), effect }
}

fn settled(end: End) -> Settled {
    match end {
        End::Completed => Settled::Completed("done".to_owned()),
        End::Snoozed => Settled::Snoozed(lasts(DELAY), "not now".to_owned()),
        End::Retryable => Settled::Retryable(lasts(DELAY), "failed".to_owned()),
        End::Discarded => Settled::Discarded("failed for good".to_owned(), UnlocatedReason::NoRecord),
    }
}

/// The answer that puts a host on a place of its own for each effect.
fn effect(number: u32) -> Arc<Located> {
    let coordinate = Coordinate::new(f64::from(number % 80), f64::from(number / 80))
        .unwrap_or_else(|_| unreachable!("numbers below 80 are latitudes"));
    let place = Place {
        coordinate,
        precision: Precision::City,
        city: Some(number.to_string()),
        region: None,
        country: "DE".parse::<CountryCode>().ok(),
    };
    let (network, provider) = (Network::default(), ProviderName::Mmdb);
    Arc::new(Located { place, network, timezone: None, provider, accuracy_km: None, database_build: None })
}

/// Makes hosts; answers them by address.
async fn record(store: &dyn Store, addresses: &[Address]) -> anyhow::Result<Vec<(Address, HostId)>> {
    let start = StartImport { source: "fencing".to_owned(), format: ScanFormat::Plain };
    let import = store.import_start(start).await?;
    let seen = Timestamp::from_secs(1_700_000_000);
    let up =
        |address: &Address| Observation { address: *address, port: None, first_seen: seen, last_seen: seen };
    let observations = addresses.iter().map(up).collect();
    let (scope, due) = (Scope::default(), DuePolicy::default());
    store.sightings_record(RecordSightings { import, observations, scope, due }).await?;
    let limit = u32::try_from(addresses.len())?;
    let selection = HostSelection::Addresses(addresses.to_vec());
    let selected = store.hosts_select(SelectHosts { selection, after: None, limit }).await?;
    anyhow::ensure!(selected.len() == addresses.len(), "the hosts were not recorded");
    Ok(selected.into_iter().map(|host| (host.address, host.id)).collect())
}

/// Deletes all jobs.
async fn clear(jobs: &dyn JobStore, advance: &(dyn Fn(Duration) + Send + Sync)) -> anyhow::Result<()> {
    let filter = JobFilter::default();
    let cancelled = jobs.jobs_cancel(JobSelection::Matching { filter, limit: 10_000 }).await;
    cancelled.context("ending what an earlier schedule left")?;
    advance(TICK);
    let policy =
        PrunePolicy { completed_after: Duration::ZERO, discarded_after: Duration::ZERO, limit: 10_000 };
    jobs.jobs_prune(policy).await.context("deleting what an earlier schedule left")?;
    Ok(())
}
