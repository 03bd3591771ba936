use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use hostatlas_domain::{Located, Network, Place, Timestamp};

use super::{Answer, Caches, IdMap, IdSet, KnownPlace, Learned, known::identity};
use crate::Attempt;

/// The answers of a batch, one for each attempt; none where it is not located.
pub type Answers = Vec<Option<Answer>>;

/// From the attempts of a batch to the rows of their places and networks: what is known already is not asked for, and
/// each of the rest once.
///
/// The backend finds or makes [`Resolving::missing_places`] and [`Resolving::missing_networks`], hands in their rows,
/// writes [`Resolving::missing_timezones`], and is given the answers at [`Resolving::end`].
#[derive(Debug)]
pub struct Resolving<'a> {
    answers: Answers,
    /// Answers that have no rows yet.
    located: Vec<&'a Arc<Located>>,
    places: HashMap<&'a Place, KnownPlace>,
    networks: HashMap<&'a Network, i64>,
    learned: Learned,
}

impl<'a> Resolving<'a> {
    /// Begins with what is known.
    pub fn new(caches: &Caches, attempts: impl Iterator<Item = &'a Attempt> + Clone) -> Self {
        let mut known = caches.known();
        let answers: Answers =
            attempts.clone().map(|attempt| of_located(attempt).and_then(|it| known.answer(it))).collect();
        // Equal answers share their `Arc`, so comparing where they are is enough; where they do not, the place is
        // merely looked up twice.
        let mut seen = IdSet::default();
        let located: Vec<_> = attempts
            .zip(&answers)
            .filter(|(_, answer)| answer.is_none())
            .filter_map(|(attempt, _)| of_located(attempt))
            .filter(|located| seen.insert(identity(located)))
            .collect();
        let places = located.iter().filter_map(|it| Some((&it.place, *known.places.get(&it.place)?)));
        let places = places.collect();
        let networks = located.iter().filter_map(|it| Some((&it.network, *known.networks.get(&it.network)?)));
        let networks = networks.collect();
        let learned = Learned { forgotten: known.forgotten, ..Learned::default() };
        Self { answers, located, places, networks, learned }
    }

    /// The places whose rows are not known, each once.
    #[must_use]
    pub fn missing_places(&self) -> Vec<&'a Place> {
        let all: HashSet<&Place> = self.located.iter().map(|answer| &answer.place).collect();
        all.into_iter().filter(|place| !self.places.contains_key(*place)).collect()
    }

    /// Takes in the rows of [`Resolving::missing_places`], in their order.
    pub fn places_found(&mut self, missing: &[&'a Place], found: &[KnownPlace]) {
        for (place, known) in missing.iter().zip(found) {
            self.learned.places.push(((*place).clone(), *known));
            self.places.insert(place, *known);
        }
    }

    /// The networks whose rows are not known, each once. One of which nothing is known has no row.
    #[must_use]
    pub fn missing_networks(&self) -> Vec<&'a Network> {
        let all: HashSet<&Network> = self.located.iter().map(|answer| &answer.network).collect();
        let is_missing = |network: &&Network| !network.is_empty() && !self.networks.contains_key(*network);
        all.into_iter().filter(is_missing).collect()
    }

    /// Takes in the rows of [`Resolving::missing_networks`], in their order.
    pub fn networks_found(&mut self, missing: &[&'a Network], found: &[i64]) {
        for (network, id) in missing.iter().zip(found) {
            self.learned.networks.push(((*network).clone(), *id));
            self.networks.insert(network, *id);
        }
    }

    /// The time zones that the answers know, for places that are made.
    #[must_use]
    pub fn timezones(&self) -> HashMap<&'a Place, &'a str> {
        self.located.iter().filter_map(|answer| Some((&answer.place, answer.timezone.as_deref()?))).collect()
    }

    /// Rows of places that lack the time zone which an answer knows, with it. The caller writes them.
    pub fn missing_timezones(&mut self) -> BTreeMap<i64, &'a str> {
        let mut missing = BTreeMap::new();
        for answer in &self.located {
            if let (Some(known), Some(timezone)) =
                (self.places.get(&answer.place), answer.timezone.as_deref())
                && !known.has_timezone
                && !timezone.is_empty()
            {
                missing.insert(known.id, timezone);
                self.learned.places.push((answer.place.clone(), KnownPlace { has_timezone: true, ..*known }));
            }
        }
        missing
    }

    /// The answers of the same `attempts`, and what is known once the transaction is committed.
    #[must_use]
    pub fn end(mut self, attempts: impl Iterator<Item = &'a Attempt>) -> (Answers, Learned) {
        let mut resolved: IdMap<Answer> = IdMap::default();
        for located in self.located {
            let Some(place) = self.places.get(&located.place) else { continue };
            let answer = Answer {
                place: place.id,
                network: self.networks.get(&located.network).copied(),
                units: located.place.coordinate.units(),
                precision: located.place.precision,
                provider: located.provider,
                accuracy_km: located.accuracy_km,
                database_build: located.database_build.map(Timestamp::as_millis),
            };
            resolved.insert(identity(located), answer);
            self.learned.answers.push((Arc::clone(located), answer));
        }
        for (answer, attempt) in self.answers.iter_mut().zip(attempts) {
            if let (None, Some(located)) = (&answer, of_located(attempt)) {
                *answer = resolved.get(&identity(located)).copied();
            }
        }
        (self.answers, self.learned)
    }
}

fn of_located(attempt: &Attempt) -> Option<&Arc<Located>> {
    match attempt {
        Attempt::Located(located) => Some(located),
        Attempt::Unlocated { .. } | Attempt::NotApplicable => None,
    }
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::{Asn, Coordinate, Precision, ProviderName};

    use super::*;

    fn located(units: i32, timezone: Option<&str>) -> Arc<Located> {
        let coordinate = Coordinate::from_units(units, 1).expect("on earth");
        Arc::new(Located {
            place: Place { coordinate, precision: Precision::City, city: None, region: None, country: None },
            network: Network { asn: Some(Asn(64_500)), ..Network::default() },
            timezone: timezone.map(str::to_owned),
            provider: ProviderName::Mmdb,
            accuracy_km: None,
            database_build: None,
        })
    }

    #[test]
    fn what_a_batch_found_is_not_asked_for_again() {
        let caches = Caches::default();
        let shared = located(1, None);
        let attempts = [
            Attempt::Located(Arc::clone(&shared)),
            Attempt::NotApplicable,
            Attempt::Located(shared),
            Attempt::Located(located(1, Some("Europe/Berlin"))),
        ];
        let mut batch = Resolving::new(&caches, attempts.iter());
        let (places, networks) = (batch.missing_places(), batch.missing_networks());
        assert_eq!((places.len(), networks.len()), (1, 1));
        batch.places_found(&places, &[KnownPlace { id: 7, has_timezone: false }]);
        batch.networks_found(&networks, &[8]);
        assert_eq!(batch.missing_timezones(), BTreeMap::from([(7, "Europe/Berlin")]));
        let (answers, learned) = batch.end(attempts.iter());
        let rows: Vec<_> = answers.iter().map(|it| it.map(|answer| (answer.place, answer.network))).collect();
        assert_eq!(rows, [Some((7, Some(8))), None, Some((7, Some(8))), Some((7, Some(8)))]);

        caches.learn(learned);
        let other = [Attempt::Located(located(1, Some("Europe/Berlin")))];
        let mut known = Resolving::new(&caches, attempts.iter().chain(&other));
        assert!(known.missing_places().is_empty() && known.missing_networks().is_empty());
        assert!(known.missing_timezones().is_empty(), "the time zone was learned with its place");
        let (answers, _) = known.end(attempts.iter().chain(&other));
        assert_eq!(answers.iter().flatten().map(|answer| answer.place).collect::<Vec<_>>(), [7; 4]);
    }
}
