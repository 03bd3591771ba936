use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hostatlas_domain::{Located, Network, Place};

use super::resolve::Answer;
use crate::ids::IdMap;

/// How many ids of each table are kept: as many places as the hosts of a large scan stand on, in some 30 MiB.
const CAPACITY: usize = 1 << 17;
/// How many whole answers are kept. They live as long as they are in here.
const ANSWERS: usize = 1 << 16;

/// A place that is in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownPlace {
    pub(super) id: i64,
    pub(super) has_timezone: bool,
}

/// Ids of places and networks that are already known. Rows of both are never deleted or renumbered, so what is in
/// here stays true.
#[derive(Clone, Default)]
pub(crate) struct Caches {
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
pub(super) struct Known {
    answers: IdMap<(Arc<Located>, Answer)>,
    pub(super) places: HashMap<Place, KnownPlace>,
    pub(super) networks: HashMap<Network, i64>,
}

/// What a transaction looked up or made. It becomes known once the transaction is committed: ids of one that was
/// rolled back are given to others.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    pub(super) answers: Vec<(Arc<Located>, Answer)>,
    pub(super) places: Vec<(Place, KnownPlace)>,
    pub(super) networks: Vec<(Network, i64)>,
}

impl Caches {
    /// Takes in what a committed transaction learned.
    pub(crate) fn learn(&self, learned: Learned) {
        if learned.answers.is_empty() {
            return;
        }
        let mut known = self.known();
        insert(&mut known.places, learned.places);
        insert(&mut known.networks, learned.networks);
        if known.answers.len() + learned.answers.len() > ANSWERS {
            known.answers.clear();
        }
        let answers = learned.answers.into_iter().take(ANSWERS);
        known.answers.extend(answers.map(|(located, answer)| (identity(&located), (located, answer))));
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        // Nobody can leave half a change behind: each is one insertion.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The rows of this very answer, compared by where it is in memory: what is in here cannot be freed, so nothing
    /// else can be there.
    pub(super) fn answer(&self, located: &Arc<Located>) -> Option<Answer> {
        self.answers.get(&identity(located)).map(|(_, answer)| *answer)
    }
}

/// Where an answer is in memory.
pub(super) fn identity(located: &Arc<Located>) -> i64 {
    (Arc::as_ptr(located).addr() as u64).cast_signed()
}

/// Forgets all when full: which are asked for next is not known, and asking the database again is cheap.
fn insert<K: Eq + Hash, V>(known: &mut HashMap<K, V>, learned: Vec<(K, V)>) {
    if known.len() + learned.len() > CAPACITY {
        known.clear();
    }
    known.extend(learned.into_iter().take(CAPACITY));
}
