//! The queue as a small machine: what each operation does to the jobs of two keys, and what two workers remember.
//!
//! It is written from the contracts of `hostatlas_store::JobStore`, not from any backend's SQL. Time is counted in
//! ticks; whatever lasts, lasts some ticks and a half, so that no two ends ever fall on the same moment.

use hostatlas_domain::JobState;

use super::Fault;
pub use super::action::{Action, End};

/// Rows that a key may have at once: one that may be live and those that it replaced.
pub const ROWS_OF_KEY: usize = 2;
/// Things that jobs are about.
pub const KEYS: usize = 2;
/// All rows.
pub const SLOTS: usize = ROWS_OF_KEY * KEYS;
/// Processes that run jobs.
pub const WORKERS: usize = 2;

/// Ticks after which a lease has run out.
pub const LEASE: u8 = 2;
/// Ticks after which a postponed job is due.
pub const DELAY: u8 = 1;
/// Ticks after which a completed or cancelled job may be pruned.
pub const COMPLETED_KEPT: u8 = 1;
/// Ticks after which a discarded job may be pruned.
pub const DISCARDED_KEPT: u8 = 2;

/// How much of the world a model holds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many rows each key may have at once, at most [`ROWS_OF_KEY`].
    pub rows: [u8; KEYS],
    /// A row is claimed at most so often.
    pub claims: u8,
    /// What `max_attempts` of every job is.
    pub attempts: u8,
    /// With so many crashes a job is given up.
    pub crashes: u8,
    /// Whether workers also look at jobs and end them in one step, beside others that take leases.
    pub peeks: bool,
}

/// What a worker remembers of its last claim of a row. It never forgets: it may have been thought dead, or repeat
/// what it was not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The token that it was given; 0 for none.
    pub token: u8,
    /// Which claim of the row it was, counted by us and not by the queue; 0 for none.
    pub serial: u8,
}

/// One job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Where it is in its life.
    pub state: JobState,
    /// The fencing token.
    pub token: u8,
    /// Attempts begun.
    pub attempt: u8,
    /// How often its worker died.
    pub crashes: u8,
    /// Whether it is to run again.
    pub rerun: bool,
    /// Ticks: until it is due, until its lease has run out, or since it was finished.
    pub timer: u8,
    /// Who holds its lease, from 1; 0 for nobody.
    pub owner: u8,
    /// How many attempts were begun by a claim or by an end after a look, counted by us.
    pub serial: u8,
    /// The claims whose effect was applied, a bit each; bit 0 is the first.
    pub applied: u64,
    /// What each worker remembers of its last claim.
    pub tickets: [Ticket; WORKERS],
    /// What each worker remembers of its last look. The serial is that of the attempt that it would begin and end.
    pub peeks: [Ticket; WORKERS],
}

impl Row {
    fn new(delayed: bool) -> Self {
        Self {
            state: if delayed { JobState::Scheduled } else { JobState::Available },
            token: 0,
            attempt: 0,
            crashes: 0,
            rerun: false,
            timer: if delayed { DELAY } else { 0 },
            owner: 0,
            serial: 0,
            applied: 0,
            tickets: [Ticket::default(); WORKERS],
            peeks: [Ticket::default(); WORKERS],
        }
    }

    /// Whether it may be claimed now.
    pub fn is_due(&self) -> bool {
        self.state.is_waiting() && self.timer == 0
    }

    /// Whether a worker's last claim of it still counts.
    pub fn is_held_by(&self, worker: usize) -> bool {
        let serial = self.tickets[worker].serial;
        self.state == JobState::Running && serial != 0 && serial == self.serial
    }

    /// Whether it is still as a worker saw it last: it waits, and nobody began an attempt since.
    pub fn is_as_seen_by(&self, worker: usize) -> bool {
        self.state.is_waiting() && self.peeks[worker].serial == self.serial + 1
    }

    fn wait(&mut self, state: JobState, timer: u8) {
        (self.state, self.timer, self.owner) = (state, timer, 0);
    }

    fn end(&mut self, state: JobState) {
        (self.state, self.timer, self.owner) = (state, 0, 0);
    }

    /// Whether it is finished for long enough.
    pub fn may_be_pruned(&self) -> bool {
        match self.state {
            JobState::Completed | JobState::Cancelled => self.timer >= COMPLETED_KEPT,
            JobState::Discarded => self.timer >= DISCARDED_KEPT,
            _ => false,
        }
    }
}

/// All jobs. A key's rows stand in the order in which they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The rows: the first [`ROWS_OF_KEY`] are those of the first key.
    pub rows: [Option<Row>; SLOTS],
}

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The jobs after it.
    pub state: State,
    /// Whether the queue answered that it did what was asked; for a finish or a renewal, that the fence held.
    pub accepted: bool,
    /// The row whose host was written, and by which claim.
    pub effect: Option<(usize, u8)>,
}

/// A queue of some size, sound or with a fault in it.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Its size.
    pub bounds: Bounds,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

impl Model {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Everything that anybody could do now, whether or not it would change anything.
    pub fn actions(&self, state: &State, mut visit: impl FnMut(Action)) {
        for key in 0..KEYS as u8 {
            if self.bounds.rows[usize::from(key)] > 0 {
                for (force, delayed) in [(false, false), (true, false), (false, true)] {
                    visit(Action::Enqueue { key, force, delayed });
                }
            }
        }
        for slot in (0..SLOTS as u8).filter(|slot| state.rows[usize::from(*slot)].is_some()) {
            for worker in 0..WORKERS as u8 {
                visit(Action::Claim { worker, slot });
                for end in End::ALL {
                    visit(Action::Finish { worker, slot, end });
                }
                visit(Action::Release { worker, slot });
                visit(Action::Renew { worker, slot });
                if self.bounds.peeks {
                    visit(Action::Peek { worker, slot });
                    for end in End::ALL {
                        visit(Action::FinishPeeked { worker, slot, end });
                    }
                }
            }
            visit(Action::Cancel { slot });
            visit(Action::Retry { slot });
        }
        [Action::Pass, Action::Rescue, Action::Prune].into_iter().for_each(visit);
    }

    /// Does it. None where it cannot be done at all: nothing is due, or it would leave the bounds.
    pub fn step(&self, before: &State, action: Action) -> Option<Outcome> {
        let mut outcome = Outcome { state: *before, accepted: true, effect: None };
        let rows = &mut outcome.state.rows;
        match action {
            Action::Enqueue { key, force, delayed } => {
                self.enqueue(rows, usize::from(key), force, delayed)?;
            }
            Action::Claim { worker, slot } => self.claim(rows, usize::from(worker), usize::from(slot))?,
            Action::Finish { worker, slot, end } => {
                let slot = usize::from(slot);
                let row = rows[slot].as_mut()?;
                let ticket = ticket(row, usize::from(worker))?;
                outcome.accepted = self.finish(row, ticket, end);
                if outcome.accepted && end == End::Completed {
                    row.applied |= 1_u64 << (ticket.serial - 1);
                    outcome.effect = Some((slot, ticket.serial));
                }
            }
            Action::Peek { worker, slot } => self.peek(rows, usize::from(worker), usize::from(slot))?,
            Action::FinishPeeked { worker, slot, end } => {
                let slot = usize::from(slot);
                let row = rows[slot].as_mut()?;
                let ticket = Some(row.peeks[usize::from(worker)]).filter(|ticket| ticket.serial > 0)?;
                outcome.accepted = self.finish_peeked(row, ticket, end)?;
                if outcome.accepted && end == End::Completed {
                    row.applied |= 1_u64 << (ticket.serial - 1);
                    outcome.effect = Some((slot, ticket.serial));
                }
            }
            Action::Release { worker, slot } => {
                let row = rows[usize::from(slot)].as_mut()?;
                let ticket = ticket(row, usize::from(worker))?;
                if row.state == JobState::Running && row.token == ticket.token {
                    row.wait(JobState::Available, 0);
                    (row.rerun, row.attempt) = (false, row.attempt.saturating_sub(1));
                    row.token += u8::from(self.has(Fault::ReleaseTouchesToken));
                }
            }
            Action::Renew { worker, slot } => {
                let row = rows[usize::from(slot)].as_mut()?;
                let ticket = ticket(row, usize::from(worker))?;
                let holds = row.token == ticket.token || self.has(Fault::RenewWithoutToken);
                outcome.accepted = row.state == JobState::Running && holds;
                if outcome.accepted {
                    row.timer = LEASE;
                }
            }
            Action::Pass => rows.iter_mut().flatten().for_each(pass),
            Action::Rescue => rows.iter_mut().flatten().for_each(|row| self.rescue(row)),
            Action::Cancel { slot } => outcome.accepted = cancel(rows[usize::from(slot)].as_mut()?),
            Action::Retry { slot } => outcome.accepted = self.retry(rows, usize::from(slot))?,
            Action::Prune => prune(rows),
        }
        Some(outcome)
    }

    fn enqueue(&self, rows: &mut [Option<Row>; SLOTS], key: usize, force: bool, delayed: bool) -> Option<()> {
        let of_key = &mut rows[key * ROWS_OF_KEY..(key + 1) * ROWS_OF_KEY];
        if let Some(live) = of_key.iter_mut().flatten().find(|row| row.state.is_live()) {
            if live.state == JobState::Running {
                live.rerun |= force && !self.has(Fault::MergeForgetsRerun);
            } else {
                live.timer = live.timer.min(if delayed { DELAY } else { 0 });
                if live.timer == 0 {
                    live.state = JobState::Available;
                }
            }
            return Some(());
        }
        let room = &mut of_key[..usize::from(self.bounds.rows[key])];
        *room.iter_mut().find(|row| row.is_none())? = Some(Row::new(delayed));
        Some(())
    }

    fn claim(&self, rows: &mut [Option<Row>; SLOTS], worker: usize, slot: usize) -> Option<()> {
        let row = rows[slot].as_mut().filter(|row| row.is_due() && row.serial < self.bounds.claims)?;
        row.serial += 1;
        if row.token == 0 || !self.has(Fault::ClaimKeepsToken) {
            row.token += 1;
        }
        row.attempt = (row.attempt + 1).min(self.bounds.attempts);
        (row.state, row.timer, row.owner) = (JobState::Running, LEASE, 1 + u8::try_from(worker).unwrap_or(0));
        row.tickets[worker] = Ticket { token: row.token, serial: row.serial };
        Some(())
    }

    /// Whether the fence held.
    fn finish(&self, row: &mut Row, ticket: Ticket, end: End) -> bool {
        let any_token =
            self.has(Fault::FinishWithoutToken) || self.has(Fault::SnoozeWithoutToken) && end == End::Snoozed;
        let any_state = self.has(Fault::CancelLeavesLease) && row.state == JobState::Cancelled;
        if !(row.state == JobState::Running || any_state) || !(row.token == ticket.token || any_token) {
            return false;
        }
        if row.rerun {
            row.wait(JobState::Available, 0);
            (row.rerun, row.attempt, row.crashes) = (false, 0, 0);
            return true;
        }
        match end {
            End::Completed => row.end(JobState::Completed),
            End::Snoozed => {
                row.wait(JobState::Scheduled, DELAY);
                (row.attempt, row.crashes) = (row.attempt.saturating_sub(1), 0);
            }
            End::Retryable => {
                row.wait(JobState::Retryable, DELAY);
                row.crashes = 0;
            }
            End::Discarded => {
                row.end(JobState::Discarded);
                row.crashes = 0;
            }
        }
        true
    }

    fn peek(&self, rows: &mut [Option<Row>; SLOTS], worker: usize, slot: usize) -> Option<()> {
        let row = rows[slot].as_mut().filter(|row| row.is_due() && row.serial < self.bounds.claims)?;
        row.peeks[worker] = Ticket { token: row.token, serial: row.serial + 1 };
        Some(())
    }

    /// Whether the fence held; none beyond the bounds.
    fn finish_peeked(&self, row: &mut Row, ticket: Ticket, end: End) -> Option<bool> {
        let waits = row.state.is_waiting() || self.has(Fault::PeekedEndInAnyState);
        if !waits || !(row.token == ticket.token || self.has(Fault::PeekedEndWithoutToken)) {
            return Some(false);
        }
        if row.serial >= self.bounds.claims {
            return None;
        }
        row.serial += 1;
        row.token += u8::from(!self.has(Fault::PeekedEndKeepsToken));
        if end != End::Snoozed {
            row.attempt = (row.attempt + 1).min(self.bounds.attempts);
        }
        match end {
            End::Completed => row.end(JobState::Completed),
            End::Snoozed => row.wait(JobState::Scheduled, DELAY),
            End::Retryable => row.wait(JobState::Retryable, DELAY),
            End::Discarded => row.end(JobState::Discarded),
        }
        if end != End::Completed {
            row.crashes = 0;
        }
        Some(true)
    }

    fn rescue(&self, row: &mut Row) {
        let expired = row.timer == 0 || self.has(Fault::RescueIgnoresLease);
        if row.state != JobState::Running || !expired {
            return;
        }
        if row.rerun {
            row.wait(JobState::Available, 0);
            (row.rerun, row.attempt) = (false, 0);
            return;
        }
        row.crashes += u8::from(!self.has(Fault::RescueForgetsCrash));
        if row.crashes < self.bounds.crashes {
            row.wait(JobState::Available, 0);
        } else {
            row.end(JobState::Discarded);
        }
    }

    /// Whether it was done.
    fn retry(&self, rows: &mut [Option<Row>; SLOTS], slot: usize) -> Option<bool> {
        let key = slot / ROWS_OF_KEY;
        let state = rows[slot]?.state;
        if matches!(state, JobState::Running | JobState::Available) {
            return Some(false);
        }
        let of_key = &mut rows[key * ROWS_OF_KEY..(key + 1) * ROWS_OF_KEY];
        if !state.is_live() {
            for live in of_key.iter_mut().flatten().filter(|row| row.state.is_live()) {
                if !self.has(Fault::RetryEndsLiveJob) {
                    return Some(false);
                }
                live.end(JobState::Cancelled);
                live.rerun = false;
            }
        }
        let row = rows[slot].as_mut()?;
        row.wait(JobState::Available, 0);
        (row.attempt, row.crashes) = (0, 0);
        Some(true)
    }
}

fn ticket(row: &Row, worker: usize) -> Option<Ticket> {
    Some(row.tickets[worker]).filter(|ticket| ticket.serial > 0)
}

fn pass(row: &mut Row) {
    row.timer =
        if row.state.is_live() { row.timer.saturating_sub(1) } else { (row.timer + 1).min(DISCARDED_KEPT) };
}

/// Whether it was done.
fn cancel(row: &mut Row) -> bool {
    let live = row.state.is_live();
    if live {
        row.end(JobState::Cancelled);
        row.rerun = false;
    }
    live
}

/// Later rows of a key move up.
fn prune(rows: &mut [Option<Row>; SLOTS]) {
    for of_key in rows.chunks_mut(ROWS_OF_KEY) {
        let kept: Vec<Row> = of_key.iter().flatten().filter(|row| !row.may_be_pruned()).copied().collect();
        for (at, slot) in of_key.iter_mut().enumerate() {
            *slot = kept.get(at).copied();
        }
    }
}
