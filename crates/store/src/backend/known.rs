use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hostatlas_domain::{Located, Network, Place, Precision, ProviderName};

use super::IdMap;

/// How many ids of each table are kept: as many places as the hosts of a large scan stand on, in some 30 MiB.
const CAPACITY: usize = 1 << 17;
/// How many whole answers a generation keeps. They live as long as they are in here.
const GENERATION: usize = 1 << 16;

/// An answer whose place and network are in the database.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The place's row.
    pub place: i64,
    /// The network's row, where the answer knows one.
    pub network: Option<i64>,
    /// The place's latitude and longitude, in hundred thousandths of a degree.
    pub units: (i32, i32),
    /// What the place stands for.
    pub precision: Precision,
    /// Who answered.
    pub provider: ProviderName,
    /// How far off it may be, in km.
    pub accuracy_km: Option<u16>,
    /// When the database that was asked was built, in ms since 1970.
    pub database_build: Option<i64>,
}

/// A place that is in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownPlace {
    /// Its row.
    pub id: i64,
    /// Whether its time zone is known, too.
    pub has_timezone: bool,
}

/// Ids of places and networks that are already known. Rows of both are never deleted or renumbered, so what is in
/// here stays true of one history of the database, and is forgotten with it: of a copy that is put in its place the same
/// ids are other rows.
#[derive(Clone, Debug, Default)]
pub struct Caches {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    /// How often all was forgotten.
    pub(super) forgotten: u64,
    answers: Answers,
    pub(super) places: HashMap<Place, KnownPlace>,
    pub(super) networks: HashMap<Network, i64>,
}

/// What a transaction looked up or made. It becomes known once the transaction is committed: ids of one that was
/// rolled back are given to others.
#[derive(Debug, Default)]
pub struct Learned {
    /// How often all had been forgotten when it began.
    pub(super) forgotten: u64,
    pub(super) answers: Vec<(Arc<Located>, Answer)>,
    pub(super) places: Vec<(Place, KnownPlace)>,
    pub(super) networks: Vec<(Network, i64)>,
}

impl Caches {
    /// Takes in what a committed transaction learned.
    pub fn learn(&self, learned: Learned) {
        if learned.answers.is_empty() {
            return;
        }
        let mut known = self.known();
        if learned.forgotten != known.forgotten {
            return;
        }
        insert(&mut known.places, learned.places);
        insert(&mut known.networks, learned.networks);
        for (located, answer) in learned.answers {
            known.answers.insert(located, answer);
        }
    }

    /// Forgets all, also what transactions learned that are under way.
    pub(super) fn forget(&self) {
        let mut known = self.known();
        *known = Known { forgotten: known.forgotten + 1, ..Known::default() };
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        // Nobody can leave half a change behind: each is one insertion.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The rows of this very answer, compared by where it is in memory: what is in here cannot be freed, so nothing
    /// else can be there.
    pub(super) fn answer(&mut self, located: &Arc<Located>) -> Option<Answer> {
        self.answers.get(located)
    }
}

/// Answers in two generations: what is not asked for while the younger one fills is forgotten.
#[derive(Debug, Default)]
struct Answers {
    young: IdMap<(Arc<Located>, Answer)>,
    old: IdMap<(Arc<Located>, Answer)>,
}

impl Answers {
    fn get(&mut self, located: &Arc<Located>) -> Option<Answer> {
        let identity = identity(located);
        if let Some((_, answer)) = self.young.get(&identity) {
            return Some(*answer);
        }
        let (located, answer) = self.old.remove(&identity)?;
        self.insert(located, answer);
        Some(answer)
    }

    fn insert(&mut self, located: Arc<Located>, answer: Answer) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(identity(&located), (located, answer));
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

#[cfg(test)]
mod tests {
    use hostatlas_domain::{Coordinate, Precision, ProviderName};

    use super::*;

    #[test]
    fn what_was_learned_before_all_was_forgotten_is_not_known() {
        let caches = Caches::default();
        let coordinate = Coordinate::from_units(1, 1).expect("on earth");
        let place = Place { coordinate, precision: Precision::City, city: None, region: None, country: None };
        let located = Arc::new(Located {
            place: place.clone(),
            network: Network::default(),
            timezone: None,
            provider: ProviderName::Mmdb,
            accuracy_km: None,
            database_build: None,
        });
        let answer = Answer {
            place: 7,
            network: None,
            units: (1, 1),
            precision: Precision::City,
            provider: ProviderName::Mmdb,
            accuracy_km: None,
            database_build: None,
        };
        let learned = |forgotten| Learned {
            forgotten,
            answers: vec![(Arc::clone(&located), answer)],
            places: vec![(place.clone(), KnownPlace { id: 7, has_timezone: false })],
            networks: Vec::new(),
        };
        let known = || {
            let mut known = caches.known();
            (known.places.len(), known.answer(&located).is_some())
        };
        caches.learn(learned(0));
        assert_eq!(known(), (1, true));
        caches.forget();
        assert_eq!(known(), (0, false));
        caches.learn(learned(0));
        assert_eq!(known(), (0, false), "it began before");
        caches.learn(learned(1));
        assert_eq!(known(), (1, true));
    }

    #[test]
    fn an_answer_that_is_asked_for_survives_any_number_of_others() {
        let located = |units: i32| {
            let coordinate = Coordinate::from_units(units, 1).expect("on earth");
            let place =
                Place { coordinate, precision: Precision::City, city: None, region: None, country: None };
            let (network, timezone, provider) = (Network::default(), None, ProviderName::Mmdb);
            Arc::new(Located { place, network, timezone, provider, accuracy_km: None, database_build: None })
        };
        let answer = |place| Answer {
            place,
            network: None,
            units: (0, 1),
            precision: Precision::City,
            provider: ProviderName::Mmdb,
            accuracy_km: None,
            database_build: None,
        };
        let (asked, forgotten) = (located(1), located(2));
        let mut answers = Answers::default();
        answers.insert(Arc::clone(&asked), answer(7));
        answers.insert(Arc::clone(&forgotten), answer(8));
        for number in 0..3 * GENERATION {
            answers.insert(located(3), answer(9));
            if number % 1_000 == 0 {
                assert_eq!(answers.get(&asked).map(|answer| answer.place), Some(7));
            }
        }
        assert!(answers.get(&forgotten).is_none(), "it would be kept for ever");
        assert!(answers.young.len() <= GENERATION && answers.old.len() <= GENERATION);
    }
}
