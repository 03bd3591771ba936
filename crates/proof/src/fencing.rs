//! Fencing: whatever the order in which two workers, a clock and people act on two jobs, no job is lost and no effect
//! is applied twice.
//!
//! Three parts. Every interleaving is tried on a model of the queue ([`search`]). Random schedules are replayed on real
//! databases and compared with the model step by step ([`replay`]). And a proof that cannot fail proves nothing: each
//! [`Fault`] is built into the model and into the databases, and has to be caught in both.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::cast_possible_truncation,
    reason = "a model's states and bounds are a few small numbers, by intent"
)]

mod action;
mod faulty;
mod laws;
mod model;
mod replay;
mod search;
mod target;

use std::{sync::Arc, time::Instant};

use hostatlas_store::JobStore;
use hostatlas_test_postgres::SERVER_VARIABLE;
use serde_json::json;

pub use faulty::Faulty;
pub use model::{Action, Bounds, Model};
pub use replay::{Mismatch, Replay, Replayed, replay};
pub use search::{Counterexample, Searched, search};
use target::Target;

use crate::{
    Form, Options, Report,
    database::{Backend, Server},
};

/// A mistake that a queue could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The end of an attempt is written whoever holds the job.
    FinishWithoutToken,
    /// A claim leaves the token as it was.
    ClaimKeepsToken,
    /// Rescue takes running jobs whose lease holds.
    RescueIgnoresLease,
    /// Giving a job back moves its token.
    ReleaseTouchesToken,
    /// Retrying a finished job ends the live one of its key to make room.
    RetryEndsLiveJob,
    /// A snooze is accepted from a worker that has lost the job.
    SnoozeWithoutToken,
    /// A heartbeat extends the lease of whoever holds the job now.
    RenewWithoutToken,
    /// A cancelled job can still be finished by the worker that ran it.
    CancelLeavesLease,
    /// A forced request that meets a running job is forgotten.
    MergeForgetsRerun,
    /// Rescue does not count the crash, so that a job that kills its workers goes on for ever.
    RescueForgetsCrash,
    /// The end of a job that was only looked at is written though it waits no more.
    PeekedEndInAnyState,
    /// The end of a job that was only looked at is written though somebody had it since.
    PeekedEndWithoutToken,
    /// The end of a job that was only looked at leaves its token as it was, so that it can be written again.
    PeekedEndKeepsToken,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::FinishWithoutToken,
        Self::ClaimKeepsToken,
        Self::RescueIgnoresLease,
        Self::ReleaseTouchesToken,
        Self::RetryEndsLiveJob,
        Self::SnoozeWithoutToken,
        Self::RenewWithoutToken,
        Self::CancelLeavesLease,
        Self::MergeForgetsRerun,
        Self::RescueForgetsCrash,
        Self::PeekedEndInAnyState,
        Self::PeekedEndWithoutToken,
        Self::PeekedEndKeepsToken,
    ];

    /// Whether only those can notice it that end jobs without marking them as running.
    pub const fn needs_peeks(self) -> bool {
        matches!(self, Self::PeekedEndInAnyState | Self::PeekedEndWithoutToken | Self::PeekedEndKeepsToken)
    }

    /// Those that can be made on a backend.
    pub fn of(backend: Backend) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |fault| backend.has_peeks() || !fault.needs_peeks())
    }
}

/// The models that are searched to their end, each with two workers: two keys with a job each, and one key whose
/// finished job may come back beside its live one; then both again, smaller, with workers that also look at jobs and
/// end them in one step.
pub const SEARCHED: [(&str, Bounds); 4] = [
    ("two_keys", Bounds { rows: [1, 1], claims: 3, attempts: 2, crashes: 2, peeks: false }),
    ("one_key_two_rows", Bounds { rows: [2, 0], claims: 3, attempts: 2, crashes: 2, peeks: false }),
    ("two_keys_in_one_step", Bounds { rows: [1, 1], claims: 2, attempts: 2, crashes: 2, peeks: true }),
    (
        "one_key_two_rows_in_one_step",
        Bounds { rows: [2, 0], claims: 2, attempts: 2, crashes: 2, peeks: true },
    ),
];

/// Distinct states of each model that a short form visits.
const SHORT_STATES: usize = 60_000;
/// Distinct states that all models together must have.
const STATES_LEAST: usize = 1_000_000;
/// Schedules within which a real database must show a fault that was built in.
const SCHEDULES_TO_CATCH: usize = 300;

/// Searches the models, then replays schedules on both databases; all faults are to be caught in each.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new("fencing", options);
    let most = options.form.pick(usize::MAX, SHORT_STATES);
    explore(&mut report, options.form, most);
    // Beside the tests there is a server already.
    let server = match std::env::var(SERVER_VARIABLE) {
        Ok(_) => None,
        Err(_) => Some(Server::start(Backend::Postgres)?),
    };
    for backend in Backend::ALL {
        let schedules = options.form.pick(20_000, SCHEDULES_TO_CATCH);
        on_database(&mut report, backend, server.as_ref(), schedules, options.seed).await?;
    }
    Ok(report)
}

/// Visits what can be reached of the sound models, at most `most` states of each, then looks for every fault.
pub fn explore(report: &mut Report, form: Form, most: usize) {
    let mut states = 0;
    for (name, bounds) in SEARCHED {
        let began = Instant::now();
        let searched = search(&Model { bounds, fault: None }, most);
        report.number(&format!("seconds_of_{name}"), began.elapsed().as_secs());
        states += searched.states;
        report.number(&format!("states_of_{name}"), searched.states);
        report.number(&format!("steps_of_{name}"), searched.steps);
        if let Some(counterexample) = searched.counterexample {
            report.violation(format!("{name}: {counterexample}"));
        } else {
            report
                .require(searched.complete || form == Form::Short, || format!("{name}: not all was visited"));
        }
    }
    report.require(states >= STATES_LEAST || form == Form::Short, || format!("{states} states are too few"));
    let mut caught = Vec::new();
    for fault in Fault::ALL {
        let models = SEARCHED.into_iter().filter(|(_, bounds)| bounds.peeks || !fault.needs_peeks());
        let found = models.into_iter().find_map(|(name, bounds)| {
            let counterexample = search(&Model { bounds, fault: Some(fault) }, most).counterexample?;
            Some(json!({ "fault": format!("{fault:?}"), "model": name, "found": counterexample.to_string() }))
        });
        report.require(found.is_some(), || format!("{fault:?} was not caught in the model"));
        caught.extend(found);
    }
    report.number("faults_caught_in_the_model", caught);
}

/// Replays on one kind of database, sound and with each fault; `server` is as for [`replayed_on`].
async fn on_database(
    report: &mut Report,
    backend: Backend,
    server: Option<&Server>,
    schedules: usize,
    seed: u64,
) -> anyhow::Result<()> {
    let name = backend.name();
    let began = Instant::now();
    let replayed = replayed_on(server, backend, None, schedules, seed).await?;
    report.number(&format!("{name}_seconds"), began.elapsed().as_secs());
    report.number(&format!("{name}_schedules"), replayed.schedules);
    report.number(&format!("{name}_operations"), replayed.operations);
    if let Some(Mismatch { what, schedule, history }) = replayed.mismatch {
        report.violation(format!("{name}, schedule {schedule}: {what} after {history:?}"));
    }
    let mut caught = Vec::new();
    for fault in Fault::of(backend) {
        let replayed = replayed_on(server, backend, Some(fault), SCHEDULES_TO_CATCH, seed).await?;
        report.require(replayed.mismatch.is_some(), || format!("{fault:?} was not caught on {name}"));
        caught.extend(replayed.mismatch.map(|found| {
            json!({ "fault": format!("{fault:?}"), "found": found.what, "steps": found.history.len() })
        }));
    }
    report.number(&format!("faults_caught_on_{name}"), caught);
    Ok(())
}

/// Replays on a new database, which compares itself with itself at the end. For `PostgreSQL` it is made on the server of
/// [`SERVER_VARIABLE`].
pub async fn replayed(
    backend: Backend,
    fault: Option<Fault>,
    schedules: usize,
    seed: u64,
) -> anyhow::Result<Replayed> {
    replayed_on(None, backend, fault, schedules, seed).await
}

/// As [`replayed`], for `PostgreSQL` on `server` if there is one.
async fn replayed_on(
    server: Option<&Server>,
    backend: Backend,
    fault: Option<Fault>,
    schedules: usize,
    seed: u64,
) -> anyhow::Result<Replayed> {
    let target = Target::open(backend, server).await?;
    let store = Arc::clone(&target.store);
    let jobs: Arc<dyn JobStore> = match fault {
        Some(fault) => Arc::new(Faulty::new(Arc::clone(&store), fault)),
        None => Arc::clone(&store) as Arc<dyn JobStore>,
    };
    let advance = Arc::clone(&target.advance);
    let replay = Replay { store, jobs, advance, schedules, seed, peeks: backend.has_peeks() };
    let mut replayed = self::replay(&replay).await?;
    if !replay.peeks && fault.is_none() && !replay::refuses_peeks(replay.jobs.as_ref()).await? {
        let what = "jobs were run without being marked as running".to_owned();
        replayed.mismatch.get_or_insert(Mismatch { what, schedule: replayed.schedules, history: Vec::new() });
    }
    let check = target.store.check().await?;
    if let Some(finding) = check.findings.first().filter(|_| replayed.mismatch.is_none()) {
        let what = format!("{}: {}", finding.check, finding.detail);
        replayed.mismatch = Some(Mismatch { what, schedule: replayed.schedules, history: Vec::new() });
    }
    target.store.close().await;
    Ok(replayed)
}
