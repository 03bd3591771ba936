//! One schedule: two hosts of a real database, and what the model says of their jobs.

use hostatlas_domain::{Address, HostId, JobId, JobKind};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use super::{
    super::model::{Action, End, KEYS, Model, Outcome, ROWS_OF_KEY, SLOTS, State, WORKERS},
    Failed,
};

/// What a key's jobs do. Two kinds, so that a claim can be about one key alone.
pub(super) const KINDS: [JobKind; KEYS] = [JobKind::Geolocation, JobKind::DomainEnum];

/// A schedule in progress.
pub(super) struct Lane {
    /// What the model says.
    pub(super) state: State,
    /// The real job of each row.
    pub(super) ids: [Option<JobId>; SLOTS],
    /// The host of each key.
    pub(super) hosts: [(Address, HostId); KEYS],
    /// How many effects were handed in for each host; each puts it elsewhere.
    pub(super) handed_in: [u32; KEYS],
    /// Which effect was applied last; 0 for none.
    pub(super) applied: [u32; KEYS],
    /// How many were applied.
    pub(super) effects: [usize; KEYS],
    /// All that was done so far.
    pub(super) history: Vec<Action>,
}

impl Lane {
    pub(super) fn new(hosts: [(Address, HostId); KEYS]) -> Self {
        Self {
            state: State::default(),
            ids: [None; SLOTS],
            hosts,
            handed_in: [0; KEYS],
            applied: [0; KEYS],
            effects: [0; KEYS],
            history: Vec::new(),
        }
    }

    /// Does it on the model; answers what a sound queue does.
    pub(super) fn step(&mut self, model: &Model, action: Action) -> Option<Outcome> {
        let outcome = model.step(&self.state, action)?;
        self.history.push(action);
        if action == Action::Prune {
            self.forget_pruned();
        }
        self.state = outcome.state;
        if let Some((slot, _)) = outcome.effect {
            let key = slot / ROWS_OF_KEY;
            self.applied[key] = self.handed_in[key];
            self.effects[key] += 1;
        }
        Some(outcome)
    }

    /// Real jobs move up as the model's rows do.
    fn forget_pruned(&mut self) {
        for key in 0..KEYS {
            let slots = key * ROWS_OF_KEY..(key + 1) * ROWS_OF_KEY;
            let stays = |slot: &usize| self.state.rows[*slot].is_some_and(|row| !row.may_be_pruned());
            let kept: Vec<_> = slots.clone().filter(stays).map(|slot| self.ids[slot]).collect();
            for (at, slot) in slots.enumerate() {
                self.ids[slot] = kept.get(at).copied().flatten();
            }
        }
    }

    /// The row of a real job.
    pub(super) fn slot_of(&self, id: JobId) -> Option<usize> {
        self.ids.iter().position(|known| *known == Some(id))
    }

    /// Something that somebody does next about these jobs alone, or nothing.
    pub(super) fn choose(&self, model: &Model, random: &mut StdRng) -> Option<Action> {
        let worker = random.random_range(0..WORKERS as u8);
        let taken: Vec<u8> = (0..SLOTS as u8).filter(|slot| self.ids[usize::from(*slot)].is_some()).collect();
        let slot = taken.choose(random).copied();
        let action = match random.random_range(0..100) {
            0..25 => Action::Enqueue {
                key: random.random_range(0..KEYS as u8),
                force: random.random_bool(0.4),
                delayed: random.random_bool(0.3),
            },
            25..38 if model.bounds.peeks => {
                Action::FinishPeeked { worker, slot: slot?, end: *End::ALL.choose(random)? }
            }
            25..58 => Action::Finish { worker, slot: slot?, end: *End::ALL.choose(random)? },
            58..65 => Action::Release { worker, slot: slot? },
            65..75 => Action::Renew { worker, slot: slot? },
            75..82 => Action::Cancel { slot: slot? },
            82..92 => Action::Retry { slot: slot? },
            _ => return None,
        };
        model.step(&self.state, action).map(|_| action)
    }

    /// This schedule failed.
    pub(super) fn failed(&self, what: impl Into<String>) -> Failed {
        Failed { what: what.into(), history: self.history.clone() }
    }
}
